//! How long a script has run, and when that is too long. Never yields: a script past its limit is aborted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mlua::{Lua, VmState};
use rustix::time::{ClockId, clock_gettime};

use super::FailureKind;
use super::failure::{self, Complaint};

/// Times one engine, call by call. All its methods belong to the engine's thread.
///
/// A busy machine must not turn good decisions into failures, so only time that the thread really ran counts in the
/// end. Its own clock costs a system call, and the wall clock none: the wall clock is asked until half the limit is
/// gone, and the thread's clock measures the other half.
#[derive(Debug)]
pub(super) struct Stopwatch {
    limit: Duration,
    origin: Instant,
    /// When to look again, in nanoseconds since `origin`.
    next_look: AtomicU64,
    /// The thread's clock at the first look, in nanoseconds; zero before it.
    first_look: AtomicU64,
    expired: AtomicBool,
}

impl Stopwatch {
    pub(super) fn new(limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            origin: Instant::now(),
            next_look: AtomicU64::new(0),
            first_look: AtomicU64::new(0),
            expired: AtomicBool::new(false),
        })
    }

    /// Begins a new call.
    pub(super) fn start(&self) {
        self.next_look.store(self.now() + nanos(self.limit / 2), Ordering::Relaxed);
        self.first_look.store(0, Ordering::Relaxed);
        self.expired.store(false, Ordering::Relaxed);
    }

    /// Whether the call was aborted. A script may catch the error, but not this.
    pub(super) fn expired(&self) -> bool {
        self.expired.load(Ordering::Relaxed)
    }

    /// Makes `lua` ask before every loop, call and return, and while it matches patterns.
    pub(super) fn watch(self: &Arc<Self>, lua: &Lua) {
        let watch = Arc::clone(self);
        lua.set_interrupt(move |lua| match watch.over() {
            true => Err(watch.complaint(lua)),
            false => Ok(VmState::Continue),
        });
    }

    fn over(&self) -> bool {
        let now = self.now();
        if now < self.next_look.load(Ordering::Relaxed) {
            return false;
        }
        let ran = thread_time();
        let half = nanos(self.limit / 2);
        let first_look = match self.first_look.load(Ordering::Relaxed) {
            0 => ran,
            earlier => earlier,
        };
        self.first_look.store(first_look, Ordering::Relaxed);
        let left = half.saturating_sub(ran.saturating_sub(first_look));
        self.next_look.store(now + left, Ordering::Relaxed);
        self.expired.store(left == 0, Ordering::Relaxed);
        left == 0
    }

    fn complaint(&self, lua: &Lua) -> mlua::Error {
        let limit = humantime::format_duration(self.limit);
        let text = format!("the policy ran for {limit} and was stopped; it loops, or time_limit is too short for it");
        mlua::Error::external(Complaint::new(FailureKind::Time, failure::line_now(lua), &text))
    }

    fn now(&self) -> u64 {
        nanos(self.origin.elapsed())
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Processor time of this thread, in nanoseconds; never zero.
fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let time = Duration::try_from(time).unwrap_or_default();
    nanos(time).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(watch: &Stopwatch, rounds: u32) -> bool {
        (0..rounds).any(|_| watch.over())
    }

    #[test]
    fn a_busy_thread_runs_out_of_time_and_a_new_call_starts_over() {
        let watch = Stopwatch::new(Duration::from_millis(2));
        watch.start();
        assert!(spin(&watch, u32::MAX));
        assert!(watch.expired());
        watch.start();
        assert!(!watch.expired());
    }

    #[test]
    fn time_in_which_the_thread_did_not_run_does_not_count() {
        let watch = Stopwatch::new(Duration::from_secs(1));
        watch.start();
        // As after a second in which other processes had the machine.
        watch.next_look.store(0, Ordering::Relaxed);
        assert!(!spin(&watch, 1));
        watch.next_look.store(0, Ordering::Relaxed);
        assert!(!spin(&watch, 1));
        assert!(!watch.expired());
    }
}
