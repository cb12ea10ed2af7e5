//! The relay as an operator meets it: started from a file, told what to do by signals, the command socket, systemd
//! and changing files, and stopped without losing a stream.

mod reload;
mod start;
mod systemd;

use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::command::{Command, Order, Outcome};
use crate::config::settings::{DryRun, Settings};
use crate::config::{Loaded, Source};
use crate::generation::Generation;
use crate::keyring::Keyring;
use crate::logging::Logging;
use crate::metrics::Metrics;
use crate::monitoring::Monitoring;
use crate::process::PidFile;
use crate::registry::State;
use crate::relay::Relay;
use crate::shared::Shared;
use crate::standing::Standing;
use crate::tasks::Tasks;
use crate::trial::{Comparison, Trial};
use crate::watch::{Watched, Watcher};

/// Longest time that reading a new generation may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest time that a new policy is tried out for. What is left then is not tried.
const TRIAL: Duration = Duration::from_secs(10);

/// What commands other than `stop` are told after the first one.
const STOPPING: &str = "the relay is stopping";

/// What is answered where there is no policy on trial.
const NO_CANDIDATE: &str =
    "there is no candidate: give policy.candidate a file or a folder in the configuration, and reload";

/// Longest wait for tasks that have nothing left to do.
const END: Duration = Duration::from_secs(5);

/// A relay with everything around it.
#[derive(Debug)]
pub struct Service {
    source: Source,
    keyring: Arc<Keyring>,
    relay: Relay,
    monitoring: Monitoring,
    pid_file: Option<PidFile>,
    metrics: Arc<Metrics>,
    standing: watch::Sender<Standing>,
    logging: Logging,
    watcher: Watcher,
    orders: Option<mpsc::Receiver<Order>>,
    signals: Signals,
    /// A signal that came while something else was done.
    deferred: Option<Wish>,
    watchdog: systemd::Watchdog,
    tasks: Tasks,
}

/// The next generation in the making. It changes nothing but what is watched.
struct Next<'a> {
    source: &'a Source,
    running: &'a Arc<Generation>,
    shared: &'a Arc<Shared>,
    keyring: &'a Arc<Keyring>,
    metrics: &'a Arc<Metrics>,
}

#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// What somebody outside wants.
#[derive(Debug)]
enum Wish {
    Stop(&'static str),
    Reload(String),
    Obey(Order),
    SignOfLife,
}

impl Service {
    /// Serves until told to stop, then until the streams have ended or the drain deadline has passed.
    pub async fn run(mut self) -> Result<()> {
        loop {
            match self.next_wish().await {
                Wish::SignOfLife => systemd::alive(),
                // Whoever is concerned reads the log.
                Wish::Reload(by) => drop(self.reload(&by).await),
                Wish::Stop(by) => return self.stop(by).await,
                Wish::Obey(Order { command: Command::Stop, answer }) => {
                    let _unheard = answer.send(Ok(String::new()));
                    return self.stop("command socket").await;
                }
                Wish::Obey(Order { command, answer }) => {
                    // Zuul's own client does not wait for an answer.
                    let _unheard = answer.send(self.obey(command).await);
                }
            }
        }
    }

    async fn next_wish(&mut self) -> Wish {
        if let Some(wish) = self.deferred.take() {
            return wish;
        }
        tokio::select! {
            signal = self.signals.next() => signal,
            order = next_order(&mut self.orders) => Wish::Obey(order),
            changed = self.watcher.changed() => Wish::Reload(names(&changed)),
            () = self.watchdog.due() => Wish::SignOfLife,
        }
    }

    async fn obey(&mut self, command: Command) -> Outcome {
        match command {
            Command::Reload => self.reload("command socket").await?,
            Command::Pause => self.relay.become_state(State::Paused),
            Command::Unpause => self.relay.become_state(State::Running),
            Command::Shadow => return self.shadow(),
            Command::Stop => {}
        }
        Ok(String::new())
    }

