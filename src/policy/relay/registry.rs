//! What `relay` says of the registry, from the mirror alone: no name here waits for anything. No list is longer than
//! one call may take to make, because nothing can stop a call into Rust.

use std::sync::Arc;

use mlua::{Lua, LuaString, Value};

use crate::names::{BuildId, Zone};
use crate::policy::FailureKind;
use crate::policy::call::{self, Call, Held};
use crate::policy::description::{Arguments, Function, Parameter, Phases, Type, parameter};
use crate::policy::facts::{Described as _, fact, text};
use crate::policy::journal::Shared;
use crate::policy::kept::Kept;
use crate::policy::rank::rank;
use crate::policy::unguarded::unguarded;
use crate::registry::{Build, Executor, Gateway};

/// Longest list.
const MAX_LISTED: usize = 1000;

/// Longest name of a tenant that is looked for, in bytes: a question is written down where decisions are kept.
const MAX_TENANT: usize = 4096;

const BUILD: Type = Type::Fact(<Arc<Build>>::KIND);
const ZONE: Parameter = parameter(
    "zone",
    Type::Optional(&Type::String),
    "a zone's name, such as build.worker.zone; nil, as everywhere, is outside of every zone",
);
const TENANT: Parameter = parameter("tenant", Type::String, "a tenant's name, such as build.tenant");

pub(super) const GATEWAYS: Function = Function {
    name: "gateways",
    about: "The gateways that are registered for a zone, the best first: by state, and among equals in an order that \
            differs from request to request, so that load spreads.",
    parameters: &[parameter("zone", Type::String, "a zone's name, such as build.worker.zone")],
    returns: Type::List(&Type::Fact(<Arc<Gateway>>::KIND)),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, arguments| gateways(lua, arguments.at(0)),
};

pub(super) const ZONES: Function = Function {
    name: "zones",
    about: "The names of all zones that the registry speaks of, where builds are asked for or run and where gateways \
            and executors are, in order; at most the first 1000.",
    parameters: &[],
    returns: Type::List(&Type::String),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, _| {
        within(lua, |held| {
            let named = || held.snapshot.named_zones().into_iter().take(MAX_LISTED).cloned().collect();
            let zones: Vec<Zone> = held.world.read(|| "relay.zones()".to_owned(), named);
            list(lua, &zones, |zone| text(lua, zone.as_str()))
        })
    },
};

pub(super) const EXECUTORS: Function = Function {
    name: "executors",
    about: "The executors that are registered for a zone, by id; at most the first 1000.",
    parameters: &[ZONE],
    returns: Type::List(&Type::Fact(<Arc<Executor>>::KIND)),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, arguments| {
        within(lua, |held| {
            let Some(zone) = zone(arguments.at(0)) else { return Ok(Value::Table(lua.create_table()?)) };
            list(lua, held.snapshot.components.executors_of(zone.as_ref()), |executor| fact(lua, Some(executor)))
        })
    },
};

pub(super) const BUILD_BY_UUID: Function = Function {
    name: "build",
    about: "What is known of a build; nil if nothing is, also for a text that is no uuid. Unlike for request.build, \
            ZooKeeper is not asked for what has not arrived here yet.",
    parameters: &[parameter("uuid", Type::String, "a build's uuid, such as request.uuid")],
    returns: Type::Optional(&BUILD),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, arguments| {
        within(lua, |held| {
            let uuid = short(arguments.at(0), BuildId::MAX_LEN).and_then(|uuid| BuildId::parse(&uuid));
            let Some(uuid) = uuid else { return Ok(Value::Nil) };
            let known = || held.snapshot.builds.get(&uuid).cloned().map(Shared);
            let build = held.world.read(|| format!("relay.build({:?})", uuid.as_str()), known);
            fact(lua, build.as_ref().map(|Shared(build)| build))
        })
    },
};

pub(super) const BUILDS: Function = Function {
    name: "builds",
    about: "A tenant's builds, running or not, by uuid; at most the first 1000: see build_count.",
    parameters: &[TENANT],
    returns: Type::List(&BUILD),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, arguments| {
        within(lua, |held| {
            let Some(tenant) = tenant(arguments) else { return Ok(Value::Table(lua.create_table()?)) };
            let known = || held.snapshot.builds.of_tenant(&tenant).take(MAX_LISTED).cloned().map(Shared).collect();
            let builds: Vec<Shared<Build>> = held.world.read(|| format!("relay.builds({tenant:?})"), known);
            list(lua, &builds, |Shared(build)| fact(lua, Some(build)))
        })
    },
};

