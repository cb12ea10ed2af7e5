//! The registry and the registration against a real ZooKeeper, plain and TLS: what is there is known, what is away is
//! waited for by nobody, and what is broken harms nothing else.

mod support;

use std::sync::Arc;
use std::time::Duration;

use fingerpost::config::settings::{ClientTls, HostPort, KeyPairFiles, Trust, ZooKeeper as Settings};
use fingerpost::metrics::{ByReason, Registry as Metrics};
use fingerpost::names::{BuildId, Hostname, Zone};
use fingerpost::registry::{Announcement, Build, Freshness, Registration, Registry, Snapshot, State, Unavailable};
use fingerpost::tasks::Tasks;
use fingerpost::tls;
use serde_json::{Value, json};
use support::zookeeper::ZooKeeper;
use tokio::time::timeout;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};

/// Longest wait for anything that must happen, on a busy computer.
const PATIENCE: Duration = Duration::from_secs(30);

const UNZONED: &str = "/zuul/executor/unzoned/requests";

/// A ZooKeeper, a hand that writes to it, and the registry under test.
struct Site {
    server: ZooKeeper,
    hand: Client,
    registry: Registry,
    metrics: Metrics,
    tasks: Tasks,
}

impl Site {
    async fn plain() -> Self {
        Self::on(ZooKeeper::plain().await, false).await
    }

    async fn with_tls() -> Self {
        Self::on(ZooKeeper::with_tls().await, true).await
    }

    async fn on(server: ZooKeeper, tls: bool) -> Self {
        let hand = Client::connect(&server.hosts()).await.unwrap();
        let (metrics, tasks) = (Metrics::default(), Tasks::new());
        let registry = registry(&server, tls, &metrics, &tasks);
        Self { server, hand, registry, metrics, tasks }
    }

    async fn restart(&mut self) {
        self.server.start().await;
        self.hand = Client::connect(&self.server.hosts()).await.unwrap();
    }

    async fn put(&self, path: &str, data: &[u8]) {
        let (parent, _) = path.rsplit_once('/').unwrap();
        self.hand.mkdir(parent, &persistent()).await.unwrap();
        self.hand.create(path, data, &persistent()).await.unwrap();
    }

    async fn set(&self, path: &str, data: &[u8]) {
        self.hand.set_data(path, data, None).await.unwrap();
    }

    async fn delete(&self, path: &str) {
        self.hand.delete(path, None).await.unwrap();
    }

    /// Waits for a snapshot that is as `expected`.
    async fn until(&self, expected: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        until(&self.registry, expected).await
    }

    /// All our gateways' znodes, by name.
    async fn gateways(&self) -> Vec<(String, Value)> {
        let parent = "/zuul/components/fingergw";
        let mut gateways = Vec::new();
        for name in self.hand.list_children(parent).await.unwrap() {
            let (data, stat) = self.hand.get_data(&format!("{parent}/{name}")).await.unwrap();
            assert_ne!(stat.ephemeral_owner, 0, "a gateway goes with its session");
            gateways.push((name, serde_json::from_slice(&data).unwrap()));
        }
        gateways
    }

    /// Waits until the mirror shows one gateway only, in `state`, and gives its znode.
    async fn gateway(&self, state: State) -> (String, Value) {
        self.until(|now| live(now) && now.components.gateways.iter().map(|gateway| gateway.state).eq([state])).await;
        let mut gateways = self.gateways().await;
        assert_eq!(gateways.len(), 1, "{gateways:?}");
        gateways.remove(0)
    }
}

fn registry(server: &ZooKeeper, tls: bool, metrics: &Metrics, tasks: &Tasks) -> Registry {
    let (address, tls) = if tls {
        let site = server.tls();
        let files = KeyPairFiles { cert: site.client.cert.clone(), key: site.client.key.clone() };
        let trust = Trust { ca: site.authority.ca(), crl: None, version1_certificates: false };
        (site.address, Some(ClientTls { identity: Some(files), trust, verify_hostnames: false }))
    } else {
        (server.address(), None)
    };
    let host = HostPort { host: address.ip().to_string(), port: address.port() };
    let client = tls.as_ref().map(|tls| tls::Client::load(tls).unwrap());
    let settings = Settings {
        hosts: vec![host],
        chroot: String::new(),
        tls,
        session_timeout: Duration::from_secs(4),
        request_timeout: Duration::from_secs(5),
    };
    Registry::zookeeper(&settings, client, metrics.clone(), tasks)
}

