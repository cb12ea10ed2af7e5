//! From a configuration to a serving relay, in the one order that works: what needs root comes before root is given
//! up, and nobody hears of the relay before it can serve.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{Service, Signals, all, load, systemd, watched};
use crate::command::{CommandSocket, Order};
use crate::config::settings::Process;
use crate::config::{Loaded, Source};
use crate::keyring::Keyring;
use crate::listener::Passed;
use crate::logging::Logging;
use crate::metrics::Metrics;
use crate::monitoring::Monitoring;
use crate::process::{self, PidFile};
use crate::relay::Relay;
use crate::standing::Standing;
use crate::tasks::Tasks;
use crate::watch::Watcher;
use crate::workers::Workers;

/// How often files are looked at for changes that the kernel does not report.
const POLL_FILES: Duration = Duration::from_secs(5);

impl Service {
    /// Starts the relay that `loaded` describes, its streams on `workers`. `source` is read again at every reload.
    pub async fn start(
        source: Source,
        loaded: Loaded,
        passed: Passed,
        workers: Workers,
        logging: Logging,
    ) -> Result<Self> {
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let (metrics, tasks, settings) = (Metrics::new(), Tasks::new(), loaded.settings);
        let keyring = Arc::<Keyring>::default();
        let signals = Signals::new().context("cannot listen for signals")?;
        let generation = load(1, settings.clone(), &keyring, &metrics).await?;
        let relay = Relay::bind(generation, passed, workers, Arc::clone(&metrics)).map_err(all)?;
        let standing = watch::Sender::new(Standing::on(1, "the start", Vec::new()));
        let monitoring = Monitoring::new(relay.health(), standing.subscribe(), Arc::clone(&metrics), tasks.clone());
        let port = monitoring.plan(settings.monitoring.as_ref()).map_err(all)?;
        let (pid_file, orders) = settle(&settings.process, &tasks).await?;
        keyring.warn_of_unreadable();
        let (watcher, watchdog) = (Watcher::new(&tasks, POLL_FILES), systemd::Watchdog::new());
        // By the user that looks at them from now on: what root alone can read would seem to have changed.
        watcher.set(watched(&source, &settings)).await;
        let mut service = Self {
            source,
            keyring,
            relay,
            monitoring,
            pid_file,
            metrics,
            standing,
            logging,
            watcher,
            orders,
            signals,
            deferred: None,
            watchdog,
            tasks,
        };
        service.monitoring.apply(port);
        service.relay.serve();
        systemd::ready();
        info!(version = env!("CARGO_PKG_VERSION"), "serving");
        Ok(service)
    }
}

/// Leaves root, if it is to be left. The process file lies where only root may write more often than not; the command
/// socket must belong to the user.
async fn settle(settings: &Process, tasks: &Tasks) -> Result<(Option<PidFile>, Option<mpsc::Receiver<Order>>)> {
    let pid_file = settings.pid_file.as_deref().map(PidFile::write).transpose()?;
    if let Some(user) = &settings.user {
        process::drop_to(user).context("process.user")?;
    }
    let orders = match &settings.command_socket {
        Some(path) => Some(CommandSocket::bind(path).await?.serve(tasks)),
        None => None,
    };
    Ok((pid_file, orders))
}
