//! The makers of routes. They look at their arguments alone, so a route may be made while a file is loaded, once for
//! all requests.

use std::sync::Arc;

use mlua::{Lua, Table, UserDataRef, Value};

use super::options::{SECONDS, TAGS, limit, tags};
use super::order::{Choice, ORDER, Order, WEIGHTS};
use crate::names::Hostname;
use crate::policy::answer::{Decision, Made, refusal, targets};
use crate::policy::description::{Arguments, Function, Name, Parameter, Phases, Type, name, parameter};
use crate::policy::facts::{self, Described, Fact, quote};
use crate::policy::failure::{self, Complaint};
use crate::policy::kept::Kept;
use crate::policy::program::Surroundings;
use crate::policy::{FailureKind, call, spelling};
use crate::registry::{Gateway, Worker};
use crate::route::{Reply, Route, Tags, Target, Way};

/// Gateways of one list that are looked at: reading them all cannot be interrupted.
const MAX_LISTED: usize = 1024;

/// What a route may hold beside what Lua counts of it, in bytes: so few that a memory limit is exceeded a few times
/// over at most, and so many that common routes cost no more for it.
const MAX_UNCOUNTED: usize = 1024;

const GATEWAY: Type = Type::Fact(<Arc<Gateway>>::KIND);
pub(super) const ROUTE: Type = Type::Fact(Made::KIND);
const CONNECT_TIMEOUT: Name = name(
    "connect_timeout",
    SECONDS,
    "Longest wait for a target's TCP connection, in seconds; upstream.connect_timeout unless given.",
);
const HANDSHAKE_TIMEOUT: Name = name(
    "handshake_timeout",
    SECONDS,
    "Longest wait for a target's TLS handshake, in seconds; upstream.handshake_timeout unless given.",
);

/// What every way to targets takes.
const ROUTE_OPTIONS: Parameter = parameter(
    "options",
    Type::Optional(&Type::Options(&[CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, TAGS])),
    "a table of options",
);

/// What every answer of the policy's own takes.
const ANSWER_OPTIONS: Parameter = parameter("options", Type::Optional(&Type::Options(&[TAGS])), "a table of options");

/// Where somebody is.
pub(super) const ADDRESS: [Name; 4] = [HOST, PORT, TLS, SERVER_NAME];

const CONNECT_OPTIONS: [Name; 7] = [HOST, PORT, TLS, SERVER_NAME, CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, TAGS];

const HOST: Name = name("host", Type::String, "A name or an address.");
const PORT: Name = name("port", Type::Number, "The port to dial.");
const TLS: Name = name("tls", Type::Optional(&Type::Boolean), "Speak TLS, with the certificates of upstream.tls.");
const SERVER_NAME: Name = name(
    "server_name",
    Type::Optional(&Type::String),
    "The name to ask for over TLS, and to check the certificate against; host unless given.",
);

pub(super) const DIRECT: Function = Function {
    name: "direct",
    about: "The way straight to the executor that runs the build.",
    parameters: &[
        parameter("worker", Type::Fact(Worker::KIND), "a worker, such as request.build.worker"),
        ROUTE_OPTIONS,
    ],
    returns: ROUTE,
    phases: Phases::ALWAYS,
    blame: FailureKind::BadRoute,
    call: direct,
};

pub(super) const VIA: Function = Function {
    name: "via",
    about: "The way through one of these gateways: the first that answers. Those that failed lately are tried last, \
            whatever the order.",
    parameters: &[
        parameter(
            "gateways",
            Type::Either(&[GATEWAY, Type::List(&GATEWAY)]),
            "a gateway or a list of gateways, such as relay.gateways(zone)",
        ),
        parameter(
            "options",
            Type::Optional(&Type::Options(&[ORDER, WEIGHTS, CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, TAGS])),
            "a table of options",
        ),
    ],
    returns: ROUTE,
    phases: Phases::ALWAYS,
    blame: FailureKind::BadRoute,
    call: via,
};

pub(super) const REFUSE: Function = Function {
    name: "refuse",
    about: "No way: the viewer gets this text, and the stream ends.",
    parameters: &[parameter("text", Type::String, "the text that the viewer gets"), ANSWER_OPTIONS],
    returns: ROUTE,
    phases: Phases::ALWAYS,
    blame: FailureKind::BadRoute,
    call: refuse,
};

