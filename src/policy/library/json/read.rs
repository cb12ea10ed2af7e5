//! From JSON to values of Lua, value by value: nothing is held twice.

use std::cell::{Cell, RefCell};
use std::fmt;

use mlua::{Lua, LuaString, Table, Value};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::fault::{Fault, bounded};
use super::{MARK, MAX_DEPTH, MAX_TEXT, MAX_VALUES};

/// The value that `text` stands for.
pub(super) fn decode(lua: &Lua, text: &[u8]) -> Result<Value, Fault> {
    bounded("text", text, MAX_TEXT)?;
    let reading = Reading { lua, left: Cell::new(MAX_VALUES), failed: RefCell::default() };
    let mut source = serde_json::Deserializer::from_slice(text);
    let outcome = Nested { reading: &reading, depth: 0 }.deserialize(&mut source);
    let outcome = outcome.and_then(|value| source.end().map(|()| value));
    outcome.map_err(|error| match reading.failed.take() {
        Some(failed) => failed.into(),
        None => format!("text is no JSON that can be read: {error}").into(),
    })
}

/// What all values of one text share.
struct Reading<'a> {
    lua: &'a Lua,
    /// Values that may still come.
    left: Cell<usize>,
    /// What Lua failed of; serde carries words only.
    failed: RefCell<Option<mlua::Error>>,
}

impl Reading<'_> {
    fn lua<T, E: Error>(&self, outcome: mlua::Result<T>) -> Result<T, E> {
        outcome.map_err(|error| {
            self.failed.replace(Some(error));
            E::custom("Lua failed")
        })
    }

    fn text<E: Error>(&self, text: &str) -> Result<LuaString, E> {
        self.lua(self.lua.create_string(text))
    }

    fn count<E: Error>(&self) -> Result<(), E> {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.ok_or_else(|| E::custom(format_args!("it has more than {MAX_VALUES} values")))?);
        Ok(())
    }
}

/// One value, inside of `depth` others.
#[derive(Clone, Copy)]
struct Nested<'a> {
    reading: &'a Reading<'a>,
    depth: usize,
}

impl Nested<'_> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth {
            MAX_DEPTH.. => Err(E::custom(format_args!("it nests more than {MAX_DEPTH} deep"))),
            depth => Ok(Self { depth: depth + 1, ..self }),
        }
    }

    fn table<E: Error>(self) -> Result<Table, E> {
        self.reading.lua(self.reading.lua.create_table())
    }

    /// Makes an empty list one that stays a list.
    fn marked<E: Error>(self, list: Table) -> Result<Value, E> {
        let mark = self.reading.lua.named_registry_value(MARK);
        self.reading.lua(mark.and_then(|mark| list.set_metatable(Some(mark))))?;
        Ok(Value::Table(list))
    }
}

impl<'de> DeserializeSeed<'de> for Nested<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        self.reading.count()?;
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(super::null())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.reading.text(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Value, A::Error> {
        let (inside, list) = (self.deeper()?, self.table()?);
        let mut length = 0;
        while let Some(value) = values.next_element_seed(inside)? {
            length += 1;
            self.reading.lua(list.raw_set(length, value))?;
        }
        if length == 0 { self.marked(list) } else { Ok(Value::Table(list)) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (inside, table) = (self.deeper()?, self.table()?);
        while let Some(key) = entries.next_key_seed(Key(self.reading))? {
            let value = entries.next_value_seed(inside)?;
            self.reading.lua(table.raw_set(key, value))?;
        }
        Ok(Value::Table(table))
    }
}

/// The key of an entry.
struct Key<'a>(&'a Reading<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = LuaString;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<LuaString, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = LuaString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<LuaString, E> {
        self.0.text(key)
    }
}
