//! What a script may know: requests, builds, gateways, routes and streams as read-only values. Every field is
//! described once, beside its type, and the description is all that the binding is made from.
//!
//! Fields are converted when they are read, so that a fact costs only what a script looks at.

mod registry;
mod request;
mod route;
mod sight;
mod stream;

use std::sync::Arc;

use mlua::{
    AnyUserData, Either, IntoLua as _, Lua, MetaMethod, Table, UserData, UserDataFields, UserDataMethods, UserDataRef,
    Value,
};

use super::answer::Made;
use super::description::{self, Class, Kind, Name, Type};
use super::failure::{Complaint, beginning, printable};
use super::hand::{self, Of};
use super::kept::Kept;
use super::library::NetworkSet;
use super::outside::ResponseFacts;
use super::unguarded::unguarded;
use super::{FailureKind, spelling};
use crate::names::Zone;
use crate::registry::{Build, Executor, Gateway, Worker};
use crate::route::Target;
use crate::tls::Identity;
use crate::upstream::Observed;
pub(super) use request::RequestFacts;
pub(super) use stream::{Allowed, ConnectionFacts, EndedFacts};

/// Longest string in a message, in characters.
const MAX_QUOTED: usize = 60;

const STRING: Type = Type::String;
const TEXT: Type = Type::Optional(&STRING);
const NUMBER: Type = Type::Optional(&Type::Number);

/// One field of a fact: what it is in Lua, and how to read it.
pub(super) struct Field<T> {
    pub(super) name: Name,
    read: fn(&Lua, &T) -> mlua::Result<Value>,
}

/// A type of which scripts see values.
pub(super) trait Described: Sized + Send + Sync + 'static {
    /// What messages and type definitions call it.
    const NAME: &'static str;
    /// What it stands for, in one sentence.
    const ABOUT: &'static str;
    /// All that a script can read of it.
    const FIELDS: &'static [Field<Self>];
    /// Set where something of it is at hand when `route` is called.
    const AT_HAND: Option<Of> = None;
    /// The type, for the description of what takes or returns one.
    const KIND: Kind = Kind { name: Self::NAME, is: is::<Self>, fill: fill::<Self> };
}

/// Describes every type of which scripts see values.
pub(super) fn classes() -> Vec<Class> {
    vec![
        class::<RequestFacts>(),
        class::<Arc<Build>>(),
        class::<Worker>(),
        class::<Arc<Gateway>>(),
        class::<Arc<Executor>>(),
        class::<Observed>(),
        class::<Arc<Identity>>(),
        class::<ConnectionFacts>(),
        class::<EndedFacts>(),
        class::<Made>(),
        class::<Target>(),
        class::<Allowed>(),
        class::<NetworkSet>(),
        class::<ResponseFacts>(),
    ]
}

/// A described value in Lua's hands.
pub(super) struct Fact<T>(pub(super) T);

// One metamethod for all fields: mlua's own field getters would go through a function in Lua for each read.
impl<T: Described> UserData for Fact<T> {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field("__type", T::NAME);
        if let Some(of) = T::AT_HAND {
            fields.add_meta_field_with(MetaMethod::Index, move |lua| hand::reader::<T>(lua, of));
        }
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        if T::AT_HAND.is_none() {
            methods.add_meta_method(MetaMethod::Index, Self::read);
        }
        methods.add_meta_method(MetaMethod::NewIndex, |lua, _, (key, _): (Value, Value)| -> mlua::Result<()> {
            let text = format!("a {} is read-only; its {} cannot be set", T::NAME, quote(&key));
            Err(Complaint::raised(lua, FailureKind::Error, &text))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok(T::NAME));
    }
}

impl<T: Described> Fact<T> {
    /// What a script reads at `key`. As text, because a key that is kept as a value of Lua's is pinned, looked up and
    /// unpinned again, which takes longer than all the rest of reading a field.
    fn read(lua: &Lua, fact: &Self, key: Either<String, Value>) -> mlua::Result<Value> {
        let field = key.as_ref().left().and_then(|name| T::FIELDS.iter().find(|field| field.name.name == name));
        match field {
            Some(field) => (field.read)(lua, &fact.0),
            None => {
                let known = T::FIELDS.iter().map(|field| field.name.name);
                Err(unknown_key(lua, T::NAME, &key.into_lua(lua)?, known))
            }
        }
    }
}

