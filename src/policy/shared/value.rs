//! One entry of the table: what it holds, and until when. It never looks at a clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::data::Written;
use super::{SharedError, SharedTable};

/// What a policy can keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub enum Value {
    /// Bytes, as Lua's strings are; at most [`SharedTable::MAX_TEXT`].
    Text(Arc<[u8]>),
    /// A number, or the sum of a counter.
    Number(f64),
    /// True or false.
    Boolean(bool),
}

/// One entry, for tools.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it is; at most [`SharedTable::MAX_KEY`] bytes.
    pub key: String,
    /// What is there.
    pub value: Value,
    /// How long it is still to be there; `None` is for ever.
    pub expires_in: Option<Duration>,
}

/// An entry's place in the map.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) held: Held,
    /// The first moment at which it is no longer there.
    pub(super) expires: Option<Instant>,
}

/// A value in the map.
#[derive(Debug, Clone)]
pub(super) enum Held {
    Text(Arc<[u8]>),
    Number(Arc<Cell>),
    Boolean(bool),
}

/// A number that every copy of the map shares. Whoever adds to one that was just replaced was there before.
#[derive(Debug)]
pub(super) struct Cell(AtomicU64);

impl Value {
    /// The word for its type, as Lua has it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Number(_) => "number",
            Self::Boolean(_) => "boolean",
        }
    }
}

impl Slot {
    pub(super) fn new(value: Value, ttl: Option<Duration>, now: Instant) -> Self {
        let held = match value {
            Value::Text(text) => Held::Text(text),
            Value::Number(number) => Held::Number(Arc::new(Cell::new(number))),
            Value::Boolean(truth) => Held::Boolean(truth),
        };
        // An expiry that no clock will reach is none.
        Self { held, expires: ttl.and_then(|ttl| now.checked_add(ttl)) }
    }

    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    pub(super) fn entry(&self, key: &str, now: Instant) -> Entry {
        let expires_in = self.expires.map(|expires| expires.saturating_duration_since(now));
        Entry { key: key.to_owned(), value: self.held.value(), expires_in }
    }

    /// What the entry at `key` counts, in bytes.
    pub(super) fn size(&self, key: &str) -> usize {
        SharedTable::OVERHEAD + key.len() + self.held.text_length()
    }
}

impl Held {
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Text(text) => Value::Text(Arc::clone(text)),
            Self::Number(cell) => Value::Number(cell.number()),
            Self::Boolean(truth) => Value::Boolean(*truth),
        }
    }

    pub(super) fn text_length(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Number(_) | Self::Boolean(_) => 0,
        }
    }

    /// Adds `delta` to what is held at `key`, and returns the sum.
    pub(super) fn add(&self, key: &str, delta: f64) -> Result<f64, SharedError> {
        match self {
            Self::Number(cell) => Ok(cell.add(delta)),
            other => Err(SharedError::NotANumber { key: key.to_owned(), found: other.value().kind() }),
        }
    }
}

impl Cell {
    fn new(number: f64) -> Self {
        Self(AtomicU64::new(number.to_bits()))
    }

    fn number(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Acquire))
    }

    fn add(&self, delta: f64) -> f64 {
        let mut before = self.0.load(Ordering::Acquire);
        loop {
            let sum = f64::from_bits(before) + delta;
            match self.0.compare_exchange_weak(before, sum.to_bits(), Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return sum,
                Err(newer) => before = newer,
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.as_bytes().into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}
