//! The registration against a real ZooKeeper: whole from its first moment, there as long as the relay is, and once.

mod support;

use fingerpost::registry::{Announcement, Registration, Snapshot, State};
use serde_json::{Value, json};
use support::site::*;
use tokio::time::timeout;
use zookeeper_client::{AddWatchMode, EventType};

#[tokio::test]
async fn a_registration_shows_everything_and_is_gone_when_withdrawn() {
    let site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    let (name, content) = site.gateway(State::Initializing).await;
    let expected = json!({
        "hostname": "relay.example", "kind": "fingergw", "model_api": 1_000_000, "public_port": 7079,
        "state": "initializing", "use_ssl": true, "version": env!("CARGO_PKG_VERSION"), "zone": "eu",
    });
    assert_eq!(content, expected);
    assert_eq!(name, "relay.example0000000000");
    assert_eq!(registration.id().as_deref(), Some(name.as_str()));
    assert!(registration.own_names().contain(&name) && !registration.own_names().contain("relay.example0000000001"));
    let text = site.hand.get_data(&format!("/zuul/components/fingergw/{name}")).await.unwrap().0;
    let keys: Vec<_> = String::from_utf8(text).unwrap().split('"').map(str::to_owned).collect();
    assert!(keys.iter().filter(|word| expected.get(word).is_some()).is_sorted());
    for parent in ["/zuul/components/launcher", UNZONED, "/zuul/executor/unzoned/locks"] {
        assert!(site.hand.check_stat(parent).await.unwrap().is_some(), "{parent}");
    }
    for state in [State::Running, State::Paused, State::Stopped] {
        registration.state(state);
        assert_eq!(site.gateway(state).await.0, name);
    }
    registration.withdraw(PATIENCE).await;
    assert_eq!(site.gateways().await, []);
}

#[tokio::test]
async fn a_relay_outside_of_every_zone_shows_no_port() {
    let site = Site::plain().await;
    let announcement = Announcement { zone: None, use_ssl: false, ..announcement() };
    let registration = Registration::start(&site.registry, announcement, &site.tasks).unwrap();
    let (_, content) = site.gateway(State::Initializing).await;
    assert_eq!(
        [&content["zone"], &content["public_port"], &content["use_ssl"]],
        [&json!(null), &json!(null), &json!(false)]
    );
    drop(registration);
}

