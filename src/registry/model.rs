//! What the registry knows, as values: builds, executors' addresses, components, and one consistent picture of all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::names::{BuildId, Hostname, Zone};
use crate::registry::builds::Builds;
use crate::registry::data;

/// One build request, as far as a relay needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Worker {
    /// The executor's host name.
    pub hostname: Hostname,
    /// The port of its log streamer; `None` where Zuul wrote none that can be dialled.
    #[serde(deserialize_with = "data::given")]
    pub log_port: Option<u16>,
    /// The zone the build really runs in.
    pub zone: Option<Zone>,
}

/// A component's life, in Zuul's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "data::Gateway")]
pub struct Gateway {
    /// The last part of its znode's path, which no other gateway shares.
    #[serde(serialize_with = "data::text")]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "data::Executor")]
pub struct Executor {
    /// The last part of its znode's path.
    #[serde(serialize_with = "data::text")]
    pub id: Arc<str>,
    /// Its name.
    pub hostname: Hostname,
    /// The zone it works in.
    pub zone: Option<Zone>,
    /// What it says of itself.
    pub state: State,
}

/// The components that routing looks at, in one consistent set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "data::Components")]
pub struct Components {
    /// All gateways of all zones, best state first, then by id.
    #[serde(serialize_with = "data::list")]
    pub gateways: Vec<Arc<Gateway>>,
    /// All executors, by id.
    #[serde(serialize_with = "data::list")]
    pub executors: Vec<Arc<Executor>>,
    /// The highest `model_api` that any component of the system shows.
    pub model_api: Option<i64>,
}

/// Everything the registry knew at one moment. Immutable: the next moment is another snapshot.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "data::Picture")]
pub struct Snapshot {
    /// Every build request, and who has how many.
    pub builds: Builds,
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

impl Build {
    /// The executor that is at work on it now: it took the build, and is not done with it.
    ///
    /// Zuul keeps a `completed` build until its scheduler has seen the result.
    pub fn runs_on(&self) -> Option<&Worker> {
        self.worker.as_ref().filter(|_| self.state.as_deref() != Some("completed"))
    }
}

impl Components {
    /// The gateways that serve `zone`, best state first.
    pub fn gateways_of<'a>(&'a self, zone: &'a Zone) -> impl Iterator<Item = &'a Arc<Gateway>> {
        self.gateways.iter().filter(move |gateway| gateway.zone.as_ref() == Some(zone))
    }

    /// The executors of `zone`, or, for `None`, those without one; by id.
    pub fn executors_of<'a>(&'a self, zone: Option<&'a Zone>) -> impl Iterator<Item = &'a Arc<Executor>> {
        self.executors.iter().filter(move |executor| executor.zone.as_ref() == zone)
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

    /// Every zone that anything here speaks of: where builds are asked for or run, and where components are.
    pub fn named_zones(&self) -> BTreeSet<&Zone> {
        let gateways = self.components.gateways.iter().filter_map(|gateway| gateway.zone.as_ref());
        let executors = self.components.executors.iter().filter_map(|executor| executor.zone.as_ref());
        let running = self.builds.zones().filter_map(|(zone, _)| zone);
        self.zones.iter().chain(running).chain(gateways).chain(executors).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Option<Zone> {
        Some(Zone::parse(name).unwrap())
    }

    fn executor(id: &str, zone: Option<Zone>) -> Arc<Executor> {
        let hostname = Hostname::parse(id).unwrap();
        Arc::new(Executor { id: id.into(), hostname, zone, state: State::Running })
    }

    #[test]
    fn executors_without_a_zone_are_a_zone_of_their_own() {
        let executors = vec![executor("a", None), executor("b", zone("east")), executor("c", None)];
        let components = Components { executors, ..Components::default() };
        let ids = |zone: Option<Zone>| {
            components.executors_of(zone.as_ref()).map(|executor| executor.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(ids(None), ["a", "c"]);
        assert_eq!(ids(zone("east")), ["b"]);
        assert_eq!(ids(zone("west")), [""; 0]);
    }

    #[test]
    fn a_zone_is_named_by_whatever_is_in_it() {
        let build = |uuid: &str, zone: Option<Zone>, state: &str| Build {
            uuid: BuildId::parse(uuid).unwrap(),
            zone: None,
            tenant: None,
            pipeline: None,
            state: Some(state.to_owned()),
            worker: Some(Worker { hostname: Hostname::parse("h").unwrap(), log_port: None, zone }),
        };
        let builds =
            [build("a1", zone("runs"), "running"), build("a2", None, "paused"), build("a3", zone("done"), "completed")];
        let snapshot = Snapshot {
            builds: builds.into_iter().map(Arc::new).collect(),
            components: Arc::new(Components { executors: vec![executor("e", zone("works"))], ..Components::default() }),
            zones: Arc::new(vec![Zone::parse("asked").unwrap()]),
            ..Snapshot::default()
        };
        let names: Vec<_> = snapshot.named_zones().into_iter().map(Zone::as_str).collect();
        assert_eq!(names, ["asked", "runs", "works"], "a build that is done is nowhere");
    }
}
