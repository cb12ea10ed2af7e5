//! What scripts read of the relay while one request was decided: noted where the decision is to be kept, and told from
//! the notes where it is asked for again. Where nobody wants either there is no journal, and reading costs no more for
//! it.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Most answers of one decision, and what they and their questions may take together, in bytes of JSON. Decisions that
/// read more are kept without the rest.
const MAX_READS: usize = 256;
const MAX_BYTES: usize = 64 << 10;

/// Questions that are named of those that had no answer.
const MAX_MISSED: usize = 8;

/// What one decision read beside what it was asked: answers, by the question as a script would write it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reads(BTreeMap<String, Value>);

/// The notes of one decision, whichever policies take part in it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
struct Pages {
    reads: Reads,
    bytes: usize,
    /// Nothing is known but what was read then.
    replaying: bool,
    missed: Vec<String>,
}

/// A value of the registry's, which is shared and not copied unless it is noted.
#[derive(Debug, Clone)]
pub(super) struct Shared<T>(pub(super) Arc<T>);

impl Reads {
    /// About how much memory they take, in bytes.
    pub fn weight(&self) -> usize {
        self.0.iter().map(|(question, answer)| question.len() + weight(answer)).sum()
    }
}

impl Journal {
    /// Tells what `reads` has, and nothing else.
    pub(super) fn replaying(reads: Reads) -> Self {
        let pages = Pages { reads, replaying: true, ..Pages::default() };
        Self(Arc::new(Mutex::new(pages)))
    }

    /// Everything that was read.
    pub fn reads(&self) -> Reads {
        mem::take(&mut self.pages().reads)
    }

    /// Questions that nobody had asked when the notes were taken, a few of them. If there is any, what was decided on
    /// these notes is worth nothing.
    pub fn missed(&self) -> Vec<String> {
        mem::take(&mut self.pages().missed)
    }

    /// The second answer to a question is the first: other threads may change what it is about.
    pub(super) fn read<T>(&self, question: String, look: impl FnOnce() -> T) -> T
    where
        T: Serialize + DeserializeOwned + Default,
    {
        let mut pages = self.pages();
        if let Some(answer) = pages.reads.0.get(&question).and_then(|answer| T::deserialize(answer).ok()) {
            return answer;
        }
        if pages.replaying {
            pages.miss(question);
            return T::default();
        }
        let answer = look();
        pages.note(question, &answer);
        answer
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Every note is whole, so a panic elsewhere says nothing against it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn note(&mut self, question: String, answer: &impl Serialize) {
        let Ok(answer) = serde_json::to_value(answer) else { return };
        let bytes = self.bytes + question.len() + weight(&answer);
        if self.reads.0.len() < MAX_READS && bytes <= MAX_BYTES {
            self.bytes = bytes;
            self.reads.0.insert(question, answer);
        }
    }

    fn miss(&mut self, question: String) {
        if self.missed.len() < MAX_MISSED {
            self.missed.push(question);
        }
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        T::deserialize(from).map(|value| Self(Arc::new(value)))
    }
}

/// About how long the text of `value` is, in bytes.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(values) => values.iter().map(|value| weight(value) + 1).sum(),
        Value::Object(values) => values.iter().map(|(key, value)| key.len() + weight(value) + 4).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_is_told_again_and_nothing_else() {
        let journal = Journal::default();
        assert_eq!(journal.read("a".to_owned(), || 7), 7);
        assert_eq!(journal.read("a".to_owned(), || 8), 7, "the second answer is the first");
        assert_eq!(journal.read("b".to_owned(), || None::<u8>), None);
        let reads = journal.reads();
        let again = Journal::replaying(reads);
        assert_eq!(again.read("a".to_owned(), || 9), 7);
        assert_eq!(again.read("b".to_owned(), || Some(9)), None, "that there was nothing is an answer, too");
        assert!(again.missed().is_empty());
        assert_eq!(again.read("c".to_owned(), || 9), 0);
        assert_eq!(again.missed(), ["c"]);
    }

    #[test]
    fn what_is_noted_is_bounded() {
        let journal = Journal::default();
        for number in 0..2 * MAX_READS {
            journal.read(number.to_string(), || number);
        }
        assert_eq!(journal.reads().0.len(), MAX_READS);
        let journal = Journal::default();
        let long = "x".repeat(MAX_BYTES / 2);
        for number in 0..4 {
            assert_eq!(journal.read(number.to_string(), || long.clone()), long);
        }
        let reads = journal.reads();
        assert_eq!(reads.0.len(), 1);
        assert!((MAX_BYTES / 2..MAX_BYTES).contains(&reads.weight()));
        let again = Journal::replaying(Reads::default());
        for number in 0..2 * MAX_MISSED {
            again.read(number.to_string(), || ());
        }
        assert_eq!(again.missed().len(), MAX_MISSED);
    }
}
