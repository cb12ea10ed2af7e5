//! The global `test`: what a test makes up, and what it asks. What each name does stands in the room below.

mod asking;
mod cases;
mod knowing;
mod standing;
mod working;

use crate::policy::description::{Function, Namespace, Parameter, Phases, Type};
use crate::policy::{FailureKind, description::Arguments};
use mlua::{Lua, Value};

/// What a test makes up, and what it asks.
pub(super) const TEST: Namespace = Namespace {
    name: "test",
    about: "What a test makes up, and what it asks the policy. Only tests have it.",
    constants: &[],
    functions: &[
        cases::CASE,
        cases::POLICY,
        standing::RELAY,
        standing::NOW,
        standing::ADVANCE,
        knowing::REGISTRY,
        knowing::SHARED,
        knowing::SEEN,
        asking::ROUTE,
        asking::ACCEPT,
        asking::ENDED,
        asking::INVARIANT,
        working::HTTP,
        working::DNS,
        working::FILES,
        working::BACKGROUND,
    ],
    inner: &[],
};

/// Describes a function that cases call.
const fn in_case(
    name: &'static str,
    about: &'static str,
    parameters: &'static [Parameter],
    returns: Type,
    call: fn(&Lua, &Arguments) -> mlua::Result<Value>,
) -> Function {
    Function { name, about, parameters, returns, phases: Phases::TESTING, blame: FailureKind::Error, call }
}
