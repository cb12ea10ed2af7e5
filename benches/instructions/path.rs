//! One relay as an operator starts it, an executor and a viewer, all on one thread: short streams, one at a time, each
//! step of which begins when the relay has nothing left to do. It never checks how long anything takes.
//!
//! The peers run in the thread's main future and the relay in tasks, so what tasks do is what the relay does.

use std::fs;
use std::net::SocketAddr;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use fingerpost::config;
use fingerpost::generation::Generation;
use fingerpost::keyring::Keyring;
use fingerpost::listener::Passed;
use fingerpost::logging::Logging;
use fingerpost::metrics::Metrics;
use fingerpost::names::BuildId;
use fingerpost::registry::{Snapshot, Worker, file};
use fingerpost::relay::Relay;
use fingerpost::workers::Workers;
use tempfile::TempDir;
use tokio::task::yield_now;

use crate::builds::{BUILDS, build, hostname, uuid};
use crate::case::Case;
use crate::support::authority::{Authority, Leaf};
use crate::support::executor::Executor;
use crate::support::viewer::Viewer;

/// A short log, in bytes.
const LOG: usize = 4096;

/// Turns after which the relay has done all that a step of its peers leads to. In each it is told once what happened on
/// its sockets; a dial, which needs the most, is over after three.
const TURNS: usize = 8;

/// Longest wait for the registry, on a machine that runs every instruction as fifty.
const PATIENCE: Duration = Duration::from_secs(300);

/// A relay and its peers.
pub(crate) struct Path {
    relay: Relay,
    address: SocketAddr,
    executor: Executor,
    /// `None` where viewers come over plain TCP.
    certificates: Option<Certificates>,
    builds: Vec<BuildId>,
    log: Vec<u8>,
    /// While it lives, tasks don't write lines themselves.
    _logging: Logging,
    _folder: TempDir,
}

struct Certificates {
    authority: Authority,
    viewer: Leaf,
}

impl Path {
    /// Starts a relay with default configuration and policy, whose registry is a file with 10 000 running builds.
    pub(crate) async fn start(case: Case) -> Result<Self> {
        let (folder, executor) = (tempfile::tempdir()?, Executor::new().await);
        let builds = write_registry(&folder.path().join("registry.yaml"), executor.port())?;
        let certificates = (case == Case::Tls).then(Certificates::new);
        let (relay, logging) = relay(folder.path(), certificates.as_ref())?;
        ensure!(relay.shared().registry.read_within(PATIENCE).await, "the registry was not read");
        let address = relay.addresses().first().context("no listener")?.1;
        let log = b"2026-01-01 00:00:00.000000 | ubuntu | ok\n".iter().copied().cycle().take(LOG).collect();
        Ok(Self { relay, address, executor, certificates, builds, log, _logging: logging, _folder: folder })
    }

    /// Serves so many streams, each for another build.
    pub(crate) async fn serve(&self, streams: usize) -> Result<()> {
        for build in self.builds.iter().cycle().take(streams) {
            self.stream(build).await?;
        }
        Ok(())
    }

    /// Ends the relay.
    pub(crate) async fn end(self) {
        self.relay.end().await;
    }

    async fn stream(&self, build: &BuildId) -> Result<()> {
        let mut viewer = self.viewer().await?;
        settle().await;
        viewer.ask(build.as_str()).await;
        settle().await;
        let mut upstream = self.executor.next().await;
        upstream.send(&self.log).await;
        settle().await;
        viewer.expect(&self.log).await;
        drop(upstream);
        settle().await;
        ensure!(viewer.rest().await.is_empty(), "more came than was sent");
        drop(viewer);
        settle().await;
        ensure!(self.relay.open_streams() == 0, "a stream goes on after its viewer left");
        Ok(())
    }

    async fn viewer(&self) -> Result<Viewer> {
        match &self.certificates {
            None => Ok(Viewer::plain(self.address).await),
            Some(Certificates { authority, viewer }) => Ok(Viewer::tls(self.address, authority, Some(viewer)).await?),
        }
    }
}

impl Certificates {
    fn new() -> Self {
        let authority = Authority::new();
        let viewer = authority.issue("zuul-web.example");
        Self { authority, viewer }
    }

    /// The listener's part of the configuration.
    fn listener(&self, address: SocketAddr) -> String {
        let (leaf, ca) = (self.authority.issue_for_address(address.ip()), self.authority.ca());
        let (cert, key, ca) = (leaf.cert.display(), leaf.key.display(), ca.display());
        format!(
            ", tls: {{certificates: [{{cert: {cert}, key: {key}}}], client_certificates: required, client_ca: {ca}}}"
        )
    }
}

/// Lets the relay come to rest.
async fn settle() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}

/// Writes a registry whose builds all run at `port`, and names them.
fn write_registry(to: &FilePath, port: u16) -> Result<Vec<BuildId>> {
    let worker = Worker { hostname: hostname("127.0.0.1")?, log_port: Some(port), zone: None };
    let builds = (0..BUILDS).map(|number| build(number, worker.clone())).collect::<Result<_>>()?;
    let snapshot = Snapshot { builds, ..Snapshot::default() };
    file::write(&snapshot, fs::File::create(to)?)?;
    (0..BUILDS).map(uuid).collect()
}

fn relay(folder: &FilePath, certificates: Option<&Certificates>) -> Result<(Relay, Logging)> {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let tls = certificates.map(|certificates| certificates.listener(address)).unwrap_or_default();
    let file = folder.join("fingerpost.yaml");
    // The time limit is processor time, of which this machine takes more.
    let text = format!(
        "hostname: relay.example\nlisteners: [{{name: finger, address: \"{address}\"{tls}}}]\n\
         registry: {{file: registry.yaml}}\npolicy: {{time_limit: 10s}}\n"
    );
    fs::write(&file, text)?;
    let settings = config::read_yaml(&file).usable()?.settings;
    let logging = Logging::start(&settings.log)?;
    let metrics = Metrics::new();
    let generation = Generation::load(1, settings, &Keyring::default(), &metrics)?;
    let mut relay = Relay::bind(generation, Passed::default(), Workers::none(), Arc::clone(&metrics))
        .map_err(|all| anyhow!("{all:?}"))?;
    relay.serve();
    Ok((relay, logging))
}
