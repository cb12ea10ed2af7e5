//! Tests and policies that do not end by themselves.

use super::*;

/// What is wrong with a case of this `body` where tests may use little; and that the next case ran.
fn stopped(body: &str) -> String {
    let test = format!("test.case('it', function()\n{body}\nend)\ntest.case('next', function() test.route{{}} end)");
    let dir = folder(&[("p.lua", POLICY), ("p_test.lua", &test)]);
    let settings = settings::Policy { folder: Some(dir.path().to_owned()), ..settings::Policy::default() };
    let limits = settings::Policy {
        time_limit: Duration::from_millis(50),
        memory_limit: 16 << 20,
        recursion_limit: 100,
        ..settings::Policy::default()
    };
    let outcome = Run { settings: &settings, limits, filter: "" }.all(&mut |_| ()).unwrap();
    let ran = Ran { outcome, dir };
    let flaws = ran.flaws();
    assert_eq!(flaws[1], ("next".to_owned(), "ok".to_owned()), "{body}");
    flaws[0].1.lines().next().unwrap().to_owned()
}

#[test]
fn a_case_that_loops_is_stopped_and_the_next_one_runs() {
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "expect.fails(function() while true do end end)",
        "while true do pcall(test.route, {}) end",
    ] {
        let said = stopped(body);
        assert!(said.starts_with("p_test.lua"), "{said}");
        assert!(said.ends_with("it ran for 50ms and was stopped"), "{said}");
    }
}

#[test]
fn a_case_that_takes_all_memory_is_stopped_and_the_next_one_runs() {
    let said = stopped("local t = {} while true do t[#t + 1] = string.rep('x', 10000) .. #t end");
    assert!(said.ends_with("it needed more than 16.0 MiB of memory and was stopped"), "{said}");
}

#[test]
fn a_case_that_calls_itself_is_stopped_and_the_next_one_runs() {
    let said = stopped("local function f() f() end f()");
    assert!(said.ends_with("its calls went more than 100 deep and were stopped"), "{said}");
}

#[test]
fn what_a_stopped_case_left_half_done_is_gone_in_the_next() {
    let test = "local half = false
test.case('it', function() half = true while true do end end)
test.case('next', function() expect.falsy(half) test.route{} end)";
    let dir = folder(&[("p.lua", POLICY), ("p_test.lua", test)]);
    let settings = settings::Policy { folder: Some(dir.path().to_owned()), ..settings::Policy::default() };
    let limits = settings::Policy { time_limit: Duration::from_millis(50), ..settings::Policy::default() };
    let outcome = Run { settings: &settings, limits, filter: "" }.all(&mut |_| ()).unwrap();
    assert_eq!(outcome.counts(), (1, 1), "{outcome}");
}

#[test]
fn a_policy_under_test_has_the_limits_that_it_has_in_a_relay() {
    let policy = "return { api = 1, route = function()\nwhile true do end end }";
    let flaw = flaw_of(policy, "test.route{}");
    let expected = "p_test.lua:2: test.route: p.lua:2: the policy ran for 50ms and was stopped; it loops, or time_limit is \
                    too short for it\n    test.route{}\n    p.lua:2:  while true do end end }";
    assert_eq!(flaw, expected);
    holds(policy, "expect.fails(function() test.route{} end, 'time_limit')");
}
