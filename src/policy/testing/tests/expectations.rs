//! What is expected, and how it is said that it does not hold.

use super::*;

/// The message of such a case, its line of the test left out.
fn said(body: &str) -> String {
    let flaw = flaw_of(POLICY, body);
    flaw.replacen(&format!("\n    {}", body.trim()), "", 1)
}

#[test]
fn what_holds_is_silent() {
    for body in [
        "expect.equal(1, 1) expect.equal('a', 'a') expect.equal(nil, nil) expect.equal({}, {})",
        "expect.equal({ 1, a = { b = { true } } }, { 1, a = { b = { true } } })",
        "local t = {} expect.equal(t, t) expect.equal(print, print)",
        "expect.differ(1, 2) expect.differ({ a = 1 }, { a = 1, b = 1 }) expect.differ('1', 1)",
        "expect.truthy(0) expect.truthy('') expect.falsy(nil) expect.falsy(false)",
        "expect.match('zone eu', '^zone %w+$')",
        "expect.contains('zone (eu)', '(eu)') expect.contains({ 1, { a = 1 } }, { a = 1 })",
        "expect.fails(function() error('no way') end) expect.fails(function() error('no way') end, 'no %w+')",
        "expect.equal(expect.fails(function() error('no way') end), 'no way')",
        "expect.fails(function() expect.equal(1, 2) end, 'not as expected')",
        "expect.refused(test.route{}, 'Build not found')",
        "expect.equal(test.route{}, { kind = 'refuse', text = 'Build not found', targets = {}, tags = {} })",
        "expect.equal(test.route{}, test.route{ seed = 3 })",
    ] {
        holds(POLICY, body);
    }
}

#[test]
fn both_values_are_shown_where_they_differ_first() {
    for (body, message) in [
        ("expect.equal(1, 2)", "not as expected\n    got       1\n    expected  2"),
        ("expect.equal('a', nil)", "not as expected\n    got       \"a\"\n    expected  nil"),
        ("expect.equal('1', 1)", "not as expected\n    got       \"1\"\n    expected  1"),
        (
            "expect.equal({ a = { 1, 2, 3 } }, { a = { 1, 5 } })",
            "not as expected at .a[2]\n    got       2\n    expected  5",
        ),
        (
            "expect.equal({ ['a b'] = { x = 1 } }, { ['a b'] = 1 })",
            "not as expected at [\"a b\"]\n    got       { x = 1 }\n    expected  1",
        ),
        (
            "expect.equal({ 1, b = 'x\\n\"' , [7] = false, c_1 = {} }, 0)",
            "not as expected\n    got       { 1, [7] = false, b = \"x\\n\\\"\", c_1 = {} }\n    expected  0",
        ),
        (
            "expect.equal('twenty characters are x', 'twenty characters are y')",
            "not as expected\n    got       \"twenty characters are x\"\n    expected  \"twenty characters are y\"\n    \
             the same up to byte 22",
        ),
        (
            "expect.equal(test.route{}, { kind = 'reply' })",
            "not as expected at .kind\n    got       \"refuse\"\n    expected  \"reply\"",
        ),
    ] {
        assert_eq!(said(body), format!("p_test.lua:2: {message}"), "{body}");
    }
}

#[test]
fn whatever_else_does_not_hold_says_what_there_is() {
    for (body, message) in [
        ("expect.differ({ 1 }, { 1 })", "both are the same\n    got       { 1 }"),
        ("expect.truthy(false)", "it is false"),
        ("expect.falsy({ 1 })", "it is neither false nor nil\n    got       { 1 }"),
        ("expect.match('abc', '^b')", "the pattern is not in the text\n    got       \"abc\"\n    pattern   \"^b\""),
        ("expect.contains('abc', 'x')", "it is not in there\n    got       \"abc\"\n    part      \"x\""),
        ("expect.contains({ 1, 2 }, 3)", "it is not in there\n    got       { 1, 2 }\n    part      3"),
        ("expect.fails(function() end)", "the function raised no error"),
        (
            "expect.fails(function() error('no') end, 'yes')",
            "the pattern is not in the error\n    got       \"no\"\n    pattern   \"yes\"",
        ),
        ("expect.replied(test.route{}, 'x')", "it is no reply\n    got       a refusal: \"Build not found\""),
        ("expect.refused(test.accept{}, 'x')", "it is no refusal\n    got       { kind = \"allow\", tags = {} }"),
        (
            "expect.refused(test.route{}, 'x')",
            "another text than expected\n    got       \"Build not found\"\n    expected  \"x\"",
        ),
        ("expect.targets(test.route{}, {})", "the route has no targets\n    got       a refusal: \"Build not found\""),
    ] {
        assert_eq!(said(body), format!("p_test.lua:2: {message}"), "{body}");
    }
}

#[test]
fn targets_are_shown_below_each_other() {
    let body = "test.registry{ builds = { { uuid = 'a', worker = { hostname = 'h', log_port = 1 } } } }
expect.targets(test.route{ uuid = 'a' }, { 'direct h:2', 'direct h:3' })";
    let expected = "p_test.lua:3: other targets than expected
    expect.targets(test.route{ uuid = 'a' }, { 'direct h:2', 'direct h:3' })
    got
      direct h:1
    expected
      direct h:2
      direct h:3";
    assert_eq!(flaw_of(POLICY, body), expected);
}

#[test]
fn an_expectation_that_the_test_caught_counts_all_the_same() {
    assert_eq!(said("pcall(expect.equal, 1, 2)"), "p_test.lua:2: not as expected\n    got       1\n    expected  2");
}

#[test]
fn a_failing_policy_is_told_with_its_own_line() {
    let expected = "p_test.lua:2: test.route: p.lua:4: what a mess\n    p.lua:4:  error('what a mess')";
    assert_eq!(said("test.route{ query = 'fail' }"), expected);
    holds(POLICY, "expect.fails(function() test.route{ query = 'fail' } end, 'p.lua:4: what a mess')");
    assert_eq!(said("pcall(test.route, { query = 'fail' }) error('later')"), "p_test.lua:2: later");
}

#[test]
fn a_table_within_itself_can_be_compared() {
    holds(POLICY, "local a, b = {}, {} a.a, b.a = a, a expect.equal(a, a) expect.differ(a, { a = {} })");
}

#[test]
fn a_mistake_in_an_expectation_is_told_as_one() {
    assert_eq!(said("expect.match(1, 'x')"), "p_test.lua:2: expect.match: text must be a text, not 1");
    assert_eq!(said("expect.equals(1, 1)"), "p_test.lua:2: expect has no field \"equals\"; did you mean \"equal\"?");
}
