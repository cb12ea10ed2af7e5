//! One ZooKeeper with a registry on it, a hand that writes what Zuul would write, and words for both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fingerpost::config::settings::{ClientTls, HostPort, KeyPairFiles, Trust, ZooKeeper as Settings};
use fingerpost::metrics::Registry as Metrics;
use fingerpost::names::{BuildId, Hostname, Zone};
use fingerpost::registry::{Announcement, Build, Freshness, Registry, Snapshot, State};
use fingerpost::tasks::Tasks;
use fingerpost::tls;
use serde_json::{Value, json};
use tokio::time::timeout;
use zookeeper_client::{Acls, Client, CreateMode, CreateOptions};

use super::zookeeper::ZooKeeper;

/// Longest wait for anything that must happen, on a busy computer.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where builds wait that asked for no zone.
pub const UNZONED: &str = "/zuul/executor/unzoned/requests";

/// A ZooKeeper, a hand that writes to it, and the registry under test.
pub struct Site {
    /// The ZooKeeper.
    pub server: ZooKeeper,
    /// The test's own client.
    pub hand: Client,
    /// What is tested.
    pub registry: Registry,
    /// Its numbers.
    pub metrics: Metrics,
    /// Its tasks.
    pub tasks: Tasks,
}

impl Site {
    /// Everything over plain TCP.
    pub async fn plain() -> Self {
        Self::on(ZooKeeper::plain().await, false).await
    }

    /// The registry over TLS, the hand over plain TCP.
    pub async fn with_tls() -> Self {
        Self::on(ZooKeeper::with_tls().await, true).await
    }

    async fn on(server: ZooKeeper, tls: bool) -> Self {
        let hand = Client::connect(&server.hosts()).await.unwrap();
        let (metrics, tasks) = (Metrics::default(), Tasks::new());
        let registry = registry(&server, tls, &metrics, &tasks);
        Self { server, hand, registry, metrics, tasks }
    }

    /// Starts the stopped server again.
    pub async fn restart(&mut self) {
        self.server.start().await;
        self.hand = Client::connect(&self.server.hosts()).await.unwrap();
    }

    /// Creates a znode and its parents.
    pub async fn put(&self, path: &str, data: &[u8]) {
        let (parent, _) = path.rsplit_once('/').unwrap();
        self.hand.mkdir(parent, &persistent()).await.unwrap();
        self.hand.create(path, data, &persistent()).await.unwrap();
    }

    /// Overwrites a znode.
    pub async fn set(&self, path: &str, data: &[u8]) {
        self.hand.set_data(path, data, None).await.unwrap();
    }

    /// Removes a znode.
    pub async fn delete(&self, path: &str) {
        self.hand.delete(path, None).await.unwrap();
    }

    /// Waits for a snapshot that is as `expected`.
    pub async fn until(&self, expected: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
        until(&self.registry, expected).await
    }

    /// All our gateways' znodes, by name.
    pub async fn gateways(&self) -> Vec<(String, Value)> {
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
    pub async fn gateway(&self, state: State) -> (String, Value) {
        self.until(|now| live(now) && now.components.gateways.iter().map(|gateway| gateway.state).eq([state])).await;
        let mut gateways = self.gateways().await;
        assert_eq!(gateways.len(), 1, "{gateways:?}");
        gateways.remove(0)
    }
}

/// A registry on `server`, by its TLS or its plain port.
pub fn registry(server: &ZooKeeper, tls: bool, metrics: &Metrics, tasks: &Tasks) -> Registry {
    if tls {
        let files = client_files(server);
        let client = tls::Client::load(&files).unwrap();
        let settings = Settings { tls: Some(files), ..settings(&[server.tls().address]) };
        Registry::zookeeper(&settings, Some(client), metrics.clone(), tasks)
    } else {
        Registry::zookeeper(&settings(&[server.address()]), None, metrics.clone(), tasks)
    }
}

/// Settings for quick tests, without TLS.
pub fn settings(addresses: &[SocketAddr]) -> Settings {
    let host = |address: &SocketAddr| HostPort { host: address.ip().to_string(), port: address.port() };
    Settings {
        hosts: addresses.iter().map(host).collect(),
        chroot: String::new(),
        tls: None,
        session_timeout: Duration::from_secs(4),
        request_timeout: Duration::from_secs(5),
    }
}

/// What a client of `server` needs, as sites configure it.
pub fn client_files(server: &ZooKeeper) -> ClientTls {
    let tls = server.tls();
    let identity = KeyPairFiles { cert: tls.client.cert.clone(), key: tls.client.key.clone() };
    let trust = Trust { ca: tls.authority.ca(), crl: None, version1_certificates: false };
    ClientTls { identity: Some(identity), trust, verify_hostnames: false }
}

/// Waits for a snapshot of `registry` that is as `expected`.
pub async fn until(registry: &Registry, expected: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
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

/// A znode as Zuul makes them.
pub fn persistent() -> CreateOptions<'static> {
    CreateMode::Persistent.with_acls(Acls::anyone_all())
}

/// Whether every change arrives.
pub fn live(snapshot: &Snapshot) -> bool {
    snapshot.freshness == Freshness::Live
}

/// Whether the source is known to be away.
pub fn stale(snapshot: &Snapshot) -> bool {
    matches!(snapshot.freshness, Freshness::StaleSince(_))
}

/// The uuid of a test's build.
pub fn id(number: u32) -> BuildId {
    BuildId::parse(&format!("{number:032x}")).unwrap()
}

/// A zone's name.
pub fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

/// The path of a build without a zone.
pub fn build(number: u32) -> String {
    format!("{UNZONED}/{}", id(number))
}

/// The path of a build that asked for a zone.
pub fn zoned(name: &str, number: u32) -> String {
    format!("/zuul/executor/zones/{name}/requests/{}", id(number))
}

/// A build that nobody runs.
pub fn waiting() -> Vec<u8> {
    json!({"tenant_name": "acme", "state": "requested", "worker_info": null}).to_string().into_bytes()
}

/// A build that `host` runs.
pub fn running(host: &str) -> Vec<u8> {
    let worker = json!({"hostname": host, "log_port": 7900, "zone": null});
    json!({"tenant_name": "acme", "state": "running", "worker_info": worker}).to_string().into_bytes()
}

/// Who runs it.
pub fn host(build: &Build) -> Option<&str> {
    build.worker.as_ref().map(|worker| worker.hostname.as_str())
}

/// Who runs a test's build.
pub fn host_of(snapshot: &Snapshot, number: u32) -> Option<&str> {
    snapshot.builds.get(&id(number)).and_then(|build| host(build))
}

/// What a relay of zone eu says of itself.
pub fn announcement() -> Announcement {
    Announcement {
        hostname: Hostname::parse("relay.example").unwrap(),
        zone: Some(zone("eu")),
        public_port: 7079,
        use_ssl: true,
    }
}
