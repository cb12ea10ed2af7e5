//! `relay.shared`: what scripts know across calls, threads and reloads. `route` only reads it.

use std::time::Duration;

use mlua::{Lua, Value};

use super::options::number;
use crate::policy::FailureKind;
use crate::policy::call::{self, Held};
use crate::policy::description::{Arguments, Function, Namespace, Parameter, Phases, Type, parameter};
use crate::policy::failure::Complaint;
use crate::policy::shared::{self, SharedError, SharedTable};
use crate::route::Limit;

/// Most keys of one list.
const MAX_KEYS: usize = 1000;

/// What can be kept.
pub(in crate::policy) const VALUE: Type = Type::Either(&[Type::String, Type::Number, Type::Boolean]);
const KEY: Parameter = parameter("key", Type::String, "text of at most 256 bytes");
const TTL: Parameter =
    parameter("ttl", Type::Optional(&Type::Number), "how many seconds the entry is kept; without it for ever");
const KEPT: Parameter = parameter("value", VALUE, "text of at most 64 KiB, a number, true or false");

/// What scripts know across calls, threads and reloads.
pub(super) const SHARED: Namespace = Namespace {
    name: "relay.shared",
    about: "What all scripts of this relay know, whichever thread they run on, and from one reload to the next: texts, \
            numbers and booleans by key, each for as long as it is wanted, within policy.shared_limit.",
    constants: &[],
    functions: &[
        Function {
            name: "get",
            about: "The value at a key; nil if there is none, or none any more.",
            parameters: &[KEY],
            returns: Type::Optional(&VALUE),
            phases: Phases::KNOWING,
            blame: FailureKind::Error,
            call: |lua, arguments| {
                within(lua, |held| {
                    let Some(key) = known_key(arguments) else { return Ok(Value::Nil) };
                    let question = || format!("relay.shared.get({key:?})");
                    let kept = held.world.read(question, || held.world.shared.get(&key, held.at.tick));
                    kept.map_or(Ok(Value::Nil), |kept| shown(lua, &kept))
                })
            },
        },
        Function {
            name: "keys",
            about: "The keys that begin with a text, in order; at most the first 1000.",
            parameters: &[parameter("prefix", Type::String, "what they begin with, such as \"drain/\"")],
            returns: Type::List(&Type::String),
            phases: Phases::KNOWING,
            blame: FailureKind::Error,
            call: |lua, arguments| {
                within(lua, |held| {
                    let Some(prefix) = known_key(arguments) else { return lua.create_table().map(Value::Table) };
                    let question = || format!("relay.shared.keys({prefix:?})");
                    let keys = held.world.read(question, || held.world.shared.keys(&prefix, MAX_KEYS, held.at.tick));
                    lua.create_sequence_from(keys).map(Value::Table)
                })
            },
        },
        Function {
            name: "set",
            about: "Puts a value at a key, whatever was there. False if the table is full: nothing was changed then.",
            parameters: &[KEY, KEPT, TTL],
            returns: Type::Boolean,
            phases: Phases::WRITING,
            blame: FailureKind::Error,
            call: |lua, arguments| {
                let ttl = ttl(lua, "relay.shared.set", arguments.at(2))?;
                written(lua, "relay.shared.set", |held| {
                    let (key, value) = (key(arguments), kept(arguments.at(1)));
                    held.world.shared.set(&key, value, ttl, held.at.tick).map(|()| Value::Boolean(true))
                })
            },
        },
        Function {
            name: "set_new",
            about: "Puts a value at a key unless something is there; says whether it did. Of several threads that do so \
                    at one time, one does.",
            parameters: &[KEY, KEPT, TTL],
            returns: Type::Boolean,
            phases: Phases::WRITING,
            blame: FailureKind::Error,
            call: |lua, arguments| {
                let ttl = ttl(lua, "relay.shared.set_new", arguments.at(2))?;
                written(lua, "relay.shared.set_new", |held| {
                    let (key, value) = (key(arguments), kept(arguments.at(1)));
                    held.world.shared.set_new(&key, value, ttl, held.at.tick).map(Value::Boolean)
                })
            },
        },
        Function {
            name: "add",
            about: "Adds to the number at a key and returns the sum; where nothing is it begins at zero, with that ttl: \
                    a counter counts in windows of its length. False if the table is full.",
            parameters: &[KEY, parameter("delta", Type::Number, "a number, also a negative one"), TTL],
            returns: Type::Either(&[Type::Number, Type::Boolean]),
            phases: Phases::WRITING,
            blame: FailureKind::Error,
            call: |lua, arguments| {
                let ttl = ttl(lua, "relay.shared.add", arguments.at(2))?;
                written(lua, "relay.shared.add", |held| {
                    let delta = number(arguments.at(1)).unwrap_or_default();
                    held.world.shared.add(&key(arguments), delta, ttl, held.at.tick).map(Value::Number)
                })
            },
        },
        Function {
            name: "remove",
            about: "Removes what is at a key; says whether anything was.",
            parameters: &[KEY],
            returns: Type::Boolean,
            phases: Phases::WRITING,
            blame: FailureKind::Error,
            call: |lua, arguments| {
                within(lua, |held| Ok(Value::Boolean(held.world.shared.remove(&key(arguments), held.at.tick))))
            },
        },
    ],
    inner: &[],
};

