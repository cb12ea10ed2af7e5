//! The global `relay`: what this relay knows, and the makers of routes.

use std::sync::Arc;

use mlua::{Lua, Value};

use super::answer::{Made, refusal, targets};
use super::call;
use super::description::{Arguments, Constant, Function, Namespace, Phases, Type, name, parameter};
use super::facts::{self, Described, Fact};
use super::failure::{self, Complaint};
use super::{FailureKind, Place};
use crate::registry::{Gateway, Worker};
use crate::route::{Route, Target};

/// Gateways of one list that are looked at: reading them all cannot be interrupted.
const MAX_LISTED: usize = 1024;

const GATEWAY: Type = Type::Fact(<Arc<Gateway>>::KIND);
const ROUTE: Type = Type::Fact(Made::KIND);

/// What this relay knows, and the makers of routes.
pub(super) const RELAY: Namespace = Namespace {
    name: "relay",
    about: "What this relay knows, and the makers of routes.",
    constants: &[
        Constant {
            name: name(
                "zone",
                Type::Optional(&Type::String),
                "The zone that this relay serves; nil if it serves none.",
            ),
            value: |lua| match lua.app_data_ref::<Place>() {
                Some(place) => facts::zone(lua, place.zone.as_ref()),
                None => Ok(Value::Nil),
            },
        },
        Constant {
            name: name("hostname", Type::String, "The name that this relay is registered under."),
            value: |lua| match lua.app_data_ref::<Place>() {
                Some(place) => facts::text(lua, place.hostname.as_str()),
                None => Ok(Value::Nil),
            },
        },
    ],
    functions: &[
        Function {
            name: "gateways",
            about: "The gateways that are registered for a zone, the best first: by state, and among equals in an \
                    order that differs from request to request, so that load spreads.",
            parameters: &[parameter("zone", Type::String, "a zone's name, such as build.worker.zone")],
            returns: Type::List(&GATEWAY),
            phases: Phases::KNOWING,
            blame: FailureKind::Error,
            call: |lua, arguments| gateways(lua, arguments.at(0)),
        },
        Function {
            name: "direct",
            about: "The way straight to the executor that runs the build.",
            parameters: &[parameter("worker", Type::Fact(Worker::KIND), "a worker, such as request.build.worker")],
            returns: ROUTE,
            phases: Phases::ALWAYS,
            blame: FailureKind::BadRoute,
            call: direct,
        },
        Function {
            name: "via",
            about: "The way through one of these gateways: the first that answers, in this order.",
            parameters: &[parameter(
                "gateways",
                Type::Either(&[GATEWAY, Type::List(&GATEWAY)]),
                "a gateway or a list of gateways, such as relay.gateways(zone)",
            )],
            returns: ROUTE,
            phases: Phases::ALWAYS,
            blame: FailureKind::BadRoute,
            call: via,
        },
        Function {
            name: "refuse",
            about: "No way: the viewer gets this text, and the stream ends.",
            parameters: &[parameter("text", Type::String, "the text that the viewer gets")],
            returns: ROUTE,
            phases: Phases::ALWAYS,
            blame: FailureKind::BadRoute,
            call: refuse,
        },
    ],
    inner: &[],
};

/// The gateways registered for a zone. Those without a port are listed as well: whether a zone has gateways is one
/// question, whether they can be dialled another.
fn gateways(lua: &Lua, zone: &Value) -> mlua::Result<Value> {
    let zone = zone.as_string().map(|zone| zone.to_string_lossy()).unwrap_or_default();
    let (components, seed) = call::components(lua);
    let serves = |gateway: &&Arc<Gateway>| gateway.zone.as_ref().is_some_and(|own| own.as_str() == zone);
    let mut gateways: Vec<_> = components.gateways.iter().filter(serves).collect();
    gateways.sort_by_cached_key(|gateway| (gateway.state, rank(seed, &gateway.id)));
    let list = gateways.into_iter().map(|gateway| Fact(Arc::clone(gateway)));
    lua.create_sequence_from(list).map(Value::Table)
}

/// A number that any two ids and any two seeds scatter differently, and that no release may change: replays depend on
/// it. FNV-1a, then the finalizer of splitmix64, because FNV alone hardly scatters ids that differ at their end.
fn rank(seed: u64, id: &str) -> u64 {
    let mixed = id
        .bytes()
        .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn direct(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let target = borrow::<Worker>(arguments.at(0)).map(|worker| Target::direct(&worker).ok_or(worker));
    match target {
        Some(Ok(target)) => made(lua, targets(vec![target])),
        Some(Err(Worker { hostname, .. })) => {
            Err(bad(lua, &format!("relay.direct: executor {hostname} registered no log_port for this build")))
        }
        None => Ok(Value::Nil),
    }
}

fn via(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let gateways = gateway_list(arguments.at(0));
    let dialable: Vec<Target> = gateways.iter().filter_map(|gateway| Target::gateway(gateway)).collect();
    match gateways.first() {
        _ if !dialable.is_empty() => made(lua, targets(dialable)),
        None => Err(bad(lua, "relay.via: the list of gateways is empty")),
        Some(first) => {
            let first = &first.hostname;
            Err(bad(lua, &format!("relay.via: no gateway of the list registered a public_port, {first} for one")))
        }
    }
}

/// One gateway, or a list of gateways. Metatables are not asked: a list is what it holds.
fn gateway_list(value: &Value) -> Vec<Arc<Gateway>> {
    let Value::Table(list) = value else { return borrow(value).into_iter().collect() };
    let length = list.raw_len().min(MAX_LISTED);
    (1..=length).filter_map(|position| borrow(&list.raw_get::<Value>(position).ok()?)).collect()
}

fn refuse(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let Some(text) = arguments.at(0).as_string() else { return Ok(Value::Nil) };
    match refusal(&text.as_bytes()) {
        Ok(route) => made(lua, route),
        Err(problem) => Err(bad(lua, &format!("relay.refuse: {problem}"))),
    }
}

fn made(lua: &Lua, route: Route) -> mlua::Result<Value> {
    let line = if call::is_explained(lua) { failure::line_now(lua) } else { None };
    lua.create_userdata(Fact(Made { route, line })).map(Value::UserData)
}

fn bad(lua: &Lua, problem: &str) -> mlua::Error {
    Complaint::raised(lua, FailureKind::BadRoute, problem)
}

fn borrow<T: Described + Clone>(value: &Value) -> Option<T> {
    value.as_userdata()?.borrow::<Fact<T>>().ok().map(|fact| fact.0.clone())
}
