//! What of Luau's own library a script may use, and the libraries that this relay adds. A name enters this list by
//! being safe, bounded and a pure function of its arguments: no clock, no chance, no file, no other script's text.

mod base64;
mod call;
mod fault;
mod glob;
mod hash;
mod json;
mod networks;
mod time;

use mlua::{Function, Lua, LuaString, MultiValue, StdLib, Table, Value};

use super::FailureKind;
use super::call::Call;
use super::description::{self, Namespace};
use super::facts::quote;
use super::failure::{self, Complaint};
use super::testing::probe;
use super::{modules, spelling};

pub(super) use self::time::read as read_time;
pub(super) use networks::NetworkSet;

/// What the guards of the library are called in Lua's messages.
pub(super) const CHUNK: &str = "[library]";

const GUARDS: &str = include_str!("library.lua");

/// Longest printed line, in characters.
const MAX_PRINTED: usize = 1000;

/// Libraries with the functions that stay. `math.random` is chance; `table.foreach` and its like are deprecated.
const LIBRARIES: [(&str, &[&str]); 6] = [
    (
        "bit32",
        &[
            "arshift", "band", "bnot", "bor", "btest", "bxor", "byteswap", "countlz", "countrz", "extract", "lrotate",
            "lshift", "replace", "rrotate", "rshift",
        ],
    ),
    ("coroutine", &["close", "create", "isyieldable", "resume", "running", "status", "wrap", "yield"]),
    (
        "math",
        &[
            "abs", "acos", "asin", "atan", "atan2", "ceil", "clamp", "cos", "cosh", "deg", "exp", "floor", "fmod",
            "frexp", "huge", "ldexp", "lerp", "log", "log10", "map", "max", "min", "modf", "pi", "pow", "rad", "round",
            "sign", "sin", "sinh", "sqrt", "tan", "tanh",
        ],
    ),
    (
        "string",
        &[
            "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize", "rep",
            "reverse", "split", "sub", "unpack", "upper",
        ],
    ),
    (
        "table",
        &[
            "clear", "clone", "concat", "create", "find", "freeze", "insert", "isfrozen", "move", "pack", "remove",
            "sort", "unpack",
        ],
    ),
    ("utf8", &["char", "charpattern", "codepoint", "codes", "len", "offset"]),
];

/// Global functions that stay; the libraries, `print` and `relay` come to them.
const GLOBALS: [&str; 19] = [
    "assert",
    "error",
    "getmetatable",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "typeof",
    "unpack",
    "xpcall",
];

/// The libraries that this relay adds.
pub(super) const NAMESPACES: [&Namespace; 6] =
    [&base64::NAMESPACE, &glob::NAMESPACE, &hash::NAMESPACE, &json::NAMESPACE, &networks::NAMESPACE, &time::NAMESPACE];

/// The parts of Luau that are loaded at all.
pub(super) fn parts() -> StdLib {
    StdLib::BIT | StdLib::COROUTINE | StdLib::MATH | StdLib::STRING | StdLib::TABLE | StdLib::UTF8
}

