//! Calls that nest without an end are stopped, by whatever way a function comes to call itself.

use super::*;

#[test]
fn deep_recursion() {
    let failure = stops(FailureKind::Recursion, "local function f() return 1 + f() end\nreturn f()");
    assert!(failure.message.contains("more than 200 deep, its recursion_limit"), "{failure}");
    assert_eq!(failure.line, Some(1), "{failure}");
}

#[test]
fn deep_recursion_of_any_form() {
    for body in [
        // No call is a tail call in Luau.
        "local function f() return f() end return f()",
        "local g local function f() return 1 + g() end function g() return 1 + f() end return f()",
        "local function f(...) return select('#', f(1, ...)) end return f()",
        "local t = {} setmetatable(t, { __index = function(t, k) return t[k .. 'x'] end }) return t.x",
        "local t = {} setmetatable(t, { __newindex = function(t, k, v) t[k .. 'x'] = v end }) t.x = 1",
        "local t = {} setmetatable(t, { __call = function(t) return 1 + t() end }) return t()",
        "local t = {} setmetatable(t, { __len = function(t) return #t end }) return #t",
        "local t = {} setmetatable(t, { __add = function(a, b) return a + b end }) return t + t",
        "local t = {} setmetatable(t, { __concat = function(a, b) return a .. b end }) return t .. t",
        "local t = {} setmetatable(t, { __eq = function(a, b) return a == b end }) \
         return t == setmetatable({}, getmetatable(t))",
        "local t = {} setmetatable(t, { __lt = function(a, b) return a < b end }) return t < t",
        "local t = {} setmetatable(t, { __tostring = function(t) return tostring(t) end }) return tostring(t)",
        "local t = {} setmetatable(t, { __iter = function(t) for _ in t do end end }) for _ in t do end",
        "local function f() return coroutine.wrap(f)() end return f()",
        "local function f() return (string.gsub('a', 'a', f)) end return f()",
        "local function f() table.sort({ 1, 2 }, f) end return f()",
        "local function f() for _ in f do end end return f()",
    ] {
        stops(FailureKind::Recursion, body);
    }
}

#[test]
fn deep_recursion_whose_error_is_caught() {
    for body in [
        "local function f() return select(2, pcall(f)) end error(f())",
        "local function f() pcall(f) end f() return relay.refuse('caught')",
        "local function f() return 1 + f() end while true do pcall(f) end",
        "local function f() return 1 + f() end pcall(f) return relay.refuse('caught')",
        "local function f() xpcall(f, f) end f() return relay.refuse('caught')",
        "local function f() return xpcall(error, f) end f() return relay.refuse('caught')",
        "local function f() return 1 + f() end coroutine.resume(coroutine.create(f)) return relay.refuse('caught')",
    ] {
        stops(FailureKind::Recursion, body);
    }
}

#[test]
fn recursion_within_the_limit_is_none() {
    let deep = |levels: usize| {
        let body = format!("local function f(n) return if n == 0 then 0 else 1 + f(n - 1) end return f({levels})");
        routing(&format!("local n = (function() {body} end)() return relay.refuse(tostring(n))"))
    };
    // route, the function in it, and f one time more than it counts.
    assert_eq!(hosts(&Scene::without_build().ask(&deep(197)).unwrap()), ["refused: 197"]);
    let failure = Scene::without_build().ask(&deep(198)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Recursion, "{failure}");
}

#[test]
fn every_coroutine_may_nest_as_deep() {
    let body = "local function f(n) return if n == 0 then 0 else 1 + f(n - 1) end \
                local function inside() return f(150) end \
                return relay.refuse(tostring(coroutine.wrap(function() return coroutine.wrap(inside)() end)()))";
    assert_eq!(hosts(&Scene::without_build().ask(&routing(body)).unwrap()), ["refused: 150"]);
}

#[test]
fn a_script_that_nests_too_deep_while_it_loads_is_no_policy() {
    let text = "local function f() return 1 + f() end\npcall(f)\n".to_owned() + &script("");
    let error = try_load(&text, settings::Policy::default()).unwrap_err();
    assert!(error.message.contains("recursion_limit") || error.message.contains("caught"), "{error}");
}
