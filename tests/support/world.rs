//! A Zuul for one test: a ZooKeeper that Zuul's own classes write to, and Zuul's log streamer over job directories that
//! the test writes. What a test does in its world is not seen in any other.
//!
//! Worlds share their processes while any of them is alive, and are kept apart by a chroot each. A test that stops
//! ZooKeeper takes a world alone.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::authority::{Authority, Leaf};
use super::program::Program;
use super::zookeeper::ZooKeeper;

/// One test's Zuul.
#[derive(Debug)]
pub struct World {
    parts: Arc<Parts>,
    name: String,
    /// Where ZooKeeper is reached by TLS, chroot included.
    pub hosts: String,
}

/// What worlds may share.
#[derive(Debug)]
struct Parts {
    zookeeper: Mutex<ZooKeeper>,
    hosts: String,
    zookeeper_ca: PathBuf,
    zookeeper_client: Leaf,
    builds: Program,
    _streamer: Program,
    log_port: u16,
    jobs: tempfile::TempDir,
    authority: Authority,
    client: Leaf,
}

/// A build that runs, with the log that it writes.
#[derive(Debug)]
pub struct Log {
    /// The build.
    pub uuid: String,
    dir: PathBuf,
}

impl World {
    /// A world beside others.
    pub async fn new() -> Self {
        static SHARED: Mutex<Weak<Parts>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        let parts = match shared.upgrade() {
            Some(parts) => parts,
            None => Arc::new(Parts::start().await),
        };
        *shared = Arc::downgrade(&parts);
        drop(shared);
        Self::open(parts, &format!("/test-{}", number())).await
    }

    /// A world whose ZooKeeper may be stopped, because nobody else uses it.
    pub async fn alone() -> Self {
        Self::open(Arc::new(Parts::start().await), "").await
    }

    /// Has one command of `tests/zuul/builds.py` carried out here.
    pub async fn call(&self, what: &str, mut args: Value) -> Value {
        args["world"] = self.name.as_str().into();
        self.parts.builds.call(what, args).await
    }

    /// Submits a build for nobody's zone in particular, which runs where `worker` says; returns its uuid.
    pub async fn build(&self, worker: Value) -> String {
        let uuid = uuid();
        self.call("submit", json!({"uuid": uuid, "worker": worker})).await;
        uuid
    }

    /// Submits a build that runs on Zuul's own log streamer, in `zone`, and has written nothing yet.
    pub async fn log(&self, zone: Option<&str>) -> Log {
        let uuid = self.build(self.worker(zone, self.parts.log_port)).await;
        let dir = self.parts.jobs.path().join(&uuid);
        fs::create_dir_all(dir.join("work/logs")).expect("a job directory");
        let log = Log { uuid, dir };
        log.append(b"");
        log
    }

    /// What an executor in `zone` writes of itself that listens on `port`.
    pub fn worker(&self, zone: Option<&str>, port: u16) -> Value {
        json!({"hostname": "127.0.0.1", "log_port": port, "zone": zone})
    }

    /// Waits until Zuul sees exactly `count` finger gateways with the values of `what`, and returns them.
    pub async fn gateways(&self, what: Value, count: usize) -> Vec<Value> {
        let args = json!({"kind": "fingergw", "where": what, "count": count});
        serde_json::from_value(self.call("await_components", args).await).expect("a list")
    }

    /// The `[zookeeper]` section of a `zuul.conf`.
    pub fn zookeeper_section(&self) -> String {
        let Parts { zookeeper_ca: ca, zookeeper_client: client, .. } = &*self.parts;
        format!(
            "[zookeeper]\nhosts = {}\ntls_cert = {}\ntls_key = {}\ntls_ca = {}\nsession_timeout = 10\n",
            self.hosts,
            client.cert.display(),
            client.key.display(),
            ca.display()
        )
    }

    /// The same as the `registry` of our own configuration.
    pub fn registry_yaml(&self) -> String {
        let Parts { zookeeper_ca: ca, zookeeper_client: client, .. } = &*self.parts;
        format!(
            "registry:\n  zookeeper:\n    hosts: \"{}\"\n    session_timeout: 10s\n    tls:\n      cert: \"{}\"\n      \
             key: \"{}\"\n      ca: \"{}\"\n",
            self.hosts,
            client.cert.display(),
            client.key.display(),
            ca.display()
        )
    }

    /// The same for `builds.py`.
    pub fn connection(&self) -> Value {
        let Parts { zookeeper_ca: ca, zookeeper_client: client, .. } = &*self.parts;
        json!({"hosts": self.hosts, "tls": {"tls_cert": client.cert, "tls_key": client.key, "tls_ca": ca}})
    }

    /// Who signs the certificates of gateways and viewers.
    pub fn authority(&self) -> &Authority {
        &self.parts.authority
    }

    /// A viewer's certificate.
    pub fn client(&self) -> &Leaf {
        &self.parts.client
    }

    /// The server itself, to be stopped and started; only in a world alone.
    pub fn zookeeper(&self) -> &Mutex<ZooKeeper> {
        assert!(self.name.is_empty(), "others use this ZooKeeper");
        &self.parts.zookeeper
    }

    /// Has `builds.py` connect anew: its own client is slow to come back from an outage, and may never come back.
    pub async fn reopen(&self) {
        self.call("open", self.connection()).await;
    }

    async fn open(parts: Arc<Parts>, chroot: &str) -> Self {
        let hosts = format!("{}{chroot}", parts.hosts);
        let world = Self { parts, name: chroot.to_owned(), hosts };
        world.call("open", world.connection()).await;
        world
    }
}

impl Parts {
    async fn start() -> Self {
        let zookeeper = ZooKeeper::with_tls().await;
        let jobs = tempfile::tempdir().expect("a temporary directory");
        let (builds, _ready) = Program::start("builds", &[]).await;
        let (streamer, ready) = Program::start("streamer", &[jobs.path()]).await;
        let authority = Authority::new();
        Self {
            hosts: zookeeper.tls().address.to_string(),
            zookeeper_ca: zookeeper.tls().authority.ca(),
            zookeeper_client: zookeeper.tls().client.clone(),
            zookeeper: Mutex::new(zookeeper),
            builds,
            _streamer: streamer,
            log_port: u16::try_from(ready["port"].as_u64().expect("a port")).expect("a port"),
            jobs,
            client: authority.issue("viewer"),
            authority,
        }
    }
}

impl Log {
    /// Writes more of it.
    pub fn append(&self, bytes: &[u8]) {
        let file = self.dir.join("work/logs/job-output.txt");
        let mut file = OpenOptions::new().create(true).append(true).open(file).expect("the log opened");
        file.write_all(bytes).expect("the log written");
    }

    /// Ends it as Zuul does: with the job directory gone, the streamer sends what it has not sent yet, and closes.
    pub fn end(&self) {
        fs::remove_dir_all(&self.dir).expect("the job directory removed");
    }
}

/// A build's uuid that no other test has.
pub fn uuid() -> String {
    // Zuul's are 32 digits; a letter is in it, so that upper case is another name.
    format!("a{:07x}{:024x}", std::process::id(), number())
}

fn number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed)
}
