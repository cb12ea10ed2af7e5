//! When each job of a policy is due. Time comes in as an argument, and nothing is done here.
//!
//! A job rests after a run has ended, however long that took, so that no job follows on its own heels or catches up.

use std::time::Duration;

use tokio::time::Instant;

/// Times of its own rest that a job rests at most because it failed.
const MOST: u32 = 16;

/// Longest rest that failing makes. A job may ask for a longer one.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// When each job is due, by its number.
#[derive(Debug)]
pub(super) struct Schedule(Vec<Turn>);

#[derive(Debug)]
struct Turn {
    rest: Duration,
    due: Instant,
    /// Runs that failed since one did not.
    failures: u32,
}

impl Schedule {
    /// Every job is due `now`, and rests for its time after each run.
    pub(super) fn new(rests: impl Iterator<Item = Duration>, now: Instant) -> Self {
        Self(rests.map(|rest| Turn { rest, due: now, failures: 0 }).collect())
    }

    /// The job that is due first, and when; of several, the one that was asked for first.
    pub(super) fn next(&self) -> Option<(usize, Instant)> {
        self.0.iter().map(|turn| turn.due).enumerate().min_by_key(|(_, due)| *due)
    }

    /// A run of `job` ended `now`. Returns how long it rests.
    pub(super) fn ran(&mut self, job: usize, succeeded: bool, now: Instant) -> Duration {
        let Some(turn) = self.0.get_mut(job) else { return Duration::ZERO };
        turn.failures = if succeeded { 0 } else { turn.failures.saturating_add(1) };
        let rest = turn.next_rest();
        turn.due = now + rest;
        rest
    }
}

impl Turn {
    fn next_rest(&self) -> Duration {
        let times = 1_u32.checked_shl(self.failures).unwrap_or(MOST).min(MOST);
        self.rest.saturating_mul(times).min(LONGEST.max(self.rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn rests_after_failures(rest: Duration, failures: usize) -> Vec<u64> {
        let now = Instant::now();
        let mut schedule = Schedule::new([rest].into_iter(), now);
        (0..failures).map(|_| schedule.ran(0, false, now).as_secs()).collect()
    }

    #[test]
    fn a_job_that_fails_rests_twice_as_long_each_time_up_to_a_bound() {
        assert_eq!(rests_after_failures(SECOND, 6), [2, 4, 8, 16, 16, 16]);
        assert_eq!(rests_after_failures(SECOND, 100).last(), Some(&16));
        assert_eq!(rests_after_failures(1000 * SECOND, 3), [2000, 3600, 3600]);
        assert_eq!(rests_after_failures(5000 * SECOND, 2), [5000, 5000]);
    }

    #[test]
    fn one_success_ends_the_longer_rests() {
        let now = Instant::now();
        let mut schedule = Schedule::new([SECOND].into_iter(), now);
        let rests = [false, false, true, true, false].map(|succeeded| schedule.ran(0, succeeded, now).as_secs());
        assert_eq!(rests, [2, 4, 1, 1, 2]);
    }

    #[test]
    fn all_are_due_at_first_in_their_order_and_then_as_they_rested() {
        let now = Instant::now();
        let mut schedule = Schedule::new([3 * SECOND, SECOND].into_iter(), now);
        assert_eq!(schedule.next(), Some((0, now)));
        let _rest = schedule.ran(0, true, now);
        assert_eq!(schedule.next(), Some((1, now)));
        // It ended two seconds later: the time of a run is no part of the rest.
        let _rest = schedule.ran(1, true, now + 2 * SECOND);
        assert_eq!(schedule.next(), Some((0, now + 3 * SECOND)));
        let _rest = schedule.ran(0, true, now + 3 * SECOND);
        assert_eq!(schedule.next(), Some((1, now + 3 * SECOND)));
        assert_eq!(Schedule::new(std::iter::empty(), now).next(), None);
    }
}
