//! The registry against a real ZooKeeper, plain and TLS: what is there is known, what is away is waited for by nobody,
//! and what is broken harms nothing else.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what does not hold ends the test, also where plain and TLS share it"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use fingerpost::config::settings::{ClientTls, KeyPairFiles, ZooKeeper as Settings};
use fingerpost::metrics::{ByReason, Registry as Metrics};
use fingerpost::registry::{Freshness, Registration, Registry, Snapshot, State, Unavailable};
use fingerpost::tasks::Tasks;
use fingerpost::tls;
use support::authority::Authority;
use support::site::*;
use support::zookeeper::ZooKeeper;
use tokio::time::timeout;

async fn follows_builds(site: Site) {
    site.until(live).await;
    site.put(&build(1), &waiting()).await;
    let seen = site.until(|now| now.builds.contains(&id(1))).await;
    assert_eq!(host_of(&seen, 1), None);
    site.set(&build(1), &running("ze01")).await;
    site.until(|now| host_of(now, 1) == Some("ze01")).await;

    site.put(&zoned("eu", 2), &running("ze02")).await;
    let seen = site.until(|now| host_of(now, 2) == Some("ze02")).await;
    assert_eq!(seen.builds.get(&id(2)).unwrap().zone, Some(zone("eu")));
    assert_eq!(*seen.zones, [zone("eu")]);
    site.put(&zoned("eu", 3), &running("ze03")).await;
    site.until(|now| host_of(now, 3) == Some("ze03")).await;

    site.put(&format!("{}/cancel", build(1)), b"{}").await;
    site.delete(&format!("{}/cancel", build(1))).await;
    site.delete(&build(1)).await;
    site.until(|now| !now.builds.contains(&id(1))).await;
    assert_eq!(site.metrics.builds.get(), 2);
    assert_eq!(site.registry.find(&id(1)).await, Ok(None));
}

#[tokio::test]
async fn builds_appear_change_and_vanish() {
    follows_builds(Site::plain().await).await;
}

#[tokio::test]
async fn builds_appear_change_and_vanish_over_tls() {
    follows_builds(Site::with_tls().await).await;
}

async fn survives_an_outage(mut site: Site) {
    site.put(&build(1), &running("ze01")).await;
    site.put(&build(2), &running("ze02")).await;
    site.put(&build(3), &waiting()).await;
    site.until(|now| live(now) && now.builds.len() == 3).await;
    let mut changes = site.registry.changes();
    let registry = site.registry.clone();
    let flicker = async move {
        while registry.snapshot().builds.contains(&id(1)) {
            changes.changed().await.unwrap();
        }
    };
    let outage = async {
        site.server.stop();
        site.until(stale).await;
        assert_eq!(site.metrics.live.get(), 0);
        let found = [1, 3].map(id);
        for uuid in &found {
            let known = timeout(Duration::from_secs(1), site.registry.find(uuid)).await.expect("nobody is waited for");
            assert_eq!(known.unwrap().unwrap().uuid, *uuid);
        }
        assert_eq!(site.registry.find(&id(9)).await, Err(Unavailable::Away { uuid: id(9) }));

        site.restart().await;
        site.delete(&build(2)).await;
        site.put(&build(4), &running("ze04")).await;
        site.put(&zoned("new", 5), &running("ze05")).await;
        let all = |now: &Snapshot| host_of(now, 4).is_some() && host_of(now, 5).is_some();
        site.until(|now| live(now) && !now.builds.contains(&id(2)) && all(now)).await;
        assert_eq!(site.metrics.live.get(), 1);
        // The watches of the new connection work as well.
        site.delete(&build(4)).await;
        site.until(|now| !now.builds.contains(&id(4))).await;
    };
    tokio::select! {
        () = outage => {}
        () = flicker => panic!("a build that was there all the time vanished from the mirror"),
    }
    assert_eq!(site.metrics.disconnects.get(), 1);
}

#[tokio::test]
async fn an_outage_is_served_from_memory_and_caught_up_with() {
    survives_an_outage(Site::plain().await).await;
}

#[tokio::test]
async fn an_outage_is_served_from_memory_and_caught_up_with_over_tls() {
    survives_an_outage(Site::with_tls().await).await;
}

#[tokio::test]
async fn a_registry_started_without_zookeeper_says_neither_yes_nor_no() {
    let mut server = ZooKeeper::plain().await;
    server.stop();
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let registry = registry(&server, false, &metrics, &tasks);
    assert_eq!(registry.snapshot().freshness, Freshness::Never);
    assert_eq!(registry.find(&id(1)).await, Err(Unavailable::Away { uuid: id(1) }));
    server.start().await;
    until(&registry, live).await;
    assert_eq!(registry.find(&id(1)).await, Ok(None));
    assert_eq!((metrics.sessions.get(), metrics.disconnects.get()), (1, 0));
}

