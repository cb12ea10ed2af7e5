//! How the jobs of one policy fare, for operators: metrics of every run, and one line of the log when it changes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::{debug, info, warn};

use crate::metrics::{self, ByJob, JobRun};
use crate::policy::Failure;

/// What is known of the runs of one policy's jobs. What it shows of the present goes with it.
#[derive(Debug)]
pub(super) struct Tally {
    metrics: metrics::Jobs,
    policy: String,
    /// Runs that failed since one did not, by job.
    failures: Vec<i64>,
}

impl Tally {
    /// Of `jobs` jobs, none of which ran yet.
    pub(super) fn new(metrics: &metrics::Jobs, policy: &str, jobs: usize) -> Self {
        let tally = Self { metrics: metrics.clone(), policy: policy.to_owned(), failures: vec![0; jobs] };
        (0..jobs).for_each(|job| drop(tally.metrics.failures.get_or_create(&tally.of(job))));
        tally
    }

    /// A run of `job`, asked for at `place`, came to `outcome`, and rests for `rest`.
    pub(super) fn note(&mut self, job: usize, place: &str, outcome: &Result<(), Failure>, rest: Duration) {
        let by = self.of(job);
        let Some(failures) = self.failures.get_mut(job) else { return };
        let before = *failures;
        *failures = if outcome.is_ok() { 0 } else { before + 1 };
        self.metrics.failures.get_or_create(&by).set(*failures);
        if outcome.is_ok() {
            self.metrics.last_success.get_or_create(&by).set(now());
        }
        let result = outcome.as_ref().map_or_else(|failure| failure.kind.as_str(), |()| "succeeded");
        let run = JobRun { policy: by.policy, job: by.job, result };
        self.metrics.runs.get_or_create(&run).inc();
        tell(job + 1, place, outcome, before, rest);
    }

    fn of(&self, job: usize) -> ByJob {
        ByJob { policy: self.policy.clone(), job: job as u64 + 1 }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        for by in (0..self.failures.len()).map(|job| self.of(job)) {
            let _shown = (self.metrics.failures.remove(&by), self.metrics.last_success.remove(&by));
        }
    }
}

/// Tells of the first failure and of the first success after one; the others are for who looks closer. Metrics have the
/// `job`'s number alone: the line in which it stands may change.
fn tell(job: usize, at: &str, outcome: &Result<(), Failure>, failures: i64, rest: Duration) {
    match outcome {
        Ok(()) if failures > 0 => info!(job, at, failures, "background work succeeds again"),
        Ok(()) => debug!(job, at, "background work succeeded"),
        Err(why) if failures == 0 => warn!(job, at, %why, again_in = ?rest, "background work failed"),
        Err(why) => debug!(job, at, %why, failures, again_in = ?rest, "background work failed again"),
    }
}

fn now() -> i64 {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::FailureKind;

    fn failed(kind: FailureKind) -> Result<(), Failure> {
        Err(Failure { kind, file: "a.lua".to_owned(), line: Some(1), message: "no".to_owned(), excerpt: None })
    }

    #[test]
    fn runs_are_counted_and_what_fails_now_is_shown() {
        let metrics = metrics::Jobs::default();
        let mut tally = Tally::new(&metrics, "mine", 2);
        let by = ByJob { policy: "mine".to_owned(), job: 2 };
        let shown = || (metrics.failures.get(&by).unwrap().get(), metrics.last_success.get(&by).is_some());
        assert_eq!(shown(), (0, false));
        tally.note(1, "a.lua:1", &failed(FailureKind::Error), Duration::ZERO);
        tally.note(1, "a.lua:1", &failed(FailureKind::Time), Duration::ZERO);
        assert_eq!(shown(), (2, false));
        tally.note(1, "a.lua:1", &Ok(()), Duration::ZERO);
        assert_eq!(shown(), (0, true));
        for (result, runs) in [("error", 1), ("time", 1), ("succeeded", 1), ("memory", 0)] {
            let run = JobRun { policy: "mine".to_owned(), job: 2, result };
            assert_eq!(metrics.runs.get_or_create(&run).get(), runs, "{result}");
        }
        drop(tally);
        assert!(metrics.failures.get(&by).is_none() && metrics.last_success.get(&by).is_none());
    }
}
