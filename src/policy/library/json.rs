//! JSON (RFC 8259) as values of Lua, and back. Never runs a script's code: no metamethod is asked.
//!
//! Objects become tables with texts as keys, arrays become lists. `null` becomes `json.null`, in objects as well, so
//! that nothing is lost and a list has no holes; it is a value of its own, so compare: `if zone == json.null`. Numbers
//! are doubles, as all numbers of Lua are: whole ones beyond 2^53 are rounded, as browsers round them.
//!
//! An empty table is written `{}`. One that is meant as a list is marked by `json.array`, as an empty array already
//! is when it is read; so what was read is written as it was.

mod read;
mod write;

use mlua::{Function, Lua, Table, Value};

use super::call::{answer, pure, string, text};
use super::fault::Fault;
use crate::policy::description::{Constant, Namespace, Type, name, parameter};
use read::decode;
use write::encode;

/// Longest text, read or written, in bytes.
const MAX_TEXT: usize = 1 << 20;

/// Most values of one text, keys not counted: no interrupt reaches into the call that reads or writes them.
const MAX_VALUES: usize = 1 << 16;

/// Deepest nesting. A table that holds itself has no other end.
const MAX_DEPTH: usize = 64;

/// What a script sees as the metatable of a marked list, and where Lua keeps the real one.
const MARK: &str = "json.array";

/// The library `json`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "json",
    about: "JSON (RFC 8259) as values of Lua, and back. Numbers are doubles: whole ones beyond 2^53 are rounded.",
    constants: &[Constant {
        name: name(
            "null",
            Type::Any,
            "What `null` is read as, and written as it; it counts as true, so compare with it.",
        ),
        value: |_| Ok(null()),
    }],
    functions: &[
        pure(
            "decode",
            "The value that a text in JSON stands for; an error if it is none.",
            &[parameter("text", Type::String, "JSON of up to 1 MiB, 65536 values, and 64 levels")],
            Type::Any,
            |lua, given| answer(lua, "json.decode", decode(lua, &text(given, 0))),
        ),
        pure(
            "encode",
            "The value as JSON, keys sorted. An empty table becomes `{}`, unless `json.array` marked it.",
            &[parameter("value", Type::Any, "a value without functions and values of the relay's own types")],
            Type::String,
            |lua, given| answer(lua, "json.encode", encode(lua, given.at(0)).and_then(|text| string(lua, text))),
        ),
        pure(
            "array",
            "Marks a list, so that it is written `[]` when it is empty, and returns it.",
            &[parameter("list", Type::List(&Type::Any), "a list, which may be empty")],
            Type::List(&Type::Any),
            |lua, given| answer(lua, "json.array", array(lua, given.at(0))),
        ),
    ],
    inner: &[],
};

/// Prepares `lua` for the functions of this file.
pub(super) fn prepare(lua: &Lua) -> mlua::Result<()> {
    let mark = lua.create_table()?;
    mark.raw_set("__metatable", MARK)?;
    mark.set_readonly(true);
    lua.set_named_registry_value(MARK, mark)
}

/// `null` as scripts see it.
fn null() -> Value {
    Value::NULL
}

/// Marks `list` as one that is written `[]` when it is empty.
fn array(lua: &Lua, list: &Value) -> Result<Value, Fault> {
    let Value::Table(table) = list else { return Ok(Value::Nil) };
    if is_marked(lua, table)? {
        return Ok(list.clone());
    }
    if table.is_readonly() || !metatable(lua, table)?.is_nil() {
        return Err("list is frozen or has a metatable, and cannot be marked".to_owned().into());
    }
    table.set_metatable(Some(lua.named_registry_value(MARK)?))?;
    Ok(list.clone())
}

fn is_marked(lua: &Lua, list: &Table) -> mlua::Result<bool> {
    Ok(metatable(lua, list)?.as_string().is_some_and(|mark| *mark == MARK))
}

