//! What the registry knows, as values: builds, executors' addresses, components, and one consistent picture of all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::names::{BuildId, Hostname, Zone};

/// One build request, as far as a relay needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// The build's own uuid.
    pub uuid: BuildId,
    /// The zone it was asked to run in, which is where its znode lies; not always where it runs.
    pub zone: Option<Zone>,
    /// Zuul's tenant.
    pub tenant: Option<String>,
    /// Zuul's pipeline.
    pub pipeline: Option<String>,
    /// `requested`, `hold`, `running`, `paused`, `completed`, or what a later Zuul adds.
    pub state: Option<String>,
    /// Who runs it; `None` until an executor took it.
    pub worker: Option<Worker>,
}

/// The executor that runs a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The executor's host name.
    pub hostname: Hostname,
    /// The port of its log streamer; `None` where Zuul wrote none that can be dialled.
    pub log_port: Option<u16>,
    /// The zone the build really runs in.
    pub zone: Option<Zone>,
}

/// A component's life, in Zuul's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Serving. Sorts first: the best state comes first everywhere.
    Running,
    /// Serving, taking no new work.
    Paused,
    /// Not listening yet.
    Initializing,
    /// Registered, not serving.
    Stopped,
    /// A word that this version does not know.
    Unknown,
}

/// A finger gateway: another relay, or Zuul's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The last part of its znode's path, which no other gateway shares.
    pub id: Arc<str>,
    /// The name to dial, and to verify.
    pub hostname: Hostname,
    /// The zone it serves.
    pub zone: Option<Zone>,
    /// The port to dial; `None` where it registered none.
    pub public_port: Option<u16>,
    /// Whether it speaks TLS.
    pub use_ssl: bool,
    /// What it says of itself.
    pub state: State,
    /// Its Zuul or Fingerpost version.
    pub version: Option<String>,
}

/// An executor, as it registered itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executor {
    /// The last part of its znode's path.
    pub id: Arc<str>,
    /// Its name.
    pub hostname: Hostname,
    /// The zone it works in.
    pub zone: Option<Zone>,
    /// What it says of itself.
    pub state: State,
}

/// The components that routing looks at, in one consistent set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Components {
    /// All gateways of all zones, best state first, then by id.
    pub gateways: Vec<Arc<Gateway>>,
    /// All executors, by id.
    pub executors: Vec<Arc<Executor>>,
    /// The highest `model_api` that any component of the system shows.
    pub model_api: Option<i64>,
}

/// Everything the registry knew at one moment. Immutable: the next moment is another snapshot.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Every build request, by uuid.
    pub builds: imbl::HashMap<BuildId, Arc<Build>>,
    /// Every component that matters here.
    pub components: Arc<Components>,
    /// Every zone that has a place for build requests.
    pub zones: Arc<Vec<Zone>>,
    /// How much of this is still true.
    pub freshness: Freshness,
    /// Grows by one with every published change, so that a dialler sees whether it decided on old facts.
    pub revision: u64,
}

/// Whether a snapshot follows its source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing was ever read: no answer may be "not found".
    #[default]
    Never,
    /// Every change arrives as it happens.
    Live,
    /// The source is away since then; this is the last known state.
    StaleSince(Instant),
}

impl Components {
    /// The gateways that serve `zone`, best state first.
    pub fn gateways_of<'a>(&'a self, zone: &'a Zone) -> impl Iterator<Item = &'a Arc<Gateway>> {
        self.gateways.iter().filter(move |gateway| gateway.zone.as_ref() == Some(zone))
    }
}

impl Snapshot {
    /// How long the source has been away; zero while it is not, `None` if it was never read.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        match self.freshness {
            Freshness::Never => None,
            Freshness::Live => Some(Duration::ZERO),
            Freshness::StaleSince(since) => Some(now.saturating_duration_since(since)),
        }
    }
}

impl State {
    /// Zuul's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Initializing => "initializing",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }

    /// Reads Zuul's word; any other is [`State::Unknown`].
    pub fn parse(word: &str) -> Self {
        match word {
            "running" => Self::Running,
            "paused" => Self::Paused,
            "initializing" => Self::Initializing,
            "stopped" => Self::Stopped,
            _ => Self::Unknown,
        }
    }
}
