//! What a policy calls a stream: a few words with a value each, for records and metrics. They can hold nothing that
//! a log line or a metric label could be broken with.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

/// Up to [`Tags::MAX`] keys with a value each, in the order of their keys: a Lua table has none of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Tags(BTreeMap<String, String>);

/// Pairs that cannot be tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadTags {
    /// More than [`Tags::MAX`].
    #[error("there are more than {max} tags", max = Tags::MAX)]
    TooMany,
    /// A key that is no word. It holds the key's beginning.
    #[error(
        "the tag {0:?} is no word: it must be 1 to {max} of a to z, 0 to 9 and _, and begin with a letter",
        max = Tags::MAX_KEY
    )]
    Key(String),
    /// The same key again.
    #[error("the tag {0:?} is given twice")]
    Twice(String),
    /// A value that is no short text. It holds the value's beginning.
    #[error("the tag {key:?} has the value {value:?}: it must be 1 to {max} printable ASCII characters", max = Tags::MAX_VALUE)]
    Value {
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
}

impl Tags {
    /// Most tags that one decision may give.
    pub const MAX: usize = 8;

    /// Longest key, in characters.
    pub const MAX_KEY: usize = 32;

    /// Longest value, in characters.
    pub const MAX_VALUE: usize = 64;

    /// Takes `pairs` of a key and a value.
    ///
    /// # Errors
    /// [`BadTags`] for the first pair that cannot be a tag, and for too many of them.
    pub fn new<K, V>(pairs: impl IntoIterator<Item = (K, V)>) -> Result<Self, BadTags>
    where
        K: AsRef<str>,
        V: AsRef<str>,
    {
        let mut tags = BTreeMap::new();
        for (key, value) in pairs {
            let (key, value) = (checked_key(key.as_ref())?, value.as_ref());
            if !is_value(value) {
                return Err(BadTags::Value { key, value: beginning(value) });
            }
            match tags.entry(key) {
                Entry::Occupied(given) => return Err(BadTags::Twice(given.key().clone())),
                Entry::Vacant(free) => drop(free.insert(value.to_owned())),
            }
            if tags.len() > Self::MAX {
                return Err(BadTags::TooMany);
            }
        }
        Ok(Self(tags))
    }

    /// These and `later` ones of another decision about the same stream, which win where both have a key. So there
    /// may be twice [`Self::MAX`] of them.
    #[must_use]
    pub fn joined(mut self, later: Self) -> Self {
        self.0.extend(later.0);
        self
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys with their values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The text of a JSON object with a string for each tag.
    pub fn json(&self) -> String {
        // A map of strings always has a text.
        serde_json::to_string(&self.0).unwrap_or_default()
    }
}

fn checked_key(key: &str) -> Result<String, BadTags> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let good = key.starts_with(|first: char| first.is_ascii_lowercase())
        && key.len() <= Tags::MAX_KEY
        && key.bytes().all(word);
    if good { Ok(key.to_owned()) } else { Err(BadTags::Key(beginning(key))) }
}

fn is_value(value: &str) -> bool {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    (1..=Tags::MAX_VALUE).contains(&value.len()) && value.bytes().all(printable)
}

/// As much of `text` as shows what is wrong with it.
fn beginning(text: &str) -> String {
    text.chars().take(Tags::MAX_VALUE + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(key: &str, value: &str) -> String {
        Tags::new([(key, value)]).unwrap_err().to_string()
    }

    #[test]
    fn tags_are_kept_in_the_order_of_their_keys() {
        let tags = Tags::new([("tenant", "acme"), ("a", "\"quoted\" \\ text"), ("z_9", "1")]).unwrap();
        let pairs: Vec<_> = tags.iter().collect();
        assert_eq!(pairs, [("a", "\"quoted\" \\ text"), ("tenant", "acme"), ("z_9", "1")]);
        assert_eq!(tags.json(), r#"{"a":"\"quoted\" \\ text","tenant":"acme","z_9":"1"}"#);
        assert!(Tags::default().is_empty());
    }

    #[test]
    fn the_longest_keys_and_values_are_taken() {
        let (key, value) = ("k".repeat(Tags::MAX_KEY), "~".repeat(Tags::MAX_VALUE));
        assert_eq!(Tags::new([(&key, &value)]).unwrap().iter().next(), Some((key.as_str(), value.as_str())));
    }

    #[test]
    fn a_key_that_is_no_word_is_named() {
        for key in ["", "9a", "_a", "Tenant", "a-b", "a b", "é", &"k".repeat(33)] {
            assert!(refused(key, "x").starts_with(&format!("the tag {key:?} is no word: it must be 1 to 32 of ")));
        }
    }

    #[test]
    fn a_value_that_is_no_short_text_is_named_with_its_key() {
        for value in ["", "a\nb", "\0", "é", "\u{7f}", &"v".repeat(65)] {
            let expected = format!("the tag \"team\" has the value {value:?}: it must be 1 to 64 printable ASCII");
            assert!(refused("team", value).starts_with(&expected), "{value:?}");
        }
    }

    #[test]
    fn no_message_is_longer_than_what_it_is_about() {
        let long = "x".repeat(1 << 20);
        assert!(refused(&long, "x").len() < 300);
        assert!(refused("a", &long).len() < 300);
    }

    #[test]
    fn a_key_given_twice_and_a_ninth_one_are_refused() {
        assert_eq!(Tags::new([("a", "1"), ("a", "1")]).unwrap_err().to_string(), "the tag \"a\" is given twice");
        let many = |count: usize| Tags::new((0..count).map(|n| (format!("k{n}"), "x")));
        assert!(many(Tags::MAX).is_ok());
        assert_eq!(many(Tags::MAX + 1).unwrap_err().to_string(), "there are more than 8 tags");
    }

    #[test]
    fn of_two_decisions_the_later_one_wins_where_both_speak() {
        let first = Tags::new([("from", "office"), ("team", "a")]).unwrap();
        let later = Tags::new([("team", "b")]).unwrap();
        assert_eq!(first.joined(later).json(), r#"{"from":"office","team":"b"}"#);
    }
}