/// The metatable of `table` as scripts may see it. By Lua's own function: where memory is short it fails, and mlua's
/// would panic.
fn metatable(lua: &Lua, table: &Table) -> mlua::Result<Value> {
    lua.globals().get::<Function>("getmetatable")?.call(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lua() -> Lua {
        let lua = Lua::new();
        prepare(&lua).unwrap();
        lua
    }

    fn words<T: std::fmt::Debug>(outcome: Result<T, Fault>) -> String {
        match outcome {
            Err(Fault::Words(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    fn eval(lua: &Lua, code: &str) -> Value {
        lua.globals().set("null", null()).unwrap();
        let array = lua.create_function(|lua, list| Ok(array(lua, &list).unwrap())).unwrap();
        lua.globals().set("array", array).unwrap();
        lua.load(code).eval().unwrap()
    }

    #[test]
    fn what_was_read_is_written_as_it_was() {
        let lua = lua();
        for text in [
            "null",
            "true",
            "0",
            "-1.5",
            "1e+300",
            "9007199254740991",
            "\"\"",
            "\"ä\\u0000\\n\\\"\\\\\"",
            "[]",
            "{}",
            "[null,1,null]",
            "[[],{},[[]]]",
            "{\"\":{},\"a\":null,\"b\":[1,{\"c\":false}],\"ä\":[]}",
        ] {
            let value = decode(&lua, text.as_bytes()).unwrap();
            assert_eq!(encode(&lua, &value).unwrap(), text);
        }
    }

    #[test]
    fn values_of_lua_are_written_as_json() {
        let lua = lua();
        for (code, text) in [
            ("{ zone = 'a', ports = { 79, 80 } }", r#"{"ports":[79,80],"zone":"a"}"#),
            ("{}", "{}"),
            ("array({})", "[]"),
            ("array({ 1 })", "[1]"),
            ("array(array({}))", "[]"),
            ("{ null }", "[null]"),
            ("nil", "null"),
            ("-0", "0"),
            ("0.1", "0.1"),
            ("2 ^ 53", "9007199254740992.0"),
            ("setmetatable({ 1 }, { __index = error, __iter = error, __len = error, __tostring = error })", "[1]"),
        ] {
            assert_eq!(encode(&lua, &eval(&lua, code)).unwrap(), text, "{code}");
        }
    }

    #[test]
    fn whole_numbers_beyond_two_to_the_53_are_rounded() {
        let lua = lua();
        assert_eq!(decode(&lua, b"9007199254740993").unwrap(), Value::Number(9007199254740992.0));
        assert_eq!(decode(&lua, b"-18446744073709551616").unwrap(), Value::Number(-18446744073709551616.0));
        assert!(words(decode(&lua, b"1e999")).contains("out of range"));
    }

    #[test]
    fn what_is_no_json_is_shown_where_it_is_not() {
        let lua = lua();
        for text in ["", "{", "[1,]", "{'a':1}", "nul", "[1] 2", "\"\\x\"", "\"a\nb\"", "NaN", "01"] {
            let problem = words(decode(&lua, text.as_bytes()));
            assert!(problem.contains("text is no JSON") && problem.contains("line"), "{text}: {problem}");
        }
        assert!(words(decode(&lua, b"\"\xff\"")).contains("no JSON"));
    }

    #[test]
    fn what_has_no_json_is_named_with_its_place() {
        let lua = lua();
        for (code, problem) in [
            ("print", "a function has no JSON"),
            ("{ a = { print } }", "at .a[1]: a function has no JSON"),
            ("{ 0 / 0 }", "at [1]: NaN has no JSON"),
            ("-math.huge", "-inf has no JSON"),
            ("{ ['a b'] = '\\xff' }", "at .a b: text is not UTF-8 from byte 0 on"),
            ("{ ['\\xff'] = 1 }", "the key \u{fffd}: text is not UTF-8"),
            ("{ 1, a = 2 }", "keys of both kinds"),
            ("{ 1, nil, 3 }", "3 is a key, and 2 is none"),
            ("{ [0] = 1 }", "0 is a key, and 1 is none"),
            ("{ [1.5] = 1 }", "1.5 is a key, and 1 is none"),
            ("{ [true] = 1 }", "true is a key"),
        ] {
            let words = words(encode(&lua, &eval(&lua, code)));
            assert!(words.contains(problem), "{code}: {words}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded_both_ways() {
        let lua = lua();
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(decode(&lua, nested(MAX_DEPTH).as_bytes()).is_ok());
        for depth in [MAX_DEPTH + 1, 100_000] {
            assert!(words(decode(&lua, nested(depth).as_bytes())).contains("more than 64 deep"));
        }
        let itself = eval(&lua, "(function() local t = {} t.me = t return t end)()");
        assert!(words(encode(&lua, &itself)).contains("more than 64 deep"));
        let numbers = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        assert!(decode(&lua, numbers(MAX_VALUES - 1).as_bytes()).is_ok());
        assert!(words(decode(&lua, numbers(MAX_VALUES).as_bytes())).contains("65536 values"));
        assert!(words(encode(&lua, &eval(&lua, "table.create(65536, 0)"))).contains("65536 values"));
        let long = format!("\"{}\"", "x".repeat(MAX_TEXT));
        assert!(words(decode(&lua, long.as_bytes())).contains("may have 1048576"));
        assert!(words(encode(&lua, &eval(&lua, "string.rep('x', 2 ^ 20)"))).contains("longer than 1048576 bytes"));
        let keys = eval(&lua, "(function() local t = {} for i = 1, 70000 do t['k' .. i] = 1 end return t end)()");
        assert!(words(encode(&lua, &keys)).contains("65536 values"));
    }

    #[test]
    fn a_table_that_is_held_many_times_is_no_bomb() {
        let lua = lua();
        let bomb = "(function() local t = {} for _ = 1, 60 do t = { t, t, t, t } end return t end)()";
        assert!(words(encode(&lua, &eval(&lua, bomb))).contains("65536 values"));
        let texts = "(function() local s = string.rep('x', 2 ^ 19) return table.create(1000, s) end)()";
        assert!(words(encode(&lua, &eval(&lua, texts))).contains("longer than"));
    }

    #[test]
    fn a_frozen_list_cannot_be_marked() {
        let lua = lua();
        for code in ["table.freeze({})", "setmetatable({}, {})"] {
            assert!(words(array(&lua, &eval(&lua, code))).contains("cannot be marked"), "{code}");
        }
    }
}
