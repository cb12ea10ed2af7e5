//! Has one policy's jobs run when they are due, one after another. A run occupies a thread of the pool for blocking
//! work, and nothing does between two runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Span, warn};

use super::schedule::Schedule;
use super::tally::Tally;
use crate::metrics;
use crate::policy::{Failure, FailureKind, Jobs, Known, Outside, World};
use crate::registry::Registry;

/// Longest wait for the jobs of the generation before. They are aborted within milliseconds, unless the kernel holds
/// one.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where jobs know from what they know.
#[derive(Debug, Clone)]
pub(super) struct Knowledge {
    pub(super) registry: Registry,
    pub(super) world: Arc<World>,
}

/// One policy's jobs, and when to run them.
pub(super) struct Runner {
    /// Locked by one run at a time, and only there.
    jobs: Arc<Mutex<Jobs>>,
    policy: String,
    rests: Vec<Duration>,
    places: Vec<String>,
    known: Knowledge,
    metrics: metrics::Jobs,
    turns: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Runner {
    /// Of `jobs`, until `stop`, each run on one of the `turns`.
    pub(super) fn new(
        jobs: Jobs,
        known: Knowledge,
        metrics: &metrics::Jobs,
        turns: Arc<Semaphore>,
        stop: CancellationToken,
    ) -> Self {
        let (policy, metrics) = (jobs.policy().to_owned(), metrics.clone());
        let (rests, places) = (jobs.rests().collect(), (0..jobs.len()).map(|job| jobs.place(job)).collect());
        Self { policy, rests, places, jobs: Arc::new(Mutex::new(jobs)), known, metrics, turns, stop }
    }

    /// Runs the jobs once those of `before` have ended, and returns when they are stopped and none runs any more.
    /// `outside` makes the world that they reach, and may block.
    pub(super) async fn run(self, before: TaskTracker, outside: impl FnOnce() -> Arc<dyn Outside> + Send + 'static) {
        if timeout(PATIENCE, before.wait()).await.is_err() {
            warn!("background work of the generation before does not end; the new one's begins beside it");
        }
        // Of many generations in a row, those in between never begin, and keep the last one waiting for nothing.
        if self.stop.is_cancelled() {
            return;
        }
        let Ok(outside) = spawn_blocking(outside).await else { return };
        // Not before the last generation's is gone: they show the same.
        let mut tally = Tally::new(&self.metrics, &self.policy, self.places.len());
        let mut schedule = Schedule::new(self.rests.iter().copied(), Instant::now());
        while let Some((job, due)) = schedule.next() {
            let Some(turn) = self.stop.run_until_cancelled(self.turn(due)).await.flatten() else { break };
            let outcome = self.once(job, &outside).await;
            drop(turn);
            // What the end of its generation did to a run is nobody's failure.
            if self.stop.is_cancelled() {
                break;
            }
            let rest = schedule.ran(job, outcome.is_ok(), Instant::now());
            let place = self.places.get(job).map_or("", String::as_str);
            tally.note(job, place, &outcome, rest);
        }
    }

    /// Waits until a run is due, and then for its turn.
    async fn turn(&self, due: Instant) -> Option<OwnedSemaphorePermit> {
        sleep_until(due).await;
        // Nobody closes the semaphore.
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Runs `job` to its end.
    async fn once(&self, job: usize, outside: &Arc<dyn Outside>) -> Result<(), Failure> {
        let (jobs, known, outside, span) =
            (Arc::clone(&self.jobs), self.known.clone(), Arc::clone(outside), Span::current());
        let run = move || {
            let _in_span = span.enter();
            // A run that panicked took its engine with it; the rest is as good as before.
            let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let snapshot = known.registry.snapshot();
            jobs.run(job, &Known { snapshot: &snapshot, world: &known.world, at: outside.now() }, &outside)
        };
        spawn_blocking(run).await.unwrap_or_else(|_panicked| Err(self.broken(job)))
    }

    fn broken(&self, job: usize) -> Failure {
        let (file, message) =
            (self.places.get(job).cloned().unwrap_or_default(), "the relay itself failed at this job");
        Failure { kind: FailureKind::Error, file, line: None, message: message.to_owned(), excerpt: None }
    }
}
