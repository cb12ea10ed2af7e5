//! The course of one candidate: how many requests it decides, when it gets more, and when it loses them all. It knows
//! numbers and moments: it asks no policy, reads no clock and writes no log.
//!
//! A candidate is judged by two rates, each beside the active policy's own, and each from `min_streams` on:
//!
//! - errors: of a hundred decisions, at how many it failed or broke its own invariant. Both policies decide every
//!   request, so both are asked the same. Under `dry_run: strict`, leaving a build without a way that the active policy
//!   has a way for is an error, too.
//! - failures: of a hundred streams that ended, how many ended by the fault of the policy or of the upstream that it
//!   chose. Where the active policy decides no stream any more, its last streams count.
//!
//! The candidate is rolled back when its rate is greater than the active policy's and the margin together. It goes on
//! to its next step when `step_every` has passed and neither rate keeps it, which takes `min_streams` decisions, and as
//! many streams of its own since the last step if it has a share.

use std::fmt;

use super::tally::{Pair, Tally};
use crate::config::settings::{Canary, Rollback};
use crate::policy::Moment;

/// Where a candidate stands, and what is held against it.
#[derive(Debug, Clone)]
pub(super) struct Course {
    canary: Canary,
    stage: Stage,
    /// When the stage began.
    since: Moment,
    decisions: Pair,
    streams: Pair,
}

/// Where a candidate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// It decides so many of a hundred requests.
    Sharing(u8),
    /// It decided so many, and does not any more.
    RolledBack(u8, Complaint),
}

/// A change of the stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// It decides more of a hundred requests from now on.
    Grew { from: u8, to: u8 },
    /// It decides none from now on.
    RolledBack { from: u8, why: Complaint },
}

/// Why a candidate is rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    what: &'static str,
    pair: Pair,
    margin: u8,
}

/// What a candidate waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ahead {
    /// How many of a hundred requests it will decide.
    pub(super) percent: u8,
    /// Decisions that have to be made before.
    pub(super) decisions: u64,
    /// Streams of its own that have to end before.
    pub(super) streams: u64,
}

impl Course {
    pub(super) fn new(canary: Canary, now: Moment) -> Self {
        let stage = Stage::Sharing(canary.percent);
        Self { canary, stage, since: now, decisions: Pair::default(), streams: Pair::default() }
    }

    /// The course of the same candidate under other terms. What was counted is forgotten, and neither a rollback nor,
    /// while its plan is the same, a step.
    pub(super) fn resumed(&self, canary: Canary, now: Moment) -> Self {
        let planned = canary.percent == self.canary.percent && canary.steps == self.canary.steps;
        let kept = planned || matches!(self.stage, Stage::RolledBack(..));
        let fresh = Self::new(canary, now);
        if kept { Self { stage: self.stage.clone(), since: self.since, ..fresh } } else { fresh }
    }

    /// Of a hundred requests, how many the candidate decides.
    pub(super) fn percent(&self) -> u8 {
        match self.stage {
            Stage::Sharing(percent) => percent,
            Stage::RolledBack(..) => 0,
        }
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// When the stage began.
    pub(super) fn since(&self) -> Moment {
        self.since
    }

    /// Takes note of decisions that both policies made.
    pub(super) fn decided(&mut self, decisions: Pair) {
        self.decisions.add(decisions);
    }

    /// Takes note of streams that ended, by who decided them.
    pub(super) fn ended(&mut self, streams: Pair) {
        self.streams.add(streams);
    }

    /// Draws the conclusion from what was noted, at most one at a time.
    pub(super) fn advance(&mut self, now: Moment) -> Option<Turn> {
        let Stage::Sharing(from) = self.stage else { return None };
        if let Some(why) = self.complaint(from) {
            self.enter(Stage::RolledBack(from, why.clone()), now);
            return Some(Turn::RolledBack { from, why });
        }
        let Ahead { percent: to, decisions: 0, streams: 0 } = self.ahead()? else { return None };
        if now.tick.saturating_duration_since(self.since.tick) < self.canary.step_every {
            return None;
        }
        self.enter(Stage::Sharing(to), now);
        Some(Turn::Grew { from, to })
    }

    /// What comes next, and what it takes beside time; `None` where nothing comes.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        let Stage::Sharing(share) = self.stage else { return None };
        let percent = *self.canary.steps.iter().find(|step| **step > share)?;
        let needed = u64::from(self.canary.rollback.min_streams);
        let lacking = |seen: Tally| needed.saturating_sub(seen.total());
        let streams = if share == 0 { 0 } else { lacking(self.streams.candidate) };
        Some(Ahead { percent, decisions: lacking(self.decisions.candidate), streams })
    }

    /// What is held against a candidate that decides, or is about to.
    fn complaint(&self, share: u8) -> Option<Complaint> {
        let Rollback { errors, failures, min_streams } = self.canary.rollback;
        if share == 0 && self.canary.steps.is_empty() {
            return None;
        }
        let about = |what, pair: Pair, margin| Complaint { what, pair, margin };
        let all =
            [about("decisions were errors", self.decisions, errors), about("streams failed", self.streams, failures)];
        all.into_iter().find(|complaint| {
            complaint.pair.candidate.total() >= u64::from(min_streams)
                && complaint.pair.candidate.exceeds(complaint.pair.active, complaint.margin)
        })
    }

    fn enter(&mut self, stage: Stage, now: Moment) {
        self.stage = stage;
        self.since = now;
        self.streams.candidate = Tally::default();
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, pair: Pair { active, candidate }, margin } = self;
        write!(f, "{candidate} of its {what}, of the active policy's {active}; {margin} % more are allowed")
    }
}

#[cfg(test)]
mod tests;
