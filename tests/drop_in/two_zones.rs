//! A build's log through two zones: ours and ours, ours and Zuul's, Zuul's and ours. Certificates as sites have them.

use crate::support::authority::Leaf;
use crate::support::gateway::{Conf, Gateway, Kind};
use crate::support::world::World;

const PLAIN: bool = false;
const TLS: bool = true;

const THROUGH_GATEWAY: &str = r#"fingerpost_targets_dialled_total{kind="gateway",result="connected"}"#;
const TO_EXECUTOR: &str = r#"fingerpost_targets_dialled_total{kind="direct",result="connected"}"#;

#[tokio::test]
async fn zuuls_own_gateways_carry_a_growing_log() {
    carries(&World::new().await, (Kind::Zuul, PLAIN), (Kind::Zuul, TLS)).await;
}

#[tokio::test]
async fn a_growing_log_passes_two_relays() {
    carries(&World::new().await, (Kind::Fingerpost, PLAIN), (Kind::Fingerpost, PLAIN)).await;
}

#[tokio::test]
async fn a_growing_log_passes_two_relays_by_tls() {
    carries(&World::new().await, (Kind::Fingerpost, TLS), (Kind::Fingerpost, TLS)).await;
}

#[tokio::test]
async fn a_growing_log_passes_two_relays_with_tls_between_them() {
    carries(&World::new().await, (Kind::Fingerpost, PLAIN), (Kind::Fingerpost, TLS)).await;
}

#[tokio::test]
async fn a_growing_log_passes_two_relays_with_tls_to_the_viewer() {
    carries(&World::new().await, (Kind::Fingerpost, TLS), (Kind::Fingerpost, PLAIN)).await;
}

#[tokio::test]
async fn zuuls_gateway_reaches_a_build_through_ours() {
    carries(&World::new().await, (Kind::Zuul, PLAIN), (Kind::Fingerpost, PLAIN)).await;
}

#[tokio::test]
async fn zuuls_gateway_reaches_a_build_through_ours_by_tls() {
    carries(&World::new().await, (Kind::Zuul, TLS), (Kind::Fingerpost, TLS)).await;
}

#[tokio::test]
async fn ours_reaches_a_build_through_zuuls_gateway() {
    carries(&World::new().await, (Kind::Fingerpost, PLAIN), (Kind::Zuul, PLAIN)).await;
}

#[tokio::test]
async fn ours_reaches_a_build_through_zuuls_gateway_by_tls() {
    carries(&World::new().await, (Kind::Fingerpost, TLS), (Kind::Zuul, TLS)).await;
}

#[tokio::test]
async fn zuul_verifies_our_name_by_a_certificate_with_a_common_name_only() {
    let world = World::new().await;
    let leafs = [world.authority().issue("front"), world.authority().issue("localhost")];
    carries_with(&world, (Kind::Zuul, Kind::Fingerpost), leafs).await;
}

#[tokio::test]
async fn we_verify_zuuls_name_by_a_certificate_with_a_common_name_only() {
    let world = World::new().await;
    let leafs = [world.authority().issue("front"), world.authority().issue("localhost")];
    carries_with(&world, (Kind::Fingerpost, Kind::Zuul), leafs).await;
}

#[tokio::test]
async fn zuul_and_we_agree_on_certificates_of_version_1() {
    let world = World::new().await;
    let leafs = || [world.authority().issue_version1("front"), world.authority().issue_version1("localhost")];
    carries_with(&world, (Kind::Zuul, Kind::Fingerpost), leafs()).await;
    carries_with(&world, (Kind::Fingerpost, Kind::Zuul), leafs()).await;
}

#[tokio::test]
async fn a_long_log_is_carried_byte_for_byte() {
    let world = World::new().await;
    let back = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "b")).await;
    let front = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "a")).await;
    let log = world.log(back.conf.zone).await;
    let long = pattern(16 << 20);
    log.append(&long);
    let mut viewer = front.watch(&world, &log.uuid).await;
    viewer.expect(&long).await;
    log.end();
    assert_eq!(viewer.rest().await, b"", "nothing more");
}

/// Starts a gateway in zone b, another in zone a, and has a viewer of the latter follow a log of the former.
async fn carries(world: &World, (front, viewer_tls): (Kind, bool), (back, between_tls): (Kind, bool)) {
    let back = Gateway::start(back, world, Conf::new(world, "b", between_tls)).await;
    let front = Gateway::start(front, world, Conf::new(world, "a", viewer_tls)).await;
    follows(world, &front, &back).await;
    passed_through(front, back).await;
}

/// The same, with TLS between two gateways that show these certificates and verify each other.
async fn carries_with(world: &World, (front, back): (Kind, Kind), [client, server]: [Leaf; 2]) {
    let back = Gateway::start(back, world, Conf::tls(world, "b").on_localhost(server)).await;
    let conf = Conf { leaf: client, ..Conf::plain(world, "a") };
    let front = Gateway::start(front, world, conf).await;
    follows(world, &front, &back).await;
    passed_through(front, back).await;
}

async fn follows(world: &World, front: &Gateway, back: &Gateway) {
    let log = world.log(back.conf.zone).await;
    log.append(b"the first line\n");
    let mut viewer = front.watch(world, &log.uuid).await;
    viewer.expect(b"the first line\n").await;
    for piece in [b"x".to_vec(), vec![0xff, 0, 0xc3, 0x28, b'\r'], pattern(300_000)] {
        log.append(&piece);
        viewer.expect(&piece).await;
    }
    log.append(b"the last line, without a newline");
    log.end();
    assert_eq!(viewer.rest().await, b"the last line, without a newline");
}

/// Whichever of the two is ours counted one stream that went the way it should.
async fn passed_through(front: Gateway, back: Gateway) {
    if front.kind() == Kind::Fingerpost {
        assert_eq!(front.metric(THROUGH_GATEWAY).await, 1, "streams through the other zone's gateway");
    }
    if back.kind() == Kind::Fingerpost {
        assert_eq!(back.metric(TO_EXECUTOR).await, 1, "streams to the executor");
    }
}

/// Bytes of every value, without a period that a buffer could share.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at / 65_537) as u8).collect()
}
