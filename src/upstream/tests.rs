//! Routes over real loopback sockets, with peers that follow a script.

use std::time::Duration;

use socket2::{SockFilter, SockRef, Socket};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket};
use tracing::Span;

use super::*;
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::names::Hostname;
use crate::registry::OwnNames;
use crate::request::Query;
use crate::route::TargetKind;
use crate::tasks::Tasks;

mod over_tls;
mod own_wishes;
mod route_timeout;
mod seen;

const UUID: &str = "0123456789abcdef0123456789abcdef";
const LONG: Duration = Duration::from_secs(3600);

fn request() -> Line {
    Query::parse(UUID).unwrap().forwarded().unwrap()
}

fn how() -> How {
    let settings = settings::Upstream {
        timeout: LONG,
        connect_timeout: LONG,
        handshake_timeout: LONG,
        happy_eyeballs_delay: LONG,
        ..settings::Upstream::default()
    };
    How { settings, tls: None, itself: Itself::default() }
}

fn target(host: &str, port: u16) -> Target {
    Target::new(TargetKind::Gateway, Hostname::parse(host).unwrap(), port)
}

fn to(address: SocketAddr) -> Target {
    target(&address.ip().to_string(), address.port())
}

/// A port that refuses, held so that nobody else gets it.
fn refusing() -> (TcpSocket, Target) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let target = to(socket.local_addr().unwrap());
    (socket, target)
}

async fn listening() -> (TcpListener, Target) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = to(listener.local_addr().unwrap());
    (listener, target)
}

/// A dialler, and what it did so far.
struct Counted {
    dialler: Dialler,
    metrics: metrics::Upstream,
}

impl Counted {
    fn new() -> Self {
        let metrics = Metrics::new().upstream.clone();
        Self { dialler: Dialler::new(metrics.clone()), metrics }
    }

    fn times(&self, result: &'static str) -> u64 {
        self.metrics.dialled.get_or_create(&Dialled { kind: "gateway", result }).get()
    }
}

#[tokio::test]
async fn the_first_target_is_sent_the_uuid_and_nothing_else() {
    let ((first, a), (_second, b)) = (listening().await, listening().await);
    let counted = Counted::new();
    let reached = counted.dialler.reach(&[a.clone(), b], &request(), &how()).await.unwrap();
    assert_eq!((&reached.target, reached.address, reached.tried), (&a, first.local_addr().unwrap(), 1));
    drop(reached);
    let mut heard = String::new();
    first.accept().await.unwrap().0.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, format!("{UUID}\n"));
    assert_eq!(counted.times("connected"), 1);
}

#[tokio::test]
async fn a_target_that_refuses_or_has_no_address_gives_way_to_the_next() {
    let ((_held, dead), (_alive, alive)) = (refusing(), listening().await);
    let counted = Counted::new();
    let route = [dead.clone(), target("no..name", 79), alive.clone()];
    let reached = counted.dialler.reach(&route, &request(), &how()).await.unwrap();
    assert_eq!((&reached.target, reached.tried), (&alive, 3));
    assert_eq!(reached.failed().iter().map(|failed| &failed.target).collect::<Vec<_>>(), [&dead, &route[1]]);
    assert_eq!((counted.times("connect"), counted.times("resolve"), counted.times("connected")), (1, 1, 1));
}

#[tokio::test]
async fn when_none_answers_the_operator_is_told_about_each() {
    let (_held, dead) = refusing();
    let counted = Counted::new();
    let route = [dead.clone(), target("no..name", 79)];
    let unreached = counted.dialler.reach(&route, &request(), &how()).await.unwrap_err();
    let said = unreached.to_string();
    let expected = format!("{dead}: 127.0.0.1:{}: Connection refused (os error 111); ", dead.port);
    assert!(said.starts_with(&expected), "{said}");
    assert!(said.contains("gateway no..name:79: cannot resolve the name no..name: "), "{said}");
    assert!(matches!(Fault::from(unreached), Fault::Unreachable(text) if text == said));
}

