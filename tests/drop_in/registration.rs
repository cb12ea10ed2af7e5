//! A relay as the rest of Zuul sees it: whole, harmless, telling its state, and gone when it is gone.

use serde_json::{Value, json};

use crate::support::executor::Executor;
use crate::support::gateway::{Conf, Gateway, Kind};
use crate::support::world::World;

/// What Zuul 14.3.0 calls its data model.
const MODEL_API: i64 = 38;
/// That of a Zuul before it, and of one after it.
const OLDER: i64 = 30;
const NEWER: i64 = 40;

#[tokio::test]
async fn zuul_sees_the_whole_component() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::tls(&world, "here")).await;
    let mut component = component(&world, &gateway).await;
    let model_api = component["model_api"].take();
    assert!(model_api.as_i64().is_some_and(|version| version >= MODEL_API), "model_api {model_api}");
    assert!(component["version"].take().is_string(), "its version");
    assert!(component["path"].take().is_string(), "its znode");
    let Conf { hostname, address, .. } = &gateway.conf;
    assert_eq!(
        component,
        json!({"hostname": hostname, "state": "running", "kind": "fingergw", "version": null, "model_api": null,
               "zone": "here", "public_port": address.port(), "use_ssl": true, "path": null})
    );
}

#[tokio::test]
async fn a_relay_without_a_zone_registers_as_zuuls_gateway_does() {
    let world = World::new().await;
    let zuuls = Gateway::start(Kind::Zuul, &world, Conf::plain(&world, None)).await;
    let ours = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, None)).await;
    let (zuuls, ours) = (component(&world, &zuuls).await, component(&world, &ours).await);
    for key in ["zone", "public_port", "use_ssl", "state", "kind"] {
        assert_eq!(ours[key], zuuls[key], "{key}");
    }
}

#[tokio::test]
async fn model_api_stays_when_a_relay_joins() {
    for version in [OLDER, MODEL_API, NEWER] {
        let world = World::new().await;
        let expected = version.min(MODEL_API);
        scheduler(&world, version).await;
        assert_eq!(model_api(&world).await, (expected, expected), "before, with a scheduler of {version}");
        let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
        assert_eq!(model_api(&world).await, (expected, expected), "after, with a scheduler of {version}");
        let own = component(&world, &gateway).await["model_api"].as_i64();
        assert!(own.is_some_and(|own| own >= version), "{own:?} beside a scheduler of {version}");
    }
}

#[tokio::test]
async fn model_api_follows_others_that_join_after_a_relay() {
    let world = World::new().await;
    let _gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    assert_eq!(model_api(&world).await, (MODEL_API, MODEL_API), "alone");
    scheduler(&world, OLDER).await;
    assert_eq!(model_api(&world).await, (OLDER, OLDER), "with an older scheduler");
    world.call("unregister", json!({"name": "scheduler"})).await;
    world.call("await_components", json!({"kind": "scheduler", "where": {}, "count": 0})).await;
    assert_eq!(model_api(&world).await, (MODEL_API, MODEL_API), "without it");
}

#[tokio::test]
async fn a_lost_session_is_followed_by_a_new_registration() {
    let world = World::new().await;
    let executor = Executor::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let uuid = world.build(world.worker(Some("here"), executor.port())).await;
    let mut viewer = gateway.watch(&world, &uuid).await;
    let mut arrival = executor.next().await;

    let before = component(&world, &gateway).await["path"].take();
    world.call("expire", json!({"path": before})).await;
    world.gateways(json!({"path": before}), 0).await;
    let after = component(&world, &gateway).await["path"].take();
    assert_ne!(after, before, "the znode");

    arrival.send(b"still here").await;
    drop(arrival);
    assert_eq!(viewer.rest().await, b"still here");
}

