//! The table behind `relay.shared`: what policies know across calls, threads and reloads, within a limit of memory.
//! It never drops an entry before its time to make room, and never makes a reader wait for a lock.
//!
//! Readers see a persistent map, published whole by whoever writes; writers take turns. Adding to a number that is
//! there takes no turn: numbers are atomic cells, shared by every map they are in. Time comes in as an argument, so
//! that whoever tests a policy can turn the clock.

mod data;
mod ledger;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use imbl::OrdMap;

use self::ledger::Ledger;
use self::value::Slot;
pub use self::value::{Entry, Value};
use crate::metrics::{self, ByReason};

/// The table. Clones are the same one; it lives as long as any of them.
#[derive(Clone)]
pub struct SharedTable(Arc<Inner>);

/// Why a write was refused. The table is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SharedError {
    /// Entries that are still wanted fill the table.
    #[error(
        "the shared table is full: with this entry it would hold {needed} bytes, and its limit is {limit}; \
         remove entries, give them an expiry, or raise the limit in the configuration"
    )]
    Full {
        /// What the table may hold, in bytes.
        limit: usize,
        /// What it would hold, in bytes.
        needed: usize,
    },
    /// The key is too long.
    #[error("a key of {length} bytes is too long for the shared table; at most {} are allowed", SharedTable::MAX_KEY)]
    KeyTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The text is too long.
    #[error("a text of {length} bytes is too long for the shared table; at most {} are allowed", SharedTable::MAX_TEXT)]
    TextTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// What was to be added to is no number.
    #[error("{key:?} in the shared table holds a {found}, to which nothing can be added; remove it first")]
    NotANumber {
        /// The key.
        key: String,
        /// What is there: see [`Value::kind`].
        found: &'static str,
    },
    /// What was to be added would make every later sum meaningless.
    #[error("{delta} cannot be added to {key:?} in the shared table; add a finite number")]
    NotFinite {
        /// The key.
        key: String,
        /// What was to be added, in words: `NaN`, `inf` or `-inf`.
        delta: String,
    },
}

struct Inner {
    published: ArcSwap<Slots>,
    ledger: Mutex<Ledger>,
    metrics: metrics::SharedTable,
}

type Slots = OrdMap<Arc<str>, Slot>;

impl SharedTable {
    /// What the table may hold unless the configuration says otherwise, in bytes.
    pub const DEFAULT_LIMIT: usize = 4 << 20;

    /// Longest key, in bytes.
    pub const MAX_KEY: usize = 256;

    /// Longest text, in bytes.
    pub const MAX_TEXT: usize = 64 << 10;

    /// What an entry counts beside its key and text, in bytes: its places in the map and in the order of expiry.
    pub const OVERHEAD: usize = 192;

    /// Expired entries that one write clears away. More than one: so they become fewer however many are written.
    const PURGED_PER_WRITE: usize = 16;

    /// An empty table that may hold `limit` bytes.
    pub fn new(limit: usize, metrics: metrics::SharedTable) -> Self {
        let inner = Inner { published: ArcSwap::default(), ledger: Mutex::new(Ledger::new(limit)), metrics };
        Self(Arc::new(inner))
    }

    /// A table that holds `entries` from `now` on, for tools; as large as it must be, and at least of the default size.
    pub fn from_entries(entries: impl IntoIterator<Item = Entry>, now: Instant) -> Result<Self, SharedError> {
        let table = Self::new(usize::MAX, metrics::SharedTable::default());
        for Entry { key, value, expires_in } in entries {
            table.set(&key, value, expires_in, now)?;
        }
        table.set_limit(Self::DEFAULT_LIMIT.max(table.bytes()));
        Ok(table)
    }

    /// Sets what the table may hold, in bytes. What it holds beyond a lower limit stays, and nothing is added to it.
    pub fn set_limit(&self, limit: usize) {
        self.with_ledger(|ledger| ledger.limit = limit);
    }

    /// What it holds, in bytes, entries included that expired and were not cleared away yet.
    pub fn bytes(&self) -> usize {
        self.with_ledger(|ledger| ledger.bytes())
    }

    /// The value at `key`, if there is one that has not expired.
    pub fn get(&self, key: &str, now: Instant) -> Option<Value> {
        self.0.published.load().get(key).filter(|slot| slot.is_live(now)).map(|slot| slot.held.value())
    }

    /// Up to `max` keys that begin with `prefix`, in order. It passes over expired ones, and takes the longer for it.
    pub fn keys(&self, prefix: &str, max: usize, now: Instant) -> Vec<String> {
        let slots = self.0.published.load();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let alike = slots.range::<_, str>(from).take_while(|(key, _)| key.starts_with(prefix));
        alike.filter(|(_, slot)| slot.is_live(now)).take(max).map(|(key, _)| key.to_string()).collect()
    }