#[tokio::test]
async fn one_of_two_gateways_down_40_of_40_arrive_and_the_dead_one_is_dialled_once() {
    let ((_held, dead), (alive, to_alive)) = (refusing(), listening().await);
    let tasks = Tasks::new();
    tasks.spawn_until_stopped(Span::none(), async move {
        loop {
            let (mut viewer, _) = alive.accept().await.unwrap();
            let mut line = String::new();
            BufReader::new(&mut viewer).read_line(&mut line).await.unwrap();
            viewer.write_all(line.as_bytes()).await.unwrap();
        }
    });
    let counted = Counted::new();
    for stream in 0..40 {
        let mut reached = counted.dialler.reach(&[dead.clone(), to_alive.clone()], &request(), &how()).await.unwrap();
        let mut log = String::new();
        reached.transport.read_to_string(&mut log).await.unwrap();
        assert_eq!(log, format!("{UUID}\n"), "stream {stream}");
    }
    assert_eq!((counted.times("connected"), counted.times("connect")), (40, 1));
    tasks.stop();
}

#[tokio::test]
async fn a_target_that_failed_is_last_for_a_while_and_then_first_again() {
    let ((held, first), (_second, second)) = (refusing(), listening().await);
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), how());
    let route = [first.clone(), second.clone()];
    assert_eq!(dialler.reach(&route, &request(), &how).await.unwrap().tried, 2);
    let _first = held.listen(8).unwrap();
    assert_eq!(dialler.clone().reach(&route, &request(), &how).await.unwrap().target, second);
    tokio::time::pause();
    tokio::time::advance(how.settings.retry_failed_after).await;
    tokio::time::resume();
    assert_eq!(dialler.reach(&route, &request(), &how).await.unwrap().target, first);
}

#[tokio::test]
async fn targets_that_are_this_relay_are_never_dialled() {
    let (own, by_address) = listening().await;
    let port = by_address.port;
    let mut how = how();
    how.itself = Itself {
        entries: OwnNames::always("gw0000000001"),
        names: vec![(Hostname::parse("relay.test").unwrap(), 79)],
        listening: vec![own.local_addr().unwrap()],
    };
    let by_id = Target { gateway: Some("gw0000000001".into()), ..target("no..name", 79) };
    let route = [by_id, target("RELAY.test", 79), by_address, target("localhost", port)];
    let counted = Counted::new();
    let unreached = counted.dialler.reach(&route, &request(), &how).await.unwrap_err();
    assert!(unreached.only_itself, "{unreached}");
    assert_eq!(counted.times("itself"), 4);
    assert!(matches!(Fault::from(unreached), Fault::Loop(_)));
    let own = own.into_std().unwrap();
    assert_eq!(own.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn a_wildcard_listener_is_recognized_by_any_local_address() {
    let own = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let mut how = how();
    how.itself.listening = vec![own.local_addr().unwrap()];
    let route = [target("127.0.0.9", own.local_addr().unwrap().port())];
    let unreached = Dialler::new(metrics::Upstream::default()).reach(&route, &request(), &how).await.unwrap_err();
    assert!(unreached.only_itself, "{unreached}");
}

#[tokio::test]
async fn itself_is_passed_over_for_another_gateway_and_not_blamed_when_that_one_is_down() {
    let (own, itself) = listening().await;
    let ((_alive, alive), (_held, dead)) = (listening().await, refusing());
    let mut how = how();
    how.itself.listening = vec![own.local_addr().unwrap()];
    let dialler = Dialler::new(metrics::Upstream::default());
    let reached = dialler.reach(&[itself.clone(), alive.clone()], &request(), &how).await.unwrap();
    assert_eq!((reached.target, reached.tried), (alive, 2));
    let unreached = dialler.reach(&[itself, dead], &request(), &how).await.unwrap_err();
    assert!(!unreached.only_itself);
    assert!(matches!(Fault::from(unreached), Fault::Unreachable(_)));
}

#[tokio::test]
async fn tls_without_keys_names_the_key_to_set() {
    let (_listener, plain) = listening().await;
    let counted = Counted::new();
    let route = [Target { tls: true, ..plain }];
    let unreached = counted.dialler.reach(&route, &request(), &how()).await.unwrap_err();
    assert!(unreached.to_string().ends_with("it needs TLS: set upstream.tls in the configuration"), "{unreached}");
    assert_eq!(counted.times("no_tls"), 1);
}

/// Reads the end of a stream without a byte, as a session would.
async fn end(reached: &mut Reached) -> io::Result<()> {
    let read = reached.transport.read(&mut [0; 16]).await?;
    assert_eq!(read, 0);
    Ok(())
}

#[tokio::test]
async fn a_target_that_closes_after_the_request_had_an_empty_log() {
    let ((listener, empty), (_next, next)) = (listening().await, listening().await);
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), how());
    let mut reached = dialler.reach(&[empty, next], &request(), &how).await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    let mut peer = BufReader::new(peer);
    assert_eq!(peer.read_line(&mut String::new()).await.unwrap(), UUID.len() + 1);
    drop(peer);
    let end = end(&mut reached).await;
    let silence = dialler.after_silence(reached, end, &request(), &how).await.unwrap();
    assert!(matches!(silence, Silence::EmptyLog), "{silence:?}");
}

