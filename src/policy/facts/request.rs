//! What scripts read of a request, and of who asks.

use std::net::IpAddr;
use std::sync::Arc;

use mlua::Value;

use super::{Described, Field, STRING, TEXT, fact, field, optional, text};
use crate::names::BuildId;
use crate::policy::Request;
use crate::policy::description::Type;
use crate::policy::hand::Of;
use crate::registry::Build;
use crate::tls::Identity;

/// A request with everything a script may read of it.
pub(in crate::policy) struct RequestFacts {
    query: String,
    uuid: Option<BuildId>,
    build: Option<Arc<Build>>,
    listener: String,
    peer: IpAddr,
    server_name: Option<String>,
    identity: Option<Arc<Identity>>,
}

impl RequestFacts {
    pub(in crate::policy) fn new(request: &Request<'_>) -> Self {
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
    const AT_HAND: Option<Of> = Some(Of::Request);
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
