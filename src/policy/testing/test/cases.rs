//! What a test file says of itself: which policy it is about, and which cases it has.

use mlua::Value;

use crate::policy::FailureKind;
use crate::policy::description::{Function, Phases, Type, parameter};
use crate::policy::testing::bench::{Written, at_desk};
use crate::policy::testing::forms::{Form, PARAMS, option};

pub(super) const CASE: Function = Function {
    name: "case",
    about: "Names a case. Its function is called when the whole file has run, in a world of its own.",
    parameters: &[
        parameter("name", Type::String, "a sentence that says what holds"),
        parameter("body", Type::Function, "the function that shows it"),
    ],
    returns: Type::Nothing,
    phases: Phases::LOADING,
    blame: FailureKind::Error,
    call: |lua, given| {
        let Some(body) = given.at(1).as_function().cloned() else { return Ok(Value::Nil) };
        let name = given.at(0).as_string().map(|name| name.to_string_lossy()).unwrap_or_default();
        at_desk(lua, "test.case", |desk| desk.add(Written { name, body }))?;
        Ok(Value::Nil)
    },
};

pub(super) const POLICY: Function = Function {
    name: "policy",
    about: "Says which policy the file is about, where that is not the one whose name it has.",
    parameters: &[
        parameter(
            "name",
            Type::String,
            "the name of a policy, or of a script beside the test, or a script's path in the folder",
        ),
        parameter(
            "options",
            Type::Optional(&Type::Options(&[option("params", PARAMS, "What relay.params holds in every case.")])),
            "a table such as { params = { limit = 5 } }",
        ),
    ],
    returns: Type::Nothing,
    phases: Phases::LOADING,
    blame: FailureKind::Error,
    call: |lua, given| {
        let name = given.at(0).as_string().map(|name| name.to_string_lossy()).unwrap_or_default();
        at_desk(lua, "test.policy", |desk| {
            let params = given.at(1).as_table().map(|table| Form(table).params("params")).transpose()?;
            desk.subject.choose(name, params.flatten().unwrap_or_default())
        })?;
        Ok(Value::Nil)
    },
};
