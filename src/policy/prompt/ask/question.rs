//! What somebody at the prompt asks, and as whom: read from what they typed and from what the registry knows.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use mlua::{Lua, LuaString, Table, Value};

use super::{Desk, with};
use crate::admission::Connection;
use crate::policy::description::Arguments;
use crate::policy::facts::Fact;
use crate::policy::{Known, Request};
use crate::registry::Build;
use crate::request::Query;
use crate::tls::Identity;

/// What a viewer asks.
pub(super) struct Question {
    pub(super) query: Query,
    pub(super) build: Option<Arc<Build>>,
    pub(super) viewer: Viewer,
}

/// Who asks.
pub(super) struct Viewer {
    pub(super) listener: String,
    peer: IpAddr,
    server_name: Option<String>,
    identity: Option<Arc<Identity>>,
}

impl Question {
    pub(super) fn read(lua: &Lua, given: &Arguments) -> Result<Self, String> {
        let viewer = Viewer::read(lua, given.at(1))?;
        if let Some(build) = build(given.at(0)) {
            let query = Query { line: build.uuid.to_string(), build: Some(build.uuid.clone()) };
            return Ok(Self { query, build: Some(build), viewer });
        }
        let line = given.at(0).as_string().map(LuaString::to_string_lossy).unwrap_or_default();
        let query = Query::parse(&line).map_err(|fault| fault.to_string())?;
        let build = with(lua, |_, known| {
            let uuid = query.build.as_ref();
            Ok::<_, String>(uuid.and_then(|uuid| known.snapshot.builds.get(uuid)).cloned())
        })?;
        Ok(Self { query, build, viewer })
    }

    pub(super) fn request<'a>(&'a self, known: Known<'a>) -> Request<'a> {
        let Self { query, build, viewer } = self;
        Request {
            query: &query.line,
            uuid: query.build.as_ref(),
            build: build.as_ref(),
            known,
            listener: &viewer.listener,
            peer: viewer.peer,
            server_name: viewer.server_name.as_deref(),
            identity: viewer.identity.as_ref(),
            // The same answer to the same question.
            seed: 0,
        }
    }
}

impl Viewer {
    pub(super) fn read(lua: &Lua, given: &Value) -> Result<Self, String> {
        let text = |key: &str| given.as_table().and_then(|table| text(table, key));
        let peer = match text("peer") {
            Some(peer) => peer.parse().map_err(|_| format!("peer must be an address, not \"{peer}\""))?,
            None => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        let listener = text("listener").or_else(|| Some(lua.app_data_ref::<Desk>()?.listener.clone()));
        let identity =
            text("subject").map(|subject| Identity { subject, names: Vec::new(), fingerprint: String::new() });
        Ok(Self {
            listener: listener.unwrap_or_default(),
            peer,
            server_name: text("server_name"),
            identity: identity.map(Arc::new),
        })
    }

    pub(super) fn connection(&self) -> Connection<'_> {
        Connection {
            listener: &self.listener,
            peer: self.peer,
            server_name: self.server_name.as_deref(),
            identity: self.identity.as_ref(),
        }
    }
}

/// The build that was given in the place of its uuid.
fn build(given: &Value) -> Option<Arc<Build>> {
    given.as_userdata()?.borrow_scoped(|build: &Fact<Arc<Build>>| Arc::clone(&build.0)).ok()
}

fn text(table: &Table, key: &str) -> Option<String> {
    let text: Option<LuaString> = table.raw_get(key).ok().flatten();
    text.map(|text| text.to_string_lossy())
}
