//! What a script may know: requests, builds, gateways, routes and streams as read-only values. Every field is
//! described once, beside its type, and the description is all that the binding is made from.
//!
//! Fields are converted when they are read, so that a fact costs only what a script looks at.

mod registry;
mod request;
mod route;
mod sight;
mod stream;

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::sync::Arc;

use mlua::{AnyUserData, Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, Value};

use super::answer::Made;
use super::description::{self, Class, Kind, Name, Type};
use super::failure::{Complaint, beginning, printable};
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
    /// The type, for the description of what takes or returns one.
    const KIND: Kind = Kind { name: Self::NAME, is: is::<Self> };
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
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        let names = Names::default();
        methods.add_meta_method(MetaMethod::Index, move |lua, fact, key: Value| match names.find(lua, &key)? {
            Some(field) => (field.read)(lua, &fact.0),
            None => Err(unknown_key(lua, T::NAME, &key, T::FIELDS.iter().map(|field| field.name.name))),
        });
        methods.add_meta_method(MetaMethod::NewIndex, |lua, _, (key, _): (Value, Value)| -> mlua::Result<()> {
            let text = format!("a {} is read-only; its {} cannot be set", T::NAME, quote(&key));
            Err(Complaint::raised(lua, FailureKind::Error, &text))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok(T::NAME));
    }
}

/// The names of a type's fields as one engine knows them. Luau keeps each string once, so that equal strings have
/// equal addresses for as long as they live: no text is compared, and none copied.
struct Names<T> {
    known: OnceCell<Vec<(LuaString, usize)>>,
    of: PhantomData<fn(T)>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { known: OnceCell::new(), of: PhantomData }
    }
}

impl<T: Described> Names<T> {
    fn find(&self, lua: &Lua, key: &Value) -> mlua::Result<Option<&'static Field<T>>> {
        let Some(key) = key.as_string() else { return Ok(None) };
        let known = match self.known.get() {
            Some(known) => known,
            None => {
                let known = Self::intern(lua)?;
                self.known.get_or_init(|| known)
            }
        };
        let address = key.to_pointer().addr();
        Ok(T::FIELDS.iter().zip(known).find(|(_, (_, name))| *name == address).map(|(field, _)| field))
    }

    fn intern(lua: &Lua) -> mlua::Result<Vec<(LuaString, usize)>> {
        let intern = |field: &Field<T>| {
            let name = lua.create_string(field.name.name)?;
            let address = name.to_pointer().addr();
            Ok((name, address))
        };
        T::FIELDS.iter().map(intern).collect()
    }
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

pub(super) const fn field<T>(
    name: &'static str,
    of: Type,
    about: &'static str,
    read: fn(&Lua, &T) -> mlua::Result<Value>,
) -> Field<T> {
    Field { name: description::name(name, of, about), read }
}