    /// How the candidate stands, as JSON.
    fn shadow(&self) -> Outcome {
        let deciding = self.relay.shared().deciding();
        let candidate = deciding.candidate.as_ref().ok_or_else(|| vec![NO_CANDIDATE.to_owned()])?;
        serde_json::to_string(&candidate.view()).map_err(|error| vec![error.to_string()])
    }

    /// Loads everything again and puts it in force, or leaves everything as it is and says why.
    async fn reload(&mut self, by: &str) -> Result<(), Vec<String>> {
        systemd::reloading();
        let outcome = self.try_reload().await.map_err(|why| format!("{why:#}"));
        systemd::ready();
        self.note(by, &outcome);
        match outcome {
            Ok((generation, needs_restart)) if needs_restart.is_empty() => info!(by, generation, "reloaded"),
            Ok((generation, needs_restart)) => {
                warn!(by, generation, ?needs_restart, "reloaded, but for keys that only a restart can change");
            }
            Err(why) => {
                error!(by, why, "reload refused; the last good generation goes on");
                return Err(why.lines().map(str::to_owned).collect());
            }
        }
        Ok(())
    }

    /// Shows what a reload came to; before it is counted, because who saw the counter move asks for the reason.
    fn note(&self, by: &str, outcome: &Result<(u64, Vec<&'static str>), String>) {
        let standing = match outcome {
            Ok((generation, needs_restart)) => Standing::on(*generation, by, needs_restart.clone()),
            Err(why) => self.standing.borrow().refusing(by, why),
        };
        self.standing.send_replace(standing);
        self.metrics.reloads.count(outcome.is_ok());
    }

    /// The number of the new generation, and the keys that kept their old value.
    async fn try_reload(&mut self) -> Result<(u64, Vec<&'static str>)> {
        let shared = Arc::clone(self.relay.shared());
        let running = shared.generation();
        let next = Next {
            source: &self.source,
            running: &running,
            shared: &shared,
            keyring: &self.keyring,
            metrics: &self.metrics,
        };
        let loading = timeout(PATIENCE, next.load(&self.watcher));
        tokio::pin!(loading);
        let (generation, fixed) = loop {
            tokio::select! {
                loaded = &mut loading => break loaded.context("a file could not be read in time")??,
                wish = self.signals.next() => keep(&mut self.deferred, wish),
                () = self.watchdog.due() => systemd::alive(),
            }
        };
        // All that can fail comes before all that changes something.
        let port = self.monitoring.plan(generation.settings.monitoring.as_ref()).map_err(all)?;
        let plan = self.relay.plan(&generation).map_err(all)?;
        self.logging.change(&generation.settings.log)?;
        self.monitoring.apply(port);
        let number = generation.number;
        self.relay.adopt(generation, plan);
        Ok((number, fixed))
    }

    /// Closes the door, waits for the streams, ends. A second signal ends the wait.
    async fn stop(mut self, by: &str) -> Result<()> {
        let patience = self.relay.shared().generation().settings.stream.drain_timeout;
        self.relay.close().await;
        let streams = self.relay.open_streams();
        info!(by, streams, "stopping: no new viewers; waiting for streams to end");
        systemd::stopping(streams);
        if !self.drain(patience).await {
            warn!(streams = self.relay.open_streams(), "ending streams that still run");
        }
        self.relay.end().await;
        drop(self.pid_file.take());
        self.tasks.stop();
        let _ended = self.tasks.ended_within(END).await;
        info!("stopped");
        Ok(())
    }

    async fn drain(&mut self, patience: Duration) -> bool {
        let drained = self.relay.drained_within(patience);
        tokio::pin!(drained);
        loop {
            tokio::select! {
                ended = &mut drained => return ended,
                Wish::Stop(_) = self.signals.next() => return false,
                order = next_order(&mut self.orders) => {
                    let stop = order.command == Command::Stop;
                    let _unheard = order.answer.send(if stop { Ok(String::new()) } else { Err(vec![STOPPING.to_owned()]) });
                    if stop {
                        return false;
                    }
                }
                () = self.watchdog.due() => systemd::alive(),
            }
        }
    }
}

impl Next<'_> {
    async fn load(&self, watcher: &Watcher) -> Result<(Generation, Vec<&'static str>)> {
        let source = self.source.clone();
        let mut draft = spawn_blocking(move || source.draft()).await?;
        let mut fixed = Vec::new();
        if let Some(Loaded { settings, .. }) = &mut draft.loaded {
            fixed = reload::keep_fixed(settings, &self.running.settings);
            // Before the files are read, so that no change is missed in between; and also with problems, because what
            // mends them may be in an overlay that is new.
            watcher.set(watched(self.source, settings)).await;
        }
        let Loaded { settings, warnings, .. } = draft.usable()?;
        for warning in &warnings {
            warn!("{warning}");
        }
        let generation = load(self.running.number + 1, settings, self.keyring, self.metrics).await?;
        let rule = generation.settings.policy.dry_run;
        if rule != DryRun::Off && !generation.policy.is(&self.running.policy) {
            self.try_out(&generation, rule).await?;
        }
        Ok((generation, fixed))
    }