pub(super) const TENANTS: Function = Function {
    name: "tenants",
    about: "The names of all tenants that have builds, running or not, in order; at most the first 1000.",
    parameters: &[],
    returns: Type::List(&Type::String),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, _| {
        within(lua, |held| {
            let known =
                || held.snapshot.builds.tenants().take(MAX_LISTED).map(|(tenant, _)| tenant.to_owned()).collect();
            let tenants: Vec<String> = held.world.read(|| "relay.tenants()".to_owned(), known);
            list(lua, &tenants, |tenant| text(lua, tenant))
        })
    },
};

pub(super) const BUILD_COUNT: Function = Function {
    name: "build_count",
    about: "How many builds a tenant has, running or not. Costs nothing, however many they are.",
    parameters: &[TENANT],
    returns: Type::Number,
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, arguments| {
        within(lua, |held| {
            let Some(tenant) = tenant(arguments) else { return Ok(number(0)) };
            let count = || held.snapshot.builds.count_of(&tenant);
            Ok(number(held.world.read(|| format!("relay.build_count({tenant:?})"), count)))
        })
    },
};

pub(super) const RUNNING_COUNT: Function = Function {
    name: "running_count",
    about: "How many builds run in a zone. Costs nothing, however many they are.",
    parameters: &[ZONE],
    returns: Type::Number,
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, arguments| {
        within(lua, |held| {
            let Some(zone) = zone(arguments.at(0)) else { return Ok(number(0)) };
            let question = || format!("relay.running_count({})", name(zone.as_ref()));
            Ok(number(held.world.read(question, || held.snapshot.builds.running_in(zone.as_ref()))))
        })
    },
};

pub(super) const AGE: Function = Function {
    name: "age",
    about: "For how many seconds the registry has not followed ZooKeeper, and so tells the last known state: 0 while \
            it follows, nil if nothing was ever read.",
    parameters: &[],
    returns: Type::Optional(&Type::Number),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, _| {
        within(lua, |held| {
            let age = held.snapshot.age(held.at.tick);
            Ok(age.map_or(Value::Nil, |age| Value::Number(age.as_secs_f64())))
        })
    },
};

/// The gateways registered for a zone. Those without a port are listed as well: whether a zone has gateways is one
/// question, whether they can be dialled another.
fn gateways(lua: &Lua, zone: &Value) -> mlua::Result<Value> {
    let Some(zone) = zone.as_string().map(LuaString::as_bytes) else { return Ok(Value::Nil) };
    let (Some(call), Some(mut kept)) = (lua.app_data_ref::<Call>(), lua.app_data_mut::<Kept>()) else {
        return Ok(Value::Nil);
    };
    let Some((components, seed)) = call.components() else { return Ok(Value::Nil) };
    let listed = kept.gateways(lua, components, &zone)?.iter();
    let mut ranked: Vec<_> =
        listed.map(|it| (it.gateway.state, rank(seed, it.gateway.id.as_bytes()), &it.value)).collect();
    ranked.sort_by_key(|(state, rank, _)| (*state, *rank));
    unguarded(lua, || lua.create_sequence_from(ranked.into_iter().map(|(_, _, value)| value)).map(Value::Table))
}

fn within(lua: &Lua, work: impl FnOnce(&Held) -> mlua::Result<Value>) -> mlua::Result<Value> {
    call::held(lua).map_or(Ok(Value::Nil), |held| work(&held))
}

/// The first of `items`, each as `value` makes it.
fn list<T>(
    lua: &Lua,
    items: impl IntoIterator<Item = T>,
    value: impl Fn(T) -> mlua::Result<Value>,
) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    items.into_iter().take(MAX_LISTED).try_for_each(|item| table.raw_push(value(item)?))?;
    Ok(Value::Table(table))
}

/// The zone that `name` is the name of, which is none for nil; `None` for what can be no zone's name.
fn zone(name: &Value) -> Option<Option<Zone>> {
    let Value::String(name) = name else { return Some(None) };
    name.to_str().ok().and_then(|name| Zone::parse(&name)).map(Some)
}

/// `None` for what can be no tenant's name.
fn tenant(arguments: &Arguments) -> Option<String> {
    short(arguments.at(0), MAX_TENANT)
}

/// The text that `value` is, unless it has more than `most` bytes.
fn short(value: &Value, most: usize) -> Option<String> {
    let text = value.as_string().filter(|text| text.as_bytes().len() <= most)?;
    text.to_str().ok().map(|text| text.to_owned())
}

/// A zone as a script names it.
fn name(zone: Option<&Zone>) -> String {
    zone.map_or_else(|| "nil".to_owned(), |zone| format!("{:?}", zone.as_str()))
}

fn number(count: usize) -> Value {
    Value::Number(count as f64)
}
