//! Two zones in one process, with nothing to install: a relay in an office, a relay in a cloud, TLS with client
//! certificates between them, and executors whose builds keep writing. Everything listens on loopback only.

mod certificates;
mod executor;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use self::certificates::Authority;
use self::executor::DemoBuild;
use crate::config::settings::{
    ClientCertificates, Listener, Log, Policy, Process, Registration, Registry, ServerTls, Settings, Stream,
    TlsVersion, Upstream,
};
use crate::generation::Generation;
use crate::keyring::Keyring;
use crate::listener::Passed;
use crate::metrics::Metrics;
use crate::names::{BuildId, Hostname, Zone};
use crate::relay::Relay;
use crate::tasks::Tasks;
use crate::upstream::{self, Pace};
use crate::workers::Workers;

/// Longest time that one finished build may take through both zones.
const ONCE: Duration = Duration::from_secs(30);

/// Where the office's relay listens if the port is free, so that the demo's lines can be typed from memory.
const OFFICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7979);

/// Both zones, running.
#[derive(Debug)]
pub struct Demo {
    office: Relay,
    cloud: Relay,
    builds: Vec<DemoBuild>,
    executors: Tasks,
    folder: TempDir,
}

/// What a person, a terminal or a script says when it is enough.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Demo {
    /// Starts everything. Nothing of it outlives the process.
    pub async fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("fingerpost-demo-").context("cannot make a temporary folder for the demo")?;
        let authority = Authority::new(folder.path())?;
        let (builds, executors) = (builds(), Tasks::new());
        let executor = executor::serve(builds.clone(), &executors).await.context("cannot start the demo's executor")?;
        let registry = folder.path().join("registry.yaml");
        describe(&registry, &builds, executor, None)?;
        let cloud = start(cloud(&authority, &registry)?)?;
        describe(&registry, &builds, executor, Some(bound(&cloud)?))?;
        let any_port = SocketAddr::new(OFFICE.ip(), 0);
        let office = match start(office(&authority, &registry, OFFICE)?) {
            Ok(office) => office,
            Err(_taken) => start(office(&authority, &registry, any_port)?)?,
        };
        for relay in [&office, &cloud] {
            ensure!(relay.shared().registry.read_within(ONCE).await, "the demo's registry was not read");
        }
        Ok(Self { office, cloud, builds, executors, folder })
    }

    /// Tells a person what runs and what to type.
    pub fn describe(&self, out: &mut dyn io::Write) -> Result<()> {
        let (office, cloud) = (bound(&self.office)?, bound(&self.cloud)?);
        writeln!(
            out,
            "Two zones run in this process; everything listens on loopback only.

  you ──▶ relay \"office\" ──TLS, client certificates──▶ relay \"cloud\" ──▶ executor
          {office}                          {cloud}

Watch a build (each line is one):
"
        )?;
        for build in &self.builds {
            let state = if build.finished { "finished" } else { "running" };
            writeln!(out, "  fingerpost stream {} {office}    # {}, {state}", build.uuid, build.job)?;
        }
        let [first, ..] = self.builds.as_slice() else { bail!("the demo has no builds") };
        writeln!(
            out,
            "
Any finger client does: printf '{}\\n' | nc {} {}
The files behind it are in {} until you press Ctrl-C.",
            first.uuid,
            office.ip(),
            office.port(),
            self.folder.path().display()
        )?;
        Ok(())
    }

    /// Carries the finished build's log through both zones into `out`.
    pub async fn once(&self, out: &mut dyn io::Write) -> Result<()> {
        let finished = self.builds.iter().find(|build| build.finished).context("the demo has no finished build")?;
        let log = timeout(ONCE, fetch(bound(&self.office)?, &finished.uuid))
            .await
            .context("the demo's log did not end")??;
        out.write_all(&log)?;
        Ok(())
    }

    /// Ends everything.
    pub async fn end(self) {
        self.office.end().await;
        self.cloud.end().await;
        self.executors.stop();
        let _ended = self.executors.ended_within(ONCE).await;
    }
}

