//! The writers' side of the table: its entries, their size, and the order in which they expire. It never removes an
//! entry that has not expired but by its key.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::value::Slot;
use super::{SharedError, SharedTable, Slots};

/// The entries, with the account of them.
pub(super) struct Ledger {
    slots: Slots,
    expiries: BTreeSet<(Instant, Arc<str>)>,
    bytes: usize,
    changed: bool,
    /// What all entries together may count, in bytes.
    pub(super) limit: usize,
}

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Self { slots: Slots::new(), expiries: BTreeSet::new(), bytes: 0, changed: false, limit }
    }

    /// What all entries together count, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many entries there are, expired ones included.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The entries, if they changed since this was last asked.
    pub(super) fn changed(&mut self) -> Option<Slots> {
        std::mem::take(&mut self.changed).then(|| self.slots.clone())
    }

    /// What is at `key` and has not expired.
    pub(super) fn live(&self, key: &str, now: Instant) -> Option<&Slot> {
        self.slots.get(key).filter(|slot| slot.is_live(now))
    }

    /// Puts `slot` at `key`, if it fits there. What it replaces makes room for it, and so does what has expired.
    pub(super) fn put(&mut self, key: &str, slot: Slot, now: Instant) -> Result<(), SharedError> {
        admissible(key, &slot)?;
        let size = slot.size(key);
        let replaced = self.live(key, now).map_or(0, |slot| slot.size(key));
        if replaced == 0 {
            self.remove(key);
        }
        self.make_room(size.saturating_sub(replaced), now)?;
        self.remove(key);
        self.insert(key.into(), slot);
        Ok(())
    }

    /// Removes what is at `key`, if anything is.
    pub(super) fn remove(&mut self, key: &str) {
        let Some((key, slot)) = self.slots.remove_with_key(key) else { return };
        self.bytes = self.bytes.saturating_sub(slot.size(&key));
        if let Some(expires) = slot.expires {
            self.expiries.remove(&(expires, key));
        }
        self.changed = true;
    }

    /// Removes up to `most` entries that have expired, the oldest first.
    pub(super) fn purge(&mut self, now: Instant, most: usize) {
        for _ in 0..most {
            if !self.purge_one(now) {
                break;
            }
        }
    }

    /// Sees that `more` bytes can be added. Nothing to add always can, even to a table whose limit was lowered.
    fn make_room(&mut self, more: usize, now: Instant) -> Result<(), SharedError> {
        while more > 0 && self.bytes.saturating_add(more) > self.limit {
            if !self.purge_one(now) {
                return Err(SharedError::Full { limit: self.limit, needed: self.bytes.saturating_add(more) });
            }
        }
        Ok(())
    }

    fn purge_one(&mut self, now: Instant) -> bool {
        let Some((_, key)) = self.expiries.first().filter(|(expires, _)| *expires <= now).cloned() else {
            return false;
        };
        self.remove(&key);
        true
    }

    fn insert(&mut self, key: Arc<str>, slot: Slot) {
        self.bytes = self.bytes.saturating_add(slot.size(&key));
        if let Some(expires) = slot.expires {
            self.expiries.insert((expires, Arc::clone(&key)));
        }
        self.slots.insert(key, slot);
        self.changed = true;
    }
}

fn admissible(key: &str, slot: &Slot) -> Result<(), SharedError> {
    let text = slot.held.text_length();
    if key.len() > SharedTable::MAX_KEY {
        return Err(SharedError::KeyTooLong { length: key.len() });
    }
    if text > SharedTable::MAX_TEXT {
        return Err(SharedError::TextTooLong { length: text });
    }
    Ok(())
}