pub(super) const REPLY: Function = Function {
    name: "reply",
    about: "An answer in the place of a log: the viewer gets this text, and the stream ends well.",
    parameters: &[parameter("text", Type::String, "the text that the viewer gets, 1 byte to 64 KiB"), ANSWER_OPTIONS],
    returns: ROUTE,
    phases: Phases::ALWAYS,
    blame: FailureKind::BadRoute,
    call: reply,
};

pub(super) const CONNECT: Function = Function {
    name: "connect",
    about: "The way to a host of the policy's own choice, which gets the viewer's line as it is.",
    parameters: &[parameter(
        "options",
        Type::Options(&CONNECT_OPTIONS),
        "a table that says where to, with host and port",
    )],
    returns: ROUTE,
    phases: Phases::ALWAYS,
    blame: FailureKind::BadRoute,
    call: connect,
};

pub(super) const HAND_OVER: Function = Function {
    name: "hand_over",
    about: "Lets another policy of the folder decide this request, as if it had been asked first.",
    parameters: &[parameter("policy", Type::String, "the name of a policy")],
    returns: ROUTE,
    phases: Phases::ALWAYS,
    blame: FailureKind::BadRoute,
    call: hand_over,
};

fn direct(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let target = borrow::<Worker>(arguments.at(0)).map(|worker| Target::direct(&worker).ok_or(worker));
    match target {
        Some(Ok(target)) => routed(lua, "relay.direct", targets(vec![target]), arguments.at(1)),
        Some(Err(Worker { hostname, .. })) => {
            Err(bad(lua, &format!("relay.direct: executor {hostname} registered no log_port for this build")))
        }
        None => Ok(Value::Nil),
    }
}

fn via(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let gateways = gateway_list(arguments.at(0));
    // A route whose maker's line is wanted must really be made.
    let plain = arguments.at(1).is_nil() && !call::is_explained(lua);
    if let Some(way) = lua.app_data_ref::<Kept>().filter(|_| plain).and_then(|kept| kept.way(&gateways).cloned()) {
        return Ok(Value::UserData(way));
    }
    let way = match dialable(lua, &gateways, arguments.at(1)) {
        Ok(dialable) => routed(lua, "relay.via", targets(dialable), arguments.at(1))?,
        Err(problem) => return Err(bad(lua, &format!("relay.via: {problem}"))),
    };
    if let (true, Value::UserData(way), Some(mut kept)) = (plain, &way, lua.app_data_mut::<Kept>()) {
        kept.keep_way(gateways, way.clone());
    }
    Ok(way)
}

/// Those of `gateways` that can be dialled, in the order that `options` ask for. Never empty.
fn dialable(lua: &Lua, gateways: &[Arc<Gateway>], options: &Value) -> Result<Vec<Target>, String> {
    let first = gateways.first().ok_or("the list of gateways is empty")?;
    let targets: Vec<Target> = match Order::read(options, "gateways", gateways.len())? {
        Order::Given => gateways.iter().filter_map(|gateway| Target::gateway(gateway)).collect(),
        order => {
            let choices = order.arrange(lua, gateways.iter().map(|gateway| choice(gateway)).collect())?;
            choices.into_iter().flat_map(|choice| choice.targets).collect()
        }
    };
    match targets.is_empty() {
        true => Err(format!("no gateway of the list registered a public_port, {} for one", first.hostname)),
        false => Ok(targets),
    }
}

fn choice(gateway: &Gateway) -> Choice {
    let targets = Target::gateway(gateway).into_iter().collect();
    Choice { state: gateway.state, targets, tags: Tags::default() }
}

/// One gateway, or a list of gateways. Metatables are not asked: a list is what it holds.
fn gateway_list(value: &Value) -> Vec<Arc<Gateway>> {
    let Value::Table(list) = value else { return borrow(value).into_iter().collect() };
    let length = list.raw_len();
    let mut gateways = Vec::new();
    if length <= MAX_LISTED && facts::each(list, |gateway| gateways.push(Arc::clone(gateway))) {
        return gateways;
    }
    (1..=length.min(MAX_LISTED)).filter_map(|position| listed(list, position)).collect()
}

fn listed(list: &Table, position: usize) -> Option<Arc<Gateway>> {
    list.raw_get::<UserDataRef<Fact<Arc<Gateway>>>>(position).ok().map(|fact| Arc::clone(&fact.0))
}

fn refuse(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let Some(text) = arguments.at(0).as_string() else { return Ok(Value::Nil) };
    match refusal(&text.as_bytes()) {
        Ok(route) => routed(lua, "relay.refuse", route, arguments.at(1)),
        Err(problem) => Err(bad(lua, &format!("relay.refuse: {problem}"))),
    }
}

