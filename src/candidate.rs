//! A policy on trial: it decides every request beside the active policy, what differs is counted and kept, and it may be
//! given a growing share of the requests, which it loses again by itself when it does worse. Never lets a stream suffer
//! from a candidate's failure: where it fails, or breaks its own invariant, the active policy's route is gone in the same
//! request.
//!
//! `route` is pure, so asking a candidate has no effect. What may have one is asked of whoever decides alone: `ended` of
//! the policy that decided the stream's route; `accept` and background work of the active policy always, because the
//! request that could be a candidate's is not read yet, or there is none.
//!
//! What is learnt of a candidate outlives its generation as long as its scripts stay the same. It ends with the process.

mod counts;
mod course;
mod differences;
mod share;
mod tally;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use self::counts::{Counts, Decisions};
use self::course::{Course, Stage, Turn};
use self::differences::{Alike, Differences};
use self::tally::Pair;
pub use self::view::{Next, Shown, View};
use crate::config::settings::{Canary, DryRun};
use crate::fault::Blame;
use crate::generation::Generation;
use crate::metrics;
use crate::policy::{Ended, Failure, Known, Moment, Policy, Request};
use crate::route::Route;
use crate::trial::{self, Verdict};

/// How much longer a candidate that hit a limit is left alone than that took: nobody waits for it more than a hundredth
/// of the time.
const REST: u32 = 100;

/// A policy on trial, beside the one that is active in the same generation.
#[derive(Clone)]
pub struct Candidate {
    active: Policy,
    policy: Policy,
    trial: Arc<Trial>,
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
    /// Where a candidate is on trial: that trial, and whether it was the candidate that decided.
    trial: Option<(Arc<Trial>, bool)>,
}

/// What is known of one candidate, across generations.
struct Trial {
    terms: Terms,
    /// Of a hundred requests: a copy of the course's, to be read without its lock.
    percent: AtomicU8,
    counts: Counts,
    differences: Mutex<Differences>,
    judged: Mutex<Judged>,
    begun: Moment,
    /// Until when the candidate is left alone, in nanoseconds since it began.
    resting: AtomicU64,
    metrics: metrics::Candidate,
}

/// On what terms a candidate is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Terms {
    canary: Canary,
    /// What counts as an error is what would keep a changed policy out; failures always do.
    rule: DryRun,
}

/// The course of a candidate, and which decisions it knows of.
struct Judged {
    course: Course,
    known: Decisions,
}

impl Candidate {
    /// The candidate of `generation`; it goes on where `previous` is, as far as both are the same.
    pub fn of(
        generation: &Generation,
        previous: Option<&Self>,
        metrics: &metrics::Candidate,
        now: Moment,
    ) -> Option<Self> {
        let settings = &generation.settings.policy;
        let wanted = generation.candidate.clone().zip(settings.candidate.as_ref());
        let Some((policy, candidate)) = wanted else {
            if previous.is_some() {
                info!("there is no candidate any more");
            }
            metrics.shows(0, false);
            return None;
        };
        let rule = if settings.dry_run == DryRun::Off { DryRun::Errors } else { settings.dry_run };
        let terms = Terms { canary: candidate.canary.clone(), rule };
        let active = generation.policy.clone();
        let previous = previous.filter(|previous| previous.policy.is(&policy));
        let same = previous.filter(|previous| previous.active.is(&active) && previous.trial.terms == terms);
        if let Some(same) = same {
            return Some(Self { active, policy, trial: Arc::clone(&same.trial) });
        }
        let course = match previous {
            Some(previous) => previous.trial.judged().course.resumed(terms.canary.clone(), now),
            None => Course::new(terms.canary.clone(), now),
        };
        let begun = Self { active, policy, trial: Arc::new(Trial::new(terms, course, metrics.clone(), now)) };
        begun.announce();
        Some(begun)
    }

    /// Decides as both policies do, and lets one of them have its way.
    pub fn decide(&self, request: &Request<'_>) -> Decided {
        let takes = self.takes(request);
        let now = Verdict::of(&self.active, request);
        let then = self.ask(request);
        if let Some(then) = &then {
            self.compare(request, &now, then);
        }
        let counts = &self.trial.counts;
        // This very decision may have cost it its share.
        if !takes || !self.takes(request) {
            return Decided { route: now.route, by: self.decider(false) };
        }
        match then {
            Some(Verdict { route: Ok(route), broken: None }) => {
                counts.taken.inc();
                Decided { route: Ok(route), by: self.decider(true) }
            }
            _ => {
                counts.fell_back.inc();
                Decided { route: now.route, by: self.decider(false) }
            }
        }
    }

    /// How it stands, and in what the two policies differed.
    pub fn view(&self) -> View {
        view::of(self)
    }

    fn takes(&self, request: &Request<'_>) -> bool {
        share::takes(self.trial.percent.load(Ordering::Relaxed), request)
    }

