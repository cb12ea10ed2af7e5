//! The jobs of the generation in force: each policy's run one after another, when they are due, until the generation
//! ends. They run off the threads that serve streams, and never beside those of the generation before.

mod runner;
mod schedule;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info_span;

use self::runner::{Knowledge, Runner};
use super::outside::live::Live;
use super::{Outside, Policy, World};
use crate::metrics;
use crate::registry::Registry;
use crate::tasks::Tasks;

/// Runs at one time, of all policies. Each holds a thread of the pool for blocking work, of which tokio has 512, and
/// all others who look up names or read files need some as well.
const MAX_RUNS: usize = 64;

/// The background work of one relay.
pub struct Background {
    registry: Registry,
    world: Arc<World>,
    metrics: metrics::Policy,
    tasks: Tasks,
    turns: Arc<Semaphore>,
    running: Running,
}

/// The runners of one generation.
#[derive(Debug, Clone, Default)]
struct Running {
    stop: CancellationToken,
    runners: TaskTracker,
}

impl Background {
    /// Nothing at first. What comes will know `registry` and `world`, and be awaited by `tasks`.
    pub fn new(registry: Registry, world: Arc<World>, metrics: metrics::Policy, tasks: Tasks) -> Self {
        let turns = Arc::new(Semaphore::new(MAX_RUNS));
        Self { registry, world, metrics, tasks, turns, running: Running::default() }
    }

    /// Ends the jobs that run, and begins those of `policy`. Returns at once; call it inside of the runtime.
    pub fn replace(&mut self, policy: &Policy) {
        let next = Running::default();
        let last = mem::replace(&mut self.running, next.clone());
        last.end();
        let all = policy.jobs(&next.stop);
        if all.is_empty() {
            // What ends now may take its time: those who come next must still wait for it.
            self.running.runners = last.runners;
            return;
        }
        for jobs in all {
            let span = info_span!(parent: None, "background", policy = jobs.policy());
            let known = Knowledge { registry: self.registry.clone(), world: Arc::clone(&self.world) };
            let (turns, stop) = (Arc::clone(&self.turns), next.stop.clone());
            let runner = Runner::new(jobs, known, &self.metrics.jobs, turns, stop);
            let run = runner.run(last.runners.clone(), self.world_of(policy, &next.stop));
            self.tasks.spawn(span, next.runners.track_future(run));
        }
    }

    /// Ends the jobs that run, without waiting.
    pub fn stop(&self) {
        self.running.end();
    }

    /// Makes what the jobs of `policy` reach, off the threads that serve streams.
    fn world_of(&self, policy: &Policy, stop: &CancellationToken) -> impl FnOnce() -> Arc<dyn Outside> + use<> {
        let (runtime, folders) = (Handle::current(), Arc::clone(policy.folders()));
        let (stop, metrics) = (stop.clone(), self.metrics.clone());
        move || Arc::new(Live::new(runtime, folders, stop, metrics))
    }
}

impl Running {
    fn end(&self) {
        self.stop.cancel();
        // Whoever waits for the runners, waits for those that there are.
        self.runners.close();
    }
}

impl fmt::Debug for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").field("runners", &self.running.runners.len()).finish_non_exhaustive()
    }
}
