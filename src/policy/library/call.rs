//! What the functions of these libraries share: reading arguments that were checked, and raising what went wrong.

use std::ops::Deref;

use mlua::{BorrowedBytes, Lua, Value};

use super::fault::Fault;
use crate::policy::FailureKind;
use crate::policy::description::{Arguments, Function, Parameter, Phases, Type};
use crate::policy::failure::Complaint;

/// A text among the arguments; empty if it is none, which no check lets pass.
pub(super) struct Text(Option<BorrowedBytes>);

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

/// Reads the text at `position`.
pub(super) fn text(arguments: &Arguments, position: usize) -> Text {
    Text(arguments.at(position).as_string().map(|text| text.as_bytes()))
}

/// Reads the number at `position`; not a number if it is none, which no check lets pass.
pub(super) fn number(arguments: &Arguments, position: usize) -> f64 {
    match arguments.at(position) {
        Value::Number(number) => *number,
        // What mlua makes of whole numbers.
        Value::Integer(number) => *number as f64,
        _ => f64::NAN,
    }
}

/// `bytes` as a value of Lua.
pub(super) fn string(lua: &Lua, bytes: impl AsRef<[u8]>) -> Result<Value, Fault> {
    Ok(Value::String(lua.create_string(bytes)?))
}

/// Hands on what the function called `name` came to: its words become an error in the line that runs now.
pub(super) fn answer(lua: &Lua, name: &str, outcome: Result<Value, Fault>) -> mlua::Result<Value> {
    outcome.map_err(|fault| match fault {
        Fault::Words(words) => Complaint::raised(lua, FailureKind::Error, &format!("{name}: {words}")),
        Fault::Lua(error) => error,
    })
}

/// Describes a function that depends on its arguments alone.
pub(super) const fn pure(
    name: &'static str,
    about: &'static str,
    parameters: &'static [Parameter],
    returns: Type,
    call: fn(&Lua, &Arguments) -> mlua::Result<Value>,
) -> Function {
    Function { name, about, parameters, returns, phases: Phases::ALWAYS, blame: FailureKind::Error, call }
}