fn reply(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let Some(text) = arguments.at(0).as_string() else { return Ok(Value::Nil) };
    match text.to_str().map(|text| Reply::new(&text)) {
        Ok(Ok(reply)) => routed(lua, "relay.reply", Way::Reply(reply).into(), arguments.at(1)),
        Ok(Err(problem)) => Err(bad(lua, &format!("relay.reply: {problem}"))),
        Err(_) => Err(bad(lua, "relay.reply: the text is not UTF-8")),
    }
}

fn connect(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let Value::Table(options) = arguments.at(0) else { return Ok(Value::Nil) };
    match target(options) {
        Ok(target) => routed(lua, "relay.connect", targets(vec![target]), arguments.at(0)),
        Err(problem) => Err(bad(lua, &format!("relay.connect: {problem}"))),
    }
}

/// The target that `options` name, their timeouts left aside.
pub(super) fn target(options: &Table) -> Result<Target, String> {
    let host = host_of(options, "host")?.ok_or("host is missing")?;
    let port: f64 = options.raw_get("port").unwrap_or_default();
    let whole = (1.0..=f64::from(u16::MAX)).contains(&port) && port.fract() == 0.0;
    let wrong = || format!("port must be a whole number from 1 to {}, not {port}", u16::MAX);
    let port = format!("{port}").parse().ok().filter(|_| whole).ok_or_else(wrong)?;
    let tls: bool = options.raw_get("tls").unwrap_or_default();
    let server_name = host_of(options, "server_name")?;
    if server_name.is_some() && !tls {
        return Err("server_name is for TLS only; add tls = true".to_owned());
    }
    Ok(Target { tls, server_name, ..Target::connect(host, port) })
}

fn host_of(options: &Table, name: &str) -> Result<Option<Hostname>, String> {
    let Ok(Value::String(text)) = options.raw_get(name) else { return Ok(None) };
    let host = text.to_str().ok().and_then(|text| Hostname::parse(&text));
    host.map(Some).ok_or_else(|| format!("{name} is no host name or address: {}", quote(&Value::String(text))))
}

/// Makes the route that scripts hold, with the options that `maker` was given.
fn routed(lua: &Lua, maker: &str, route: Route, options: &Value) -> mlua::Result<Value> {
    let route = match options {
        Value::Table(options) => with_options(route, options),
        _ => Ok(route),
    };
    match route {
        Ok(route) => made(lua, Decision::Route(route)),
        Err(problem) => Err(bad(lua, &format!("{maker}: {problem}"))),
    }
}

fn with_options(mut route: Route, options: &Table) -> Result<Route, String> {
    if let Way::Targets(targets) = &mut route.way {
        let (connect, handshake) = (limit(options, CONNECT_TIMEOUT.name)?, limit(options, HANDSHAKE_TIMEOUT.name)?);
        for target in targets {
            (target.connect_timeout, target.handshake_timeout) = (connect, handshake);
        }
    }
    route.tags = tags(options)?;
    Ok(route)
}

fn hand_over(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let name = arguments.at(0).as_string().map(|name| name.to_string_lossy()).unwrap_or_default();
    let names = lua.app_data_ref::<Surroundings>().map(|around| Arc::clone(&around.names)).unwrap_or_default();
    if names.contains(&name) {
        return made(lua, Decision::HandOver(name));
    }
    let hint = spelling::hint(&name, names.iter().map(String::as_str));
    Err(bad(lua, &format!("relay.hand_over: there is no policy {}{hint}", quote(arguments.at(0)))))
}

pub(super) fn made(lua: &Lua, decision: Decision) -> mlua::Result<Value> {
    let spot = if call::is_explained(lua) { failure::spot_now(lua) } else { None };
    let weight = match &decision {
        Decision::Route(route) => route.way.weight(),
        Decision::HandOver(_) => 0,
    };
    let made = facts::made(lua, Made { decision, spot })?;
    if weight > MAX_UNCOUNTED {
        // Nothing is in it: it has Lua count, and collect, what it would not know of.
        made.set_user_value(lua.create_buffer_with_capacity(weight)?)?;
    }
    Ok(Value::UserData(made))
}

pub(super) fn bad(lua: &Lua, problem: &str) -> mlua::Error {
    Complaint::raised(lua, FailureKind::BadRoute, problem)
}

pub(super) fn borrow<T: Described + Clone>(value: &Value) -> Option<T> {
    value.as_userdata()?.borrow_scoped(|fact: &Fact<T>| fact.0.clone()).ok()
}
