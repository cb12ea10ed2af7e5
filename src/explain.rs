//! What would be decided for a build, on the live registry, and why. Asks exactly the parts that a stream asks, and
//! dials nobody.

mod shown;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use self::shown::Shown;
use crate::config::settings::{self, Settings};
use crate::generation::Generation;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::names::{BuildId, Zone};
use crate::policy::{Explained, Failure, Known, Moment, Request};
use crate::registry::{self, Build, Registry, Snapshot, Unavailable};
use crate::route::Way;
use crate::tasks::Tasks;

/// Longest wait for the registry's first full reading.
const FIRST_READING: Duration = Duration::from_secs(10);

/// How to see more of what is wrong than the last reason.
const ADVICE: &str = "look whether it runs there, and what `fingerpost check` says of the certificates";

/// A decision with everything it rests on. Its text is the explanation.
#[derive(Debug)]
pub struct Explanation {
    build: Option<Arc<Build>>,
    uuid: BuildId,
    snapshot: Arc<Snapshot>,
    zone: Option<Zone>,
    policy: String,
    decision: Result<Explained, Failure>,
}

/// A generation with the registry that it follows, as a relay has them, without a relay.
#[derive(Debug)]
pub struct Live {
    /// What was configured.
    pub generation: Generation,
    /// What is known. Where it was not read whole in time, a look-up says why.
    pub registry: Registry,
    /// Counted here, and shown to nobody.
    pub metrics: Arc<Metrics>,
    /// Whether everything was read.
    pub complete: bool,
    tasks: Tasks,
}

/// Looks `uuid` up in `registry` and asks the policy of `generation` about it.
async fn explain(generation: &Generation, registry: &Registry, uuid: BuildId) -> Result<Explanation, Unavailable> {
    let build = registry.find(&uuid).await?;
    let snapshot = registry.snapshot();
    let decision = generation.policy.explain(&Request {
        query: uuid.as_str(),
        uuid: Some(&uuid),
        build: build.as_ref(),
        known: Known { snapshot: &snapshot, world: &Arc::default(), at: Moment::now() },
        listener: generation.settings.listeners.first().map_or("", |listener| listener.name.as_str()),
        peer: IpAddr::V6(Ipv6Addr::LOCALHOST),
        server_name: None,
        identity: None,
        seed: 0,
    });
    let zone = generation.settings.zone.clone();
    Ok(Explanation { build, uuid, snapshot, zone, policy: generation.policy.name().to_owned(), decision })
}

impl Live {
    /// Loads what `settings` names and opens the registry.
    ///
    /// # Errors
    /// If a file cannot be used.
    pub async fn open(settings: Settings) -> Result<Self> {
        let (metrics, tasks) = (Metrics::new(), Tasks::new());
        let generation = Generation::load(1, settings, &Keyring::default(), &metrics)?;
        if let settings::Registry::File(file) = &generation.settings.registry {
            // A relay would wait for a better one.
            registry::file::load(file)?;
        }
        let registry = generation.open_registry(&metrics, &tasks);
        let complete = registry.read_within(FIRST_READING).await;
        Ok(Self { generation, registry, metrics, complete, tasks })
    }

    /// Ends what followed the registry.
    pub async fn close(self) {
        self.tasks.stop();
        let _closed = self.tasks.ended_within(FIRST_READING).await;
    }

    /// What was asked, and did not answer.
    pub fn unread(&self) -> String {
        unread(&self.generation.settings.registry)
    }
}

impl Explanation {
    /// Explains `uuid` as a relay with `settings` would decide, on a registry opened for this and closed after it.
    pub async fn of(uuid: &BuildId, settings: Settings) -> Result<Self> {
        let live = Live::open(settings).await?;
        let explanation = explain(&live.generation, &live.registry, uuid.clone()).await;
        let explanation = explanation.with_context(|| live.unread())?;
        live.close().await;
        Ok(explanation)
    }

    /// Whether the build would be streamed from somewhere.
    pub fn routed(&self) -> bool {
        self.decision.as_ref().is_ok_and(|explained| matches!(explained.route.way, Way::Targets(_)))
    }

    fn write_build(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(build) = &self.build else {
            return writeln!(f, "build    {}: not in the registry", self.uuid);
        };
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(f, "build    {}", build.uuid)?;
        writeln!(
            f,
            "         tenant {}, pipeline {}, state {}",
            word(&build.tenant),
            word(&build.pipeline),
            word(&build.state)
        )?;
        writeln!(f, "         asked for {}", in_zone(build.zone.as_ref()))?;
        match &build.worker {
            None => writeln!(f, "worker   none yet: no executor has taken it"),
            Some(worker) => {
                let port = worker.log_port.map_or_else(|| "no port".to_owned(), |port| port.to_string());
                writeln!(f, "worker   {}:{port}, runs {}", worker.hostname, in_zone(worker.zone.as_ref()))
            }
        }
    }

    fn write_gateways(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worker = self.build.as_ref().and_then(|build| build.worker.as_ref());
        let Some(zone) = worker.and_then(|worker| worker.zone.as_ref()) else { return Ok(()) };
        let mut label = "gateways";
        for gateway in self.snapshot.components.gateways_of(zone) {
            let port = gateway.public_port.map_or_else(|| "no port".to_owned(), |port| port.to_string());
            let tls = if gateway.use_ssl { ", TLS" } else { "" };
            writeln!(f, "{label:8} {}:{port}{tls}, {} ({})", gateway.hostname, gateway.state.as_str(), gateway.id)?;
            label = "";
        }
        if label.is_empty() { Ok(()) } else { writeln!(f, "gateways none in zone {zone}") }
    }

    fn write_decision(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explained = match &self.decision {
            Ok(explained) => explained,
            Err(failure) => {
                return writeln!(f, "failed   {failure}\n         the viewer gets \"Internal streaming error\"");
            }
        };
        if let Some(line) = explained.line {
            writeln!(f, "decided  in line {line}")?;
        }
        write!(f, "{}", Shown(&explained.route))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = match self.snapshot.age(Instant::now()) {
            None => "never read whole; this build was read directly".to_owned(),
            Some(Duration::ZERO) => "live".to_owned(),
            Some(age) => format!("last known state, {} old", humantime::format_duration(age)),
        };
        writeln!(
            f,
            "registry {} builds, {} gateways; {age}",
            self.snapshot.builds.len(),
            self.snapshot.components.gateways.len()
        )?;
        self.write_build(f)?;
        self.write_gateways(f)?;
        writeln!(f, "relay    {}", in_zone(self.zone.as_ref()))?;
        writeln!(f, "policy   {}", self.policy)?;
        self.write_decision(f)
    }
}

/// What was asked for the build and did not know.
fn unread(registry: &settings::Registry) -> String {
    match registry {
        settings::Registry::File(file) => format!("the registry file {} was not read", file.display()),
        settings::Registry::ZooKeeper(zookeeper) => {
            let hosts: Vec<_> = zookeeper.hosts.iter().map(ToString::to_string).collect();
            format!("no answer from ZooKeeper at {}{}; {ADVICE}", hosts.join(","), zookeeper.chroot)
        }
    }
}

fn in_zone(zone: Option<&Zone>) -> String {
    zone.map_or_else(|| "in no zone".to_owned(), |zone| format!("in zone {zone}"))
}
