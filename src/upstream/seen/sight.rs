//! What was seen of one peer. Any thread reads it and adds to it without a lock; it never knows who the peer is.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use super::Observed;

/// How long a round trip that was measured is new: streams come by the hundred a second, distances change slowly, and
/// each measurement is a system call.
const FRESH: Duration = Duration::from_secs(1);

/// One peer's present and past.
#[derive(Debug)]
pub(super) struct Sight {
    open: AtomicU32,
    /// When anything was seen of it last.
    changed: Stamp,
    reached: Stamp,
    /// Replaced whole, so that a reader never sees the word of one failure with the time of another. Most streams
    /// change nothing in it.
    past: ArcSwap<Past>,
    /// What the stamps count from.
    born: Instant,
}

#[derive(Debug, Clone, Default)]
struct Past {
    consecutive_failures: u32,
    failure: Option<Failure>,
    round_trip: Option<Duration>,
    /// When that was measured last.
    measured: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Failure {
    word: &'static str,
    at: Instant,
}

/// A moment that only moves forward, in nanoseconds after its peer was first seen and one; zero is never.
#[derive(Debug, Default)]
struct Stamp(AtomicU64);

/// A stream that a peer carries, until this is dropped.
#[derive(Debug)]
pub(in crate::upstream) struct Open {
    sight: Arc<Sight>,
    failures_before: u32,
}

impl Sight {
    pub(super) fn new() -> Self {
        Self {
            open: AtomicU32::new(0),
            changed: Stamp::default(),
            reached: Stamp::default(),
            past: ArcSwap::default(),
            born: Instant::now(),
        }
    }

    /// Notes a stream that reached the peer, and the round trip of its connection, which is measured only if the last
    /// one is old. The count is up when this returns.
    pub(super) fn reached(self: Arc<Self>, measure: impl FnOnce() -> Option<Duration>) -> Open {
        let now = Instant::now();
        self.open.fetch_add(1, Ordering::AcqRel);
        let (failures_before, is_fresh) = {
            let past = self.past.load();
            (past.consecutive_failures, past.measured.is_some_and(|at| now.duration_since(at) < FRESH))
        };
        let round_trip = if is_fresh { None } else { measure() };
        if failures_before > 0 || round_trip.is_some() {
            self.add(|past| {
                past.consecutive_failures = 0;
                past.round_trip = smooth(past.round_trip, round_trip);
                past.measured = round_trip.map_or(past.measured, |_| Some(now));
            });
        }
        self.reached.set(self.born, now);
        self.changed.set(self.born, now);
        Open { failures_before, sight: self }
    }

    /// Notes one failure after at least `before` others.
    pub(super) fn failed(&self, word: &'static str, before: u32) {
        let at = Instant::now();
        self.add(|past| {
            past.consecutive_failures = past.consecutive_failures.max(before).saturating_add(1);
            past.failure = Some(Failure { word, at });
        });
        self.changed.set(self.born, at);
    }

    /// Whether it failed less than `retry_after` ago, and was not reached since.
    pub(super) fn failed_within(&self, retry_after: Duration) -> bool {
        let past = self.past.load();
        let lately = |failure: &Failure| failure.at.elapsed() < retry_after;
        past.consecutive_failures > 0 && past.failure.as_ref().is_some_and(lately)
    }

    /// Since when no stream is open and nothing was seen; `None` while one is open.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let idle = self.open.load(Ordering::Acquire) == 0;
        idle.then(|| self.changed.get(self.born).unwrap_or(self.born))
    }

    pub(super) fn observed(&self) -> Observed {
        let past = self.past.load();
        Observed {
            open_streams: self.open.load(Ordering::Acquire),
            consecutive_failures: past.consecutive_failures,
            last_error: past.failure.as_ref().map(|failure| Cow::Borrowed(failure.word)),
            failed_ago: past.failure.as_ref().map(|failure| failure.at.elapsed()),
            reached_ago: self.reached.get(self.born).map(|at| at.elapsed()),
            round_trip: past.round_trip,
        }
    }

    fn add(&self, event: impl Fn(&mut Past)) {
        drop(self.past.rcu(|past| {
            let mut past = Past::clone(past);
            event(&mut past);
            past
        }));
    }
}

impl Stamp {
    fn set(&self, born: Instant, now: Instant) {
        let nanos = u64::try_from(now.duration_since(born).as_nanos()).unwrap_or(u64::MAX);
        self.0.fetch_max(nanos.saturating_add(1), Ordering::AcqRel);
    }

    fn get(&self, born: Instant) -> Option<Instant> {
        let nanos = self.0.load(Ordering::Acquire).checked_sub(1)?;
        born.checked_add(Duration::from_nanos(nanos))
    }
}

impl Open {
    /// Notes that the peer never took the request. A connection alone ended no row of failures.
    pub(in crate::upstream) fn failed(self, word: &'static str) {
        self.sight.failed(word, self.failures_before);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // In this order: who finds the peer idle finds it idle since now.
        self.sight.changed.set(self.sight.born, Instant::now());
        self.sight.open.fetch_sub(1, Ordering::AcqRel);
    }
}

/// As TCP smooths the round trips of one connection (RFC 6298): an eighth of each new one.
fn smooth(known: Option<Duration>, new: Option<Duration>) -> Option<Duration> {
    match (known, new) {
        (Some(known), Some(new)) => Some((known * 7 + new) / 8),
        (known, new) => new.or(known),
    }
}
