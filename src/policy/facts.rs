//! What a script may know: requests, builds, workers, gateways and identities as read-only values. Every field is
//! described once, below, and the description is all that the binding is made from.
//!
//! Fields are converted when they are read, so that a fact costs only what a script looks at.

use std::net::IpAddr;
use std::sync::Arc;

use mlua::{Lua, MetaMethod, UserData, UserDataFields, UserDataMethods, Value};

use super::failure::{Complaint, beginning, printable};
use super::{FailureKind, Request, spelling};
use crate::names::{BuildId, Zone};
use crate::registry::{Build, Gateway, Worker};
use crate::tls::Identity;

/// Longest string in a message, in characters.
const MAX_QUOTED: usize = 60;

/// One field of a fact: its name in Lua, and how to read it.
pub(super) struct Field<T> {
    pub(super) name: &'static str,
    read: fn(&Lua, &T) -> mlua::Result<Value>,
}

/// A type of which scripts see values.
pub(super) trait Described: Sized + Send + Sync + 'static {
    /// What messages and type definitions call it.
    const NAME: &'static str;
    /// All that a script can read of it.
    const FIELDS: &'static [Field<Self>];
}

/// A described value in Lua's hands.
pub(super) struct Fact<T>(pub(super) T);

/// A request with everything a script may read of it.
pub(super) struct RequestFacts {
    query: String,
    uuid: Option<BuildId>,
    build: Option<Arc<Build>>,
    listener: String,
    peer: IpAddr,
    server_name: Option<String>,
    identity: Option<Arc<Identity>>,
}

impl RequestFacts {
    pub(super) fn new(request: &Request<'_>) -> Self {
        Self {
            query: request.query.to_owned(),
            uuid: request.uuid.cloned(),
            build: request.build.cloned().map(Arc::new),
            listener: request.listener.to_owned(),
            peer: request.peer,
            server_name: request.server_name.map(str::to_owned),
            identity: request.identity.cloned().map(Arc::new),
        }
    }
}

impl Described for RequestFacts {
    const NAME: &'static str = "Request";
    const FIELDS: &'static [Field<Self>] = &[
        field("query", |lua, request| text(lua, &request.query)),
        field("uuid", |lua, request| optional(lua, request.uuid.as_ref().map(BuildId::as_str))),
        field("build", |lua, request| fact(lua, request.build.as_ref())),
        field("listener", |lua, request| text(lua, &request.listener)),
        field("peer", |lua, request| text(lua, &request.peer.to_canonical().to_string())),
        field("server_name", |lua, request| optional(lua, request.server_name.as_deref())),
        field("identity", |lua, request| fact(lua, request.identity.as_ref())),
    ];
}

impl Described for Arc<Build> {
    const NAME: &'static str = "Build";
    const FIELDS: &'static [Field<Self>] = &[
        field("uuid", |lua, build| text(lua, build.uuid.as_str())),
        field("tenant", |lua, build| optional(lua, build.tenant.as_deref())),
        field("pipeline", |lua, build| optional(lua, build.pipeline.as_deref())),
        field("zone", |lua, build| zone(lua, build.zone.as_ref())),
        field("state", |lua, build| optional(lua, build.state.as_deref())),
        field("worker", |lua, build| fact(lua, build.worker.as_ref())),
    ];
}

impl Described for Worker {
    const NAME: &'static str = "Worker";
    const FIELDS: &'static [Field<Self>] = &[
        field("hostname", |lua, worker| text(lua, worker.hostname.as_str())),
        field("log_port", |_, worker| port(worker.log_port)),
        field("zone", |lua, worker| zone(lua, worker.zone.as_ref())),
    ];
}

impl Described for Arc<Gateway> {
    const NAME: &'static str = "Gateway";
    const FIELDS: &'static [Field<Self>] = &[
        field("id", |lua, gateway| text(lua, &gateway.id)),
        field("hostname", |lua, gateway| text(lua, gateway.hostname.as_str())),
        field("port", |_, gateway| port(gateway.public_port)),
        field("zone", |lua, gateway| zone(lua, gateway.zone.as_ref())),
        field("tls", |_, gateway| Ok(Value::Boolean(gateway.use_ssl))),
        field("state", |lua, gateway| text(lua, gateway.state.as_str())),
        field("version", |lua, gateway| optional(lua, gateway.version.as_deref())),
    ];
}

impl Described for Arc<Identity> {
    const NAME: &'static str = "Identity";
    const FIELDS: &'static [Field<Self>] = &[
        field("subject", |lua, identity| text(lua, &identity.subject)),
        field("names", |lua, identity| {
            let names = lua.create_sequence_from(identity.names.iter().map(String::as_str))?;
            names.set_readonly(true);
            Ok(Value::Table(names))
        }),
        field("fingerprint", |lua, identity| text(lua, &identity.fingerprint)),
    ];
}

// One metamethod for all fields: mlua's own field getters would go through a function in Lua for each read.
impl<T: Described> UserData for Fact<T> {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_meta_field("__type", T::NAME);
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_meta_method(MetaMethod::Index, |lua, fact, key: Value| match named(T::FIELDS, &key) {
            Some(field) => (field.read)(lua, &fact.0),
            None => Err(unknown_key(lua, T::NAME, &key, T::FIELDS.iter().map(|field| field.name))),
        });
        methods.add_meta_method(MetaMethod::NewIndex, |lua, _, (key, _): (Value, Value)| -> mlua::Result<()> {
            let text = format!("a {} is read-only; its {} cannot be set", T::NAME, quote(&key));
            Err(Complaint::raised(lua, FailureKind::Error, &text))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, _, ()| Ok(T::NAME));
    }
}

fn named<T>(fields: &'static [Field<T>], key: &Value) -> Option<&'static Field<T>> {
    let key = key.as_string()?;
    fields.iter().find(|field| *key == field.name)
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
        Some(value) => Ok(Value::UserData(lua.create_userdata(Fact(value.clone()))?)),
        None => Ok(Value::Nil),
    }
}

/// `name` as Lua sees it; nil outside of every zone.
pub(super) fn zone(lua: &Lua, name: Option<&Zone>) -> mlua::Result<Value> {
    optional(lua, name.map(Zone::as_str))
}

/// `value` as Lua sees it.
pub(super) fn text(lua: &Lua, value: &str) -> mlua::Result<Value> {
    lua.create_string(value).map(Value::String)
}

fn optional(lua: &Lua, value: Option<&str>) -> mlua::Result<Value> {
    value.map_or(Ok(Value::Nil), |value| text(lua, value))
}

fn port(number: Option<u16>) -> mlua::Result<Value> {
    Ok(number.map_or(Value::Nil, |number| Value::Number(f64::from(number))))
}

const fn field<T>(name: &'static str, read: fn(&Lua, &T) -> mlua::Result<Value>) -> Field<T> {
    Field { name, read }
}
