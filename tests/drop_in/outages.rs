//! ZooKeeper away, back, empty, or older than it was; and gateways that are down. Streams live on, new ones find their
//! way, and the relay is what it was before.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::executor::Executor;
use crate::support::gateway::{Conf, Gateway, Kind};
use crate::support::world::{World, uuid};

const BUILDS: &str = "fingerpost_registry_builds";
const LIVE: &str = "fingerpost_registry_live";

/// A stream that takes longer to start has waited for something that is away. This is no measure of speed: waiting for
/// ZooKeeper takes the deadline of a request to it, waiting for a gateway that of a connection: 5 s each by default.
const NO_WAIT: Duration = Duration::from_secs(2);

/// Streams begin every 100 ms. A tenth of them shows on the busiest machine that an outage was full of streams.
const STREAMS_A_SECOND: u64 = 1;

#[tokio::test]
async fn streams_live_on_and_begin_while_zookeeper_is_away() {
    let world = World::alone().await;
    let back = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "b")).await;
    let front = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "a")).await;
    let (old, new) = (world.log(back.conf.zone).await, world.log(back.conf.zone).await);
    both_know(&world, &front, &back, 2).await;
    old.append(b"before");
    let mut viewer = front.watch(&world, &old.uuid).await;
    viewer.expect(b"before").await;

    world.zookeeper().lock().await.stop();
    front.until_metric(LIVE, 0).await;
    old.append(b", during");
    viewer.expect(b", during").await;
    new.append(b"from the mirror");
    let mut begun = front.watch(&world, &new.uuid).await;
    begun.expect(b"from the mirror").await;
    let unknown = front.watch(&world, "0123456789abcdef0123456789abcdef").await.rest().await;
    assert_eq!(unknown, b"Internal streaming error", "nobody can say that the build does not exist");

    world.zookeeper().lock().await.start().await;
    front.until_metric(LIVE, 1).await;
    old.append(b", after");
    old.end();
    assert_eq!(viewer.rest().await, b", after");
    new.end();
    assert_eq!(begun.rest().await, b"");
}

#[tokio::test]
async fn a_relay_is_whole_again_after_zookeeper_was_away() {
    let world = World::alone().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let known = world.build(world.worker(Some("here"), 1)).await;
    gateway.until_metric(BUILDS, 1).await;
    world.zookeeper().lock().await.stop();
    gateway.until_metric(LIVE, 0).await;
    world.zookeeper().lock().await.start().await;
    is_whole(&world, &gateway, 1).await;
    world.call("remove", json!({"uuid": known})).await;
    gateway.until_metric(BUILDS, 1).await;
}

#[tokio::test]
async fn a_relay_is_whole_again_after_zookeeper_lost_everything() {
    let world = World::alone().await;
    let executor = Executor::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let uuid = world.build(world.worker(Some("here"), executor.port())).await;
    gateway.until_metric(BUILDS, 1).await;
    let mut viewer = gateway.watch(&world, &uuid).await;
    let mut arrival = executor.next().await;

    let mut zookeeper = world.zookeeper().lock().await;
    zookeeper.stop();
    zookeeper.wipe();
    zookeeper.start().await;
    drop(zookeeper);

    is_whole(&world, &gateway, 0).await;
    assert_eq!(gateway.watch(&world, &uuid).await.rest().await, b"Build not found");
    arrival.send(b"still here").await;
    drop(arrival);
    assert_eq!(viewer.rest().await, b"still here");
}

#[tokio::test]
async fn a_relay_is_whole_again_after_zookeeper_went_back_in_time() {
    let world = World::alone().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    world.build(world.worker(Some("here"), 1)).await;
    gateway.until_metric(BUILDS, 1).await;
    restart_with(&world, |zookeeper| zookeeper.save()).await;
    is_whole(&world, &gateway, 1).await;
    restart_with(&world, |zookeeper| zookeeper.restore()).await;
    is_whole(&world, &gateway, 1).await;
}

#[tokio::test]
async fn a_relay_is_whole_again_after_somebody_deleted_zuuls_data() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    world.build(world.worker(Some("here"), 1)).await;
    gateway.until_metric(BUILDS, 1).await;
    world.call("empty", json!({})).await;
    is_whole(&world, &gateway, 0).await;
}

#[tokio::test]
async fn no_stream_fails_or_waits_while_zookeeper_is_away_for_3_and_for_12_seconds() {
    let world = World::alone().await;
    let executor = Executor::new().await;
    let back = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "b")).await;
    let front = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "a")).await;
    let uuid = world.build(world.worker(back.conf.zone, executor.port())).await;
    both_know(&world, &front, &back, 1).await;
    for outage in [Duration::from_secs(3), Duration::from_secs(12)] {
        world.zookeeper().lock().await.stop();
        let begun = Instant::now();
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut streams = 0;
        while begun.elapsed() < outage {
            ticks.tick().await;
            arrives(&world, &front, &executor, &uuid).await;
            streams += 1;
        }
        assert!(streams >= STREAMS_A_SECOND * outage.as_secs(), "{streams} streams within {outage:?}");
        world.zookeeper().lock().await.start().await;
        arrives(&world, &front, &executor, &uuid).await;
        front.until_metric(LIVE, 1).await;
        back.until_metric(LIVE, 1).await;
        arrives(&world, &front, &executor, &uuid).await;
    }
}

