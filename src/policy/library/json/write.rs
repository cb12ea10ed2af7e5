//! From values of Lua to JSON. Keys are sorted, so that equal values are equal texts.

use mlua::{Lua, Table, Value};

use super::super::fault::Fault;
use super::{MAX_DEPTH, MAX_TEXT, MAX_VALUES};
use crate::policy::facts::quote;
use crate::policy::failure::{beginning, printable};

/// Below this, whole numbers are exact, and are written without a fraction.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Longest key in the place that a message names, in characters.
const MAX_SHOWN: usize = 40;

/// `value` as JSON, without blanks.
pub(super) fn encode(lua: &Lua, value: &Value) -> Result<String, Fault> {
    let mut writer = Writer { lua, out: Vec::new(), left: MAX_VALUES };
    writer.value(value, 0).map_err(Problem::into_fault)?;
    String::from_utf8(writer.out).map_err(|error| error.to_string().into())
}

struct Writer<'a> {
    lua: &'a Lua,
    out: Vec<u8>,
    /// Values that may still come.
    left: usize,
}

/// What cannot be written, and its place: the innermost step last, while it comes out.
struct Problem {
    fault: Fault,
    place: Vec<String>,
}

impl Problem {
    fn inside(mut self, step: String) -> Self {
        self.place.push(step);
        self
    }

    fn into_fault(self) -> Fault {
        match self.fault {
            Fault::Words(words) if !self.place.is_empty() => {
                let place: String = self.place.into_iter().rev().collect();
                format!("at {place}: {words}").into()
            }
            fault => fault,
        }
    }
}

impl<T: Into<Fault>> From<T> for Problem {
    fn from(fault: T) -> Self {
        Self { fault: fault.into(), place: Vec::new() }
    }
}

impl Writer<'_> {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Problem> {
        self.left = self.left.checked_sub(1).ok_or_else(too_many)?;
        match value {
            Value::Nil => self.put(b"null"),
            null if *null == super::null() => self.put(b"null"),
            Value::Boolean(value) => self.put(value.to_string().as_bytes()),
            Value::Integer(value) => self.number(*value as f64),
            Value::Number(value) => self.number(*value),
            Value::String(text) => self.text(&text.as_bytes()),
            Value::Table(_) if depth == MAX_DEPTH => {
                Err(format!("tables nest more than {MAX_DEPTH} deep; does one hold itself?").into())
            }
            Value::Table(table) => self.table(table, depth + 1),
            other => Err(format!("{} has no JSON", quote(other)).into()),
        }
    }

    /// Every byte of the outcome passes here.
    fn put(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.out.len() + bytes.len() > MAX_TEXT {
            return Err(format!("the JSON would be longer than {MAX_TEXT} bytes").into());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn number(&mut self, value: f64) -> Result<(), Problem> {
        if !value.is_finite() {
            return Err(format!("{} has no JSON", quote(&Value::Number(value))).into());
        }
        let whole = value.fract() == 0.0 && value.abs() < EXACT;
        let text = if whole { Ok((value as i64).to_string()) } else { serde_json::to_string(&value) };
        self.put(text.map_err(|error| error.to_string())?.as_bytes())
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        // Before it is copied: what it becomes is no shorter.
        if bytes.len() > MAX_TEXT {
            return self.put(bytes);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("text is not UTF-8 from byte {} on", error.valid_up_to()))?;
        let quoted = serde_json::to_string(text).map_err(|error| error.to_string())?;
        self.put(quoted.as_bytes())
    }

    fn key(&mut self, key: &[u8]) -> Result<(), Problem> {
        self.text(key).map_err(|problem| problem.inside(format!(" the key {}", shown(key))))
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<(), Problem> {
        match Keys::of(table, self.left)? {
            Keys::Texts(keys) if keys.is_empty() => {
                let empty: &[u8] = if super::is_marked(self.lua, table)? { b"[]" } else { b"{}" };
                self.put(empty)
            }
            Keys::Texts(keys) => self.object(table, keys, depth),
            Keys::Positions(length) => self.list(table, length, depth),
        }
    }

    fn list(&mut self, table: &Table, length: usize, depth: usize) -> Result<(), Problem> {
        for position in 1..=length {
            self.put(if position == 1 { b"[" } else { b"," })?;
            let value: Value = table.raw_get(position)?;
            self.value(&value, depth).map_err(|problem| problem.inside(format!("[{position}]")))?;
        }
        self.put(b"]")
    }

    fn object(&mut self, table: &Table, mut keys: Vec<Vec<u8>>, depth: usize) -> Result<(), Problem> {
        keys.sort_unstable();
        for (position, key) in keys.iter().enumerate() {
            self.put(if position == 0 { b"{" } else { b"," })?;
            self.key(key)?;
            self.put(b":")?;
            let value: Value = table.raw_get(self.lua.create_string(key)?)?;
            self.value(&value, depth).map_err(|problem| problem.inside(format!(".{}", shown(key))))?;
        }
        self.put(b"}")
    }
}

/// What the keys of a table make of it. They are held as bytes: references to values of Lua would be kept in memory
/// that Lua can fail to find.
enum Keys {
    Texts(Vec<Vec<u8>>),
    /// All positions from 1 up to this.
    Positions(usize),
}

impl Keys {
    fn of(table: &Table, most: usize) -> Result<Self, Fault> {
        let (mut texts, mut numbers, mut room) = (Vec::new(), Vec::new(), MAX_TEXT);
        for pair in table.pairs::<Value, Value>() {
            let (key, _) = pair?;
            match &key {
                Value::String(text) => texts.push(kept(&text.as_bytes(), &mut room)?),
                Value::Number(number) => numbers.push(*number),
                Value::Integer(number) => numbers.push(*number as f64),
                other => return Err(format!("{} is a key, and JSON's keys are texts", quote(other)).into()),
            }
            if texts.len() + numbers.len() > most {
                return Err(too_many().into());
            }
        }
        match (texts.is_empty(), numbers.is_empty()) {
            (_, true) => Ok(Self::Texts(texts)),
            (true, false) => positions(numbers),
            (false, false) => {
                Err("a table has keys of both kinds, texts and numbers; JSON knows one".to_owned().into())
            }
        }
    }
}

/// A copy of `key`, which takes its part of `room`.
fn kept(key: &[u8], room: &mut usize) -> Result<Vec<u8>, String> {
    let left = room.checked_sub(key.len());
    *room = left.ok_or_else(|| format!("the keys of one table are longer than {MAX_TEXT} bytes"))?;
    Ok(key.to_vec())
}

fn positions(mut numbers: Vec<f64>) -> Result<Keys, Fault> {
    numbers.sort_unstable_by(f64::total_cmp);
    let mut expected = 0.0;
    for number in &numbers {
        expected += 1.0;
        if *number != expected {
            return Err(format!("a list has holes: {number} is a key, and {expected} is none").into());
        }
    }
    Ok(Keys::Positions(numbers.len()))
}

fn too_many() -> String {
    format!("it has more than {MAX_VALUES} values")
}

fn shown(key: &[u8]) -> String {
    printable(&beginning(key, MAX_SHOWN), MAX_SHOWN)
}
