//! How long a script has run, and when that is too long. Never yields: a script past its limit is aborted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mlua::{Lua, VmState};
use rustix::time::{ClockId, clock_gettime};

use super::FailureKind;
use super::depth::Depth;
use super::failure::{self, Complaint, Spot};

/// How old a reading of the thread's clock may be when a call begins. By so much a call may pass its limit.
const FRESH: Duration = Duration::from_millis(1);

/// No reading is from then: nothing is younger.
const NEVER: u64 = u64::MAX;

/// Times one engine, call by call. All its methods belong to the engine's thread.
///
/// A busy machine must not turn good decisions into failures, so only time that the thread really ran counts. Its
/// own clock costs a system call, and the wall clock none: the wall clock says when the limit can be gone at the
/// earliest, and only then is the thread's clock asked. When a call begins, a reading of the thread's clock that is
/// less than [`FRESH`] old is enough: in so much time the thread ran no longer than the wall clock.
///
/// While a call runs, the wall clock is looked at so often that even it would cost a lot. The kernel's coarse one is
/// behind it by at most a tick, mostly 4 ms, and is a mere number in memory: by so much a call is stopped later.
#[derive(Debug)]
pub(super) struct Stopwatch {
    limit: Duration,
    /// What the configuration calls it.
    key: &'static str,
    /// A reading of the thread's clock, and when it was taken, in nanoseconds of the wall clock.
    read: AtomicU64,
    read_at: AtomicU64,
    /// When to look again, in nanoseconds of the wall clock.
    next_look: AtomicU64,
    /// The latest that the thread's clock can have shown when the call began, in nanoseconds.
    began: AtomicU64,
    expired: AtomicBool,
}

impl Stopwatch {
    /// Allows `limit` a call, which the configuration calls `key`.
    pub(super) fn new(limit: Duration, key: &'static str) -> Arc<Self> {
        Arc::new(Self {
            limit,
            key,
            read: AtomicU64::new(0),
            read_at: AtomicU64::new(NEVER),
            next_look: AtomicU64::new(0),
            began: AtomicU64::new(0),
            expired: AtomicBool::new(false),
        })
    }

    /// Begins a new call.
    pub(super) fn start(&self) {
        let now = time(ClockId::Monotonic);
        self.next_look.store(now.saturating_add(nanos(self.limit)), Ordering::Relaxed);
        self.began.store(self.latest_thread_time(now), Ordering::Relaxed);
        self.expired.store(false, Ordering::Relaxed);
    }

    /// Forgets what belongs to the thread: the next call may begin on another one.
    pub(super) fn leave_thread(&self) {
        self.read_at.store(NEVER, Ordering::Relaxed);
    }

    /// The thread's clock at `now`, or up to [`FRESH`] later: a call may run so much longer, and never shorter.
    fn latest_thread_time(&self, now: u64) -> u64 {
        let age = now.checked_sub(self.read_at.load(Ordering::Relaxed));
        if let Some(age) = age.filter(|age| *age < nanos(FRESH)) {
            return self.read.load(Ordering::Relaxed) + age;
        }
        let read = time(ClockId::ThreadCPUTime);
        self.read.store(read, Ordering::Relaxed);
        self.read_at.store(now, Ordering::Relaxed);
        read
    }

    /// Ends a call that came to `outcome`, and says so if it ran too long: whatever it came to then is an accident.
    pub(super) fn stop<T>(&self, outcome: Result<T, Complaint>) -> Result<T, Complaint> {
        let aborted = self.expired.load(Ordering::Relaxed);
        match outcome {
            Err(complaint) if complaint.kind.is_limit() => Err(complaint),
            // Our own words that became a text on their way through a coroutine, or the script's instead of them.
            Err(complaint) if aborted => Err(Complaint { kind: FailureKind::Time, ..complaint }),
            Ok(_) if aborted => {
                Err(Complaint::new(FailureKind::Time, None, "the policy caught the error that stopped it"))
            }
            // One call into the library, which nothing could stop.
            outcome if self.over_by(ClockId::Monotonic) => {
                Err(self.complaint(outcome.err().and_then(|complaint| complaint.spot)))
            }
            outcome => outcome,
        }
    }