/// Reads a field of a fact, for whoever has looked in vain for what is at hand.
pub(super) fn fetch<T: Described>(
    lua: &Lua,
    (fact, key): (UserDataRef<Fact<T>>, Either<String, Value>),
) -> mlua::Result<Value> {
    Fact::read(lua, &fact, key)
}

/// Shows `look` the elements of `list` in their order, if it holds these facts and nothing else; otherwise says no,
/// after some of them. Quicker than to take them out one by one, which pins each.
pub(super) fn each<T: Described>(list: &Table, mut look: impl FnMut(&T)) -> bool {
    let (length, mut count) = (list.raw_len(), 0_usize);
    let shown = list.for_each(|position: f64, fact: UserDataRef<Fact<T>>| {
        count += 1;
        if count > length || position != count as f64 {
            return Err(mlua::Error::runtime("not a list"));
        }
        look(&fact.0);
        Ok(())
    });
    shown.is_ok() && count == length
}

/// The error of reading what `owner` does not have.
pub(super) fn unknown_key<'a>(
    lua: &Lua,
    owner: &str,
    key: &Value,
    known: impl Iterator<Item = &'a str> + Clone,
) -> mlua::Error {
    let hint = spelling::hint(&key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default(), known);
    Complaint::raised(lua, FailureKind::Error, &format!("{owner} has no field {}{hint}", quote(key)))
}

/// `value` as a message shows it: short, and never by running the script's code.
pub(super) fn quote(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Boolean(_) | Value::Integer(_) | Value::Number(_) => value.to_string().unwrap_or_default(),
        Value::String(text) => format!("\"{}\"", printable(&beginning(&text.as_bytes(), MAX_QUOTED), MAX_QUOTED)),
        Value::UserData(fact) => match fact.type_name() {
            Ok(name) => format!("a {}", name.to_string_lossy()),
            Err(_) => "a userdata".to_owned(),
        },
        other => format!("a {}", other.type_name()),
    }
}

/// `value` as Lua sees it; nil where there is none.
pub(super) fn fact<T: Described + Clone>(lua: &Lua, value: Option<&T>) -> mlua::Result<Value> {
    match value {
        Some(value) => made(lua, value.clone()).map(Value::UserData),
        None => Ok(Value::Nil),
    }
}

/// `value` in Lua's hands.
pub(super) fn made<T: Described>(lua: &Lua, value: T) -> mlua::Result<AnyUserData> {
    unguarded(lua, || lua.create_userdata(Fact(value)))
}

/// `name` as Lua sees it; nil outside of every zone.
pub(super) fn zone(lua: &Lua, name: Option<&Zone>) -> mlua::Result<Value> {
    let Some(name) = name else { return Ok(Value::Nil) };
    match lua.app_data_mut::<Kept>() {
        Some(mut kept) => kept.name(lua, name).map(Value::String),
        None => text(lua, name.as_str()),
    }
}

/// `value` as Lua sees it.
pub(super) fn text(lua: &Lua, value: &str) -> mlua::Result<Value> {
    lua.create_string(value).map(Value::String)
}

fn optional(lua: &Lua, value: Option<&str>) -> mlua::Result<Value> {
    value.map_or(Ok(Value::Nil), |value| text(lua, value))
}

fn class<T: Described>() -> Class {
    Class { name: T::NAME, about: T::ABOUT, fields: T::FIELDS.iter().map(|field| field.name).collect() }
}

fn is<T: Described>(value: &Value) -> bool {
    value.as_userdata().is_some_and(|fact| fact.is::<Fact<T>>())
}

fn fill<T: Described>(list: &Table) -> bool {
    each::<T>(list, |_| ())
}

pub(super) const fn field<T>(
    name: &'static str,
    of: Type,
    about: &'static str,
    read: fn(&Lua, &T) -> mlua::Result<Value>,
) -> Field<T> {
    Field { name: description::name(name, of, about), read }
}
