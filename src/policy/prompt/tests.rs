//! The prompt as somebody types at it, on the real machine and real policies.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::metrics::Metrics;
use crate::policy::tests::{UUID, build, gateway, here, host, in_zone};
use crate::registry::{Components, Freshness, State, Worker};

/// One build of tenant `example`, which runs in `there`, where two gateways are.
fn snapshot() -> Arc<Snapshot> {
    let worker = Worker { hostname: host("executor1"), log_port: Some(7900), zone: Some(in_zone("there")) };
    let gateways = [gateway("gw1", "there", State::Running), gateway("gw2", "there", State::Paused)].map(Arc::new);
    let components = Arc::new(Components { gateways: gateways.into(), ..Components::default() });
    let builds = [Arc::new(build(Some(worker)))].into_iter().collect();
    Arc::new(Snapshot { builds, components, freshness: Freshness::Live, ..Snapshot::default() })
}

fn prompt() -> Prompt {
    of(&settings::Policy::default())
}

fn of(settings: &settings::Policy) -> Prompt {
    let policy = Policy::load(settings, here(), Metrics::new().policy.clone()).unwrap();
    Prompt::new(settings, policy, here(), "finger", snapshot()).unwrap()
}

impl Prompt {
    fn answer(&mut self, line: &str) -> Answer {
        self.enter(line).unwrap_or_else(|| panic!("{line} is not finished"))
    }

    fn shows(&mut self, line: &str) -> String {
        let answer = self.answer(line);
        answer.outcome.unwrap_or_else(|error| panic!("{error}")).unwrap_or_default()
    }

    fn fails(&mut self, line: &str) -> String {
        self.answer(line).outcome.unwrap_err().to_string()
    }
}

