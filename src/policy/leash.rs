//! How long one run of a job may take with all its waits, and whether anybody still wants it. It measures and never
//! waits; processor time is the stopwatch's.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mlua::Lua;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::FailureKind;
use super::failure::Complaint;

/// Holds one engine, run by run.
#[derive(Debug)]
pub(super) struct Leash {
    deadline: Duration,
    stop: CancellationToken,
    origin: Instant,
    /// When the run must be over, in nanoseconds since `origin`.
    until: AtomicU64,
    /// The run was told to end; what it came to after that is an accident.
    struck: AtomicBool,
}

impl Leash {
    /// For runs of at most `deadline` each, and none once `stop` is told.
    pub(super) fn new(deadline: Duration, stop: CancellationToken) -> Self {
        let (until, struck) = (AtomicU64::new(u64::MAX), AtomicBool::new(false));
        Self { deadline, stop, origin: Instant::now(), until, struck }
    }

    /// Begins a new run.
    pub(super) fn start(&self) {
        let until = self.origin.elapsed() + self.deadline;
        self.until.store(nanos(until), Ordering::Relaxed);
        self.struck.store(false, Ordering::Relaxed);
    }

    /// What is left of the run's time.
    pub(super) fn left(&self) -> Duration {
        let until = self.until.load(Ordering::Relaxed);
        Duration::from_nanos(until.saturating_sub(nanos(self.origin.elapsed())))
    }

    /// Fails if the run that goes on in `lua` should not: from then on at every turn.
    pub(super) fn check(&self, lua: &Lua) -> mlua::Result<()> {
        if self.stop.is_cancelled() || self.left().is_zero() { Err(self.strike(lua)) } else { Ok(()) }
    }

    /// Ends the run that goes on in `lua` by this error.
    pub(super) fn strike(&self, lua: &Lua) -> mlua::Error {
        self.struck.store(true, Ordering::Relaxed);
        self.until.store(0, Ordering::Relaxed);
        let text = match self.stop.is_cancelled() {
            true => "the job was stopped: its policy decides no more".to_owned(),
            false => format!(
                "the job took {} with its waits, its background.deadline, and was stopped; give what it asks shorter \
                 timeouts, or raise the deadline",
                humantime::format_duration(self.deadline)
            ),
        };
        Complaint::raised(lua, FailureKind::Time, &text)
    }

    /// Reads what a run came to, and says so if it was told to end before.
    pub(super) fn stop<T>(&self, outcome: Result<T, Complaint>) -> Result<T, Complaint> {
        if !self.struck.load(Ordering::Relaxed) {
            return outcome;
        }
        match outcome {
            Err(complaint) if complaint.kind.is_limit() => Err(complaint),
            // Our own words that became a text on their way through a coroutine, or the script's instead of them.
            Err(complaint) => Err(Complaint { kind: FailureKind::Time, ..complaint }),
            Ok(_) => Err(Complaint::new(FailureKind::Time, None, "the job caught the error that stopped it")),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
