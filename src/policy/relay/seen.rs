//! `relay.seen`: what this relay has seen of whom it dials.

use std::sync::Arc;

use mlua::{Lua, Value};

use super::routes::{self, ADDRESS, borrow};
use crate::policy::call;
use crate::policy::description::{Arguments, Function, Phases, Type, parameter};
use crate::policy::facts::{Described as _, fact};
use crate::policy::failure::Complaint;
use crate::policy::{FailureKind, World};
use crate::registry::{Gateway, Worker};
use crate::route::Target;
use crate::upstream::Observed;

pub(super) const SEEN: Function = Function {
    name: "seen",
    about: "What this relay has seen of a target: its streams, its failures, its distance. Nil if it never dialled it, or \
            so long ago that it is forgotten.",
    parameters: &[parameter(
        "target",
        Type::Either(&[
            Type::Fact(<Arc<Gateway>>::KIND),
            Type::Fact(Worker::KIND),
            Type::Fact(Target::KIND),
            Type::Options(&ADDRESS),
        ]),
        "a gateway, a worker, a target of a route, or a table with host and port",
    )],
    returns: Type::Optional(&Type::Fact(Observed::KIND)),
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: seen,
};

fn seen(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let Some(held) = call::held(lua) else { return Ok(Value::Nil) };
    match target(arguments.at(0)) {
        Ok(None) => Ok(Value::Nil),
        Ok(Some(target)) => fact(lua, noted(&held.world, &target).as_ref()),
        Err(problem) => Err(Complaint::raised(lua, FailureKind::Error, &format!("relay.seen: {problem}"))),
    }
}

/// What was seen of whom `target` dials, through the journal.
pub(super) fn noted(world: &World, target: &Target) -> Option<Observed> {
    world.read(|| question(target), || world.seen.of_target(target))
}

/// Who is meant, whatever else `target` says of how to get there.
fn question(target: &Target) -> String {
    let Target { host, port, tls, .. } = target;
    let host = host.as_str().to_ascii_lowercase();
    let tls = tls.then(|| format!(" over TLS as {}", target.tls_name().as_str().to_ascii_lowercase()));
    format!("relay.seen({host}:{port}{})", tls.unwrap_or_default())
}

/// What a dialler would dial; `None` where no port is registered, so that nobody ever did.
fn target(value: &Value) -> Result<Option<Target>, String> {
    if let Value::Table(address) = value {
        return routes::target(address).map(Some);
    }
    let gateway = || borrow::<Arc<Gateway>>(value).map(|gateway| Target::gateway(&gateway));
    let worker = || borrow::<Worker>(value).map(|worker| Target::direct(&worker));
    Ok(borrow::<Target>(value).or_else(|| gateway().or_else(worker).flatten()))
}
