//! The library `dns`: the addresses behind names.

use mlua::{Lua, Value};

use super::{TIMEOUT, failed, reach, text};
use crate::policy::FailureKind;
use crate::policy::description::{Arguments, Function, Namespace, Phases, Type, name, parameter};
use crate::policy::relay::limit;

/// The library `dns`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "dns",
    about: "The addresses behind names.",
    constants: &[],
    functions: &[Function {
        name: "lookup",
        about: "The addresses of a host, as the system's resolver finds them, in the order in which the relay would dial \
                them; at least one. A name without an address is an error.",
        parameters: &[
            parameter("host", Type::String, "the name of a host"),
            parameter(
                "options",
                Type::Optional(&Type::Options(&[name(
                    "timeout",
                    Type::Optional(&Type::Number),
                    "Longest wait, in seconds; 10 unless given.",
                )])),
                "a table of options",
            ),
        ],
        returns: Type::List(&Type::String),
        phases: Phases::BACKGROUND,
        blame: FailureKind::Error,
        call: look_up,
    }],
    inner: &[],
};

fn look_up(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let timeout = match arguments.at(1) {
        Value::Table(options) => limit(options, "timeout").map_err(|why| failed(lua, "dns.lookup", &why))?,
        _ => None,
    };
    let (host, timeout) = (text(arguments.at(0)), timeout.map_or(TIMEOUT, crate::route::Limit::get));
    let found = reach(lua, "dns.lookup", |reach| reach.outside.look_up(&host, timeout, reach.leash.left()))?;
    lua.create_sequence_from(found.iter().map(ToString::to_string)).map(Value::Table)
}