#[test]
fn an_expression_shows_its_values() {
    let mut prompt = prompt();
    for (line, shown) in [
        ("1 + 1", "2"),
        ("'a\\n\"b\"'", r#""a\n\"b\"""#),
        ("nil", "nil"),
        ("1, nil, true", "1\nnil\ntrue"),
        (
            "{ 1, 2, a = { b = {} }, ['x y'] = false, [true] = 3 }",
            "{ 1, 2, a = { b = {} }, [\"x y\"] = false, [true] = 3 }",
        ),
        ("{ [10] = 1, [2] = 2, b = 1, a = 2 }", "{ [2] = 2, [10] = 1, a = 2, b = 1 }"),
        ("print", "function"),
        ("relay.zone", "\"here\""),
        ("#relay.gateways('there')", "2"),
        ("json.encode({ a = 1 })", r#""{\"a\":1}""#),
        ("networks.set({})", "NetworkSet"),
    ] {
        assert_eq!(prompt.shows(line), shown, "{line}");
    }
}

#[test]
fn a_statement_shows_nothing_and_what_returns_nothing_neither() {
    let mut prompt = prompt();
    for line in ["x = 1", "local y = 2", "if x == 1 then x = 2 end", "(function() end)()", "", "  ", "-- nothing"] {
        assert_eq!(prompt.answer(line), Answer::of(Ok(None)), "{line}");
    }
    assert_eq!(prompt.shows("return x"), "2");
}

#[test]
fn variables_stay_and_locals_do_not() {
    let mut prompt = prompt();
    prompt.shows("x = { n = 1 }");
    prompt.shows("function more(by) x.n += by return x.n end");
    assert_eq!(prompt.shows("more(2)"), "3");
    prompt.shows("local y = x");
    assert!(prompt.fails("y").starts_with("input:5: there is no global \"y\""));
    prompt.shows("relay = 'mine'");
    assert_eq!(prompt.shows("relay"), "\"mine\"");
}

#[test]
fn what_is_not_finished_goes_on_in_the_next_line() {
    let mut prompt = prompt();
    for lines in [
        ["function f(a)", "return a", "end"].as_slice(),
        &["x = {", "", "1 }"],
        &["x = 1 +", "f(", "2)"],
        &["t = [[a", "b]]"],
        &["--[[ a", "b ]]"],
        &["1 +", "2"],
        &["#relay.gateways(", "'there')"],
    ] {
        let (last, first) = lines.split_last().unwrap();
        for line in first {
            assert_eq!(prompt.enter(line), None, "{line}");
            assert!(prompt.is_unfinished());
        }
        assert!(prompt.answer(last).outcome.is_ok(), "{lines:?}");
        assert!(!prompt.is_unfinished());
    }
    assert_eq!(prompt.shows("x, t"), "3\n\"a\\nb\"");
    for line in ["\"a", "x = 'a", "f('a"] {
        assert!(prompt.fails(line).contains("alformed string"), "a quote ends on its line: {line}");
    }
}

#[test]
fn what_is_given_up_is_said_and_forgotten() {
    let mut prompt = prompt();
    assert_eq!(prompt.enter("x = {"), None);
    let lacking = prompt.give_up().unwrap().to_string();
    assert!(lacking.starts_with("input:1: Expected ") && lacking.ends_with("got <eof>\n    x = {"), "{lacking}");
    assert_eq!(prompt.give_up(), None);
    assert_eq!(prompt.shows("1"), "1");
}

#[test]
fn an_error_names_the_line_that_was_typed_however_long_ago() {
    let mut prompt = prompt();
    prompt.pass_over();
    assert_eq!(prompt.enter("function f(a)"), None);
    assert_eq!(prompt.enter("  return a.b"), None);
    prompt.shows("end");
    assert_eq!(prompt.fails("f(1)"), "input:3: attempt to index number with 'b'\n    return a.b");
    assert!(prompt.fails("x = = 1").starts_with("input:6: Expected identifier when parsing expression, got '='"));
    assert!(prompt.fails("1 +* 1").contains("input:7: Expected identifier when parsing expression, got '*'"));
    assert_eq!(prompt.fails("error('no')"), "input:8: no\n    error('no')");
    let mut later = of(&settings::Policy::default());
    later.follow(&mut prompt);
    assert!(later.fails("f(1)").starts_with("input:9: there is no global \"f\""));
}

#[test]
fn a_limit_ends_an_input_and_takes_the_variables_along() {
    for (line, words) in [
        ("while true do end", "it ran for 20ms and was stopped"),
        ("local t = {} while true do t = { t } end", "it needed more than 2.0 MiB of memory and was stopped"),
        ("function r() return r() + 1 end r()", "its calls went more than 2000 deep and were stopped"),
    ] {
        let mut prompt = prompt();
        (prompt.program.time_limit, prompt.program.memory_limit) = match line.starts_with("while") {
            true => (Duration::from_millis(20), MEMORY_LIMIT),
            false => (TIME_LIMIT, 2 << 20),
        };
        prompt.shows("x = 1");
        let answer = prompt.answer(line);
        assert!(answer.forgotten, "{line}");
        let error = answer.outcome.unwrap_err().to_string();
        assert!(error.starts_with("input:2: ") || !line.starts_with("while"), "{error}");
        assert!(error.contains(words), "{error}");
        assert!(!prompt.answer("1").forgotten);
        assert!(prompt.fails("x").contains("there is no global"));
    }
}

#[test]
fn an_error_that_is_no_limit_keeps_the_variables() {
    let mut prompt = prompt();
    prompt.shows("x = 1");
    assert!(!prompt.answer("error('no')").forgotten);
    assert_eq!(prompt.shows("x"), "1");
}

#[test]
fn what_is_printed_comes_line_by_line_and_is_bounded() {
    let mut prompt = prompt();
    assert_eq!(prompt.answer("print(1, 'a') print(nil)").printed, ["1 a", "nil"]);
    assert!(prompt.answer("1").printed.is_empty());
    let printed = prompt.answer("for i = 1, 1000 do print(i) end").printed;
    assert_eq!(printed.len(), MAX_PRINTED + 1);
    assert_eq!(printed.last().unwrap(), "(no more than 200 lines are shown)");
}

#[test]
fn facts_are_shown_with_their_fields_and_long_ones_on_many_lines() {
    let mut prompt = prompt();
    assert_eq!(
        prompt.shows(&format!("relay.build('{UUID}').worker")),
        "Worker { hostname = \"executor1\", log_port = 7900, zone = \"there\" }"
    );
    assert_eq!(
        prompt.shows("relay.builds('example')"),
        format!(
            "{{
  Build {{
    uuid = \"{UUID}\",
    tenant = \"example\",
    pipeline = \"check\",
    zone = \"asked\",
    state = \"running\",
    worker = Worker {{ hostname = \"executor1\", log_port = 7900, zone = \"there\" }},
  }},
}}"
        )
    );
}

#[test]
fn large_and_deep_values_are_shown_in_part() {
    let mut prompt = prompt();
    let list = prompt.shows("local t = {} for i = 1, 20000 do t[i] = i end return t");
    assert!(list.contains("  50,\n  … and at least 9950 more,\n}"), "{list}");
    prompt.shows("t = {} t.t = t");
    assert_eq!(prompt.shows("t"), "{ t = { t = { t = { t = { t = { t = { … } } } } } } }");
    let wide = prompt.shows("local function fan(n) if n == 0 then return 0 end local t = {} for i = 1, 40 do t[i] = fan(n - 1) end return t end return fan(3)");
    assert!(wide.lines().count() < 2 * 1000, "{}", wide.lines().count());
    assert!(wide.contains("… and "), "{wide}");
    let text = prompt.shows("string.rep('x', 100000)");
    assert_eq!(text.chars().count(), 500 + "\"…\"".chars().count());
}

#[test]
fn a_value_cannot_run_code_while_it_is_shown() {
    let mut prompt = prompt();
    let line = "setmetatable({ 1 }, { __index = error, __tostring = error, __iter = error, __len = error })";
    assert_eq!(prompt.shows(line), "{ 1 }");
}

#[test]
fn the_policy_is_asked_and_tells_where_it_decided() {
    let mut prompt = prompt();
    let answer = prompt.answer(&format!("ask.route('{UUID}').targets[1]"));
    let shown = answer.outcome.unwrap().unwrap();
    assert!(shown.starts_with("Target { kind = \"gateway\", host = \"gw1\""), "{shown}");
    let [decided] = answer.decided.as_slice() else { panic!("{:?}", answer.decided) };
    assert!(decided.starts_with("decided at built-in default:"), "{decided}");
    assert_eq!(prompt.shows("ask.route('ffff').text"), "\"Build not found\"");
    assert_eq!(prompt.shows(&format!("ask.route(relay.build('{UUID}')).kind")), "\"targets\"");
    assert_eq!(prompt.shows("ask.accept().kind"), "\"allow\"");
    assert_eq!(prompt.shows(&format!("ask.request('{UUID}').build.tenant")), "\"example\"");
    assert_eq!(prompt.shows("ask.request('hello world').uuid"), "nil");
    assert!(prompt.answer("1").decided.is_empty());
}

#[test]
fn a_policy_is_asked_as_anybody() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("words.lua"), "return { no = function(who)\nreturn who.name end }").unwrap();
    let file = folder.path().join("policy.lua");
    let text = "local policy = { api = 1 }
        function policy.route(request)
            print('asked for', request.query)
            if request.query == 'fail' then error('as it was told') end
            return relay.refuse(`{request.listener} {request.peer} {request.server_name} {request.identity and request.identity.subject}`)
        end
        function policy.accept(connection) return relay.refuse(connection.peer) end
        function policy.invariant(build, route) return route.kind ~= 'refuse' or 'refused ' .. build.uuid end
        return policy";
    std::fs::write(&file, text).unwrap();
    let mut prompt = of(&settings::Policy { file: Some(file.clone()), ..settings::Policy::default() });
    assert_eq!(prompt.shows("ask.route('x').text"), "\"finger ::1 nil nil\"");
    let viewer = "{ listener = 'tls', peer = '192.0.2.7', server_name = 'logs', subject = 'CN=a' }";
    assert_eq!(prompt.shows(&format!("ask.route('x', {viewer}).text")), "\"tls 192.0.2.7 logs CN=a\"");
    assert_eq!(prompt.shows(&format!("ask.accept({viewer}).text")), "\"192.0.2.7\"");
    let line = format!("ask.invariant('{UUID}', ask.route('{UUID}'))");
    assert_eq!(prompt.shows(&line), format!("\"refused {UUID}\""));
    let failure = prompt.fails("ask.route('fail')");
    assert!(failure.contains(&format!("ask.route: {}:4: as it was told", file.display())), "{failure}");
    assert_eq!(prompt.answer("print('I') ask.route('x')").printed, ["I", "asked for x"]);
    prompt.shows("words = require 'words'");
    let failure = prompt.fails("words.no(1)");
    assert!(failure.contains("words.lua:2: attempt to index number with 'name'"), "{failure}");
}

