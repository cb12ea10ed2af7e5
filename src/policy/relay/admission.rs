//! `relay.allow`: that a connection may ask, and within which limits.

use mlua::{Lua, Table, Value};

use super::options::{SECONDS, TAGS, limit, tags};
use crate::admission::Limits;
use crate::policy::FailureKind;
use crate::policy::description::{Arguments, Function, Name, Phases, Type, name, parameter};
use crate::policy::facts::{Allowed, Described as _, Fact};
use crate::policy::failure::Complaint;
use crate::route::Tags;

const REQUEST_TIMEOUT: Name =
    name("request_timeout", SECONDS, "Longest wait for the request, in seconds; the listener's unless given.");
const MAX_DURATION: Name =
    name("max_duration", SECONDS, "Longest time of the whole stream, in seconds; without an end unless given.");
const STALL_TIMEOUT: Name = name(
    "stall_timeout",
    SECONDS,
    "Longest time without a byte taken while bytes wait, in seconds; stream.viewer_stall_timeout unless given.",
);

pub(super) const ALLOW: Function = Function {
    name: "allow",
    about: "What accept returns to let a connection in with limits or tags of its own.",
    parameters: &[parameter(
        "options",
        Type::Optional(&Type::Options(&[REQUEST_TIMEOUT, MAX_DURATION, STALL_TIMEOUT, TAGS])),
        "a table of options",
    )],
    returns: Type::Fact(Allowed::KIND),
    phases: Phases::ALWAYS,
    blame: FailureKind::Error,
    call: allow,
};

fn allow(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let allowed = match arguments.at(0) {
        Value::Table(options) => read(options),
        _ => Ok(Allowed { limits: Limits::default(), tags: Tags::default() }),
    };
    match allowed {
        Ok(allowed) => lua.create_userdata(Fact(allowed)).map(Value::UserData),
        Err(problem) => Err(Complaint::raised(lua, FailureKind::Error, &format!("relay.allow: {problem}"))),
    }
}

fn read(options: &Table) -> Result<Allowed, String> {
    let limits = Limits {
        request_timeout: limit(options, REQUEST_TIMEOUT.name)?,
        max_duration: limit(options, MAX_DURATION.name)?,
        stall_timeout: limit(options, STALL_TIMEOUT.name)?,
    };
    Ok(Allowed { limits, tags: tags(options)? })
}