#[tokio::test]
async fn a_target_that_closes_without_reading_the_request_gives_way_to_the_next() {
    let ((listener, rude), (next, polite)) = (listening().await, listening().await);
    let (counted, how) = (Counted::new(), how());
    let mut reached = counted.dialler.reach(&[rude.clone(), polite.clone()], &request(), &how).await.unwrap();
    drop(listener.accept().await.unwrap());
    let end = end(&mut reached).await;
    let silence = counted.dialler.after_silence(reached, end, &request(), &how).await.unwrap();
    let Silence::Instead(reached) = silence else { panic!("{silence:?}") };
    assert_eq!((&reached.target, reached.tried, counted.times("closed")), (&polite, 2, 1));
    let (mut peer, _) = next.accept().await.unwrap();
    let mut line = [0; 33];
    peer.read_exact(&mut line).await.unwrap();
    assert_eq!(line, *format!("{UUID}\n").as_bytes());
    let reached = counted.dialler.reach(&[rude, polite.clone()], &request(), &how).await.unwrap();
    assert_eq!((reached.target, reached.tried), (polite, 1));
}

#[tokio::test]
async fn a_reset_before_the_first_byte_leaves_nobody_and_is_told() {
    let (listener, rude) = listening().await;
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), how());
    let mut reached = dialler.reach(&[rude], &request(), &how).await.unwrap();
    let (peer, _) = listener.accept().await.unwrap();
    let mut peer = BufReader::new(peer);
    peer.read_line(&mut String::new()).await.unwrap();
    SockRef::from(peer.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let end = end(&mut reached).await;
    let unreached = dialler.after_silence(reached, end, &request(), &how).await.unwrap_err();
    assert!(
        unreached.to_string().contains("broke off before it answered the request: Connection reset"),
        "{unreached}"
    );
}

/// A connection, its peer's end, and the transport of it that a dialler would use.
async fn connected() -> (Transport, TcpStream) {
    let (listener, target) = listening().await;
    let pace = Pace { deadline: LONG, head_start: LONG };
    let (tcp, _) = connect(target.host.as_str(), target.port, pace).await.unwrap();
    (Transport::Plain(tcp), listener.accept().await.unwrap().0)
}

#[tokio::test]
async fn a_close_before_the_request_was_sent_is_not_an_empty_log() {
    let (mut transport, peer) = connected().await;
    drop(peer);
    transport.tcp().readable().await.unwrap();
    request::send(&mut transport, &request()).await.unwrap();
    // The end is in order, though a reset followed it.
    assert_eq!(transport.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(!request::was_taken(transport.tcp()).unwrap());
}

#[tokio::test]
async fn a_close_that_crosses_the_request_on_its_way_is_not_an_empty_log() {
    let (mut transport, peer) = connected().await;
    let peer = Socket::from(peer.into_std().unwrap());
    // "Return 0": from here on the peer's kernel drops what arrives, as if it were still under way.
    peer.attach_filter(&[SockFilter::new(0x06, 0, 0, 0)]).unwrap();
    request::send(&mut transport, &request()).await.unwrap();
    peer.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(transport.read(&mut [0; 16]).await.unwrap(), 0);
    assert!(!request::was_taken(transport.tcp()).unwrap());
}
