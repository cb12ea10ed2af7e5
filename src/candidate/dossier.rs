//! What is known of one candidate, from one generation to the next: its counts, its differences, its course. All
//! threads share it, so the routing path only counts and reads here; where it would have to wait for a lock, it goes on
//! without.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::counts::{Count, Counts, Decisions};
use super::course::{Course, Stage, Turn};
use super::differences::{Alike, Differences};
use super::tally::Pair;
use crate::config::settings::{Canary, DryRun};
use crate::metrics;
use crate::policy::{Moment, Request};
use crate::trial::{self, Verdict};

/// How many times as long as it took to hit a limit a candidate is left alone after it: so it takes no more than a
/// hundredth of a thread's time.
const REST: u32 = 100;

/// What is known of one candidate beside one active policy.
pub(super) struct Dossier {
    pub(super) terms: Terms,
    pub(super) counts: Counts,
    /// Of a hundred requests: what the course says, to be read without its lock.
    percent: AtomicU8,
    differences: Mutex<Differences>,
    judged: Mutex<Judged>,
    begun: Moment,
    /// Until when the candidate is left alone, in nanoseconds since it began.
    resting: AtomicU64,
    metrics: metrics::Candidate,
}

/// On what terms a candidate is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) canary: Canary,
    /// What breaks it is an error.
    pub(super) rule: DryRun,
}

/// The course of a candidate, and what it was told of.
struct Judged {
    course: Course,
    known: Decisions,
    /// Whether another candidate has taken this one's place, or none.
    over: bool,
}

impl Dossier {
    pub(super) fn new(terms: Terms, course: Course, metrics: metrics::Candidate, begun: Moment) -> Self {
        let percent = course.percent();
        metrics.shows(percent, matches!(course.stage(), Stage::RolledBack(..)));
        Self {
            terms,
            counts: Counts::new(&metrics),
            percent: AtomicU8::new(percent),
            differences: Mutex::default(),
            judged: Mutex::new(Judged { course, known: Decisions::default(), over: false }),
            begun,
            resting: AtomicU64::new(0),
            metrics,
        }
    }

    /// Of a hundred requests, how many the candidate decides.
    pub(super) fn percent(&self) -> u8 {
        self.percent.load(Ordering::Relaxed)
    }

    /// Where the candidate stands.
    pub(super) fn course(&self) -> Course {
        locked(&self.judged).course.clone()
    }

    /// The differences that are kept, while nobody adds to them.
    pub(super) fn differences(&self) -> MutexGuard<'_, Differences> {
        locked(&self.differences)
    }

    /// Concludes nothing more: streams that still run say nothing of what came after.
    pub(super) fn end(&self) {
        locked(&self.judged).over = true;
    }

    /// Whether the candidate is left alone at this moment, because it hit a limit.
    pub(super) fn rests(&self, now: Moment) -> bool {
        self.age(now) < self.resting.load(Ordering::Relaxed)
    }

    /// Leaves the candidate alone after it hit a limit, which took so long.
    pub(super) fn rest(&self, now: Moment, took: Duration) {
        self.resting.store(self.age(now).saturating_add(nanoseconds(took * REST)), Ordering::Relaxed);
    }

    /// Takes note of two decisions about the same request.
    pub(super) fn compared(&self, request: &Request<'_>, now: &Verdict, then: &Verdict) {
        if now.route.is_err() {
            self.counts.active_failed.fetch_add(1, Ordering::Relaxed);
        }
        let Some((kind, now, then)) = trial::change(now, then) else {
            self.counts.same.inc();
            return;
        };
        let before = self.counts.of(kind).map_or(0, Count::inc);
        if kind.is_failure() {
            tell_failure(&then, before);
        }
        let worker = request.build.and_then(|build| build.worker.as_ref());
        let zone = worker.and_then(|worker| worker.zone.clone());
        let example = request.uuid.map_or(request.query, |uuid| uuid.as_str());
        if let Some(mut differences) = free(&self.differences) {
            differences.keep(Alike { kind, now, then, zone }, example, request.known.at.wall);
        }
        if kind.breaks(self.terms.rule)
            && let Some(judged) = free(&self.judged)
        {
            self.conclude(judged, Pair::default(), request.known.at);
        }
    }

    /// Takes note of a stream that ended, whose route the candidate decided, or did not.
    pub(super) fn ended(&self, by_candidate: bool, failed: bool, now: Moment) {
        self.counts.ended(by_candidate, failed);
        self.conclude(locked(&self.judged), Pair::of_stream(by_candidate, failed), now);
    }

    /// Draws the conclusion from these streams, and from all decisions so far.
    fn conclude(&self, mut judged: MutexGuard<'_, Judged>, streams: Pair, now: Moment) {
        let decisions = self.counts.decisions(self.terms.rule);
        let news = decisions.since(judged.known);
        judged.known = decisions;
        judged.course.decided(news);
        judged.course.ended(streams);
        if judged.over {
            return;
        }
        let Some(turn) = judged.course.advance(now) else { return };
        self.percent.store(judged.course.percent(), Ordering::Relaxed);
        // Still under the lock: the gauges and the log keep the order of turns.
        self.tell(&turn);
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

    fn age(&self, now: Moment) -> u64 {
        nanoseconds(now.tick.saturating_duration_since(self.begun.tick))
    }
}

/// The first failure is worth a look; that more of the same follow is in metrics.
fn tell_failure(why: &str, before: u64) {
    match before {
        0 => warn!(why, "the candidate failed; no stream suffers; see fingerpost policy shadow"),
        _ => debug!(why, "the candidate failed"),
    }
}

/// What is behind these locks is whole between any two statements.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same, unless another thread has it: that one sees to it.
fn free<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match lock.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Dossier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dossier").field("terms", &self.terms).finish_non_exhaustive()
    }
}
