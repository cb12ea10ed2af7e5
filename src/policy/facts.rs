//! What a script may know: requests, builds, workers, gateways and identities as read-only values. Every field is
//! described once, below, and the description is all that the binding is made from.
//!
//! Fields are converted when they are read, so that a fact costs only what a script looks at.

use std::cell::OnceCell;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use mlua::{Lua, LuaString, MetaMethod, UserData, UserDataFields, UserDataMethods, Value};

use super::answer::Made;
use super::description::{self, Class, Kind, Name, Type};
use super::failure::{Complaint, beginning, printable};
use super::kept::Kept;
use super::library::NetworkSet;
use super::{FailureKind, Request, spelling};
use crate::names::{BuildId, Zone};
use crate::registry::{Build, Gateway, Worker};
use crate::tls::Identity;

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
pub(super) fn classes() -> [Class; 7] {
    [
        class::<RequestFacts>(),
        class::<Arc<Build>>(),
        class::<Worker>(),
        class::<Arc<Gateway>>(),
        class::<Arc<Identity>>(),
        class::<Made>(),
        class::<NetworkSet>(),
    ]
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
            build: request.build.cloned(),
            listener: request.listener.to_owned(),
            peer: request.peer,
            server_name: request.server_name.map(str::to_owned),
            identity: request.identity.cloned(),
        }
    }
}

impl Described for RequestFacts {
    const NAME: &'static str = "Request";
    const ABOUT: &'static str = "What a viewer asked, and who asks.";
    const FIELDS: &'static [Field<Self>] = &[
        field(
            "query",
            STRING,
            "The line that the viewer sent, without its end and trailing blanks.",
            |lua, request| text(lua, &request.query),
        ),
        field("uuid", TEXT, "The build that the line names, known or not; nil if it names none.", |lua, request| {
            optional(lua, request.uuid.as_ref().map(BuildId::as_str))
        }),
        field(
            "build",
            Type::Optional(&Type::Fact(<Arc<Build>>::KIND)),
            "What is known of that build; nil if nothing is.",
            |lua, request| fact(lua, request.build.as_ref()),
        ),
        field("listener", STRING, "The name of the listener that took the request.", |lua, request| {
            text(lua, &request.listener)
        }),
        field("peer", STRING, "The viewer's address, without a port.", |lua, request| {
            text(lua, &request.peer.to_canonical().to_string())
        }),
        field("server_name", TEXT, "The server name (SNI) that the viewer asked for over TLS.", |lua, request| {
            optional(lua, request.server_name.as_deref())
        }),
        field(
            "identity",
            Type::Optional(&Type::Fact(<Arc<Identity>>::KIND)),
            "Who the viewer proved to be by its certificate; nil without one.",
            |lua, request| fact(lua, request.identity.as_ref()),
        ),
    ];
}

impl Described for Arc<Build> {
    const NAME: &'static str = "Build";
    const ABOUT: &'static str = "A build that Zuul asked its executors for.";
    const FIELDS: &'static [Field<Self>] = &[
        field("uuid", STRING, "The build's own uuid, 32 hexadecimal digits.", |lua, build| {
            text(lua, build.uuid.as_str())
        }),
        field("tenant", TEXT, "Zuul's tenant.", |lua, build| optional(lua, build.tenant.as_deref())),
        field("pipeline", TEXT, "Zuul's pipeline.", |lua, build| optional(lua, build.pipeline.as_deref())),
        field(
            "zone",
            TEXT,
            "The zone that it was asked to run in, which is not always where it runs: see worker.zone.",
            |lua, build| zone(lua, build.zone.as_ref()),
        ),
        field(
            "state",
            TEXT,
            "Zuul's word: requested, hold, running, paused, completed, or what a later Zuul adds.",
            |lua, build| optional(lua, build.state.as_deref()),
        ),
        field(
            "worker",
            Type::Optional(&Type::Fact(Worker::KIND)),
            "Who runs it; nil until an executor took it.",
            |lua, build| fact(lua, build.worker.as_ref()),
        ),
    ];
}

impl Described for Worker {
    const NAME: &'static str = "Worker";
    const ABOUT: &'static str = "The executor that runs a build.";
    const FIELDS: &'static [Field<Self>] = &[
        field("hostname", STRING, "The executor's host name.", |lua, worker| text(lua, worker.hostname.as_str())),
        field("log_port", NUMBER, "The port of its log streamer; nil if it registered none.", |_, worker| {
            port(worker.log_port)
        }),
        field("zone", TEXT, "The zone that the build runs in; nil outside of every zone.", |lua, worker| {
            zone(lua, worker.zone.as_ref())
        }),
    ];
}

impl Described for Arc<Gateway> {
    const NAME: &'static str = "Gateway";
    const ABOUT: &'static str = "A relay, or Zuul's own gateway, that is registered for a zone.";
    const FIELDS: &'static [Field<Self>] = &[
        field("id", STRING, "Its name in the registry, which no other gateway shares.", |lua, gateway| {
            text(lua, &gateway.id)
        }),
        field("hostname", STRING, "The name to dial, and to verify.", |lua, gateway| {
            text(lua, gateway.hostname.as_str())
        }),
        field("port", NUMBER, "The port to dial; nil if it registered none.", |_, gateway| port(gateway.public_port)),
        field("zone", TEXT, "The zone that it serves; nil outside of every zone.", |lua, gateway| {
            zone(lua, gateway.zone.as_ref())
        }),
        field("tls", Type::Boolean, "Whether it speaks TLS.", |_, gateway| Ok(Value::Boolean(gateway.use_ssl))),
        field(
            "state",
            Type::Word(&["running", "paused", "initializing", "stopped", "unknown"]),
            "What it says of itself.",
            |lua, gateway| text(lua, gateway.state.as_str()),
        ),
        field("version", TEXT, "Its version, or Zuul's.", |lua, gateway| optional(lua, gateway.version.as_deref())),
    ];
}

impl Described for Arc<Identity> {
    const NAME: &'static str = "Identity";
    const ABOUT: &'static str = "Who a viewer proved to be, by a certificate that was verified.";
    const FIELDS: &'static [Field<Self>] = &[
        field("subject", STRING, "The certificate's subject, as text.", |lua, identity| text(lua, &identity.subject)),
        field("names", Type::List(&STRING), "Its subject alternative names.", |lua, identity| {
            let names = lua.create_sequence_from(identity.names.iter().map(String::as_str))?;
            names.set_readonly(true);
            Ok(Value::Table(names))
        }),
        field("fingerprint", STRING, "Its SHA-256 fingerprint, in hexadecimal digits.", |lua, identity| {
            text(lua, &identity.fingerprint)
        }),
    ];
}

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
        Some(value) => Ok(Value::UserData(lua.create_userdata(Fact(value.clone()))?)),
        None => Ok(Value::Nil),
    }
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

fn port(number: Option<u16>) -> mlua::Result<Value> {
    Ok(number.map_or(Value::Nil, |number| Value::Number(f64::from(number))))
}

fn class<T: Described>() -> Class {
    Class { name: T::NAME, about: T::ABOUT, fields: T::FIELDS.iter().map(|field| field.name).collect() }
}

fn is<T: Described>(value: &Value) -> bool {
    value.as_userdata().is_some_and(|fact| fact.is::<Fact<T>>())
}

const fn field<T>(
    name: &'static str,
    of: Type,
    about: &'static str,
    read: fn(&Lua, &T) -> mlua::Result<Value>,
) -> Field<T> {
    Field { name: description::name(name, of, about), read }
}
