//! What a policy may know beside the question itself: the registry as it was, what this relay has seen of its targets,
//! the table that scripts share, and the time. Everything is a value, so that a test, a replay or a trial can make it
//! all up.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::SharedTable;
use crate::registry::Snapshot;
use crate::upstream::Seen;

/// What is known at one moment. The same question gets the same answer from the same script while this is the same.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What the registry knew.
    pub snapshot: &'a Arc<Snapshot>,
    /// What the relay knew.
    pub world: &'a Arc<World>,
    /// When that was.
    pub at: Moment,
}

/// What one relay knows from the beginning of its life to the end, across generations.
#[derive(Debug, Clone)]
pub struct World {
    /// The table behind `relay.shared`.
    pub shared: SharedTable,
    /// What was seen of targets.
    pub seen: Seen,
}

/// One moment, on the clock of people and on the one that never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall: SystemTime,
    /// What ages and expiries are measured by.
    pub tick: Instant,
}

impl Moment {
    /// This one.
    pub fn now() -> Self {
        Self { wall: SystemTime::now(), tick: Instant::now() }
    }
}

impl Default for World {
    /// A relay that has just started.
    fn default() -> Self {
        Self {
            shared: SharedTable::new(SharedTable::DEFAULT_LIMIT, crate::metrics::SharedTable::default()),
            seen: Seen::of_observations([]),
        }
    }
}
