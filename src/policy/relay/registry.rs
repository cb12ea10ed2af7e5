//! What `relay` says of the registry.

use std::sync::Arc;

use mlua::{Lua, LuaString, Value};

use crate::policy::FailureKind;
use crate::policy::call;
use crate::policy::description::{Function, Phases, Type, parameter};
use crate::policy::facts::Described as _;
use crate::policy::kept::Kept;
use crate::policy::rank::rank;
use crate::registry::Gateway;

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

/// The gateways registered for a zone. Those without a port are listed as well: whether a zone has gateways is one
/// question, whether they can be dialled another.
fn gateways(lua: &Lua, zone: &Value) -> mlua::Result<Value> {
    let Some(zone) = zone.as_string().map(LuaString::as_bytes) else { return Ok(Value::Nil) };
    let Some(held) = call::held(lua) else { return Ok(Value::Nil) };
    let seed = call::seed(lua);
    let Some(mut kept) = lua.app_data_mut::<Kept>() else { return Ok(Value::Nil) };
    let listed = kept.gateways(lua, &held.snapshot.components, &zone)?.iter();
    let mut ranked: Vec<_> =
        listed.map(|it| (it.gateway.state, rank(seed, it.gateway.id.as_bytes()), &it.value)).collect();
    ranked.sort_by_key(|(state, rank, _)| (*state, *rank));
    lua.create_sequence_from(ranked.into_iter().map(|(_, _, value)| value)).map(Value::Table)
}
