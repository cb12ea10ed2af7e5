//! Viewers that nobody here wrote: Debian's `finger`, `nc` and `openssl s_client`, and the part of zuul-web that reads
//! logs for browsers.

use std::path::Path;

use serde_json::json;

use crate::support::executor::Executor;
use crate::support::gateway::{Conf, Gateway, Kind};
use crate::support::program::Program;
use crate::support::viewer::Viewer;
use crate::support::world::World;

/// What zuul-web takes from its socket at one time.
const ZUUL_WEB_READ: usize = 1024;

#[tokio::test]
async fn nc_keeps_its_stream_after_its_half_close() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let address = gateway.conf.address;
    let log = world.log(gateway.conf.zone).await;
    log.append(b"one line\n");
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    // As in `echo UUID | nc -N host port`: it half-closes as soon as its input has ended.
    let mut viewer = Viewer::program(&["nc", "-N", &ip, &port]);
    viewer.ask(&log.uuid).await;
    viewer.finish().await;
    viewer.expect(b"one line\n").await;
    log.append(b"and one more\n");
    viewer.expect(b"and one more\n").await;
    log.end();
    assert_eq!(viewer.rest().await, b"");
}

#[tokio::test]
async fn finger_shows_the_log() {
    let world = World::new().await;
    let conf = Conf::plain(&world, "here");
    // `finger` knows no other port.
    let address = (conf.address.ip(), 79).into();
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf { address, ..conf }).await;
    let executor = Executor::new().await;
    let uuid = world.build(world.worker(gateway.conf.zone, executor.port())).await;
    let mut viewer = Viewer::program(&["finger", &format!("{uuid}@{}", address.ip())]);
    executor.next().await.send(b"one line\nand one more\n").await;
    let shown = String::from_utf8(viewer.rest().await).expect("text");
    // Some of its versions write the host's name above.
    assert!(shown.ends_with("one line\nand one more\n"), "{shown:?}");
}

#[tokio::test]
async fn openssl_reads_the_log_by_tls_1_3() {
    openssl_reads_the_log("-tls1_3").await;
}

#[tokio::test]
async fn openssl_reads_the_log_by_tls_1_2() {
    openssl_reads_the_log("-tls1_2").await;
}

#[tokio::test]
async fn zuul_web_shows_all_of_a_burst_at_once() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await;
    let web = zuul_web(&world).await;
    for burst in [1, ZUUL_WEB_READ, ZUUL_WEB_READ + 1, 16 << 10, 32 << 10, (64 << 10) + 1] {
        let log = world.log(gateway.conf.zone).await;
        log.append(&b"x".repeat(burst));
        watch(&web, &gateway, "browser", &log.uuid).await;
        // The log says nothing more, so whatever stays inside zuul-web's TLS now, stays there.
        let seen = web.call("await_text", json!({"name": "browser", "length": burst})).await;
        assert_eq!(seen["text"].as_str().map(str::len), Some(burst), "characters of a burst of {burst}");
        log.append("und noch ein Stück: ä".as_bytes());
        log.end();
        let seen = web.call("await_end", json!({"name": "browser"})).await;
        assert_eq!(seen["end"], json!({"code": 1000, "reason": "No more data"}));
        assert!(seen["text"].as_str().is_some_and(|text| text.ends_with("xund noch ein Stück: ä")), "{seen}");
    }
}

#[tokio::test]
async fn zuul_web_serves_others_while_a_new_stream_has_no_data() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await;
    let web = zuul_web(&world).await;
    let busy = world.log(gateway.conf.zone).await;
    busy.append(b"before ");
    watch(&web, &gateway, "busy", &busy.uuid).await;
    web.call("await_text", json!({"name": "busy", "length": 7})).await;
    let silent = world.log(gateway.conf.zone).await;
    watch(&web, &gateway, "silent", &silent.uuid).await;
    // A session ticket on the silent stream would hold zuul-web's only thread from here on.
    busy.append(b"and after");
    let seen = web.call("await_text", json!({"name": "busy", "length": 16})).await;
    assert_eq!(seen["text"], "before and after");
}

#[tokio::test]
async fn zuul_web_reads_through_two_relays() {
    let world = World::new().await;
    let back = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "b")).await;
    let front = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "a")).await;
    let web = zuul_web(&world).await;
    let log = world.log(back.conf.zone).await;
    let text = "Zeile für Zeile\n".repeat(8 << 10);
    log.append(text.as_bytes());
    watch(&web, &front, "browser", &log.uuid).await;
    web.call("await_text", json!({"name": "browser", "length": text.chars().count()})).await;
    log.end();
    let seen = web.call("await_end", json!({"name": "browser"})).await;
    assert_eq!(seen["text"].as_str(), Some(text.as_str()));
}

async fn openssl_reads_the_log(version: &str) {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await;
    let log = world.log(gateway.conf.zone).await;
    log.append(b"one line\n");
    let (ip, address) = (gateway.conf.address.ip().to_string(), gateway.conf.address.to_string());
    let (ca, client) = (world.authority().ca(), world.client());
    let mut viewer = Viewer::program(&[
        "openssl",
        "s_client",
        "-quiet",
        version,
        "-connect",
        &address,
        "-verify_return_error",
        "-verify_ip",
        &ip,
        "-CAfile",
        text(&ca),
        "-cert",
        text(&client.cert),
        "-key",
        text(&client.key),
    ]);
    viewer.ask(&log.uuid).await;
    viewer.expect(b"one line\n").await;
    log.append(&b"y".repeat(100_000));
    viewer.expect(&b"y".repeat(100_000)).await;
    log.end();
    assert_eq!(viewer.rest().await, b"");
}

/// zuul-web's reader, which verifies names and shows a certificate.
async fn zuul_web(world: &World) -> Program {
    let (client, ca) = (world.client(), world.authority().ca());
    Program::start("web_reader", &[&client.cert, &client.key, &ca]).await.0
}

async fn watch(web: &Program, gateway: &Gateway, name: &str, uuid: &str) {
    let Conf { hostname, address, tls, .. } = &gateway.conf;
    let args = json!({"name": name, "server": hostname, "port": address.port(), "uuid": uuid, "tls": tls});
    web.call("watch", args).await;
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
