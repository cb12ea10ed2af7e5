//! Viewers that are silent, stop half-way, leave, or are not who they should be: a clear end for them, and nothing at
//! all for the others.

use std::time::Duration;

use tokio::time::timeout;

use crate::support::authority::Authority;
use crate::support::executor::Executor;
use crate::support::gateway::{Conf, Gateway, Kind};
use crate::support::viewer::Viewer;
use crate::support::world::World;

/// Handshakes and request lines have 10 s. Who waits behind a silent client waits that long.
const UNAFFECTED: Duration = Duration::from_secs(5);
/// How soon a viewer must be missed that left without a word.
const NOTICED: Duration = Duration::from_secs(15);

/// A TLS handshake's first message, as far as its length.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[tokio::test]
async fn silent_clients_of_a_plain_port_stop_nobody() {
    silent_clients_stop_nobody(false).await;
}

#[tokio::test]
async fn silent_clients_of_a_tls_port_stop_nobody() {
    silent_clients_stop_nobody(true).await;
}

async fn silent_clients_stop_nobody(tls: bool) {
    let world = World::new().await;
    let executor = Executor::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::new(&world, "here", tls)).await;
    let uuid = world.build(world.worker(Some("here"), executor.port())).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(Viewer::plain(gateway.conf.address).await);
    }
    let mut half_way = Viewer::plain(gateway.conf.address).await;
    half_way.send(HALF_A_HELLO).await;
    let served = async {
        let mut viewer = gateway.watch(&world, &uuid).await;
        executor.next().await.send(b"the log").await;
        viewer.rest().await
    };
    let got = timeout(UNAFFECTED, served).await.expect("served beside 300 silent clients");
    assert_eq!(got, b"the log");
}

#[tokio::test]
async fn a_viewer_that_leaves_an_idle_stream_is_noticed() {
    leaving_is_noticed(false).await;
}

#[tokio::test]
async fn a_viewer_that_leaves_an_idle_stream_is_noticed_by_tls() {
    leaving_is_noticed(true).await;
}

async fn leaving_is_noticed(tls: bool) {
    let world = World::new().await;
    let executor = Executor::new().await;
    let back = Gateway::start(Kind::Fingerpost, &world, Conf::new(&world, "b", tls)).await;
    let front = Gateway::start(Kind::Fingerpost, &world, Conf::new(&world, "a", tls)).await;
    let uuid = world.build(world.worker(back.conf.zone, executor.port())).await;
    let mut viewer = front.watch(&world, &uuid).await;
    let mut arrival = executor.next().await;
    arrival.send(b"and then silence").await;
    viewer.expect(b"and then silence").await;
    drop(viewer);
    timeout(NOTICED, arrival.until_left()).await.expect("the executor's side closed in seconds");
}

#[tokio::test]
async fn a_viewer_without_a_certificate_is_told_so() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await;
    let refusal = refused(&world, &gateway, None).await;
    assert!(refusal.contains("CertificateRequired"), "{refusal}");
}

#[tokio::test]
async fn a_viewer_with_a_certificate_of_another_authority_is_told_so() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await;
    let stranger = Authority::new();
    let refusal = refused(&world, &gateway, Some(&stranger)).await;
    // Both authorities have the same name, as all have that Zuul's script makes: it is the signature that fails.
    assert!(["UnknownCA", "DecryptError"].iter().any(|alert| refusal.contains(alert)), "{refusal}");
}

#[tokio::test]
async fn plain_text_on_a_tls_port_ends_without_a_log() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await;
    let log = world.log(Some("here")).await;
    log.append(b"secret");
    let mut viewer = Viewer::plain(gateway.conf.address).await;
    viewer.ask(&log.uuid).await;
    let got = viewer.until_end().await;
    assert!(!got.windows(6).any(|window| window == b"secret"), "{got:?}");
}

#[tokio::test]
async fn tls_on_a_plain_port_ends_with_zuuls_error() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let mut viewer = Viewer::plain(gateway.conf.address).await;
    viewer.send(&[HALF_A_HELLO, &[0xfe; 300]].concat()).await;
    assert_eq!(viewer.rest().await, b"Internal streaming error");
}

/// What a viewer is told that connects with a certificate of `authority`, or none.
async fn refused(world: &World, gateway: &Gateway, authority: Option<&Authority>) -> String {
    let leaf = authority.map(|authority| authority.issue("stranger"));
    let handshake = Viewer::tls(gateway.conf.address, world.authority(), leaf.as_ref()).await;
    match handshake {
        Err(problem) => problem.to_string(),
        // By TLS 1.3 the client is done before the server has seen its certificate.
        Ok(mut viewer) => viewer.end().await.expect_err("a refusal").to_string(),
    }
}