#[test]
fn wrong_arguments_are_errors_in_words() {
    let mut prompt = prompt();
    for (line, words) in [
        ("ask.route(1)", "ask.route: query must be a build's uuid"),
        ("ask.route('x', { pear = '::1' })", "there is no option \"pear\"; did you mean \"peer\"?"),
        ("ask.route('x', { peer = 'here' })", "ask.route: peer must be an address, not \"here\""),
        ("ask.invariant('ffff', ask.route('ffff'))", "ask.invariant: the registry knows no build \"ffff\""),
        ("ask.invariant('ffff', relay.hand_over('zuul'))", "ask.invariant: "),
        ("ask.rout('x')", "ask has no field \"rout\"; did you mean \"route\"?"),
    ] {
        let error = prompt.fails(line);
        assert!(error.contains(words), "{line}: {error}");
    }
}

#[test]
fn nothing_can_be_changed() {
    let mut prompt = prompt();
    assert!(prompt.fails("relay.shared.set('a', 1)").contains("relay.shared.set cannot be called in route"));
    assert!(prompt.fails("relay.every(1, print)").contains("cannot be called in route"));
    assert!(prompt.fails("relay.zone = 'x'").contains("readonly"));
    assert_eq!(prompt.shows("relay.shared.get('a')"), "nil");
}

#[test]
fn another_snapshot_is_seen_at_once_and_variables_stay() {
    let mut prompt = prompt();
    prompt.shows("old = relay.builds('example')[1]");
    prompt.learn(Arc::default());
    assert_eq!(prompt.shows("#relay.builds('example')"), "0");
    assert_eq!(prompt.shows("old.tenant"), "\"example\"");
}
