//! `relay.any`: several ways in one, in an order of their own.

use mlua::{Lua, Table, Value};

use super::options::{TAGS, tags};
use super::order::{Choice, ORDER, Order, WEIGHTS};
use super::routes::{ROUTE, bad, borrow, made};
use crate::policy::FailureKind;
use crate::policy::answer::{Decision, Made, named, targets};
use crate::policy::description::{Arguments, Function, Phases, Type, parameter};
use crate::registry::State;
use crate::route::{Route, Way};

/// Most routes of one list: what is read of them cannot be interrupted.
const MAX_ROUTES: usize = 256;

pub(super) const ANY: Function = Function {
    name: "any",
    about: "The way by any of these routes: the targets of all, each route's together and as they stand in it, and the \
            routes in the order of their first targets that options ask for. Of two values of a tag, that of the route \
            that stands first counts.",
    parameters: &[
        parameter("routes", Type::List(&ROUTE), "a list of routes to targets, such as relay.connect makes"),
        parameter("options", Type::Optional(&Type::Options(&[ORDER, WEIGHTS, TAGS])), "a table of options"),
    ],
    returns: ROUTE,
    phases: Phases::ALWAYS,
    blame: FailureKind::BadRoute,
    call: any,
};

fn any(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let Value::Table(routes) = arguments.at(0) else { return Ok(Value::Nil) };
    match joined(lua, routes, arguments.at(1)) {
        Ok(route) => made(lua, Decision::Route(route)),
        Err(problem) => Err(bad(lua, &format!("relay.any: {problem}"))),
    }
}

fn joined(lua: &Lua, routes: &Table, options: &Value) -> Result<Route, String> {
    let count = match routes.raw_len() {
        0 => return Err("the list of routes is empty".to_owned()),
        count if count > MAX_ROUTES => return Err(format!("the list has {count} routes, and may have {MAX_ROUTES}")),
        count => count,
    };
    let order = Order::read(options, "routes", count)?;
    let choices: Vec<Choice> = (1..=count).map(|position| choice(routes, position)).collect::<Result<_, _>>()?;
    let choices = order.arrange(lua, choices)?;
    let own = match options {
        Value::Table(options) => Some(tags(options)?),
        _ => None,
    };
    let tags = named(own.into_iter().chain(choices.iter().map(|choice| choice.tags.clone())))?;
    Ok(Route { tags, ..targets(choices.into_iter().flat_map(|choice| choice.targets).collect()) })
}

fn choice(routes: &Table, position: usize) -> Result<Choice, String> {
    let route: Option<Made> = routes.raw_get(position).ok().and_then(|route| borrow(&route));
    match route.map(|route| route.decision) {
        Some(Decision::Route(Route { way: Way::Targets(targets), tags })) => {
            Ok(Choice { state: State::Running, targets, tags })
        }
        _ => Err(format!(
            "number {position} of the list has no targets; a reply, a refusal or another policy stands alone"
        )),
    }
}
