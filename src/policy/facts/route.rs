//! What scripts read of a route, their own or another policy's.

use mlua::{Lua, Value};

use super::{Described, Fact, Field, NUMBER, STRING, TEXT, field, optional, text};
use crate::policy::answer::{Decision, Made};
use crate::policy::description::Type;
use crate::route::{Limit, Route, Tags, Target, Way};

impl Described for Made {
    const NAME: &'static str = "Route";
    const ABOUT: &'static str =
        "A way to a build's log, or an answer of the relay's own. Only functions of relay make one.";
    const FIELDS: &'static [Field<Self>] = &[
        field(
            "kind",
            Type::Word(&["targets", "reply", "refuse", "hand_over"]),
            "What it is: targets to try, a text in the place of a log, a text why there is none, or another policy.",
            |lua, made| text(lua, kind(&made.decision)),
        ),
        field(
            "targets",
            Type::List(&Type::Fact(Target::KIND)),
            "What is dialled, in this order, but for targets that failed lately; empty where nothing is.",
            |lua, made| {
                let facts = targets(&made.decision).iter().map(|target| lua.create_userdata(Fact(target.clone())));
                let list = lua.create_sequence_from(facts.collect::<mlua::Result<Vec<_>>>()?)?;
                list.set_readonly(true);
                Ok(Value::Table(list))
            },
        ),
        field("text", TEXT, "What the viewer gets of a reply or a refusal.", |lua, made| {
            optional(lua, words(&made.decision))
        }),
        field("policy", TEXT, "The policy that is to decide in the place of this one.", |lua, made| {
            match &made.decision {
                Decision::HandOver(name) => text(lua, name),
                Decision::Route(_) => Ok(Value::Nil),
            }
        }),
        field("tags", Type::Map(&STRING), "What the stream is called in records and metrics.", |lua, made| match &made
            .decision
        {
            Decision::Route(route) => tags(lua, &route.tags),
            Decision::HandOver(_) => tags(lua, &Tags::default()),
        }),
    ];
}

impl Described for Target {
    const NAME: &'static str = "Target";
    const ABOUT: &'static str = "One way to a build's log, of a route.";
    const FIELDS: &'static [Field<Self>] = &[
        field(
            "kind",
            Type::Word(&["direct", "gateway", "connect"]),
            "What stands there: the executor, a gateway, or a host of the policy's own.",
            |lua, target| text(lua, target.kind.as_str()),
        ),
        field("host", STRING, "What is dialled.", |lua, target| text(lua, target.host.as_str())),
        field("port", Type::Number, "The port that is dialled.", |_, target| Ok(Value::Number(f64::from(target.port)))),
        field("tls", Type::Boolean, "Whether TLS is spoken.", |_, target| Ok(Value::Boolean(target.tls))),
        field("server_name", TEXT, "The name asked for over TLS, where it is not host.", |lua, target| {
            optional(lua, target.server_name.as_ref().map(|name| name.as_str()))
        }),
        field("connect_timeout", NUMBER, "The route's own limit for the connection, in seconds.", |_, target| {
            Ok(seconds(target.connect_timeout))
        }),
        field("handshake_timeout", NUMBER, "The route's own limit for the TLS handshake, in seconds.", |_, target| {
            Ok(seconds(target.handshake_timeout))
        }),
    ];
}

/// Tags as Lua sees them.
pub(super) fn tags(lua: &Lua, tags: &Tags) -> mlua::Result<Value> {
    let table = lua.create_table_from(tags.iter())?;
    table.set_readonly(true);
    Ok(Value::Table(table))
}

fn kind(decision: &Decision) -> &'static str {
    match decision {
        Decision::HandOver(_) => "hand_over",
        Decision::Route(Route { way: Way::Targets(_), .. }) => "targets",
        Decision::Route(Route { way: Way::Reply(_), .. }) => "reply",
        Decision::Route(Route { way: Way::Refuse(_), .. }) => "refuse",
    }
}

fn targets(decision: &Decision) -> &[Target] {
    match decision {
        Decision::Route(Route { way: Way::Targets(targets), .. }) => targets,
        _ => &[],
    }
}

fn words(decision: &Decision) -> Option<&str> {
    match decision {
        Decision::Route(Route { way: Way::Reply(reply), .. }) => Some(reply.as_str()),
        Decision::Route(Route { way: Way::Refuse(text), .. }) => Some(text),
        _ => None,
    }
}

/// A limit as Lua sees it.
pub(super) fn seconds(limit: Option<Limit>) -> Value {
    limit.map_or(Value::Nil, |limit| Value::Number(limit.get().as_secs_f64()))
}
