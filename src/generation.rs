//! One loaded set of configuration, policy and certificates. Built whole or not at all, published whole, never
//! changed: a stream keeps the one it was decided by, and the next stream sees the next.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::config::settings::{self, Settings};
use crate::keyring::Keyring;
use crate::listener;
use crate::metrics::{Held, Metrics};
use crate::policy::{self, Policy};
use crate::registry::Registry;
use crate::tasks::Tasks;
use crate::tls;

/// Everything that decides about a new stream.
#[derive(Debug)]
pub struct Generation {
    /// Counts from 1, one for each set that took effect.
    pub number: u64,
    /// What was configured.
    pub settings: Settings,
    /// What decides.
    pub policy: Policy,
    /// What is on trial beside it.
    pub candidate: Option<Policy>,
    /// TLS towards gateways and other targets.
    pub upstream_tls: Option<tls::Client>,
    /// TLS towards ZooKeeper.
    pub zookeeper_tls: Option<tls::Client>,
    /// Listeners with their certificates.
    pub listeners: Vec<Arc<listener::Config>>,
    _held: Held,
}

/// Why a generation could not be made. All reasons at once.
#[derive(Debug, thiserror::Error)]
pub struct LoadErrors(pub Vec<LoadError>);

/// One reason why a generation could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A certificate, key, CA or CRL file.
    #[error(transparent)]
    Tls(#[from] tls::LoadError),
    /// The policy.
    #[error(transparent)]
    Policy(#[from] policy::LoadError),
    /// The policy on trial beside it.
    #[error("policy.candidate: {0}")]
    Candidate(#[source] policy::LoadError),
}

impl Generation {
    /// Reads every file that `settings` names. Reports all that is wrong.
    pub fn load(number: u64, settings: Settings, keyring: &Keyring, metrics: &Metrics) -> Result<Self, LoadErrors> {
        let mut errors = Vec::new();
        let read = |path: &Path| keyring.read(path);
        let listeners = load_listeners(&settings, &read, &mut errors);
        let upstream_tls = load_client(settings.upstream.tls.as_ref(), &read, &mut errors);
        let zookeeper_tls = load_client(settings.registry.tls(), &read, &mut errors);
        let place = policy::Place { zone: settings.zone.clone(), hostname: settings.hostname.clone() };
        let candidate = load_candidate(&settings.policy, &place, metrics, &mut errors);
        match Policy::load(&settings.policy, place, metrics.policy.clone()) {
            Ok(policy) if errors.is_empty() => {
                let _held = metrics.reloads.hold();
                Ok(Self { number, settings, policy, candidate, upstream_tls, zookeeper_tls, listeners, _held })
            }
            Ok(_) => Err(LoadErrors(errors)),
            Err(error) => {
                errors.push(error.into());
                Err(LoadErrors(errors))
            }
        }
    }

    /// Begins to follow the registry that is configured, in tasks of `tasks`.
    pub fn open_registry(&self, metrics: &Metrics, tasks: &Tasks) -> Registry {
        let metrics = metrics.registry.clone();
        match &self.settings.registry {
            settings::Registry::ZooKeeper(zookeeper) => {
                Registry::zookeeper(zookeeper, self.zookeeper_tls.clone(), metrics, tasks)
            }
            settings::Registry::File(file) => Registry::file(file, metrics, tasks),
        }
    }

    /// Which certificate or revocation list runs out first, and when.
    pub fn first_expiry(&self) -> Option<(PathBuf, SystemTime)> {
        let expiries = self.servers().flat_map(tls::Server::expiries);
        expiries.chain(self.clients().flat_map(tls::Client::expiries)).min_by_key(|(_, at)| *at).cloned()
    }

    /// What is used although it should be changed, each file's once.
    pub fn warnings(&self) -> Vec<tls::LoadWarning> {
        let warnings = self.servers().flat_map(tls::Server::warnings);
        let mut all = Vec::new();
        for warning in warnings.chain(self.clients().flat_map(tls::Client::warnings)) {
            if !all.contains(warning) {
                all.push(warning.clone());
            }
        }
        all
    }

    fn servers(&self) -> impl Iterator<Item = &tls::Server> {
        self.listeners.iter().filter_map(|listener| listener.tls.as_ref())
    }

    fn clients(&self) -> impl Iterator<Item = &tls::Client> {
        self.upstream_tls.iter().chain(&self.zookeeper_tls)
    }
}

fn load_listeners(
    wanted: &Settings,
    read: &tls::ReadFile<'_>,
    errors: &mut Vec<LoadError>,
) -> Vec<Arc<listener::Config>> {
    let mut listeners = Vec::new();
    for listener in &wanted.listeners {
        let (settings, stream) = (listener.clone(), wanted.stream.clone());
        match listener.tls.as_ref().map(|tls| tls::Server::load_from(tls, read)).transpose() {
            Ok(tls) => listeners.push(Arc::new(listener::Config { settings, tls, stream })),
            Err(broken) => errors.extend(broken.into_iter().map(LoadError::from)),
        }
    }
    listeners
}

/// A candidate that cannot be tried keeps the generation back like every other file that cannot be used: whoever
/// configured it waits to see what it does.
fn load_candidate(
    settings: &settings::Policy,
    place: &policy::Place,
    metrics: &Metrics,
    errors: &mut Vec<LoadError>,
) -> Option<Policy> {
    let scripts = &settings.candidate.as_ref()?.policy;
    let counted = metrics.candidate.policy(&metrics.policy);
    let loaded = Policy::load(scripts, place.clone(), counted);
    loaded.map_err(|error| errors.push(LoadError::Candidate(error))).ok()
}

fn load_client(
    wanted: Option<&settings::ClientTls>,
    read: &tls::ReadFile<'_>,
    errors: &mut Vec<LoadError>,
) -> Option<tls::Client> {
    wanted
        .map(|tls| tls::Client::load_from(tls, read))?
        .map_err(|broken| errors.extend(broken.into_iter().map(LoadError::from)))
        .ok()
}

impl fmt::Display for LoadErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}
