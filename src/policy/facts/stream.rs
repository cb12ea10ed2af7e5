//! What scripts read of a stream before it asks and after it ended, and what `accept` makes of it.

use std::net::IpAddr;
use std::sync::Arc;

use mlua::Value;

use super::route::{seconds, tags};
use super::{Described, Field, NUMBER, STRING, TEXT, fact, field, optional, text};
use crate::admission::{Connection, Limits};
use crate::policy::Ended;
use crate::policy::description::Type;
use crate::route::Tags;
use crate::tls::Identity;

/// A connection that has asked for nothing yet.
pub(in crate::policy) struct ConnectionFacts {
    listener: String,
    peer: IpAddr,
    server_name: Option<String>,
    identity: Option<Arc<Identity>>,
}

/// A stream's end.
pub(in crate::policy) struct EndedFacts {
    listener: String,
    peer: IpAddr,
    server_name: Option<String>,
    identity: Option<String>,
    uuid: Option<String>,
    tenant: Option<String>,
    zone: Option<String>,
    target: Option<String>,
    kind: Option<&'static str>,
    tried: usize,
    bytes: u64,
    seconds: f64,
    ending: &'static str,
    blame: &'static str,
    tags: Tags,
}

/// A connection that may ask, within limits. Scripts can only hand it on.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Allowed {
    pub(in crate::policy) limits: Limits,
    pub(in crate::policy) tags: Tags,
}

impl ConnectionFacts {
    pub(in crate::policy) fn new(connection: &Connection<'_>) -> Self {
        Self {
            listener: connection.listener.to_owned(),
            peer: connection.peer,
            server_name: connection.server_name.map(str::to_owned),
            identity: connection.identity.cloned(),
        }
    }
}

impl EndedFacts {
    pub(in crate::policy) fn new(ended: &Ended<'_>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            listener: ended.listener.to_owned(),
            peer: ended.peer,
            server_name: owned(ended.server_name),
            identity: owned(ended.identity),
            uuid: owned(ended.uuid.map(|uuid| uuid.as_str())),
            tenant: owned(ended.tenant),
            zone: owned(ended.zone.map(|zone| zone.as_str())),
            target: owned(ended.target),
            kind: ended.kind,
            tried: ended.tried,
            bytes: ended.bytes,
            seconds: ended.lasted.as_secs_f64(),
            ending: ended.ending,
            blame: ended.blame,
            tags: ended.tags.clone(),
        }
    }
}

impl Described for ConnectionFacts {
    const NAME: &'static str = "Connection";
    const ABOUT: &'static str = "A viewer that has connected, and asked for nothing yet.";
    const FIELDS: &'static [Field<Self>] = &[
        field("listener", STRING, "The name of the listener that took it.", |lua, it| text(lua, &it.listener)),
        field("peer", STRING, "The viewer's address, without a port.", |lua, it| {
            text(lua, &it.peer.to_canonical().to_string())
        }),
        field("server_name", TEXT, "The server name (SNI) that the viewer asked for over TLS.", |lua, it| {
            optional(lua, it.server_name.as_deref())
        }),
        field(
            "identity",
            Type::Optional(&Type::Fact(<Arc<Identity>>::KIND)),
            "Who the viewer proved to be by its certificate; nil without one.",
            |lua, it| fact(lua, it.identity.as_ref()),
        ),
    ];
}

impl Described for EndedFacts {
    const NAME: &'static str = "Record";
    const ABOUT: &'static str = "A stream that has ended, as its record has it.";
    const FIELDS: &'static [Field<Self>] = &[
        field("listener", STRING, "The name of the listener that took it.", |lua, it| text(lua, &it.listener)),
        field("peer", STRING, "The viewer's address, without a port.", |lua, it| {
            text(lua, &it.peer.to_canonical().to_string())
        }),
        field("server_name", TEXT, "The server name (SNI) that the viewer asked for.", |lua, it| {
            optional(lua, it.server_name.as_deref())
        }),
        field("identity", TEXT, "The subject of the certificate by which the viewer proved who it is.", |lua, it| {
            optional(lua, it.identity.as_deref())
        }),
        field("uuid", TEXT, "The build that was asked for, known or not.", |lua, it| optional(lua, it.uuid.as_deref())),
        field("tenant", TEXT, "That build's tenant.", |lua, it| optional(lua, it.tenant.as_deref())),
        field("zone", TEXT, "The zone that build ran in.", |lua, it| optional(lua, it.zone.as_deref())),
        field("target", TEXT, "Host and port of the target that was reached last.", |lua, it| {
            optional(lua, it.target.as_deref())
        }),
        field("kind", TEXT, "That target's kind: direct, gateway or connect.", |lua, it| optional(lua, it.kind)),
        field("tried", Type::Number, "Targets that were tried, the one that was reached included.", |_, it| {
            Ok(Value::Number(it.tried as f64))
        }),
        field("bytes", Type::Number, "Bytes that the viewer's connection took.", |_, it| {
            Ok(Value::Number(it.bytes as f64))
        }),
        field("seconds", Type::Number, "How long it lasted, from accept to its end.", |_, it| {
            Ok(Value::Number(it.seconds))
        }),
        field("ending", STRING, "How it ended: complete, replied, refused, or a fault's label.", |lua, it| {
            text(lua, it.ending)
        }),
        field(
            "blame",
            STRING,
            "Whose fault that was: nobody, viewer, registry, policy, upstream or relay.",
            |lua, it| text(lua, it.blame),
        ),
        field("tags", Type::Map(&STRING), "What policies called it, in accept and in route.", |lua, it| {
            tags(lua, &it.tags)
        }),
    ];
}

impl Described for Allowed {
    const NAME: &'static str = "Admission";
    const ABOUT: &'static str = "That a connection may ask, and within which limits. Only relay.allow makes one.";
    const FIELDS: &'static [Field<Self>] = &[
        field("kind", Type::Word(&["allow"]), "What it is, where a test wants to know it from a refusal.", |lua, _| {
            text(lua, "allow")
        }),
        field("request_timeout", NUMBER, "Longest wait for its request, in seconds.", |_, it| {
            Ok(seconds(it.limits.request_timeout))
        }),
        field("max_duration", NUMBER, "Longest time of the whole stream, in seconds.", |_, it| {
            Ok(seconds(it.limits.max_duration))
        }),
        field("stall_timeout", NUMBER, "Longest time without a byte taken, in seconds.", |_, it| {
            Ok(seconds(it.limits.stall_timeout))
        }),
        field("tags", Type::Map(&STRING), "What the stream is called in records and metrics.", |lua, it| {
            tags(lua, &it.tags)
        }),
    ];
}