    /// Lets the policy of `next` decide every running build, as a relay of each zone would, and refuses it if it breaks
    /// `rule`.
    async fn try_out(&self, next: &Generation, rule: DryRun) -> Result<()> {
        let (running, candidate) = (Arc::clone(self.running), next.policy.clone());
        let listeners = next.settings.listeners.clone();
        let shared = Arc::clone(self.shared);
        let deadline = Instant::now() + TRIAL;
        let trying = move || {
            let snapshot = shared.registry.snapshot();
            Trial::new(&running, &candidate, &listeners, shared.known(&snapshot)).run(deadline)
        };
        let found = spawn_blocking(trying).await?;
        let Comparison { builds, zones, decisions, left_out, .. } = found;
        if let Some(worst) = found.objection(rule) {
            let (harmed, allowing) = (found.harmed(rule), found.allowed_by());
            bail!(
                "the new policy was tried on {builds} running builds for {zones} zones, and would harm {harmed} of \
                 {decisions} decisions:\n{worst}\nfingerpost policy diff shows all of it, with the old policy in place and \
                 the new one as its FILE; if it is meant, set policy.dry_run: {allowing}"
            );
        }
        let changed = found.changes.len();
        match left_out {
            0 => info!(builds, zones, decisions, changed, "the new policy was tried"),
            _ => warn!(
                builds,
                zones,
                decisions,
                changed,
                left_out,
                "the new policy was tried on a part of the decisions only, because time ran out; it takes over all the same"
            ),
        }
        Ok(())
    }
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload("SIGHUP".to_owned()),
        }
    }
}

/// The next order; none ever comes where there is no command socket.
async fn next_order(orders: &mut Option<mpsc::Receiver<Order>>) -> Order {
    match orders {
        Some(orders) => match orders.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// Remembers `wish`, but nothing in place of a stop.
fn keep(deferred: &mut Option<Wish>, wish: Wish) {
    if !matches!(deferred, Some(Wish::Stop(_))) {
        *deferred = Some(wish);
    }
}

/// Every file and folder whose change makes another generation.
fn watched(source: &Source, settings: &Settings) -> Vec<Watched> {
    let files = settings.files().into_iter().chain([source.file().to_owned()]).map(Watched::File);
    let folders = settings.policy.folders().map(|(folder, suffixes)| Watched::Folder(folder, suffixes));
    files.chain(folders).collect()
}

/// Reads what `settings` names, off the threads that serve streams.
async fn load(number: u64, settings: Settings, keyring: &Arc<Keyring>, metrics: &Arc<Metrics>) -> Result<Generation> {
    let (keyring, metrics) = (Arc::clone(keyring), Arc::clone(metrics));
    let generation = spawn_blocking(move || Generation::load(number, settings, &keyring, &metrics)).await??;
    for warning in generation.warnings() {
        warn!("{warning}");
    }
    Ok(generation)
}

/// Several errors as one, each on a line of its own.
fn all<E: Display>(errors: Vec<E>) -> anyhow::Error {
    anyhow!(errors.iter().map(E::to_string).collect::<Vec<_>>().join("\n"))
}

fn names(files: &[PathBuf]) -> String {
    files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
}
