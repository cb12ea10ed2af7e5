//! Values as they are shown to a person: facts with their fields, tables to a bounded depth and length, on one line
//! where they fit. Never runs the script's code to look at its values.

use std::cmp::Ordering;

use mlua::{AnyUserData, MultiValue, ObjectLike as _, Table, Value};

use crate::policy::facts::{classes, quote};
use crate::policy::literal::{is_name, quoted};

/// Deepest tables and facts that are looked into.
const MAX_DEPTH: usize = 6;

/// Most entries of one table that are shown, and most that are put in order for that.
const MAX_ENTRIES: usize = 50;
const MAX_SORTED: usize = 10_000;

/// Most values that are shown of one input, at all depths together.
const MAX_VALUES: usize = 1000;

/// Longest text, in characters.
const MAX_TEXT: usize = 500;

/// Longest line that is not broken up, in characters.
const WIDTH: usize = 100;

/// A value with what is in it.
enum Shown {
    Leaf(String),
    Group {
        /// What kind of fact it is; empty for a table.
        head: String,
        /// Keys are empty where a list has its elements.
        entries: Vec<(String, Self)>,
    },
}

/// Looks at values until it has seen enough.
struct Sight {
    left: usize,
}

/// The text of all `values`, the first first, each on lines of its own.
pub(super) fn lines(values: &MultiValue) -> String {
    let mut sight = Sight { left: MAX_VALUES };
    let texts: Vec<_> = values.iter().map(|value| sight.of(value, MAX_DEPTH).broken(0)).collect();
    texts.join("\n")
}

impl Sight {
    fn of(&mut self, value: &Value, depth: usize) -> Shown {
        self.left = self.left.saturating_sub(1);
        match value {
            Value::String(text) => Shown::Leaf(quoted(&text.as_bytes(), MAX_TEXT)),
            Value::Table(_) if depth == 0 || self.left == 0 => Shown::Leaf("{ … }".to_owned()),
            Value::Table(table) => self.table(table, depth - 1),
            Value::UserData(fact) => self.fact(fact, depth),
            Value::Nil | Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => Shown::Leaf(quote(value)),
            other => Shown::Leaf(other.type_name().to_owned()),
        }
    }

    fn table(&mut self, table: &Table, depth: usize) -> Shown {
        let mut pairs: Vec<_> = table.pairs::<Value, Value>().flatten().take(MAX_SORTED).collect();
        pairs.sort_by(|(a, _), (b, _)| order(a, b));
        let all = pairs.len();
        let mut entries = Vec::new();
        for (key, value) in pairs.into_iter().take(MAX_ENTRIES) {
            if self.left == 0 {
                break;
            }
            entries.push((written(&key, entries.len() + 1), self.of(&value, depth)));
        }
        if let Some(more) = all.checked_sub(entries.len()).filter(|more| *more > 0) {
            let at_least = if all == MAX_SORTED { "at least " } else { "" };
            entries.push((String::new(), Shown::Leaf(format!("… and {at_least}{more} more"))));
        }
        Shown::Group { head: String::new(), entries }
    }

    /// The fields of a fact that have a value.
    fn fact(&mut self, fact: &AnyUserData, depth: usize) -> Shown {
        let head = fact.type_name().map_or_else(|_| "userdata".to_owned(), |name| name.to_string_lossy());
        let Some(class) = classes().into_iter().find(|class| class.name == head && !class.fields.is_empty()) else {
            return Shown::Leaf(head);
        };
        if depth == 0 || self.left == 0 {
            return Shown::Leaf(format!("{head} {{ … }}"));
        }
        let fields = class.fields.iter().filter_map(|of| {
            let value = fact.get::<Value>(of.name).ok().filter(|value| !value.is_nil())?;
            Some((format!("{} = ", of.name), self.of(&value, depth - 1)))
        });
        Shown::Group { entries: fields.collect(), head: head + " " }
    }
}

impl Shown {
    /// On one line.
    fn flat(&self) -> String {
        match self {
            Self::Leaf(text) => text.clone(),
            Self::Group { head, entries } if entries.is_empty() => format!("{head}{{}}"),
            Self::Group { head, entries } => {
                let entries: Vec<_> = entries.iter().map(|(key, value)| key.clone() + &value.flat()).collect();
                format!("{head}{{ {} }}", entries.join(", "))
            }
        }
    }

    /// On one line, or on a line an entry where that is too long, so many levels inside.
    fn broken(&self, level: usize) -> String {
        let flat = self.flat();
        match self {
            Self::Group { head, entries } if flat.chars().count() + 2 * level > WIDTH => {
                let indent = "  ".repeat(level);
                let lines: String = entries
                    .iter()
                    .map(|(key, value)| format!("{indent}  {key}{},\n", value.broken(level + 1)))
                    .collect();
                format!("{head}{{\n{lines}{indent}}}")
            }
            _ => flat,
        }
    }
}

/// Numbers first, then names, then the rest as it comes.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(&b.as_bytes()),
        _ => {
            let rank = |value: &Value| (place(value).is_none(), value.as_string().is_none());
            let places = place(a).zip(place(b)).map(|(a, b)| a.total_cmp(&b));
            places.unwrap_or_else(|| rank(a).cmp(&rank(b)))
        }
    }
}

fn place(key: &Value) -> Option<f64> {
    match key {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// A key as it stands before its value; nothing where a list has `position` there.
fn written(key: &Value, position: usize) -> String {
    match key {
        Value::String(name) if is_name(&name.as_bytes()) => format!("{} = ", name.to_string_lossy()),
        Value::String(name) => format!("[{}] = ", quoted(&name.as_bytes(), MAX_TEXT)),
        other if place(other) == Some(position as f64) => String::new(),
        other => format!("[{}] = ", quote(other)),
    }
}