    /// Asks the candidate, unless it rests.
    fn ask(&self, request: &Request<'_>) -> Option<Verdict> {
        let Trial { begun, resting, counts, .. } = &*self.trial;
        let now = request.known.at.tick.saturating_duration_since(begun.tick);
        if nanoseconds(now) < resting.load(Ordering::Relaxed) {
            counts.unasked.inc();
            return None;
        }
        let start = Instant::now();
        let verdict = Verdict::checked(&self.policy, request);
        if verdict.route.as_ref().is_err_and(|failure| failure.kind.is_limit()) {
            resting.store(nanoseconds(now + start.elapsed() * REST), Ordering::Relaxed);
        }
        Some(verdict)
    }

    fn compare(&self, request: &Request<'_>, now: &Verdict, then: &Verdict) {
        let Trial { counts, differences, terms, .. } = &*self.trial;
        if now.route.is_err() {
            counts.active_failed.fetch_add(1, Ordering::Relaxed);
        }
        let Some((kind, was, would)) = trial::change(now, then) else {
            counts.same.inc();
            return;
        };
        let before = counts.of(kind).map_or(0, counts::Count::inc);
        if kind.is_failure() {
            tell_failure(&would, before);
        }
        let worker = request.build.and_then(|build| build.worker.as_ref());
        let zone = worker.and_then(|worker| worker.zone.clone());
        let example = request.uuid.map_or(request.query, |uuid| uuid.as_str());
        let alike = Alike { kind, now: was, then: would, zone };
        locked(differences).keep(alike, example, request.known.at.wall);
        if kind.breaks(terms.rule) {
            self.trial.review(Pair::default(), request.known.at);
        }
    }

    fn decider(&self, by_candidate: bool) -> Decider {
        let policy = if by_candidate { &self.policy } else { &self.active };
        Decider { policy: policy.clone(), trial: Some((Arc::clone(&self.trial), by_candidate)) }
    }

    /// Tells that a trial began, or goes on.
    fn announce(&self) {
        let (candidate, policy) = (self.policy.name(), self.active.name());
        if self.policy.is(&self.active) {
            warn!(candidate, "the candidate is the policy itself; take policy.candidate out of the configuration");
        }
        match self.trial.judged().course.stage() {
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

/// The first failure is worth a look; that more of the same follow is in metrics.
fn tell_failure(why: &str, before: u64) {
    match before {
        0 => warn!(why, "the candidate failed; no stream suffers; see fingerpost policy shadow"),
        _ => debug!(why, "the candidate failed"),
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
        if let Some((trial, by_candidate)) = &self.trial {
            let failed = [Blame::Policy, Blame::Upstream].map(Blame::as_str).contains(&ended.blame);
            trial.counts.ended(*by_candidate, failed);
            trial.review(Pair::of_stream(*by_candidate, failed), known.at);
        }
    }
}

impl From<Policy> for Decider {
    /// One that is told of a stream whose route nobody decided yet, or nobody disputes.
    fn from(policy: Policy) -> Self {
        Self { policy, trial: None }
    }
}

impl Trial {
    fn new(terms: Terms, course: Course, metrics: metrics::Candidate, begun: Moment) -> Self {
        let percent = course.percent();
        metrics.shows(percent, matches!(course.stage(), Stage::RolledBack(..)));
        Self {
            terms,
            percent: AtomicU8::new(percent),
            counts: Counts::new(&metrics),
            differences: Mutex::default(),
            judged: Mutex::new(Judged { course, known: Decisions::default() }),
            begun,
            resting: AtomicU64::new(0),
            metrics,
        }
    }

    /// Takes note of `streams`, and of the decisions since the last time, and draws the conclusion.
    fn review(&self, streams: Pair, now: Moment) {
        let decisions = self.counts.decisions(self.terms.rule);
        let turn = {
            let mut judged = self.judged();
            let news = decisions.since(judged.known);
            judged.known = decisions;
            judged.course.decided(news);
            judged.course.ended(streams);
            let turn = judged.course.advance(now);
            self.percent.store(judged.course.percent(), Ordering::Relaxed);
            turn
        };
        if let Some(turn) = turn {
            self.tell(&turn);
        }
    }

    fn tell(&self, turn: &Turn) {
        match turn {
            Turn::Grew { from, to } => {
                self.metrics.shows(*to, false);
                info!(from, to, "the candidate did no worse than the policy, and decides more of a hundred requests");
                if *to == 100 {
                    warn!("the candidate decides all requests; make it the policy, and take policy.candidate out");
                }
            }
            Turn::RolledBack { from, why } => {
                self.metrics.shows(0, true);
                warn!(
                    from, %why,
                    "the candidate was rolled back: the active policy decides all requests, until the candidate's \
                     scripts change; see fingerpost policy shadow"
                );
            }
        }
    }

    fn judged(&self) -> MutexGuard<'_, Judged> {
        locked(&self.judged)
    }
}

/// What is behind these locks is whole between any two statements.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trial").field("terms", &self.terms).finish_non_exhaustive()
    }
}