impl Interrupts {
    /// From here on, none of them ends the process by itself. Needs tokio's runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

async fn fetch(relay: SocketAddr, build: &BuildId) -> Result<Vec<u8>> {
    let (mut tcp, _) =
        upstream::connect(&relay.ip().to_string(), relay.port(), Pace::from(&Upstream::default())).await?;
    tcp.write_all(format!("{build}\n").as_bytes()).await?;
    let mut log = Vec::new();
    tcp.read_to_end(&mut log).await?;
    Ok(log)
}

fn builds() -> Vec<DemoBuild> {
    let now = SystemTime::now();
    [
        ("5e1f000000000000000000000000c0de", "unit-tests", false),
        ("b01d000000000000000000000000cafe", "container-image", false),
        ("d0cf000000000000000000000000beef", "documentation", true),
    ]
    .into_iter()
    .filter_map(|(uuid, job, finished)| {
        let since = if finished { now - executor::FINISHED_AFTER } else { now };
        Some(DemoBuild { uuid: BuildId::parse(uuid)?, job, finished, since })
    })
    .collect()
}

/// Writes the registry file that both relays read.
fn describe(file: &Path, builds: &[DemoBuild], executor: SocketAddr, cloud: Option<SocketAddr>) -> Result<()> {
    let mut text = "builds:\n".to_owned();
    for build in builds {
        text += &format!(
            "  - uuid: {}\n    tenant: demo\n    pipeline: check\n    state: running\n    \
             worker: {{hostname: {}, log_port: {}, zone: cloud}}\n",
            build.uuid,
            executor.ip(),
            executor.port()
        );
    }
    if let Some(cloud) = cloud {
        let (host, port) = (cloud.ip(), cloud.port());
        text += &format!("gateways:\n  - {{hostname: {host}, public_port: {port}, zone: cloud, use_ssl: true}}\n");
    }
    // In one go: a relay that read half of it would know half of the builds for a moment.
    let new = file.with_extension("new");
    fs::write(&new, text)
        .and_then(|()| fs::rename(&new, file))
        .with_context(|| format!("cannot write the demo's registry to {}", file.display()))
}

fn cloud(authority: &Authority, registry: &Path) -> Result<Settings> {
    let mut listener = Listener::plain("cloud", SocketAddr::from(([127, 0, 0, 1], 0)));
    listener.tls = Some(ServerTls {
        certificates: vec![authority.certify("cloud.example")?],
        require_known_server_name: false,
        client_certificates: ClientCertificates::Required(authority.trust()),
        min_version: TlsVersion::V1_3,
    });
    settings("cloud", listener, Upstream::default(), registry)
}

fn office(authority: &Authority, registry: &Path, address: SocketAddr) -> Result<Settings> {
    let upstream = Upstream { tls: Some(authority.client("office.example")?), ..Upstream::default() };
    settings("office", Listener::plain("office", address), upstream, registry)
}

fn settings(zone: &str, listener: Listener, upstream: Upstream, registry: &Path) -> Result<Settings> {
    Ok(Settings {
        hostname: Hostname::parse(&format!("{zone}.example")).context("the demo's host name")?,
        zone: Zone::parse(zone),
        listeners: vec![listener],
        registration: Registration { enabled: false, ..Registration::default() },
        registry: Registry::File(PathBuf::from(registry)),
        policy: Policy::default(),
        upstream,
        stream: Stream::default(),
        decisions: None,
        monitoring: None,
        log: Log::default(),
        process: Process::default(),
    })
}

fn start(settings: Settings) -> Result<Relay> {
    let metrics = Metrics::new();
    let generation = Generation::load(1, settings, &Keyring::default(), &metrics)?;
    let mut relay = Relay::bind(generation, Passed::default(), Workers::none(), Arc::clone(&metrics))
        .map_err(|errors| anyhow!("{errors:?}"))?;
    relay.serve();
    Ok(relay)
}

fn bound(relay: &Relay) -> Result<SocketAddr> {
    let address = relay.addresses().first().map(|(_, address)| *address);
    address.context("the demo's relay does not listen")
}
