//! What a policy may know beside the question itself: the registry as it was, what this relay has seen of its targets,
//! the table that scripts share, and the time. Everything is a value, so that a test, a replay or a trial can make it
//! all up.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Journal, Reads, SharedTable};
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
    /// Takes notes of what scripts read of all this and of the registry, or tells them what others read.
    pub journal: Option<Journal>,
}

/// One moment, on the clock of people and on the one that never jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall: SystemTime,
    /// What ages and expiries are measured by.
    pub tick: Instant,
}

impl World {
    /// The same world, where everything that is read is noted.
    #[must_use]
    pub fn witnessed(&self) -> Self {
        Self { journal: Some(Journal::default()), ..self.clone() }
    }

    /// The same world, where nothing is known but what was read in another.
    #[must_use]
    pub fn replaying(&self, reads: Reads) -> Self {
        Self { journal: Some(Journal::replaying(reads)), ..self.clone() }
    }

    /// Answers `question` by a `look` at what is known, or by what was seen when it was decided for the first time.
    ///
    /// Everything that a script can learn of the relay's state comes through here, but what follows from the
    /// components, from the registry's age, from the clock and from the seed: they are kept with every decision.
    pub(super) fn read<T>(&self, question: impl FnOnce() -> String, look: impl FnOnce() -> T) -> T
    where
        T: Serialize + DeserializeOwned + Default,
    {
        match &self.journal {
            None => look(),
            Some(journal) => journal.read(question(), look),
        }
    }
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
            journal: None,
        }
    }
}