#[tokio::test]
async fn all_of_40_streams_arrive_though_one_of_two_gateways_is_down() {
    for tls in [false, true] {
        let world = World::new().await;
        let executor = Executor::new().await;
        let dead = json!({"zone": "b", "public_port": 1, "use_ssl": tls});
        world
            .call("register", json!({"name": "dead", "kind": "fingergw", "hostname": "127.0.0.1", "more": dead}))
            .await;
        let back = Gateway::start(Kind::Zuul, &world, Conf::new(&world, "b", tls)).await;
        let front = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "a")).await;
        let uuid = world.build(world.worker(back.conf.zone, executor.port())).await;
        for _ in 0..40 {
            arrives(&world, &front, &executor, &uuid).await;
        }
        let through = r#"fingerpost_targets_dialled_total{kind="gateway",result="connected"}"#;
        assert_eq!(front.metric(through).await, 40, "streams through the gateway that is up");
    }
}

#[tokio::test]
async fn gateways_that_say_they_are_running_come_before_others() {
    let world = World::new().await;
    let executor = Executor::new().await;
    let stopped = Executor::new().await;
    let more = json!({"zone": "b", "public_port": stopped.port(), "use_ssl": false});
    let component =
        json!({"name": "stopped", "kind": "fingergw", "hostname": "127.0.0.1", "state": "stopped", "more": more});
    world.call("register", component).await;
    let back = Gateway::start(Kind::Zuul, &world, Conf::plain(&world, "b")).await;
    let front = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "a")).await;
    let uuid = world.build(world.worker(back.conf.zone, executor.port())).await;
    // Whatever went to the stopped one would get no answer.
    for _ in 0..10 {
        arrives(&world, &front, &executor, &uuid).await;
    }
}

#[tokio::test]
async fn a_route_that_leads_back_to_the_relay_is_not_dialled() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "a")).await;
    let (host, port) = (&gateway.conf.hostname, gateway.conf.address.port());
    let more = json!({"zone": "elsewhere", "public_port": port, "use_ssl": false});
    world.call("register", json!({"name": "itself", "kind": "fingergw", "hostname": host, "more": more})).await;
    gateway.until_metric("fingerpost_registry_gateways", 2).await;
    let uuid = world.build(world.worker(Some("elsewhere"), 1)).await;
    let answer = gateway.watch(&world, &uuid).await.rest().await;
    assert_eq!(answer, b"Internal streaming error");
    let connected = r#"fingerpost_targets_dialled_total{kind="gateway",result="connected"}"#;
    assert_eq!(gateway.metric(connected).await, 0, "connections to itself");
}

/// Waits until both mirrors show everything of the `builds` that were submitted. A mirror follows ZooKeeper in order,
/// so that whoever sees a build submitted last has seen the workers of those before.
async fn both_know(world: &World, front: &Gateway, back: &Gateway, builds: u64) {
    world.call("submit", json!({"uuid": uuid()})).await;
    front.until_metric(BUILDS, builds + 1).await;
    back.until_metric(BUILDS, builds + 1).await;
}

/// One stream from `front` to the executor, begun and ended without a wait.
async fn arrives(world: &World, front: &Gateway, executor: &Executor, uuid: &str) {
    let asked = Instant::now();
    let mut viewer = front.watch(world, uuid).await;
    executor.next().await.send(b"the log").await;
    viewer.expect(b"the log").await;
    assert!(asked.elapsed() < NO_WAIT, "the stream began after {:?}", asked.elapsed());
}

/// The component is registered and the mirror follows: what is written now is seen. `builds` are there already.
async fn is_whole(world: &World, gateway: &Gateway, builds: u64) {
    world.reopen().await;
    world.gateways(json!({"hostname": gateway.conf.hostname, "state": "running"}), 1).await;
    gateway.until_metric(LIVE, 1).await;
    gateway.until_metric(BUILDS, builds).await;
    world.build(world.worker(Some("here"), 1)).await;
    gateway.until_metric(BUILDS, builds + 1).await;
}

async fn restart_with(world: &World, act: impl FnOnce(&crate::support::zookeeper::ZooKeeper)) {
    let mut zookeeper = world.zookeeper().lock().await;
    zookeeper.stop();
    act(&zookeeper);
    zookeeper.start().await;
}
