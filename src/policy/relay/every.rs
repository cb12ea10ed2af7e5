//! `relay.every`: work beside the decisions. It only writes down what is asked for; doing it is the background's.

use std::time::Duration;

use mlua::{Lua, Value};

use super::options::number;
use crate::policy::FailureKind;
use crate::policy::description::{Arguments, Function, Phases, Type, parameter};
use crate::policy::failure::{self, Complaint};
use crate::policy::jobs::{Asked, Job, Planned};
use crate::route::Limit;

/// Most jobs of one policy.
const MAX_JOBS: usize = 32;

/// Jobs are for what may be a second old.
const SHORTEST: Duration = Duration::from_secs(1);

pub(super) const EVERY: Function = Function {
    name: "every",
    about: "Has a job done beside the decisions: at once when the policy takes over, and again so many seconds after each \
            run has ended, for as long as the policy is in force. A job may use http, dns and files, and write to \
            relay.shared, where route finds what it wrote. All jobs of a policy run one after another on an engine of \
            their own, which shares no variable with the engines that decide. A run that fails is told in the log and \
            in metrics, and the next one waits longer: twice as long after each failure, up to 16 times, and never \
            longer than an hour for that.",
    parameters: &[
        parameter("seconds", Type::Number, "a number of seconds, from 1 to 2073600, which is 24 days"),
        parameter("job", Type::Function, "a function; what it returns does not matter, and an error is a failed run"),
    ],
    returns: Type::Nothing,
    phases: Phases::LOADING,
    blame: FailureKind::Error,
    call: every,
};

fn every(lua: &Lua, arguments: &Arguments) -> mlua::Result<Value> {
    let wrong = |problem: String| Complaint::raised(lua, FailureKind::Error, &format!("relay.every: {problem}"));
    let seconds = number(arguments.at(0)).unwrap_or_default();
    let every = Limit::seconds(seconds).ok().map(Limit::get).filter(|every| *every >= SHORTEST);
    let every =
        every.ok_or_else(|| wrong(format!("seconds must be from 1 to {}, not {seconds}", Limit::MAX.as_secs())))?;
    let Some(work) = arguments.at(1).as_function().cloned() else { return Ok(Value::Nil) };
    let planned = Planned { every, spot: failure::spot_now(lua) };
    match lua.app_data_mut::<Asked>() {
        Some(asked) if asked.0.len() >= MAX_JOBS => Err(wrong(format!("a policy may have {MAX_JOBS} jobs"))),
        Some(mut asked) => {
            asked.0.push(Job { planned, work });
            Ok(Value::Nil)
        }
        None => Ok(Value::Nil),
    }
}