#[tokio::test]
async fn a_higher_model_api_of_another_component_is_outbid() {
    let site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    site.gateway(State::Initializing).await;
    site.put("/zuul/components/scheduler/s0000000000", br#"{"hostname": "s", "model_api": 2000000}"#).await;
    site.until(|now| now.components.model_api == Some(2_000_000)).await;
    let path = format!("/zuul/components/fingergw/{}", registration.id().unwrap());
    let raised = async {
        loop {
            let (data, _, changed) = site.hand.get_and_watch_data(&path).await.unwrap();
            let shown: Value = serde_json::from_slice(&data).unwrap();
            match shown["model_api"].as_i64() {
                Some(2_000_000) => return,
                _ => changed.changed().await,
            };
        }
    };
    timeout(PATIENCE, raised).await.unwrap();
}

#[tokio::test]
async fn an_expired_session_and_a_deleted_znode_are_registered_again() {
    let site = Site::with_tls().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    let (first, content) = site.gateway(State::Running).await;
    let session = site.server.owner(&format!("/zuul/components/fingergw/{first}")).await.unwrap();

    site.server.expire(session).await;
    site.until(|now| live(now) && now.components.gateways.iter().any(|gateway| *gateway.id != *first)).await;
    let (second, again) = site.gateway(State::Running).await;
    assert_eq!(content, again);
    assert!(registration.own_names().contain(&first) && registration.own_names().contain(&second));
    assert_eq!(registration.id().as_deref(), Some(second.as_str()));
    assert_eq!(site.metrics.sessions.get(), 2);

    site.delete(&format!("/zuul/components/fingergw/{second}")).await;
    site.until(|now| now.components.gateways.iter().any(|gateway| *gateway.id != *second)).await;
    let (third, again) = site.gateway(State::Running).await;
    assert_eq!(content, again);
    assert_eq!(registration.id().as_deref(), Some(third.as_str()));
    registration.withdraw(PATIENCE).await;
    assert_eq!(site.gateways().await, []);
}

#[tokio::test]
async fn a_registration_waits_for_zookeeper_and_a_withdrawal_does_not() {
    let mut site = Site::plain().await;
    site.until(live).await;
    site.server.stop();
    site.until(stale).await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    assert_eq!(registration.id(), None);
    site.restart().await;
    site.gateway(State::Running).await;
    site.server.stop();
    site.until(stale).await;
    let withdrawn = timeout(PATIENCE / 2, registration.withdraw(PATIENCE)).await;
    withdrawn.expect("nobody waits for a ZooKeeper that is away");
}

#[tokio::test]
async fn a_short_loss_keeps_the_registration_and_a_stop_ends_the_session() {
    let mut site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    let (name, _) = site.gateway(State::Running).await;
    site.server.stop();
    site.until(stale).await;
    registration.state(State::Paused);
    site.restart().await;
    assert_eq!(site.gateway(State::Paused).await.0, name);
    assert_eq!(site.metrics.sessions.get(), 1);

    site.tasks.stop();
    assert!(site.tasks.ended_within(PATIENCE).await);
    assert_eq!(site.gateways().await, [], "the session ended with the tasks, and its znode with it");
}

#[tokio::test]
async fn a_new_announcement_changes_the_znode_in_place() {
    let site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    let (name, mut expected) = site.gateway(State::Running).await;
    registration.announce(Announcement { public_port: 7080, use_ssl: false, ..announcement() });
    site.until(|now| now.components.gateways.iter().any(|gateway| gateway.public_port == Some(7080))).await;
    expected["public_port"] = json!(7080);
    expected["use_ssl"] = json!(false);
    assert_eq!(site.gateways().await, [(name, expected)], "the same znode, all else as it was");
}

#[tokio::test]
async fn an_announcement_made_while_zookeeper_is_away_shows_when_it_is_back() {
    let mut site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    let (name, _) = site.gateway(State::Running).await;
    site.server.stop();
    site.until(stale).await;
    registration.announce(Announcement { public_port: 7080, ..announcement() });
    site.restart().await;
    let moved = |now: &Snapshot| live(now) && now.components.gateways.iter().all(|own| own.public_port == Some(7080));
    site.until(moved).await;
    assert_eq!(site.gateway(State::Running).await.0, name);
}

#[tokio::test]
async fn a_withdrawal_says_stopped_and_then_deletes() {
    let site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    let (name, _) = site.gateway(State::Running).await;
    let path = format!("/zuul/components/fingergw/{name}");
    let mut events = site.hand.watch(&path, AddWatchMode::Persistent).await.unwrap();
    registration.withdraw(PATIENCE).await;
    for expected in [EventType::NodeDataChanged, EventType::NodeDeleted] {
        let event = timeout(PATIENCE, events.changed()).await.unwrap();
        assert_eq!((event.event_type, event.path), (expected, path.clone()));
    }
}

#[tokio::test]
async fn a_withdrawal_while_zookeeper_is_away_is_made_up_for_on_the_same_session() {
    let mut site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    let (name, _) = site.gateway(State::Running).await;
    let path = format!("/zuul/components/fingergw/{name}");
    let session = site.server.owner(&path).await.unwrap();
    site.server.stop();
    site.until(stale).await;
    registration.withdraw(PATIENCE).await;

    site.restart().await;
    // The mirror's tasks run on, as they do for as long as streams are drained.
    site.until(|now| live(now) && now.components.gateways.is_empty()).await;
    assert_eq!(site.gateways().await, []);
    assert!(site.server.sessions().await.contains(&session), "the znode did not wait for its session's end");
    assert_eq!(site.metrics.sessions.get(), 1);
}