    /// Everything that has not expired, in order of the keys.
    pub fn entries(&self, now: Instant) -> Vec<Entry> {
        let slots = self.0.published.load();
        slots.iter().filter(|(_, slot)| slot.is_live(now)).map(|(key, slot)| slot.entry(key, now)).collect()
    }

    /// Puts `value` at `key`, for `ttl` or for ever, whatever was there.
    pub fn set(&self, key: &str, value: Value, ttl: Option<Duration>, now: Instant) -> Result<(), SharedError> {
        self.write(now, |ledger| ledger.put(key, Slot::new(value, ttl, now), now))
    }

    /// Puts `value` at `key`, for `ttl` or for ever, unless something is there; says whether it did.
    pub fn set_new(&self, key: &str, value: Value, ttl: Option<Duration>, now: Instant) -> Result<bool, SharedError> {
        self.write(now, |ledger| match ledger.live(key, now) {
            Some(_) => Ok(false),
            None => ledger.put(key, Slot::new(value, ttl, now), now).map(|()| true),
        })
    }

    /// Adds `delta` to the number at `key` and returns the sum. Where none is, or one that expired, it begins at zero,
    /// for `ttl_if_new` or for ever: so a counter counts in windows of that length, the first beginning with its
    /// first addition. Nothing is lost of what several threads add at one time; sums are exact up to 2⁵³.
    pub fn add(&self, key: &str, delta: f64, ttl_if_new: Option<Duration>, now: Instant) -> Result<f64, SharedError> {
        if !delta.is_finite() {
            return self.counted(Err(SharedError::NotFinite { key: key.to_owned(), delta: delta.to_string() }));
        }
        if let Some(slot) = self.0.published.load().get(key).filter(|slot| slot.is_live(now)) {
            return self.counted(slot.held.add(key, delta));
        }
        // Looked up again: another thread may have had its turn first.
        self.write(now, |ledger| match ledger.live(key, now) {
            Some(slot) => slot.held.add(key, delta),
            None => ledger.put(key, Slot::new(Value::Number(delta), ttl_if_new, now), now).map(|()| delta),
        })
    }

    /// Removes what is at `key`; says whether there was anything that had not expired.
    pub fn remove(&self, key: &str, now: Instant) -> bool {
        self.with_ledger(|ledger| {
            ledger.purge(now, Self::PURGED_PER_WRITE);
            let live = ledger.live(key, now).is_some();
            ledger.remove(key);
            live
        })
    }

    /// Clears away everything that has expired. Writes do so too, a few entries each.
    pub fn purge(&self, now: Instant) {
        self.with_ledger(|ledger| ledger.purge(now, usize::MAX));
    }

    fn write<T>(
        &self,
        now: Instant,
        change: impl FnOnce(&mut Ledger) -> Result<T, SharedError>,
    ) -> Result<T, SharedError> {
        let outcome = self.with_ledger(|ledger| {
            ledger.purge(now, Self::PURGED_PER_WRITE);
            change(ledger)
        });
        self.counted(outcome)
    }

    /// Lets `work` have the ledger, and publishes what came of it before anybody else has it.
    fn with_ledger<T>(&self, work: impl FnOnce(&mut Ledger) -> T) -> T {
        let Inner { published, ledger, metrics } = &*self.0;
        let mut ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = work(&mut ledger);
        if let Some(slots) = ledger.changed() {
            published.store(Arc::new(slots));
            metrics.entries.set(i64::try_from(ledger.len()).unwrap_or(i64::MAX));
            metrics.bytes.set(i64::try_from(ledger.bytes()).unwrap_or(i64::MAX));
        }
        outcome
    }

    fn counted<T>(&self, outcome: Result<T, SharedError>) -> Result<T, SharedError> {
        if let Err(error) = &outcome {
            self.0.metrics.refused.get_or_create(&ByReason { reason: error.label() }).inc();
        }
        outcome
    }
}

impl SharedError {
    /// The metric label, from the closed set of [`metrics::SharedTable::refused`].
    fn label(&self) -> &'static str {
        match self {
            Self::Full { .. } => "full",
            Self::KeyTooLong { .. } | Self::TextTooLong { .. } => "too_long",
            Self::NotANumber { .. } | Self::NotFinite { .. } => "not_a_number",
        }
    }
}

impl fmt::Debug for SharedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTable").field("entries", &self.0.published.load().len()).finish_non_exhaustive()
    }
}