    /// Makes `lua` ask before every loop, call and return, and while it matches patterns; for its `depth` as well, and
    /// for what `more` may have against its going on.
    pub(super) fn watch(
        self: &Arc<Self>,
        lua: &Lua,
        depth: &Arc<Depth>,
        more: impl Fn(&Lua) -> mlua::Result<()> + Send + 'static,
    ) {
        let (watch, depth) = (Arc::clone(self), Arc::clone(depth));
        lua.set_interrupt(move |lua| match watch.over_by(ClockId::MonotonicCoarse) {
            true => Err(mlua::Error::external(watch.complaint(failure::spot_now(lua)))),
            false => depth.check(lua).and_then(|()| more(lua)).map(|()| VmState::Continue),
        });
    }

    fn over_by(&self, clock: ClockId) -> bool {
        let now = time(clock);
        if now < self.next_look.load(Ordering::Relaxed) {
            return false;
        }
        let ran = time(ClockId::ThreadCPUTime).saturating_sub(self.began.load(Ordering::Relaxed));
        let left = nanos(self.limit).saturating_sub(ran);
        self.next_look.store(now.saturating_add(left), Ordering::Relaxed);
        self.expired.store(left == 0, Ordering::Relaxed);
        left == 0
    }

    fn complaint(&self, spot: Option<Spot>) -> Complaint {
        let (limit, key) = (humantime::format_duration(self.limit), self.key);
        let text = format!("the policy ran for {limit} and was stopped; it loops, or {key} is too short for it");
        Complaint::new(FailureKind::Time, spot, &text)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What `clock` shows, in nanoseconds.
fn time(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    nanos(Duration::try_from(time).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest that kernels have.
    const TICK: Duration = Duration::from_millis(10);

    fn spin(watch: &Stopwatch, rounds: u32) -> bool {
        (0..rounds).any(|_| watch.over_by(ClockId::MonotonicCoarse))
    }

    #[test]
    fn a_busy_thread_runs_out_of_time_and_a_new_call_starts_over() {
        let watch = Stopwatch::new(Duration::from_millis(2), "time_limit");
        watch.start();
        assert!(spin(&watch, u32::MAX));
        watch.stop(Ok(())).unwrap_err();
        watch.start();
        watch.stop(Ok(())).unwrap();
    }

    #[test]
    fn a_call_that_never_asked_is_told_at_its_end() {
        let watch = Stopwatch::new(Duration::from_millis(2), "time_limit");
        watch.start();
        let began = time(ClockId::ThreadCPUTime);
        while time(ClockId::ThreadCPUTime) - began <= nanos(watch.limit) {}
        let complaint = watch.stop(Ok(())).unwrap_err();
        assert_eq!(complaint.kind, FailureKind::Time);
        assert!(complaint.text.contains("ran for 2ms"), "{complaint}");
    }

    #[test]
    fn time_in_which_the_thread_did_not_run_does_not_count() {
        let watch = Stopwatch::new(Duration::from_secs(1), "time_limit");
        watch.start();
        // As after a second in which other processes had the machine.
        watch.next_look.store(0, Ordering::Relaxed);
        assert!(!spin(&watch, 1));
        watch.next_look.store(0, Ordering::Relaxed);
        assert!(!spin(&watch, 1));
        watch.stop(Ok(())).unwrap();
    }

    #[test]
    fn a_call_that_begins_on_a_fresh_reading_still_runs_out_of_time() {
        let watch = Stopwatch::new(Duration::from_millis(2), "time_limit");
        watch.start();
        watch.start();
        let began = time(ClockId::ThreadCPUTime);
        assert!(spin(&watch, u32::MAX));
        assert!(time(ClockId::ThreadCPUTime) - began < nanos(watch.limit + FRESH + 2 * TICK));
    }

    #[test]
    fn another_threads_clock_does_not_count() {
        let watch = Stopwatch::new(Duration::from_secs(1), "time_limit");
        watch.start();
        watch.read.store(u64::MAX / 2, Ordering::Relaxed);
        watch.leave_thread();
        watch.start();
        assert!(watch.began.load(Ordering::Relaxed) <= time(ClockId::ThreadCPUTime));
    }
}
