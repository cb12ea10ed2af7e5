//! The metrics of decisions, looked up once so that counting takes no lock.

use prometheus_client::metrics::counter::Counter;

use super::{Explained, Failure, FailureKind};
use crate::metrics::{self, ByReason};
use crate::route::Way;

/// One counter for each way that a decision can end.
pub(super) struct Counters {
    routed: Counter,
    replied: Counter,
    refused: Counter,
    failed: Counter,
    failures: [Counter; FailureKind::ALL.len()],
}

impl Counters {
    pub(super) fn new(metrics: &metrics::Policy) -> Self {
        let decisions = |reason| metrics.decisions.get_or_create_owned(&ByReason { reason });
        let failures = |kind: FailureKind| metrics.failures.get_or_create_owned(&ByReason { reason: kind.as_str() });
        Self {
            routed: decisions("routed"),
            replied: decisions("replied"),
            refused: decisions("refused"),
            failed: decisions("failed"),
            failures: FailureKind::ALL.map(failures),
        }
    }

    pub(super) fn count(&self, outcome: &Result<Explained, Failure>) {
        match outcome {
            Ok(explained) => self.of(&explained.route.way).inc(),
            Err(failure) => {
                self.count_failure(failure.kind);
                self.failed.inc()
            }
        };
    }

    /// Counts a failure of a call that decides nothing.
    pub(super) fn count_failure(&self, kind: FailureKind) {
        if let Some(counter) = self.failures.get(kind as usize) {
            counter.inc();
        }
    }

    fn of(&self, way: &Way) -> &Counter {
        match way {
            Way::Targets(_) => &self.routed,
            Way::Reply(_) => &self.replied,
            Way::Refuse(_) => &self.refused,
        }
    }
}
