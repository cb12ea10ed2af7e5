//! A policy on trial: it decides every request beside the active policy, what differs is counted and kept, and it may
//! be given a growing share of the requests, which it loses again by itself when it does worse. Never lets a stream
//! suffer from a candidate's failure: where it fails, or breaks its own invariant, the active policy's route is gone in
//! the same request.
//!
//! `route` is pure, so asking a candidate has no effect. What may have one is asked of whoever decides alone: `ended`
//! of the policy that decided the stream's route; `accept` and background work of the active policy always, because the
//! request that could be a candidate's is not read yet, or there is none.
//!
//! What is learnt of a candidate outlives its generation while its scripts stay the same, and a rollback while the
//! candidate's own do. All of it ends with the process.

mod counts;
mod course;
mod differences;
mod dossier;
mod share;
mod tally;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use self::course::{Course, Stage};
use self::dossier::{Dossier, Terms};
pub use self::view::{Next, Shown, View};
use crate::config::settings::DryRun;
use crate::fault::Blame;
use crate::generation::Generation;
use crate::metrics;
use crate::policy::{Ended, Failure, Known, Moment, Policy, Request};
use crate::route::Route;
use crate::trial::Verdict;

/// A policy on trial, beside the one that is active in the same generation.
#[derive(Clone)]
pub struct Candidate {
    active: Policy,
    policy: Policy,
    dossier: Arc<Dossier>,
}

/// What was decided about a request, and by whom.
#[derive(Debug)]
pub struct Decided {
    /// What was decided.
    pub route: Result<Route, Failure>,
    /// Who is to be told how its stream ended.
    pub by: Decider,
}

/// The policy that decided about a stream, to be told how it ended.
#[derive(Debug)]
pub struct Decider {
    policy: Policy,
    /// Where a candidate is on trial: its dossier, and whether it was the candidate that decided.
    trial: Option<(Arc<Dossier>, bool)>,
}

impl Candidate {
    /// The candidate of `generation`; it goes on where `previous` is, as far as both are the same.
    pub fn of(
        generation: &Generation,
        previous: Option<&Self>,
        metrics: &metrics::Candidate,
        now: Moment,
    ) -> Option<Self> {
        let next = generation.candidate.clone().zip(generation.settings.policy.candidate.as_ref());
        let Some((policy, settings)) = next else {
            if let Some(previous) = previous {
                previous.dossier.end();
                info!("there is no candidate any more");
            }
            metrics.shows(0, false);
            return None;
        };
        let active = generation.policy.clone();
        let rule = match generation.settings.policy.dry_run {
            DryRun::Strict => DryRun::Strict,
            // A failure is an error even where nothing keeps a changed policy out.
            DryRun::Errors | DryRun::Off => DryRun::Errors,
        };
        let terms = Terms { canary: settings.canary.clone(), rule };
        if let Some(same) = previous.filter(|previous| previous.goes_on(&active, &policy, &terms)) {
            return Some(Self { active, policy, dossier: Arc::clone(&same.dossier) });
        }
        // First: no rollback may come between a look at its course and its end.
        previous.iter().for_each(|previous| previous.dossier.end());
        let known = previous.filter(|previous| previous.policy.is(&policy)).map(|previous| previous.dossier.course());
        let course = match known {
            Some(course) => course.resumed(terms.canary.clone(), now),
            None => Course::new(terms.canary.clone(), now),
        };
        let begun = Self { active, policy, dossier: Arc::new(Dossier::new(terms, course, metrics.clone(), now)) };
        begun.announce();
        Some(begun)
    }

    /// Decides as both policies do, and lets one of them have its way.
    pub fn decide(&self, request: &Request<'_>) -> Decided {
        let takes = self.takes(request);
        let now = Verdict::of(&self.active, request);
        let then = self.ask(request);
        if let Some(then) = &then {
            self.dossier.compared(request, &now, then);
        }
        // This very decision may have cost it its share.
        if !takes || !self.takes(request) {
            return self.decided(now.route, false);
        }
        match then {
            Some(Verdict { route: Ok(route), broken: None }) => {
                self.dossier.counts.taken.inc();
                self.decided(Ok(route), true)
            }
            _ => {
                self.dossier.counts.fell_back.inc();
                self.decided(now.route, false)
            }
        }
    }

    /// How it stands, and in what the two policies differed.
    pub fn view(&self) -> View {
        view::of(self)
    }

    /// Whether nothing changes for it that its counts depend on.
    fn goes_on(&self, active: &Policy, policy: &Policy, terms: &Terms) -> bool {
        self.policy.is(policy) && self.active.is(active) && self.dossier.terms == *terms
    }

    fn takes(&self, request: &Request<'_>) -> bool {
        share::takes(self.dossier.percent(), request)
    }

    /// Asks the candidate, unless it rests.
    fn ask(&self, request: &Request<'_>) -> Option<Verdict> {
        if self.dossier.rests(request.known.at) {
            self.dossier.counts.unasked.inc();
            return None;
        }
        let start = Instant::now();
        let verdict = Verdict::checked(&self.policy, request);
        if verdict.route.as_ref().is_err_and(|failure| failure.kind.is_limit()) {
            self.dossier.rest(request.known.at, start.elapsed());
        }
        Some(verdict)
    }

    fn decided(&self, route: Result<Route, Failure>, by_candidate: bool) -> Decided {
        let policy = if by_candidate { &self.policy } else { &self.active };
        let trial = Some((Arc::clone(&self.dossier), by_candidate));
        Decided { route, by: Decider { policy: policy.clone(), trial } }
    }

    /// Tells that a trial began, or begins anew.
    fn announce(&self) {
        let (candidate, policy) = (self.policy.name(), self.active.name());
        if self.policy.is(&self.active) {
            warn!(candidate, "the candidate is the policy itself; take policy.candidate out of the configuration");
        }
        match self.dossier.course().stage() {
            Stage::Sharing(0) => info!(candidate, policy, "the candidate decides beside the policy, without effect"),
            Stage::Sharing(percent) => {
                info!(candidate, policy, percent, "the candidate decides a share of the requests");
            }
            Stage::RolledBack(_, why) => warn!(
                candidate, policy, %why,
                "the candidate stays rolled back until its scripts change; it decides beside the policy, without effect"
            ),
        }
    }
}

impl Decided {
    /// What the only policy decided.
    pub fn undisputed(policy: &Policy, request: &Request<'_>) -> Self {
        Self { route: policy.route(request), by: Decider::from(policy.clone()) }
    }
}

impl Decider {
    /// Whether it is the policy on trial.
    pub fn is_candidate(&self) -> bool {
        matches!(self.trial, Some((_, true)))
    }

    /// It.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Takes note of the end of a stream, as [`Policy::ended`] does.
    pub fn ended(&self, ended: &Ended<'_>, known: &Known<'_>) {
        self.policy.ended(ended, known);
        if let Some((dossier, by_candidate)) = &self.trial {
            let failed = [Blame::Policy, Blame::Upstream].map(Blame::as_str).contains(&ended.blame);
            dossier.ended(*by_candidate, failed, known.at);
        }
    }
}

impl From<Policy> for Decider {
    /// One that is told of a stream whose route nobody decided yet, or nobody disputes.
    fn from(policy: Policy) -> Self {
        Self { policy, trial: None }
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("policy", &self.policy).finish_non_exhaustive()
    }
}
