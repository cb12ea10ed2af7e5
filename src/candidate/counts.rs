//! What a candidate did, counted twice: since it began beside this active policy, and for the metrics, which live as
//! long as the process. Counting takes no lock: it is done at every request.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;

use super::tally::{Pair, Tally};
use crate::config::settings::DryRun;
use crate::metrics::{self, ByReason, Trialled};
use crate::trial::Kind;

/// What a candidate did.
pub(super) struct Counts {
    /// Decisions like the active policy's.
    pub(super) same: Count,
    /// Others, in the order of [`Kind::ALL`].
    different: [Count; Kind::ALL.len()],
    /// Requests about which it was not asked, because it had hit a limit just before.
    pub(super) unasked: Count,
    /// Requests that it decided.
    pub(super) taken: Count,
    /// Requests that were its to decide, and that the active policy decided because it did not.
    pub(super) fell_back: Count,
    /// Decisions at which the active policy failed.
    pub(super) active_failed: AtomicU64,
    streams: metrics::Candidate,
}

/// One number.
pub(super) struct Count {
    here: AtomicU64,
    overall: Counter,
}

/// Decisions of both, since the beginning.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Decisions {
    total: u64,
    errors: u64,
    active_errors: u64,
}

impl Counts {
    pub(super) fn new(metrics: &metrics::Candidate) -> Self {
        let of = |family: &metrics::Reasons, reason| Count::new(family.get_or_create_owned(&ByReason { reason }));
        Self {
            same: of(&metrics.compared, "same"),
            different: Kind::ALL.map(|kind| of(&metrics.compared, kind.as_str())),
            unasked: of(&metrics.compared, "unasked"),
            taken: of(&metrics.requests, "taken"),
            fell_back: of(&metrics.requests, "fell_back"),
            active_failed: AtomicU64::new(0),
            streams: metrics.clone(),
        }
    }

    /// Decisions that differ in this way.
    pub(super) fn of(&self, kind: Kind) -> Option<&Count> {
        self.different.get(kind as usize)
    }

    /// A stream that ended; for the metrics only.
    pub(super) fn ended(&self, by_candidate: bool, failed: bool) {
        let policy = if by_candidate { "candidate" } else { "active" };
        let result = if failed { "failed" } else { "fine" };
        self.streams.streams.get_or_create(&Trialled { policy, result }).inc();
    }

    /// How many decisions were compared, and how many of these are errors where `rule` holds.
    pub(super) fn decisions(&self, rule: DryRun) -> Decisions {
        let of = |kind| self.of(kind).map_or(0, Count::get);
        // Errors first: whoever counts meanwhile makes a rate smaller and none greater.
        let errors = Kind::ALL.into_iter().filter(|kind| kind.breaks(rule)).map(of).sum();
        let active_errors = self.active_failed.load(Ordering::Relaxed);
        let total = self.same.get() + Kind::ALL.map(of).iter().sum::<u64>();
        Decisions { total, errors, active_errors }
    }
}

impl Decisions {
    pub(super) fn total(self) -> u64 {
        self.total
    }

    /// Those that came since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Pair {
        let total = self.total.saturating_sub(earlier.total);
        Pair {
            active: Tally::new(total, self.active_errors.saturating_sub(earlier.active_errors)),
            candidate: Tally::new(total, self.errors.saturating_sub(earlier.errors)),
        }
    }
}

impl Count {
    fn new(overall: Counter) -> Self {
        Self { here: AtomicU64::new(0), overall }
    }

    /// Counts one more, and says how many there were before.
    pub(super) fn inc(&self) -> u64 {
        self.overall.inc();
        self.here.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn get(&self) -> u64 {
        self.here.load(Ordering::Relaxed)
    }
}
