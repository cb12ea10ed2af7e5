//! Values as tests compare and show them: texts, numbers and tables to the last field, facts of the relay included.
//! Never runs the script's code to look at its values.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

use mlua::{ObjectLike as _, Table, Value};

use crate::policy::facts::{classes, quote};
use crate::policy::failure::printable;
use crate::policy::literal::{is_name, quoted};

/// Deepest tables that are looked into; what is deeper, or comes after too many others, is the same only if it is the
/// same table.
const MAX_DEPTH: usize = 16;

/// Most values of one that are looked at: a table may be held many times, also by itself.
const MAX_VALUES: usize = 100_000;

/// Longest text that is shown, in characters.
const MAX_SHOWN: usize = 2000;

/// A value that nothing can change any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain {
    Nil,
    Boolean(bool),
    Number(f64),
    Text(Vec<u8>),
    Table(BTreeMap<Key, Self>),
    /// What is only ever equal to itself, in words.
    Other(String),
}

/// A table's key. Numbers come first, in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Position(i64),
    Name(Vec<u8>),
    /// Any other, as it is shown.
    Other(String),
}

/// Where two values differ, and what they are there.
#[derive(Debug, PartialEq)]
pub(super) struct Difference<'a> {
    /// Such as `.targets[1].port`; empty for the values as wholes.
    pub(super) path: String,
    pub(super) got: &'a Plain,
    pub(super) expected: &'a Plain,
}

impl Plain {
    pub(super) fn of(value: &Value) -> Self {
        Self::within(value, MAX_DEPTH, &Cell::new(MAX_VALUES))
    }

    /// `value` with up to so many more levels, and as many more values as there are `left`.
    fn within(value: &Value, depth: usize, left: &Cell<usize>) -> Self {
        left.set(left.get().saturating_sub(1));
        let depth = if left.get() > 0 { depth } else { 0 };
        match value {
            Value::Nil => Self::Nil,
            Value::Boolean(value) => Self::Boolean(*value),
            Value::Integer(number) => Self::Number(*number as f64),
            Value::Number(number) => Self::Number(*number),
            Value::String(text) => Self::Text(text.as_bytes().to_vec()),
            Value::Table(table) if depth > 0 => Self::table(table, depth, left),
            Value::UserData(fact) if depth > 0 => Self::fact(fact, depth, left).unwrap_or_else(|| other(value)),
            _ => other(value),
        }
    }

    fn table(table: &Table, depth: usize, left: &Cell<usize>) -> Self {
        let pairs = table.pairs::<Value, Value>().flatten().take(left.get());
        Self::Table(pairs.map(|(key, value)| (Key::of(&key), Self::within(&value, depth - 1, left))).collect())
    }

    /// The fields of a fact that have a value.
    fn fact(fact: &mlua::AnyUserData, depth: usize, left: &Cell<usize>) -> Option<Self> {
        let name = fact.type_name().ok()?.to_string_lossy();
        let class = classes().into_iter().find(|class| class.name == name)?;
        // A class without fields has nothing by which two values could be told from each other.
        let first = class.fields.first()?;
        let _readable: Value = fact.get(first.name).ok()?;
        let fields = class.fields.iter().filter_map(|of| {
            let value = Self::within(&fact.get(of.name).ok()?, depth - 1, left);
            (value != Self::Nil).then(|| (Key::Name(of.name.as_bytes().to_vec()), value))
        });
        Some(Self::Table(fields.collect()))
    }

    /// The first place in which this differs from `expected`.
    pub(super) fn difference<'a>(&'a self, expected: &'a Self) -> Option<Difference<'a>> {
        let (Self::Table(got), Self::Table(wanted)) = (self, expected) else {
            let whole = Difference { path: String::new(), got: self, expected };
            return (self != expected).then_some(whole);
        };
        let mut keys: Vec<_> = got.keys().chain(wanted.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().find_map(|key| {
            let (got, wanted) = (got.get(key).unwrap_or(&Self::Nil), wanted.get(key).unwrap_or(&Self::Nil));
            let inner = got.difference(wanted)?;
            Some(Difference { path: format!("{}{}", key.step(), inner.path), ..inner })
        })
    }

    /// The elements of a list.
    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        let table = match self {
            Self::Table(table) => Some(table),
            _ => None,
        };
        table.into_iter().flat_map(BTreeMap::iter).filter(|(key, _)| matches!(key, Key::Position(_))).map(|(_, it)| it)
    }
}

impl Key {
    fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Name(text.as_bytes().to_vec()),
            Value::Integer(number) => Self::Position(*number),
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Self::Position(*number as i64),
            other => Self::Other(quote(other)),
        }
    }

    /// As it follows the table that it is in.
    fn step(&self) -> String {
        match self {
            Self::Position(number) => format!("[{number}]"),
            Self::Name(name) if is_name(name) => format!(".{}", String::from_utf8_lossy(name)),
            Self::Name(name) => format!("[{}]", quoted(name, MAX_SHOWN)),
            Self::Other(shown) => format!("[{shown}]"),
        }
    }
}

/// As Lua would write it, on one line.
impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&quoted(text, MAX_SHOWN)),
            Self::Other(shown) => f.write_str(shown),
            Self::Table(table) if table.is_empty() => f.write_str("{}"),
            Self::Table(table) => {
                let fields: Vec<_> = table.iter().enumerate().map(field).collect();
                f.write_str(&printable(&format!("{{ {} }}", fields.join(", ")), MAX_SHOWN))
            }
        }
    }
}

fn field((index, (key, value)): (usize, (&Key, &Plain))) -> String {
    match key {
        Key::Position(number) if usize::try_from(*number).is_ok_and(|number| number == index + 1) => value.to_string(),
        Key::Name(name) if is_name(name) => format!("{} = {value}", String::from_utf8_lossy(name)),
        other => format!("{} = {value}", other.step()),
    }
}

fn other(value: &Value) -> Plain {
    Plain::Other(format!("{} {:p}", quote(value), value.to_pointer()))
}
