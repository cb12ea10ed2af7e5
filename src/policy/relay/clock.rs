//! What `relay` says of time. It stands still while a script runs: who asks twice gets the same answer.

use std::time::{SystemTime, UNIX_EPOCH};

use mlua::Value;

use crate::policy::FailureKind;
use crate::policy::call;
use crate::policy::description::{Function, Phases, Type};

pub(super) const NOW: Function = Function {
    name: "now",
    about: "The time when the call began, in seconds since 1970 in UTC; the library time makes more of it. In background \
            work it goes on with every wait.",
    parameters: &[],
    returns: Type::Number,
    phases: Phases::KNOWING,
    blame: FailureKind::Error,
    call: |lua, _| {
        let at = call::held(lua).map_or(UNIX_EPOCH, |held| held.at.wall);
        Ok(Value::Number(seconds(at)))
    },
};

/// Seconds since 1970, also of a clock that stands before it.
fn seconds(at: SystemTime) -> f64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
