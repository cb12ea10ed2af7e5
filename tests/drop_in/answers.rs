//! What viewers get, byte for byte, for every row of the tables that were measured on Zuul 14.3.0. The same tables run
//! against Zuul's own gateway, which is how they are known to be true.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::executor::{Executor, FullQueue};
use crate::support::gateway::{Conf, Gateway, Kind};
use crate::support::world::{World, uuid};

const NOT_FOUND: &str = "Build not found";
const NOT_STARTED: &str = "Build did not start yet";
const INTERNAL: &str = "Internal streaming error";

/// Zuul waits 10 s for a request line, and so do we: whoever answers within 8 s did not wait for more of it.
/// No measure of speed, so that a busy machine passes.
const AT_ONCE: Duration = Duration::from_secs(8);
/// The longest that any answer may take, on a busy machine.
const AT_LAST: Duration = Duration::from_secs(20);

/// Rows at one time. Zuul's gateway has a queue of 5 connections, and what comes on top may wait for a minute.
const ZUULS_CROWD: usize = 4;
const CROWD: usize = 100;

#[tokio::test]
async fn the_tables_are_true_of_zuuls_own_gateway() {
    let world = Arc::new(World::new().await);
    let gateway = Gateway::start(Kind::Zuul, &world, Conf::plain(&world, "here")).await;
    let gateway = Arc::new(gateway);
    requests_are_answered(&world, &gateway, requests_of_zuul(), ZUULS_CROWD).await;
    upstreams_are_answered(&world, &gateway).await;
}

#[tokio::test]
async fn every_request_of_the_table_is_answered_as_zuul_does() {
    let world = Arc::new(World::new().await);
    let gateway = Arc::new(Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await);
    requests_are_answered(&world, &gateway, requests(), CROWD).await;
}

#[tokio::test]
async fn every_request_of_the_table_is_answered_as_zuul_does_by_tls() {
    let world = Arc::new(World::new().await);
    let gateway = Arc::new(Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await);
    requests_are_answered(&world, &gateway, requests(), CROWD).await;
}

#[tokio::test]
async fn every_upstream_of_the_table_is_answered_as_zuul_does() {
    let world = Arc::new(World::new().await);
    let gateway = Arc::new(Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await);
    upstreams_are_answered(&world, &gateway).await;
}

#[tokio::test]
async fn every_upstream_of_the_table_is_answered_as_zuul_does_by_tls() {
    let world = Arc::new(World::new().await);
    let gateway = Arc::new(Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await);
    upstreams_are_answered(&world, &gateway).await;
}

/// One row of "the viewer sends".
#[derive(Debug, Clone, Copy)]
struct Request {
    /// What is sent, with `UUID` for that of a build that runs. A `|` parts one write from the next.
    sends: &'static [u8],
    then: Then,
    gets: Gets,
}

/// What the viewer does after it has sent everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Reads,
    HalfCloses,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gets {
    /// The whole log, after the executor was sent the uuid and a newline.
    TheLog,
    /// This text, well before any deadline.
    AtOnce(&'static str),
    /// This text, in time.
    AtLast(&'static str),
}

/// The table.
fn requests() -> Vec<Request> {
    let log = [
        b"UUID\n".as_slice(),
        b"UUID\r\n",
        b"UUID \t \n",
        b"UUID  \r\n",
        b"U|U|I|D|\r|\n",
        b"UUID\nmore text\n",
        b"UUID\n|and more",
        b"/UUID\n",
        b"//UUID/\n",
        longest_request(),
    ];
    let not_found = [
        b"0123456789abcdef0123456789abcdef\n".as_slice(),
        b" UUID\n",
        b"UPPER\n",
        b"\r\n",
        b"/W UUID\n",
        b"UUID@host\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"UU\0ID\n",
        b"UUID\0\n",
        b"\x01UUID\n",
        b"UU\x1b[ID\n",
        b"xyz\n",
    ];
    let timed_out = [b"".as_slice(), b"UUID", b"\nUUID\n", b"\xff\xfe\xfd\n", b"UUID\xff\n"];
    let too_long = [too_long_request(), too_long_without_a_newline(), too_long_after_the_newline()];
    let paths = [b"../x\n".as_slice(), b"./UUID\n", b"x/../UUID\n"];
    let mut rows = Vec::new();
    rows.extend(log.map(|sends| Request { sends, then: Then::Reads, gets: Gets::TheLog }));
    rows.extend(log.map(|sends| Request { sends, then: Then::HalfCloses, gets: Gets::TheLog }));
    rows.extend(not_found.map(|sends| Request { sends, then: Then::Reads, gets: Gets::AtOnce(NOT_FOUND) }));
    rows.extend(timed_out.map(|sends| Request { sends, then: Then::Reads, gets: Gets::AtLast(INTERNAL) }));
    rows.extend(too_long.map(|sends| Request { sends, then: Then::Reads, gets: Gets::AtOnce(INTERNAL) }));
    rows.extend(paths.map(|sends| Request { sends, then: Then::Reads, gets: Gets::AtOnce(INTERNAL) }));
    rows.extend([b"".as_slice(), b"UUID"].map(|sends| Request {
        sends,
        then: Then::HalfCloses,
        gets: Gets::AtOnce(""),
    }));
    rows
}

/// Rows that hold for Zuul too: it finds a build whose uuid has slashes around it, but asks the executor for it with
/// the slashes, which does not.
fn requests_of_zuul() -> Vec<Request> {
    requests().into_iter().filter(|row| !row.sends.starts_with(b"/UUID") && !row.sends.starts_with(b"//")).collect()
}

/// 1023 bytes, the newline among them.
fn longest_request() -> &'static [u8] {
    padded(b"UUID", 1022, b"\n")
}

fn too_long_request() -> &'static [u8] {
    padded(b"UUID", 1023, b"\n")
}

