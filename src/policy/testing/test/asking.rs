//! What a test asks the policy, with all that the question depends on.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use mlua::{Lua, Value};

use super::in_case;
use crate::admission::{Admission, Connection};
use crate::policy::answer::{Decision, Made};
use crate::policy::description::{Function, Name, Type, parameter};
use crate::policy::facts::{Allowed, Described as _, Fact};
use crate::policy::testing::bench::{Desk, Wrong, at_desk};
use crate::policy::testing::forms::{Form, NUMBER, TEXT, option};
use crate::policy::{Ended, Policy, Request};
use crate::request::Query;
use crate::route::{Route, Tags, Way};
use crate::tls::Identity;

/// Where viewers come from unless a case says otherwise: an address of documentation (RFC 5737).
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

const LISTENER: Name = option("listener", TEXT, "The name of the listener; finger unless given.");
const FROM: Name = option("peer", TEXT, "The viewer's address; 192.0.2.1 unless given.");
const SERVER_NAME: Name = option("server_name", TEXT, "The server name (SNI) that the viewer asked for over TLS.");
const IDENTITY: Name = option(
    "identity",
    Type::Optional(&Type::Options(&[
        option("subject", TEXT, "The distinguished name; CN=viewer unless given."),
        option("names", Type::Optional(&Type::List(&Type::String)), "The subject's alternative names."),
        option("fingerprint", TEXT, "SHA-256 of the certificate, in lower-case hexadecimal; zeros unless given."),
    ])),
    "Who the viewer proved to be; nobody unless given.",
);

/// How a stream can end, in the words of its record.
const ENDINGS: [&str; 16] = [
    "complete",
    "replied",
    "refused",
    "handshake_timeout",
    "no_request",
    "bad_request",
    "request_timeout",
    "viewer_left",
    "viewer_stalled",
    "registry",
    "policy",
    "unreachable",
    "loop",
    "upstream_broke",
    "expired",
    "stopping",
];
const BLAMES: [&str; 6] = ["nobody", "viewer", "registry", "policy", "upstream", "relay"];
const KINDS: [&str; 3] = ["direct", "gateway", "connect"];

pub(super) const ROUTE: Function = in_case(
    "route",
    "Asks the policy for the way of one request. That the policy fails is an error, in its own words.",
    &[parameter(
        "request",
        Type::Options(&[
            option("uuid", TEXT, "The build that is asked for, known to the registry or not."),
            option("query", TEXT, "The line that the viewer sent; the uuid unless given."),
            LISTENER,
            FROM,
            SERVER_NAME,
            IDENTITY,
            option(
                "seed",
                NUMBER,
                "Orders what is equally good, where a relay has a number by chance; 0 unless given.",
            ),
        ]),
        "a table such as { uuid = \"01ab\" }",
    )],
    Type::Fact(Made::KIND),
    |lua, given| {
        let route = at_desk(lua, "test.route", |desk| match given.at(0).as_table() {
            Some(table) => route(desk, &Form(table)),
            None => Err(Wrong::from("there is no request".to_owned())),
        })?;
        made(lua, route)
    },
);

pub(super) const ACCEPT: Function = in_case(
    "accept",
    "Asks the policy whether a connection may ask: a Route whose kind is refuse, or an Admission. Without a function \
     accept everybody may.",
    &[parameter(
        "connection",
        Type::Optional(&Type::Options(&[LISTENER, FROM, SERVER_NAME, IDENTITY])),
        "a table such as { peer = \"192.0.2.7\" }",
    )],
    Type::Either(&[Type::Fact(Allowed::KIND), Type::Fact(Made::KIND)]),
    |lua, given| {
        let admission = at_desk(lua, "test.accept", |desk| accept(desk, given.at(0)))?;
        match admission {
            Admission::Allow { limits, tags } => {
                lua.create_userdata(Fact(Allowed { limits, tags })).map(Value::UserData)
            }
            Admission::Refuse { text, tags } => made(lua, Route { way: Way::Refuse(text), tags }),
        }
    },
);

