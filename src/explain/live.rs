//! A generation with the registry that it follows, as a relay has them, without a relay. It serves nobody.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::config::settings::{self, Settings};
use crate::generation::Generation;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::registry::{self, Registry};
use crate::tasks::Tasks;

/// Longest wait for the registry's first full reading.
const FIRST_READING: Duration = Duration::from_secs(10);

/// How to see more of what is wrong than the last reason.
const ADVICE: &str = "look whether it runs there, and what `fingerpost check` says of the certificates";

/// What was configured, and what is known.
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
        match &self.generation.settings.registry {
            settings::Registry::File(file) => format!("the registry file {} was not read", file.display()),
            settings::Registry::ZooKeeper(zookeeper) => {
                let hosts: Vec<_> = zookeeper.hosts.iter().map(ToString::to_string).collect();
                format!("no answer from ZooKeeper at {}{}; {ADVICE}", hosts.join(","), zookeeper.chroot)
            }
        }
    }
}