async fn until(registry: &Registry, expected: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut changes = registry.changes();
    let waiting = async {
        loop {
            let snapshot = registry.snapshot();
            if expected(&snapshot) {
                return snapshot;
            }
            changes.changed().await.unwrap();
        }
    };
    match timeout(PATIENCE, waiting).await {
        Ok(snapshot) => snapshot,
        Err(_elapsed) => panic!("never became as expected: {:?}", registry.snapshot()),
    }
}

fn persistent() -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

fn live(snapshot: &Snapshot) -> bool {
    snapshot.freshness == Freshness::Live
}

fn stale(snapshot: &Snapshot) -> bool {
    matches!(snapshot.freshness, Freshness::StaleSince(_))
}

fn id(number: u32) -> BuildId {
    BuildId::parse(&format!("{number:032x}")).unwrap()
}

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn build(number: u32) -> String {
    format!("{UNZONED}/{}", id(number))
}

fn zoned(name: &str, number: u32) -> String {
    format!("/zuul/executor/zones/{name}/requests/{}", id(number))
}

fn waiting() -> Vec<u8> {
    json!({"tenant_name": "acme", "state": "requested", "worker_info": null}).to_string().into_bytes()
}

fn running(host: &str) -> Vec<u8> {
    let worker = json!({"hostname": host, "log_port": 7900, "zone": null});
    json!({"tenant_name": "acme", "state": "running", "worker_info": worker}).to_string().into_bytes()
}

fn host(build: &Build) -> Option<&str> {
    build.worker.as_ref().map(|worker| worker.hostname.as_str())
}

fn host_of(snapshot: &Snapshot, number: u32) -> Option<&str> {
    snapshot.builds.get(&id(number)).and_then(|build| host(build))
}

fn announcement() -> Announcement {
    Announcement {
        hostname: Hostname::parse("relay.example").unwrap(),
        zone: Some(zone("eu")),
        public_port: 7079,
        use_ssl: true,
    }
}

async fn follows_builds(site: Site) {
    site.until(live).await;
    site.put(&build(1), &waiting()).await;
    let seen = site.until(|now| now.builds.contains_key(&id(1))).await;
    assert_eq!(host_of(&seen, 1), None);
    site.set(&build(1), &running("ze01")).await;
    site.until(|now| host_of(now, 1) == Some("ze01")).await;

    site.put(&zoned("eu", 2), &running("ze02")).await;
    let seen = site.until(|now| host_of(now, 2) == Some("ze02")).await;
    assert_eq!(seen.builds[&id(2)].zone, Some(zone("eu")));
    assert_eq!(*seen.zones, [zone("eu")]);
    site.put(&zoned("eu", 3), &running("ze03")).await;
    site.until(|now| host_of(now, 3) == Some("ze03")).await;

    site.put(&format!("{}/cancel", build(1)), b"{}").await;
    site.delete(&format!("{}/cancel", build(1))).await;
    site.delete(&build(1)).await;
    site.until(|now| !now.builds.contains_key(&id(1))).await;
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
        while registry.snapshot().builds.contains_key(&id(1)) {
            changes.changed().await.unwrap();
        }
    };
    let outage = async {
        site.server.stop();
        site.until(stale).await;
        assert_eq!(site.metrics.live.get(), 0);
        let found = [1, 3].map(|number| id(number));
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
        site.until(|now| live(now) && !now.builds.contains_key(&id(2)) && all(now)).await;
        assert_eq!(site.metrics.live.get(), 1);
        // The watches of the new connection work as well.
        site.delete(&build(4)).await;
        site.until(|now| !now.builds.contains_key(&id(4))).await;
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
    let mut known: Vec<_> = now.builds.keys().cloned().collect();
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
    site.until(|now| live(now) && now.builds.contains_key(&id(1))).await;
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
    assert!(registration.is_own(&name) && !registration.is_own("relay.example0000000001"));
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
async fn nobody_shows_a_higher_model_api_for_long() {
    let site = Site::plain().await;
    let registration = Registration::start(&site.registry, announcement(), &site.tasks).unwrap();
    site.gateway(State::Initializing).await;
    site.put("/zuul/components/scheduler/s0000000000", br#"{"hostname": "s", "model_api": 2000000}"#).await;
    site.until(|now| now.components.model_api == Some(2_000_000)).await;
    let mut raised = site
        .hand
        .get_and_watch_data(&format!("/zuul/components/fingergw/{}", registration.id().unwrap()))
        .await
        .unwrap();
    while serde_json::from_slice::<Value>(&raised.0).unwrap()["model_api"] != 2_000_000 {
        timeout(PATIENCE, raised.2.changed()).await.unwrap();
        raised = site
            .hand
            .get_and_watch_data(&format!("/zuul/components/fingergw/{}", registration.id().unwrap()))
            .await
            .unwrap();
    }
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
    assert!(registration.is_own(&first) && registration.is_own(&second));
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