fn too_long_without_a_newline() -> &'static [u8] {
    padded(b"UUID", 1024, b"")
}

fn too_long_after_the_newline() -> &'static [u8] {
    padded(b"UUID\n", 1024, b"")
}

/// `start`, and blanks up to `length` bytes once `UUID` has been filled in, and `end`.
fn padded(start: &[u8], length: usize, end: &[u8]) -> &'static [u8] {
    let blanks = length - start.len() - (uuid().len() - "UUID".len());
    [start, &b" ".repeat(blanks), end].concat().leak()
}

async fn requests_are_answered(world: &Arc<World>, gateway: &Arc<Gateway>, rows: Vec<Request>, crowd: usize) {
    let (mut all, crowd) = (JoinSet::new(), Arc::new(Semaphore::new(crowd)));
    for row in rows {
        let (world, gateway, crowd) = (Arc::clone(world), Arc::clone(gateway), Arc::clone(&crowd));
        all.spawn(async move {
            let _place = crowd.acquire().await.expect("never closed");
            request_is_answered(&world, &gateway, row).await
        });
    }
    let wrong: Vec<_> = all.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

async fn request_is_answered(world: &World, gateway: &Gateway, row: Request) -> Result<(), String> {
    let executor = Executor::new().await;
    let uuid = world.build(world.worker(Some("here"), executor.port())).await;
    let log = format!("the log of {uuid}");
    let mut viewer = gateway.viewer(world).await;
    let asked = Instant::now();
    for piece in filled_in(row.sends, &uuid) {
        viewer.send(&piece).await;
    }
    if row.then == Then::HalfCloses {
        viewer.finish().await;
    }
    let expected = match row.gets {
        Gets::TheLog => {
            let mut arrival = executor.next().await;
            assert_eq!(arrival.request, format!("{uuid}\n"), "what the executor is sent");
            arrival.send(log.as_bytes()).await;
            log.as_str()
        }
        Gets::AtOnce(text) | Gets::AtLast(text) => text,
    };
    let got = String::from_utf8_lossy(&viewer.rest().await).into_owned();
    let limit = if matches!(row.gets, Gets::AtOnce(_)) { AT_ONCE } else { AT_LAST };
    compare(
        &format!("{:?}, then {:?}", row.sends.escape_ascii().to_string(), row.then),
        (expected, limit),
        (&got, asked),
    )
}

/// The pieces that are sent one by one.
fn filled_in(sends: &[u8], uuid: &str) -> Vec<Vec<u8>> {
    if sends == b"U|U|I|D|\r|\n" {
        return format!("{uuid}\r\n").bytes().map(|byte| vec![byte]).collect();
    }
    let fill = |piece: &[u8]| replaced(&replaced(piece, b"UPPER", &uuid.to_uppercase()), b"UUID", uuid);
    sends.split(|byte| *byte == b'|').map(fill).collect()
}

fn replaced(bytes: &[u8], what: &[u8], by: &str) -> Vec<u8> {
    match bytes.windows(what.len()).position(|window| window == what) {
        Some(at) => [&bytes[..at], by.as_bytes(), &bytes[at + what.len()..]].concat(),
        None => bytes.to_vec(),
    }
}

fn compare(row: &str, (expected, limit): (&str, Duration), (got, asked): (&str, Instant)) -> Result<(), String> {
    let took = asked.elapsed();
    if got != expected {
        return Err(format!("{row}: expected {expected:?}, got {got:?}"));
    }
    if took > limit {
        return Err(format!("{row}: took {took:?}, longer than {limit:?}"));
    }
    Ok(())
}

/// The rows of "upstream" whose executor says nothing, each with what `worker_info` holds.
fn silent_upstreams(world: &World, queue: &FullQueue) -> Vec<(&'static str, Value, &'static str)> {
    let here = Some("here");
    vec![
        ("worker_info null", Value::Null, NOT_STARTED),
        ("refused", world.worker(here, 1), INTERNAL),
        ("unresolvable", json!({"hostname": "no-such-host.invalid", "log_port": 7900, "zone": "here"}), INTERNAL),
        ("no answer to SYN", world.worker(here, queue.port()), INTERNAL),
        ("log_port null", json!({"hostname": "127.0.0.1", "log_port": null, "zone": "here"}), INTERNAL),
        ("a gateway that is down", world.worker(Some("down"), 1), INTERNAL),
        ("a gateway without a port", world.worker(Some("portless"), 1), INTERNAL),
    ]
}

async fn upstreams_are_answered(world: &Arc<World>, gateway: &Arc<Gateway>) {
    let dead = json!({"zone": "down", "public_port": 1, "use_ssl": false});
    let portless = json!({"zone": "portless", "public_port": null, "use_ssl": false});
    for (name, more) in [("dead", dead), ("portless", portless)] {
        let component = json!({"name": name, "kind": "fingergw", "hostname": "127.0.0.1", "more": more});
        world.call("register", component).await;
    }
    let queue = FullQueue::new().await;
    let mut all = JoinSet::new();
    for (row, worker, expected) in silent_upstreams(world, &queue) {
        let (world, gateway) = (Arc::clone(world), Arc::clone(gateway));
        all.spawn(async move {
            let uuid = world.build(worker).await;
            let asked = Instant::now();
            let got = gateway.watch(&world, &uuid).await.rest().await;
            compare(row, (expected, AT_LAST), (&String::from_utf8_lossy(&got), asked))
        });
    }
    let wrong: Vec<_> = all.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    speaking_upstreams_are_answered(world, gateway).await;
}

/// The rows of "upstream" whose executor says something, or ends in some way.
async fn speaking_upstreams_are_answered(world: &World, gateway: &Gateway) {
    let executor = Executor::new().await;
    let port = executor.port();

    let uuid = world.build(world.worker(Some("here"), port)).await;
    let mut viewer = gateway.watch(world, &uuid).await;
    executor.slam().await;
    assert_eq!(viewer.rest().await, INTERNAL.as_bytes(), "reset before the request was read");

    let mut viewer = gateway.watch(world, &uuid).await;
    drop(executor.next().await);
    assert_eq!(viewer.rest().await, b"", "closed after the request");

    let mut viewer = gateway.watch(world, &uuid).await;
    let mut arrival = executor.next().await;
    arrival.send(b"what came").await;
    viewer.expect(b"what came").await;
    arrival.reset();
    assert_eq!(viewer.rest().await, INTERNAL.as_bytes(), "reset in the middle");

    let every_byte: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let mut viewer = gateway.watch(world, &uuid).await;
    executor.next().await.send(&every_byte).await;
    assert_eq!(viewer.rest().await, every_byte, "any bytes");

    let text_port = json!({"hostname": "127.0.0.1", "log_port": port.to_string(), "zone": "here"});
    for (row, worker) in [
        ("a port written as text", text_port),
        ("another zone without a gateway", world.worker(Some("empty"), port)),
        ("no zone", world.worker(None, port)),
    ] {
        let uuid = world.build(worker).await;
        let mut viewer = gateway.watch(world, &uuid).await;
        executor.next().await.send(b"the log").await;
        assert_eq!(viewer.rest().await, b"the log", "{row}");
    }
}