/// Cuts the globals of `lua` down to what a script may use, and adds this relay's libraries and those of its `own`.
pub(super) fn furnish(lua: &Lua, own: &[&'static Namespace]) -> mlua::Result<()> {
    let globals = lua.globals();
    keep(&globals, |name| GLOBALS.contains(&name) || LIBRARIES.iter().any(|(library, _)| *library == name))?;
    for (library, functions) in LIBRARIES {
        keep(&globals.get(library)?, |name| functions.contains(&name))?;
    }
    lua.load(GUARDS).set_name(format!("={CHUNK}")).call::<()>(lua.create_function(failure::plain)?)?;
    let tostring: Function = globals.raw_get("tostring")?;
    globals.raw_set("print", lua.create_function(move |lua, values| print(lua, &values, &tostring))?)?;
    globals.raw_set("require", lua.create_function(required)?)?;
    json::prepare(lua)?;
    glob::prepare(lua);
    let add = |library: &'static Namespace| globals.raw_set(library.name, description::table(lua, library)?);
    NAMESPACES.into_iter().chain(own.iter().copied()).try_for_each(add)?;
    modules::prepare(lua)
}

/// Makes everything read-only, and unknown globals an error. The last step: nothing can be added after it.
pub(super) fn seal(lua: &Lua) -> mlua::Result<()> {
    let library = lua.globals();
    let unknown = lua.create_table()?;
    unknown.raw_set("__index", lua.create_function(unknown_global)?)?;
    library.set_metatable(Some(unknown))?;
    lua.sandbox(true)?;
    let rules = lua.create_table()?;
    rules.raw_set("__index", library)?;
    rules.raw_set("__newindex", lua.create_function(new_global)?)?;
    rules.set_readonly(true);
    lua.globals().set_metatable(Some(rules))
}

/// Every name that stays, as a script writes it.
pub(super) fn names() -> impl Iterator<Item = String> {
    let functions = |(library, names): (&'static str, &'static [&'static str])| {
        names.iter().map(move |name| format!("{library}.{name}"))
    };
    GLOBALS.map(str::to_owned).into_iter().chain(LIBRARIES.into_iter().flat_map(functions))
}

fn keep(table: &Table, wanted: impl Fn(&str) -> bool) -> mlua::Result<()> {
    let names: Vec<String> =
        table.pairs::<String, Value>().map(|pair| pair.map(|(name, _)| name)).collect::<Result<_, _>>()?;
    names.into_iter().filter(|name| !wanted(name)).try_for_each(|name| table.raw_set(name, Value::Nil))
}

fn unknown_global(lua: &Lua, (globals, name): (Table, String)) -> mlua::Result<Value> {
    let mut known: Vec<String> = globals.pairs::<String, Value>().flatten().map(|(name, _)| name).collect();
    known.sort();
    let hint = spelling::hint(&name, known.iter().map(String::as_str));
    let text = format!("there is no global \"{name}\"{hint}");
    Err(Complaint::raised(lua, FailureKind::Error, &text))
}

fn new_global(lua: &Lua, (_, name, _): (Value, String, Value)) -> mlua::Result<()> {
    let text = format!("\"{name}\" is not declared; write: local {name}");
    Err(Complaint::raised(lua, FailureKind::Error, &text))
}

fn required(lua: &Lua, name: Value) -> mlua::Result<Value> {
    match name.as_string().and_then(|name| name.to_str().ok().map(|name| name.to_owned())) {
        Some(name) => modules::require(lua, &name),
        None => {
            let text = format!("require: the name of a module must be text, not {}", quote(&name));
            Err(Complaint::raised(lua, FailureKind::Error, &text))
        }
    }
}

/// Writes to the log, a bounded number of bounded lines a decision.
fn print(lua: &Lua, values: &MultiValue, tostring: &Function) -> mlua::Result<()> {
    let Some(left) = lua.app_data_mut::<Call>().and_then(|mut call| call.line_to_print()) else { return Ok(()) };
    let text = failure::printable(&words(values, tostring)?, MAX_PRINTED);
    let line = failure::spot_now(lua).map(|spot| spot.line);
    if let Some(probe) = probe::of(lua) {
        probe.print(text);
        return Ok(());
    }
    tracing::info!(target: "policy", text, line, "the policy printed");
    if left == 0 {
        tracing::info!(target: "policy", line, "the policy printed too much; the rest of this decision is not shown");
    }
    Ok(())
}

/// The line that `values` make, or more of it than is printed. What Rust holds is no part of the memory limit: nothing
/// is looked at, and no string copied, beyond what will be seen.
fn words(values: &MultiValue, tostring: &Function) -> mlua::Result<String> {
    let mut line = String::new();
    for (position, value) in values.iter().enumerate() {
        if line.chars().count() > MAX_PRINTED {
            break;
        }
        if position > 0 {
            line.push(' ');
        }
        let word: LuaString = tostring.call(value)?;
        line.push_str(&failure::beginning(&word.as_bytes(), MAX_PRINTED));
    }
    Ok(line)
}