#[tokio::test]
async fn a_build_that_the_mirror_does_not_know_is_read_at_once_in_every_zone() {
    const MANY: u32 = 20_000;
    let site = Site::plain().await;
    site.hand.mkdir(UNZONED, &persistent()).await.unwrap();
    for first in (0..MANY).step_by(500) {
        let mut writer = site.hand.new_multi_writer();
        for number in first..first + 500 {
            writer.add_create(&build(number), &running("ze01"), &persistent()).unwrap();
        }
        writer.commit().await.unwrap();
    }
    site.put(&zoned("young", MANY), &running("ze02")).await;
    // A second registry has all of them to load, and is asked while it still does.
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let registry = registry(&site.server, false, &metrics, &tasks);
    let asking = async {
        loop {
            match registry.find(&id(MANY)).await {
                Err(Unavailable::Away { .. }) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    };
    let found = timeout(PATIENCE, asking).await.unwrap().unwrap().unwrap();
    assert_eq!((host(&found), &found.zone), (Some("ze02"), &Some(zone("young"))));
    assert_eq!(registry.snapshot().freshness, Freshness::Never, "the mirror could not have known");
    assert_eq!(metrics.direct_reads.get_or_create(&ByReason { reason: "found" }).get(), 1);
    let loaded = until(&registry, live).await;
    assert_eq!(loaded.builds.len(), MANY as usize + 1);
    assert_eq!(metrics.builds.get(), i64::from(MANY) + 1);
}

#[tokio::test]
async fn a_burst_of_changes_is_published_together() {
    const MANY: u32 = 500;
    let site = Site::plain().await;
    site.put(&build(MANY), &waiting()).await;
    let before = site.until(|now| live(now) && now.builds.len() == 1).await.revision;
    let mut writer = site.hand.new_multi_writer();
    for number in 0..MANY {
        writer.add_create(&build(number), &running("ze01"), &persistent()).unwrap();
    }
    writer.commit().await.unwrap();
    let after = site.until(|now| now.builds.len() == MANY as usize + 1).await.revision;
    assert!(after - before < u64::from(MANY / 4), "{MANY} changes in {} snapshots", after - before);
}

#[tokio::test]
async fn a_zone_may_vanish_and_come_again() {
    let site = Site::plain().await;
    for host in ["ze01", "ze02"] {
        site.put(&zoned("eu", 1), &running(host)).await;
        site.until(|now| host_of(now, 1) == Some(host)).await;
        site.delete(&zoned("eu", 1)).await;
        site.delete("/zuul/executor/zones/eu/requests").await;
        site.delete("/zuul/executor/zones/eu").await;
        site.until(|now| now.builds.is_empty() && now.zones.is_empty()).await;
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_counted_and_harms_nothing_else() {
    let site = Site::plain().await;
    let counted = |reason| site.metrics.malformed.get_or_create(&ByReason { reason }).get();
    // From here on each znode is read once, when it appears.
    site.until(live).await;
    site.put(&build(1), b"{\"state\": \"run").await;
    site.put(&build(2), &[b"{".as_slice(), &vec![b' '; (1 << 20) - 64], b"}".as_slice()].concat()).await;
    site.put(&build(3), &[b"{".as_slice(), &vec![b' '; 1 << 20], b"}".as_slice()].concat()).await;
    site.put(&build(4), b"").await;
    site.put(&build(5), br#"{"worker_info": {"log_port": 7900}}"#).await;
    site.put(&format!("{UNZONED}/not-a-uuid"), &running("ze01")).await;
    site.put("/zuul/components/fingergw/bad0000000000", b"\xff\xfe").await;
    site.put("/zuul/components/gardener/x0000000000", b"[1]").await;
    site.put(&build(6), &running("ze06")).await;
    let now = site.until(|now| live(now) && host_of(now, 6).is_some()).await;
    let mut known: Vec<_> = now.builds.iter().map(|build| build.uuid.clone()).collect();
    known.sort();
    assert_eq!(known, [id(2), id(6)], "a large build is a build");
    assert!(now.components.gateways.is_empty());
    assert_eq!((counted("too_large"), counted("bad_field"), counted("bad_name")), (1, 1, 1));
    assert_eq!(counted("not_json"), 4);

    let broken = site.registry.find(&id(1)).await.unwrap_err();
    assert_eq!(broken.to_string(), format!("build {} exists, but its entry cannot be used: not a JSON object", id(1)));
    site.set(&build(6), b"{\"state\": ").await;
    site.set(&build(1), &running("ze01")).await;
    let now = site.until(|now| host_of(now, 1).is_some()).await;
    assert_eq!(host_of(&now, 6), Some("ze06"), "a half-written znode leaves what was known");
}

#[tokio::test]
async fn a_build_without_a_worker_is_asked_for_again() {
    let site = Site::plain().await;
    site.put(&build(1), &waiting()).await;
    site.until(|now| live(now) && now.builds.contains(&id(1))).await;
    let found = site.registry.find(&id(1)).await.unwrap().unwrap();
    assert_eq!(found.worker, None);
    assert_eq!(site.metrics.direct_reads.get_or_create(&ByReason { reason: "found" }).get(), 1);
    site.set(&build(1), &running("ze01")).await;
    let found = site.registry.find(&id(1)).await.unwrap().unwrap();
    assert_eq!(host(&found), Some("ze01"), "whether or not the mirror has heard of it");
}

#[tokio::test]
async fn emptied_or_set_back_zookeepers_are_followed() {
    let mut site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    registration.state(State::Running);
    site.put(&build(1), &running("ze01")).await;
    site.gateway(State::Running).await;
    site.server.stop();
    site.server.save();
    site.restart().await;
    site.put(&zoned("late", 2), &running("ze02")).await;
    site.until(|now| live(now) && now.builds.len() == 2).await;

    // An operator restores a backup: the last transaction is older than the one that we have seen.
    site.server.stop();
    site.until(stale).await;
    site.server.restore();
    site.restart().await;
    let now = site.until(|now| live(now) && now.builds.len() == 1).await;
    assert_eq!((host_of(&now, 1), now.zones.len()), (Some("ze01"), 0));
    site.gateway(State::Running).await;

    site.server.stop();
    site.until(stale).await;
    site.server.wipe();
    site.restart().await;
    site.until(|now| live(now) && now.builds.is_empty()).await;
    site.gateway(State::Running).await;
    site.put(&build(3), &running("ze03")).await;
    site.until(|now| host_of(now, 3).is_some()).await;
}

#[tokio::test]
async fn certificates_may_be_replaced_while_zookeeper_is_dialled() {
    let (server, stranger) = (ZooKeeper::with_tls().await, Authority::new());
    let right = client_files(&server);
    let other = stranger.issue("client");
    let wrong = ClientTls { identity: Some(KeyPairFiles { cert: other.cert, key: other.key }), ..right.clone() };
    let (metrics, tasks) = (Metrics::default(), Tasks::new());
    let settings = Settings { tls: Some(wrong.clone()), ..settings(&[server.tls().address]) };
    let registry = Registry::zookeeper(&settings, Some(tls::Client::load(&wrong).unwrap()), metrics.clone(), &tasks);
    let refused = async {
        while metrics.unreachable.get() == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, refused).await.unwrap();
    registry.replace_tls(tls::Client::load(&right).unwrap());
    until(&registry, live).await;
    assert_eq!(metrics.sessions.get(), 1, "none with the wrong certificate");
}

#[tokio::test]
async fn certificates_of_x509_version_1_work_where_the_operator_allows_them() {
    let server = ZooKeeper::with_version1_tls().await;
    let mut files = client_files(&server);
    files.trust.version1_certificates = true;
    let client = tls::Client::load(&files).unwrap();
    let settings = Settings { tls: Some(files), ..settings(&[server.tls().address]) };
    let tasks = Tasks::new();
    let registry = Registry::zookeeper(&settings, Some(client), Metrics::default(), &tasks);
    until(&registry, live).await;
}

#[tokio::test]
async fn a_chroot_is_kept_and_a_dead_host_is_passed_by() {
    let site = Site::plain().await;
    site.put(&format!("/ci/one{}", build(1)), &running("ze01")).await;
    site.put(&build(2), &running("outside")).await;
    let nobody = SocketAddr::new(site.server.address().ip(), 9);
    let settings = Settings { chroot: "/ci/one".to_owned(), ..settings(&[nobody, site.server.address()]) };
    let tasks = Tasks::new();
    let registry = Registry::zookeeper(&settings, None, Metrics::default(), &tasks);
    let known = until(&registry, live).await;
    assert_eq!(known.builds.iter().map(|build| &build.uuid).collect::<Vec<_>>(), [&id(1)]);
    assert_eq!(registry.find(&id(2)).await, Ok(None));
    site.put(&format!("/ci/one{}", zoned("eu", 3)), &running("ze03")).await;
    until(&registry, |now| host_of(now, 3).is_some()).await;
    let registration = Registration::start(&registry, announcement(), &tasks).unwrap();
    until(&registry, |now| now.components.gateways.len() == 1).await;
    let path = format!("/ci/one/zuul/components/fingergw/{}", registration.id().unwrap());
    assert!(site.hand.check_stat(&path).await.unwrap().is_some());
}
