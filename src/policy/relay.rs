//! The global `relay`: what this relay knows, and the makers of routes. Every function is described once, below, with
//! the argument it takes; the checks come from the description.

use std::sync::Arc;

use mlua::{Lua, MultiValue, Table, Value};

use super::answer::{Made, refusal, targets};
use super::facts::{self, Fact, quote};
use super::failure::{self, Complaint};
use super::rank::rank;
use super::{FailureKind, Place, Request};
use crate::registry::{Components, Gateway, Worker};
use crate::route::Target;

/// Lines that one decision may print.
const MAX_LINES: usize = 16;

/// Gateways of one list that are looked at: reading them all cannot be interrupted.
const MAX_LISTED: usize = 1024;

/// One function of `relay`. All take exactly one argument.
struct Function {
    name: &'static str,
    argument: &'static str,
    /// What the argument must be, in words that follow "must be".
    expects: &'static str,
    /// What a wrong argument is: a mistake in a route, or elsewhere.
    blame: FailureKind,
    /// `None` where the argument is not what `expects` says.
    call: fn(&Lua, &Value) -> mlua::Result<Option<Value>>,
}

/// Facts that are the same for as long as the policy lives.
const CONSTANTS: [&str; 2] = ["zone", "hostname"];

const FUNCTIONS: [Function; 4] = [
    Function {
        name: "gateways",
        argument: "zone",
        expects: "a zone's name, such as build.worker.zone",
        blame: FailureKind::Error,
        call: gateways,
    },
    Function {
        name: "direct",
        argument: "worker",
        expects: "a worker, such as request.build.worker",
        blame: FailureKind::BadRoute,
        call: direct,
    },
    Function {
        name: "via",
        argument: "gateways",
        expects: "a gateway or a list of gateways, such as relay.gateways(zone)",
        blame: FailureKind::BadRoute,
        call: via,
    },
    Function {
        name: "refuse",
        argument: "text",
        expects: "the text that the viewer gets",
        blame: FailureKind::BadRoute,
        call: refuse,
    },
];

/// What the functions of `relay` need of the decision that runs; kept in the engine.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// `None` between decisions.
    components: Option<Arc<Components>>,
    seed: u64,
    explaining: bool,
    printed: usize,
}

impl Call {
    /// The script runs for the first time, and decides nothing yet. Routes that it makes now are made once.
    pub(super) fn loading() -> Self {
        Self { explaining: true, ..Self::default() }
    }

    pub(super) fn new(request: &Request<'_>, explaining: bool) -> Self {
        let components = Some(Arc::clone(&request.snapshot.components));
        Self { components, seed: request.seed, explaining, printed: 0 }
    }

    fn facts(&self) -> Option<(Arc<Components>, u64)> {
        Some((self.components.clone()?, self.seed))
    }

    /// How many lines may follow the one that is to be printed now; `None` if that is one too many.
    pub(super) fn line_to_print(&mut self) -> Option<usize> {
        let left = MAX_LINES.checked_sub(self.printed + 1)?;
        self.printed += 1;
        Some(left)
    }
}

/// Builds the table.
pub(super) fn table(lua: &Lua, place: &Place) -> mlua::Result<Table> {
    let relay = lua.create_table()?;
    relay.raw_set("zone", facts::zone(lua, place.zone.as_ref())?)?;
    relay.raw_set("hostname", place.hostname.as_str())?;
    for function in &FUNCTIONS {
        relay.raw_set(function.name, lua.create_function(|lua, arguments| function.checked(lua, &arguments))?)?;
    }
    let rules = lua.create_table()?;
    rules.raw_set("__index", lua.create_function(absent)?)?;
    rules.raw_set("__metatable", false)?;
    relay.set_metatable(Some(rules))?;
    relay.set_readonly(true);
    Ok(relay)
}

impl Function {
    fn checked(&self, lua: &Lua, arguments: &MultiValue) -> mlua::Result<Value> {
        let Self { name, argument, expects, blame, .. } = self;
        let nil = Value::Nil;
        let value = arguments.front().unwrap_or(&nil);
        let problem = if arguments.len() > 1 {
            format!("relay.{name} takes one argument, {argument}, and got {}", arguments.len())
        } else if let Some(result) = (self.call)(lua, value)? {
            return Ok(result);
        } else {
            format!("relay.{name}: {argument} must be {expects}, not {}", quote(value))
        };
        Err(Complaint::raised(lua, *blame, &problem))
    }
}