pub(super) const ENDED: Function = in_case(
    "ended",
    "Tells the policy of a stream's end.",
    &[parameter(
        "record",
        Type::Optional(&Type::Options(&[
            LISTENER,
            FROM,
            SERVER_NAME,
            option("identity", TEXT, "The subject of the viewer's certificate."),
            option("uuid", TEXT, "The build that was asked for."),
            option("tenant", TEXT, "That build's tenant."),
            option("zone", TEXT, "The zone that it ran in."),
            option("target", TEXT, "Host and port of the target that was reached."),
            option("kind", Type::Optional(&Type::Word(&KINDS)), "That target's kind."),
            option("tried", NUMBER, "Targets that were tried."),
            option("bytes", NUMBER, "Bytes that the viewer took."),
            option("seconds", NUMBER, "How long it lasted."),
            option("ending", Type::Optional(&Type::Word(&ENDINGS)), "How it ended; complete unless given."),
            option("blame", Type::Optional(&Type::Word(&BLAMES)), "Whose fault that was; nobody's unless given."),
            option("tags", Type::Optional(&Type::Map(&Type::String)), "What policies called it."),
        ])),
        "a table such as { tenant = \"acme\", bytes = 1000 }",
    )],
    Type::Nothing,
    |lua, given| {
        at_desk(lua, "test.ended", |desk| ended(desk, lua, given.at(0)))?;
        Ok(Value::Nil)
    },
);

pub(super) const INVARIANT: Function = in_case(
    "invariant",
    "Asks the policy's invariant about a build and a route: nil if it holds, or there is none; else what is wrong.",
    &[
        parameter("uuid", Type::String, "the uuid of a build that the registry knows"),
        parameter("route", Type::Fact(Made::KIND), "a route, as test.route returns it"),
    ],
    TEXT,
    |lua, given| {
        let uuid = given.at(0).as_string().map(|uuid| uuid.to_string_lossy()).unwrap_or_default();
        let route = given.at(1).as_userdata().and_then(|it| it.borrow_scoped(|made: &Fact<Made>| made.0.clone()).ok());
        let problem = at_desk(lua, "test.invariant", |desk| match route.map(|made| made.decision) {
            Some(Decision::Route(route)) => broken(desk, &uuid, &route),
            _ => Err(Wrong::from("there is no route".to_owned())),
        })?;
        problem.map_or(Ok(Value::Nil), |problem| lua.create_string(problem).map(Value::String))
    },
);

/// Who asks.
struct Viewer {
    listener: String,
    peer: IpAddr,
    server_name: Option<String>,
    identity: Option<Arc<Identity>>,
}

impl Viewer {
    fn read(form: &Form<'_>) -> Result<Self, String> {
        let identity = form.table("identity").map(|table| {
            let form = Form(&table);
            Arc::new(Identity {
                subject: form.text("subject").unwrap_or_else(|| "CN=viewer".to_owned()),
                names: form.texts("names"),
                fingerprint: form.text("fingerprint").unwrap_or_else(|| "0".repeat(64)),
            })
        });
        Ok(Self {
            listener: form.text("listener").unwrap_or_else(|| "finger".to_owned()),
            peer: peer(form)?,
            server_name: form.text("server_name"),
            identity,
        })
    }

    fn connection(&self) -> Connection<'_> {
        Connection {
            listener: &self.listener,
            peer: self.peer,
            server_name: self.server_name.as_deref(),
            identity: self.identity.as_ref(),
        }
    }
}

impl Desk {
    /// The policy where the case has the relay.
    pub(super) fn policy(&mut self) -> Result<Policy, Wrong> {
        if let Some(policy) = &self.scene.policy {
            return Ok(policy.clone());
        }
        let policy = self.subject.policy(&self.scene.place, &self.scene.params)?;
        self.scene.policy = Some(policy.clone());
        Ok(policy)
    }
}