#[tokio::test]
async fn the_mirror_follows_builds_after_a_lost_session() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let known = world.build(world.worker(Some("here"), 1)).await;
    gateway.until_metric("fingerpost_registry_builds", 1).await;
    let path = component(&world, &gateway).await["path"].take();
    world.call("expire", json!({"path": path})).await;
    world.gateways(json!({"path": path}), 0).await;
    world.build(world.worker(Some("here"), 1)).await;
    gateway.until_metric("fingerpost_registry_builds", 2).await;
    world.call("remove", json!({"uuid": known})).await;
    gateway.until_metric("fingerpost_registry_builds", 1).await;
}

#[tokio::test]
async fn pause_and_unpause_show_in_zookeeper_and_in_health() {
    let world = World::new().await;
    let gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    assert!(gateway.http("/health/status").await.ends_with("RUNNING"));
    gateway.command("pause");
    world.gateways(json!({"hostname": gateway.conf.hostname, "state": "paused"}), 1).await;
    assert!(gateway.http("/health/status").await.ends_with("PAUSED"));
    assert!(gateway.http("/health/ready").await.starts_with("HTTP/1.1 200"));
    gateway.command("unpause");
    world.gateways(json!({"hostname": gateway.conf.hostname, "state": "running"}), 1).await;
    for path in ["/health/live", "/health/ready", "/metrics", "/"] {
        assert!(gateway.http(path).await.starts_with("HTTP/1.1 200"), "{path}");
    }
}

#[tokio::test]
async fn a_clean_stop_removes_the_component_before_the_program_ends() {
    let world = World::new().await;
    for stop in ["TERM", "INT", "stop"] {
        let mut gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
        if stop == "stop" {
            gateway.command(stop);
        } else {
            gateway.signal(stop);
        }
        gateway.ends_in_order().await;
        let left = world.call("children", json!({"path": "/zuul/components/fingergw"})).await;
        assert_eq!(left, json!([]), "components left by {stop}");
    }
}

#[tokio::test]
async fn a_stopping_relay_leaves_zuuls_sight_and_lets_its_streams_end() {
    let world = World::new().await;
    let executor = Executor::new().await;
    let mut gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let uuid = world.build(world.worker(Some("here"), executor.port())).await;
    let mut viewer = gateway.watch(&world, &uuid).await;
    let mut arrival = executor.next().await;
    gateway.signal("TERM");
    // That it says `stopped` before, no watcher of Zuul's is sure to see.
    is_gone(&world, &gateway).await;
    arrival.send(b"the end of the log").await;
    drop(arrival);
    assert_eq!(viewer.rest().await, b"the end of the log");
    gateway.ends_in_order().await;
}

#[tokio::test]
async fn a_second_signal_ends_a_relay_at_once() {
    let world = World::new().await;
    let executor = Executor::new().await;
    let mut gateway = Gateway::start(Kind::Fingerpost, &world, Conf::plain(&world, "here")).await;
    let uuid = world.build(world.worker(Some("here"), executor.port())).await;
    let _viewer = gateway.watch(&world, &uuid).await;
    let arrival = executor.next().await;
    gateway.signal("TERM");
    is_gone(&world, &gateway).await;
    gateway.signal("TERM");
    arrival.until_left().await;
    gateway.ends_in_order().await;
}

async fn is_gone(world: &World, gateway: &Gateway) {
    world.gateways(json!({"hostname": gateway.conf.hostname}), 0).await;
}

/// What Zuul sees of a running relay.
async fn component(world: &World, gateway: &Gateway) -> Value {
    let running = json!({"hostname": gateway.conf.hostname, "state": "running"});
    world.gateways(running, 1).await.remove(0)
}

async fn scheduler(world: &World, model_api: i64) {
    let scheduler = json!({"name": "scheduler", "kind": "scheduler", "hostname": "scheduler", "model_api": model_api});
    world.call("register", scheduler).await;
}

/// The system's data model version, as a component sees it that was there before, and one that starts now.
async fn model_api(world: &World) -> (i64, i64) {
    let here = world.call("view", json!({})).await;
    let fresh = world.call("fresh_view", json!({})).await;
    let version = |view: Value| view["model_api"].as_i64().expect("an integer");
    (version(here), version(fresh))
}
