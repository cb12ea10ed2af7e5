//! Options that several makers take, and how they are read.

use mlua::{LuaString, Table, Value};

use crate::policy::description::{Name, Type, name};
use crate::route::{Limit, Tags};

pub(super) const SECONDS: Type = Type::Optional(&Type::Number);

pub(super) const TAGS: Name = name(
    "tags",
    Type::Optional(&Type::Map(&Type::String)),
    "Up to 8 words with a value each, for the stream's record and for metrics.",
);

/// A number as Lua has it, whole or not.
pub(in crate::policy) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        // As mlua gives whole numbers.
        Value::Integer(number) => Some(*number as f64),
        _ => None,
    }
}

/// The time limit called `name`, if it is given.
pub(in crate::policy) fn limit(options: &Table, name: &str) -> Result<Option<Limit>, String> {
    let Ok(Some(seconds)) = options.raw_get::<Option<f64>>(name) else { return Ok(None) };
    Limit::seconds(seconds).map(Some).map_err(|bad| format!("{name}: {bad}"))
}

/// The tags, none if none are given.
pub(super) fn tags(options: &Table) -> Result<Tags, String> {
    let Ok(Value::Table(tags)) = options.raw_get(TAGS.name) else { return Ok(Tags::default()) };
    // One more than there may be: then they are refused.
    let pairs = tags.pairs::<LuaString, LuaString>().flatten().take(Tags::MAX + 1);
    let pairs = pairs.map(|(key, value)| (key.to_string_lossy(), value.to_string_lossy()));
    Tags::new(pairs).map_err(|bad| bad.to_string())
}
