//! What a trial found: in what two policies differ, and whether that keeps one of them out. It decides nothing itself.

use crate::config::settings::DryRun;
use crate::names::{BuildId, Zone};

/// Everything in which two policies differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Equal changes of one zone's relay as one, by zone.
    pub changes: Vec<Change>,
    /// Running builds.
    pub builds: usize,
    /// Zones whose relays were tried; being in no zone counts as one.
    pub zones: usize,
    /// Listeners on which each build was asked for.
    pub listeners: usize,
    /// Decisions that were compared.
    pub decisions: usize,
    /// Decisions that would have been, but for the deadline or too many failures.
    pub left_out: usize,
}

/// What would change for some builds at a relay of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The relay's zone.
    pub zone: Option<Zone>,
    /// The listeners where it would, by name; none for all that were tried.
    pub listeners: Vec<String>,
    /// How bad it is.
    pub kind: Kind,
    /// What is decided now, in short.
    pub now: String,
    /// What would be decided, in short.
    pub then: String,
    /// How many builds it concerns on each of them.
    pub builds: usize,
    /// How many decisions that are.
    pub decisions: usize,
    /// One of them.
    pub example: BuildId,
}

/// How bad a change is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The candidate fails.
    Failed,
    /// Its route is not what its own invariant says that it must be.
    Broken,
    /// The build has a way now, and would have none.
    Unroutable,
    /// It would go another way.
    Rerouted,
    /// It has no way now, and would have one, or another answer.
    Answered,
}

impl Comparison {
    /// Whether nothing would change, as far as it was asked.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many decisions would change in this way.
    pub fn count(&self, kind: Kind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).map(|change| change.decisions).sum()
    }

    /// How many decisions would change so that `rule` keeps the candidate out.
    pub fn harmed(&self, rule: DryRun) -> usize {
        Kind::ALL.into_iter().filter(|kind| kind.breaks(rule)).map(|kind| self.count(kind)).sum()
    }

    /// What `policy.dry_run` must be where all of this is meant.
    pub fn allowed_by(&self) -> &'static str {
        match self {
            _ if self.harmed(DryRun::Strict) == 0 => "strict",
            _ if self.harmed(DryRun::Errors) == 0 => "errors",
            _ => "off",
        }
    }

    /// The worst of what would change, if `rule` keeps the candidate out for it.
    pub fn objection(&self, rule: DryRun) -> Option<&Change> {
        self.changes.iter().filter(|change| change.kind.breaks(rule)).min_by_key(|change| change.kind)
    }
}

impl Kind {
    /// All of them, worst first.
    pub const ALL: [Self; 5] = [Self::Failed, Self::Broken, Self::Unroutable, Self::Rerouted, Self::Answered];

    /// Whether the candidate itself could not have wanted it.
    pub(crate) fn is_failure(self) -> bool {
        self <= Self::Broken
    }

    /// Whether it keeps the candidate out where `rule` holds.
    pub(crate) fn breaks(self, rule: DryRun) -> bool {
        match rule {
            DryRun::Strict => self <= Self::Unroutable,
            DryRun::Errors => self.is_failure(),
            DryRun::Off => false,
        }
    }
}
