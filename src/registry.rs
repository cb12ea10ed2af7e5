//! What is known of builds and components: a mirror that answers at once, and a direct read behind it. It never says
//! that a build does not exist unless its source said so.

pub mod builds;
mod data;
pub mod file;
pub mod malformed;
pub mod model;
pub mod publisher;
pub mod registration;
mod znode;
mod zookeeper;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info_span;

use crate::config::settings;
use crate::metrics;
use crate::names::BuildId;
use crate::tasks::Tasks;
use crate::tls;

pub use builds::Builds;
pub use model::{Build, Components, Executor, Freshness, Gateway, Snapshot, State, Worker};
pub use publisher::Publisher;
pub use registration::{Announcement, OwnNames, Registration};

use publisher::Published;
use zookeeper::ZooKeeper;

/// A handle on everything known; clones share it.
#[derive(Debug, Clone)]
pub struct Registry {
    published: Published,
    zookeeper: Option<ZooKeeper>,
}

/// Why the registry cannot say whether a build exists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// The source was never read, or is away and the build was not known before.
    #[error("build {uuid} is unknown, and the registry's source is away")]
    Away {
        /// The build asked for.
        uuid: BuildId,
    },
    /// The source did not answer in time.
    #[error("build {uuid} was not read within {}", humantime::format_duration(*waited))]
    Timeout {
        /// The build asked for.
        uuid: BuildId,
        /// The deadline that passed: `request_timeout` of the ZooKeeper settings.
        waited: Duration,
    },
    /// The build exists, but nobody can make sense of it.
    #[error("build {uuid} exists, but its entry cannot be used: {defect}")]
    Malformed {
        /// The build asked for.
        uuid: BuildId,
        /// What is wrong with its entry.
        defect: malformed::Defect,
    },
    /// The source refused to answer.
    #[error("build {uuid} could not be read: {reason}")]
    Failed {
        /// The build asked for.
        uuid: BuildId,
        /// What the source said.
        reason: String,
    },
}

impl Registry {
    /// Follows Zuul's ZooKeeper in tasks of `tasks`, and returns at once: also when ZooKeeper is away.
    pub fn zookeeper(
        settings: &settings::ZooKeeper,
        tls: Option<tls::Client>,
        metrics: metrics::Registry,
        tasks: &Tasks,
    ) -> Self {
        let publisher = Publisher::new(metrics);
        let published = publisher.published();
        let zookeeper = ZooKeeper::start(settings.clone(), tls, publisher, tasks);
        Self { published, zookeeper: Some(zookeeper) }
    }

    /// Follows a YAML file in a task of `tasks`. Nothing is known until it was read for the first time.
    pub fn file(file: &Path, metrics: metrics::Registry, tasks: &Tasks) -> Self {
        let publisher = Publisher::new(metrics);
        let registry = Self::mirror_of(&publisher);
        tasks.spawn_until_stopped(info_span!("registry"), file::follow(file.to_owned(), publisher, tasks.clone()));
        registry
    }

    /// Serves what `publisher` publishes, with nothing behind it to ask.
    pub fn mirror_of(publisher: &Publisher) -> Self {
        Self { published: publisher.published(), zookeeper: None }
    }

    /// Everything known now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.published.snapshot()
    }

    /// Wakes whoever waits on it when another snapshot was published; holds its revision.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.published.changes()
    }

    /// Waits until everything was read for the first time, for at most `deadline`; says whether it was.
    pub async fn read_within(&self, deadline: Duration) -> bool {
        let mut changes = self.changes();
        let read = changes.wait_for(|_| self.snapshot().freshness != Freshness::Never);
        timeout(deadline, read).await.is_ok_and(|read| read.is_ok())
    }

    /// Looks `uuid` up: in the mirror, and where that does not know enough, in the source itself.
    ///
    /// Takes no time for a build that runs, one round trip for any other, and never longer than the settings'
    /// `request_timeout`. While the source is away the mirror answers alone, at once.
    pub async fn find(&self, uuid: &BuildId) -> Result<Option<Arc<Build>>, Unavailable> {
        let snapshot = self.snapshot();
        let known = snapshot.builds.get(uuid).cloned();
        if known.as_ref().is_some_and(|build| build.worker.is_some()) {
            return Ok(known);
        }
        let asked = match &self.zookeeper {
            Some(zookeeper) => zookeeper.read(uuid, &snapshot.zones).await,
            None if snapshot.freshness == Freshness::Never => Err(Unavailable::Away { uuid: uuid.clone() }),
            None => return Ok(known),
        };
        match asked {
            // An entry that can no longer be made sense of is no "did not start yet".
            Err(malformed @ Unavailable::Malformed { .. }) => Err(malformed),
            Err(_away) if known.is_some() => Ok(known),
            answer => answer,
        }
    }

    /// Uses `tls` from the next connection to ZooKeeper on. The present one stays.
    pub fn replace_tls(&self, tls: tls::Client) {
        if let Some(zookeeper) = &self.zookeeper {
            zookeeper.replace_tls(tls);
        }
    }
}