/// What is read of `relay` and is not in the table: a zone that is not set, or a name that does not exist.
fn absent(lua: &Lua, (_, key): (Value, Value)) -> mlua::Result<Value> {
    let names = CONSTANTS.into_iter().chain(FUNCTIONS.iter().map(|function| function.name));
    match key.as_string().is_some_and(|key| CONSTANTS.iter().any(|name| *key == *name)) {
        true => Ok(Value::Nil),
        false => Err(facts::unknown_key(lua, "relay", &key, names)),
    }
}

/// The gateways registered for a zone, the best first: by state, and among equals in an order that the request's seed
/// gives, so that load spreads. Those without a port are listed as well: whether a zone has gateways is one question,
/// whether they can be dialled another.
fn gateways(lua: &Lua, zone: &Value) -> mlua::Result<Option<Value>> {
    let Some(zone) = zone.as_string() else { return Ok(None) };
    let zone = zone.to_string_lossy();
    let Some((components, seed)) = lua.app_data_ref::<Call>().and_then(|call| call.facts()) else {
        return Err(outside(lua));
    };
    let serves = |gateway: &&Arc<Gateway>| gateway.zone.as_ref().is_some_and(|own| own.as_str() == zone);
    let mut gateways: Vec<_> = components.gateways.iter().filter(serves).collect();
    gateways.sort_by_cached_key(|gateway| (gateway.state, rank(seed, gateway.id.as_bytes())));
    let list = gateways.into_iter().map(|gateway| Fact(Arc::clone(gateway)));
    lua.create_sequence_from(list).map(|list| Some(Value::Table(list)))
}

fn outside(lua: &Lua) -> mlua::Error {
    let text = "relay.gateways can be asked only while a request is decided, inside of policy.route";
    Complaint::raised(lua, FailureKind::Error, text)
}

fn direct(lua: &Lua, worker: &Value) -> mlua::Result<Option<Value>> {
    let Some(worker) = borrow::<Worker>(worker) else { return Ok(None) };
    match Target::direct(&worker) {
        Some(target) => made(lua, targets(vec![target])),
        None => {
            let text = format!("relay.direct: executor {} registered no log_port for this build", worker.hostname);
            Err(Complaint::raised(lua, FailureKind::BadRoute, &text))
        }
    }
}

fn via(lua: &Lua, gateways: &Value) -> mlua::Result<Option<Value>> {
    let Some(gateways) = gateway_list(gateways) else { return Ok(None) };
    let dialable: Vec<Target> = gateways.iter().filter_map(|gateway| Target::gateway(gateway)).collect();
    if !dialable.is_empty() {
        return made(lua, targets(dialable));
    }
    let text = match gateways.first() {
        None => "relay.via: the list of gateways is empty".to_owned(),
        Some(first) => {
            format!("relay.via: no gateway of the list registered a public_port, {} for one", first.hostname)
        }
    };
    Err(Complaint::raised(lua, FailureKind::BadRoute, &text))
}

/// One gateway, or a list of gateways. Metatables are not asked: a list is what it holds.
fn gateway_list(value: &Value) -> Option<Vec<Arc<Gateway>>> {
    let Value::Table(list) = value else { return Some(vec![borrow(value)?]) };
    let length = list.raw_len().min(MAX_LISTED);
    let no_list = length == 0 && list.pairs::<Value, Value>().next().is_some();
    if no_list { None } else { (1..=length).map(|i| borrow(&list.raw_get::<Value>(i).ok()?)).collect() }
}

fn refuse(lua: &Lua, text: &Value) -> mlua::Result<Option<Value>> {
    let Some(text) = text.as_string() else { return Ok(None) };
    match refusal(&text.as_bytes()) {
        Ok(route) => made(lua, route),
        Err(problem) => Err(Complaint::raised(lua, FailureKind::BadRoute, &format!("relay.refuse: {problem}"))),
    }
}

fn made(lua: &Lua, route: crate::route::Route) -> mlua::Result<Option<Value>> {
    let explaining = lua.app_data_ref::<Call>().is_some_and(|call| call.explaining);
    let line = if explaining { failure::line_now(lua) } else { None };
    lua.create_userdata(Fact(Made { route, line })).map(|made| Some(Value::UserData(made)))
}

fn borrow<T: facts::Described + Clone>(value: &Value) -> Option<T> {
    value.as_userdata()?.borrow::<Fact<T>>().ok().map(|fact| fact.0.clone())
}
