//! What must hold of any values.

use mlua::{Function as Callable, Lua, Table, Value};

use super::plain::{Difference, Plain};
use crate::policy::FailureKind;
use crate::policy::description::{Arguments, Function, Parameter, Phases, Type, parameter};
use crate::policy::facts::quote;
use crate::policy::failure::{Chunks, Complaint};
use crate::policy::testing::bench::{desk, unmet};

const GOT: Parameter = parameter("got", Type::Any, "what there is");
const PATTERN: Type = Type::Optional(&Type::String);

pub(super) const EQUAL: Function = expectation(
    "equal",
    "Both values are the same, tables and facts to the last field; a fact is the same as a table with its fields.",
    &[GOT, parameter("expected", Type::Any, "what there should be")],
    |lua, given| {
        let (got, expected) = (Plain::of(given.at(0)), Plain::of(given.at(1)));
        let Some(Difference { path, got, expected }) = got.difference(&expected) else { return Ok(Value::Nil) };
        let place = if path.is_empty() { String::new() } else { format!(" at {path}") };
        Err(unmet(lua, &format!("not as expected{place}"), both(got, expected)))
    },
);

pub(super) const DIFFER: Function = expectation(
    "differ",
    "The values are not the same.",
    &[GOT, parameter("other", Type::Any, "what it should not be")],
    |lua, given| {
        let (got, other) = (Plain::of(given.at(0)), Plain::of(given.at(1)));
        match got.difference(&other) {
            Some(_) => Ok(Value::Nil),
            None => Err(unmet(lua, "both are the same", vec![format!("got       {got}")])),
        }
    },
);

pub(super) const TRUTHY: Function =
    expectation("truthy", "The value is neither false nor nil.", &[GOT], |lua, given| match is_true(given.at(0)) {
        true => Ok(Value::Nil),
        false => Err(unmet(lua, &format!("it is {}", quote(given.at(0))), Vec::new())),
    });

pub(super) const FALSY: Function =
    expectation("falsy", "The value is false or nil.", &[GOT], |lua, given| match is_true(given.at(0)) {
        true => {
            let shown = vec![format!("got       {}", Plain::of(given.at(0)))];
            Err(unmet(lua, "it is neither false nor nil", shown))
        }
        false => Ok(Value::Nil),
    });

pub(super) const MATCH: Function = expectation(
    "match",
    "Lua's pattern is found in the text.",
    &[
        parameter("text", Type::String, "a text"),
        parameter("pattern", Type::String, "a pattern such as \"^zone %w+$\""),
    ],
    |lua, given| match found(lua, given.at(0), given.at(1), false)? {
        true => Ok(Value::Nil),
        false => Err(unmet(lua, "the pattern is not in the text", sought(given.at(0), "pattern", given.at(1)))),
    },
);

pub(super) const CONTAINS: Function = expectation(
    "contains",
    "The text has the other text in it, or the list has an element that is the same as the value.",
    &[
        parameter("whole", Type::Either(&[Type::String, Type::List(&Type::Any)]), "a text, or a list"),
        parameter("part", Type::Any, "what is to be in it"),
    ],
    |lua, given| {
        let (whole, part) = (given.at(0), given.at(1));
        let inside = match whole {
            Value::String(_) if part.is_string() => found(lua, whole, part, true)?,
            _ => {
                let part = Plain::of(part);
                Plain::of(whole).elements().any(|element| element.difference(&part).is_none())
            }
        };
        if inside { Ok(Value::Nil) } else { Err(unmet(lua, "it is not in there", sought(whole, "part   ", part))) }
    },
);

const RAISES: Function = expectation(
    "fails",
    "The function raises an error; with a pattern, one in whose text that is found. Returns the text.",
    &[parameter("body", Type::Function, "a function"), parameter("pattern", PATTERN, "a pattern such as \"port\"")],
    |lua, given| {
        let Some(body) = given.at(0).as_function() else { return Ok(Value::Nil) };
        let Some(text) = failure(lua, body)? else {
            return Err(unmet(lua, "the function raised no error", Vec::new()));
        };
        let text = Value::String(lua.create_string(text)?);
        let pattern = given.at(1);
        if pattern.is_nil() || found(lua, &text, pattern, false)? {
            return Ok(text);
        }
        Err(unmet(lua, "the pattern is not in the error", sought(&text, "pattern", pattern)))
    },
);

pub(super) const FAILS: Function = Function { returns: Type::String, ..RAISES };

/// Describes a function that says what must hold.
pub(super) const fn expectation(
    name: &'static str,
    about: &'static str,
    parameters: &'static [Parameter],
    call: fn(&Lua, &Arguments) -> mlua::Result<Value>,
) -> Function {
    let returns = Type::Nothing;
    Function { name, about, parameters, returns, phases: Phases::TESTING, blame: FailureKind::Error, call }
}

/// Two values below each other.
pub(super) fn both(got: &Plain, expected: &Plain) -> Vec<String> {
    let mut lines = vec![format!("got       {got}"), format!("expected  {expected}")];
    if let (Plain::Text(got), Plain::Text(expected)) = (got, expected) {
        let same = got.iter().zip(expected).take_while(|(got, expected)| got == expected).count();
        if same >= 20 {
            lines.push(format!("the same up to byte {same}"));
        }
    }
    lines
}

fn sought(whole: &Value, what: &str, part: &Value) -> Vec<String> {
    vec![format!("got       {}", Plain::of(whole)), format!("{what}   {}", Plain::of(part))]
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Nil | Value::Boolean(false))
}

/// Whether the pattern, or the plain text, is in the text, by the library's own guarded function.
fn found(lua: &Lua, text: &Value, pattern: &Value, plain: bool) -> mlua::Result<bool> {
    let find: Callable = lua.globals().get::<Table>("string")?.get("find")?;
    let at: Value = find.call((text, pattern, 1, plain))?;
    Ok(!at.is_nil())
}

/// The text of the error that `body` raises. A limit that stops it stops the case too.
fn failure(lua: &Lua, body: &Callable) -> mlua::Result<Option<String>> {
    let before = desk(lua, |desk| desk.unmet.take()).flatten();
    let outcome = body.call::<Value>(());
    // What was not met in there is the error that was expected.
    desk(lua, |desk| desk.unmet = before);
    let Err(error) = outcome else { return Ok(None) };
    let chunks = lua.app_data_ref::<Chunks>().map(|chunks| chunks.clone());
    let complaint = chunks.map(|chunks| Complaint::from_lua(&error, &chunks));
    match complaint {
        Some(complaint) if complaint.kind.is_limit() => Err(error),
        Some(complaint) => Ok(Some(complaint.text)),
        None => Ok(Some(error.to_string())),
    }
}
