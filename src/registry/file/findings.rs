//! All that is wrong with a registry file. The parser stops at the first fault, so the file is read again without the
//! entries that were found wrong, until nothing is left to complain about. It says what is wrong, and never what is
//! right.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::path::Path;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_yaml::Error;

use crate::config::problem::{Problem, Problems};
use crate::registry::model::{Build, Executor, Gateway};

/// How many faults are told at once, each of which costs another reading.
const MOST: usize = 20;

/// An entry: its list, and its place in it.
type Entry = (&'static str, usize);

/// Everything that is wrong with `text`, which could not be used because of `first`.
pub(super) fn all(file: &Path, text: &str, first: &Error) -> Problems {
    let first = problem(file, first);
    let (mut problems, mut left_out) = (Vec::new(), BTreeSet::new());
    while let Some((entry, error)) = next(text, &left_out).filter(|_| problems.len() < MOST) {
        if !left_out.insert(entry) {
            break;
        }
        problems.push(problem(file, &error));
    }
    if !problems.contains(&first) {
        problems.push(first);
    }
    problems.sort_by_key(|problem| problem.line);
    Problems(problems)
}

/// That `file` cannot be read at all.
pub(super) fn unreadable(file: &Path, error: &io::Error) -> Problems {
    let text = format!("cannot be read: {error}");
    Problems(vec![Problem { file: file.to_owned(), line: None, key: String::new(), text }])
}

/// The parser's own words begin with the key, and end with the place, which stands before them already.
fn problem(file: &Path, error: &Error) -> Problem {
    let (mut text, line) = (error.to_string(), error.location().map(|location| location.line()));
    if let Some(location) = error.location() {
        let place = format!(" at line {} column {}", location.line(), location.column());
        text.truncate(text.strip_suffix(&place).unwrap_or(&text).len());
    }
    Problem { file: file.to_owned(), line, key: String::new(), text }
}

/// The first wrong entry that is not `left_out`. `None` also where the fault lies in no entry.
fn next(text: &str, left_out: &BTreeSet<Entry>) -> Option<(Entry, Error)> {
    let at = Cell::new(None);
    let document = serde_yaml::Deserializer::from_str(text).next()?;
    let error = Lists { left_out, at: &at }.deserialize(document).err()?;
    Some((at.get()?, error))
}

/// Goes through all lists of a file.
struct Lists<'r> {
    left_out: &'r BTreeSet<Entry>,
    /// The entry that is being read.
    at: &'r Cell<Option<Entry>>,
}

/// Goes through one of them, and reads what is not left out.
struct List<'r, T> {
    lists: &'r Lists<'r>,
    name: &'static str,
    entries: PhantomData<T>,
}

impl<'r> Lists<'r> {
    fn list<T>(&'r self, name: &'static str) -> List<'r, T> {
        List { lists: self, name, entries: PhantomData }
    }
}

impl<'de> DeserializeSeed<'de> for Lists<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Lists<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lists of a registry")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut file: A) -> Result<(), A::Error> {
        while let Some(key) = file.next_key::<String>()? {
            match key.as_str() {
                "builds" => file.next_value_seed(self.list::<Build>("builds"))?,
                "gateways" => file.next_value_seed(self.list::<Gateway>("gateways"))?,
                "executors" => file.next_value_seed(self.list::<Executor>("executors"))?,
                _ => _ = file.next_value::<IgnoredAny>()?,
            }
        }
        Ok(())
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for List<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for List<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.name)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for entry in (0..).map(|index| (self.name, index)) {
            self.lists.at.set(Some(entry));
            let there = if self.lists.left_out.contains(&entry) {
                list.next_element::<IgnoredAny>()?.is_some()
            } else {
                list.next_element::<T>()?.is_some()
            };
            if !there {
                break;
            }
        }
        self.lists.at.set(None);
        Ok(())
    }
}
