//! One policy's jobs, on an engine of their own. Whoever has them says when each of them runs: time, waiting and
//! failing again are not this room's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mlua::Function;
use tokio_util::sync::CancellationToken;

use super::engine::Engine;
use super::failure::Spot;
use super::leash::Leash;
use super::outside::{Outside, Reach};
use super::program::Program;
use super::{Failure, Known};

/// The jobs that a script asked for while it was loaded.
#[derive(Debug, Default)]
pub(super) struct Asked(pub(super) Vec<Job>);

/// A job, as one engine has it.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) planned: Planned,
    pub(super) work: Function,
}

/// When a job is to be done, and where it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) every: Duration,
    pub(super) spot: Option<Spot>,
}

/// One policy's jobs, numbered from 0 in the order in which its script asks for them.
pub struct Jobs {
    policy: String,
    program: Program,
    planned: Arc<[Planned]>,
    leash: Arc<Leash>,
    /// Absent before the first run, while one runs, and after a limit was hit.
    engine: Option<Engine>,
}

impl Jobs {
    pub(super) fn new(policy: &str, program: &Program, planned: &Arc<[Planned]>, stop: &CancellationToken) -> Self {
        let leash = Arc::new(Leash::new(program.background.deadline, stop.clone()));
        let (program, planned) = (program.in_background(), Arc::clone(planned));
        Self { policy: policy.to_owned(), program, planned, leash, engine: None }
    }

    /// The name of the policy.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// How many there are; always some.
    pub fn len(&self) -> usize {
        self.planned.len()
    }

    /// Whether there are none, which [`super::Policy::jobs`] never returns.
    pub fn is_empty(&self) -> bool {
        self.planned.is_empty()
    }

    /// How long each of them rests between two runs.
    pub fn rests(&self) -> impl Iterator<Item = Duration> {
        self.planned.iter().map(|planned| planned.every)
    }

    /// Where `job` was asked for, as `file:line`.
    pub fn place(&self, job: usize) -> String {
        let (file, line) = self.program.locate(self.planned.get(job).and_then(|planned| planned.spot));
        match line {
            Some(line) => format!("{file}:{line}"),
            None => file,
        }
    }

    /// Runs `job` to its end, in which it reaches the world by `outside`. Blocks this thread, for at most the
    /// configured deadline.
    ///
    /// # Errors
    /// What the script did wrong, or which of its limits it hit. The next run begins as if this one had not been,
    /// but for what it wrote to the shared table.
    pub fn run(&mut self, job: usize, known: &Known<'_>, outside: &Arc<dyn Outside>) -> Result<(), Failure> {
        self.leash.start();
        let engine = match self.engine.take() {
            Some(engine) => engine,
            None => {
                Engine::start_on(&self.leash, &self.program).map_err(|complaint| self.program.failure(complaint))?
            }
        };
        engine.lend(Some(Reach { outside: Arc::clone(outside), leash: Arc::clone(&self.leash) }));
        let outcome = self.leash.stop(engine.work(job, known)).map_err(|complaint| self.program.failure(complaint));
        engine.lend::<Reach>(None);
        // A limit may strike between any two instructions: what the script left half done goes with its engine.
        if !outcome.as_ref().is_err_and(|failure| failure.kind.is_limit()) {
            self.engine = Some(engine);
        }
        outcome
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("policy", &self.policy).field("jobs", &self.planned.len()).finish_non_exhaustive()
    }
}