fn route(desk: &mut Desk, form: &Form<'_>) -> Result<Route, Wrong> {
    let policy = desk.policy()?;
    let viewer = Viewer::read(form)?;
    let line = form.text("query").or_else(|| form.text("uuid")).unwrap_or_default();
    let query = Query::parse(&line).map_err(|fault| fault.to_string())?;
    let uuid = form.build_id("uuid")?.or(query.build);
    let request = Request {
        query: &query.line,
        uuid: uuid.as_ref(),
        build: uuid.as_ref().and_then(|uuid| desk.scene.snapshot.builds.get(uuid)),
        known: desk.scene.known(),
        listener: &viewer.listener,
        peer: viewer.peer,
        server_name: viewer.server_name.as_deref(),
        identity: viewer.identity.as_ref(),
        seed: form.whole("seed")?,
    };
    policy.route(&request).map_err(Wrong::from)
}

fn accept(desk: &mut Desk, given: &Value) -> Result<Admission, Wrong> {
    let policy = desk.policy()?;
    let viewer = given.as_table().map(|table| Viewer::read(&Form(table))).transpose()?;
    let anybody = Viewer { listener: "finger".to_owned(), peer: PEER, server_name: None, identity: None };
    let viewer = viewer.unwrap_or(anybody);
    policy.accept(&viewer.connection(), &desk.scene.known()).map_err(Wrong::from)
}

fn ended(desk: &mut Desk, lua: &Lua, given: &Value) -> Result<(), Wrong> {
    let policy = desk.policy()?;
    let table = match given.as_table() {
        Some(table) => table.clone(),
        None => lua.create_table().map_err(|error| error.to_string())?,
    };
    let form = Form(&table);
    let text = |key: &str| form.text(key);
    let (listener, server_name, identity) = (text("listener"), text("server_name"), text("identity"));
    let (tenant, target) = (text("tenant"), text("target"));
    let (uuid, zone) = (form.build_id("uuid")?, form.zone("zone")?);
    let tags = form.table("tags").map(|tags| tags.pairs::<String, String>().flatten().collect::<Vec<_>>());
    let tags = Tags::new(tags.unwrap_or_default()).map_err(|bad| bad.to_string())?;
    let ended = Ended {
        listener: listener.as_deref().unwrap_or("finger"),
        peer: peer(&form)?,
        server_name: server_name.as_deref(),
        identity: identity.as_deref(),
        uuid: uuid.as_ref(),
        tenant: tenant.as_deref(),
        zone: zone.as_ref(),
        target: target.as_deref(),
        kind: word(&KINDS, text("kind")),
        tried: usize::try_from(form.whole("tried")?).unwrap_or(usize::MAX),
        bytes: form.whole("bytes")?,
        lasted: form.seconds("seconds")?.unwrap_or_default(),
        ending: word(&ENDINGS, text("ending")).unwrap_or("complete"),
        blame: word(&BLAMES, text("blame")).unwrap_or("nobody"),
        tags: &tags,
    };
    policy.tell(&ended, &desk.scene.known()).map_err(Wrong::from)
}

fn broken(desk: &mut Desk, uuid: &str, route: &Route) -> Result<Option<String>, Wrong> {
    let policy = desk.policy()?;
    let build = desk.scene.snapshot.builds.iter().find(|build| build.uuid.as_str() == uuid).cloned();
    let build = build.ok_or_else(|| format!("the registry knows no build \"{uuid}\""))?;
    policy.broken_invariant("finger", &build, route, &desk.scene.known()).map_err(Wrong::from)
}

fn made(lua: &Lua, route: Route) -> mlua::Result<Value> {
    let made = Made { decision: Decision::Route(route), spot: None };
    lua.create_userdata(Fact(made)).map(Value::UserData)
}

fn peer(form: &Form<'_>) -> Result<IpAddr, String> {
    let Some(text) = form.text("peer") else { return Ok(PEER) };
    text.parse().map_err(|_| format!("peer must be an address, not \"{text}\""))
}

fn word(known: &'static [&'static str], text: Option<String>) -> Option<&'static str> {
    let text = text?;
    known.iter().find(|word| **word == text).copied()
}