fn within(lua: &Lua, work: impl FnOnce(&Held) -> mlua::Result<Value>) -> mlua::Result<Value> {
    call::held(lua).map_or(Ok(Value::Nil), |held| work(&held))
}

/// A full table is no mistake of whoever finds it full, and metrics tell of it; anything else is one.
fn written(lua: &Lua, name: &str, work: impl FnOnce(&Held) -> Result<Value, SharedError>) -> mlua::Result<Value> {
    within(lua, |held| match work(held) {
        Err(SharedError::Full { .. }) => Ok(Value::Boolean(false)),
        Err(error) => Err(Complaint::raised(lua, FailureKind::Error, &format!("{name}: {error}"))),
        Ok(value) => Ok(value),
    })
}

/// What something may be called: whoever only looks is not told that a key is too long, and a longer one is not read.
fn known_key(arguments: &Arguments) -> Option<String> {
    let key = arguments.at(0).as_string().filter(|key| key.as_bytes().len() <= SharedTable::MAX_KEY)?;
    Some(key.to_string_lossy())
}

fn key(arguments: &Arguments) -> String {
    arguments.at(0).as_string().map(|key| key.to_string_lossy()).unwrap_or_default()
}

/// What is kept, as Lua sees it.
pub(in crate::policy) fn shown(lua: &Lua, kept: &shared::Value) -> mlua::Result<Value> {
    match kept {
        shared::Value::Text(text) => lua.create_string(text).map(Value::String),
        shared::Value::Number(number) => Ok(Value::Number(*number)),
        shared::Value::Boolean(value) => Ok(Value::Boolean(*value)),
    }
}

/// What is kept of a value that a description of [`VALUE`] let pass.
pub(in crate::policy) fn kept(value: &Value) -> shared::Value {
    match value {
        Value::String(text) => shared::Value::Text(text.as_bytes().to_vec().into()),
        Value::Boolean(value) => shared::Value::Boolean(*value),
        value => shared::Value::Number(number(value).unwrap_or_default()),
    }
}

fn ttl(lua: &Lua, name: &str, value: &Value) -> mlua::Result<Option<Duration>> {
    let Some(seconds) = number(value) else { return Ok(None) };
    match Limit::seconds(seconds) {
        Ok(limit) => Ok(Some(limit.get())),
        Err(bad) => Err(Complaint::raised(lua, FailureKind::Error, &format!("{name}: ttl: {bad}"))),
    }
}
