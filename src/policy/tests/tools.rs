//! The libraries that this relay adds, as scripts meet them: through the whole engine, with errors at their lines.

use super::*;

fn is(expression: &str, value: &str) {
    assert_eq!(value_of(expression, &Scene::running_in(None)), value, "{expression}");
}

fn is_an_error(expression: &str, words: &[&str]) {
    let failure = Scene::running_in(None).ask(&routing(&format!("\n\nreturn {expression}"))).unwrap_err();
    assert_eq!((failure.kind, failure.line), (FailureKind::Error, Some(3)), "{expression}: {failure}");
    for word in words {
        assert!(failure.message.contains(word), "{word} is not in: {failure}");
    }
}

#[test]
fn every_function_does_what_it_says() {
    for (expression, value) in [
        ("base64.encode('finger?')", "ZmluZ2VyPw=="),
        ("base64.encode_url('finger?')", "ZmluZ2VyPw"),
        ("base64.decode('ZmluZ2VyPw')", "finger?"),
        ("glob.match('*.{example,test}', 'gw1.example')", "true"),
        ("glob.match('*.{example,test}', 'gw1.invalid')", "false"),
        ("hash.number('build1', 1000)", "984"),
        ("#hash.sha256('')", "64"),
        ("#hash.sha512('')", "128"),
        ("hash.hmac_sha256('Jefe', 'what do ya want for nothing?'):sub(1, 8)", "5bdcc146"),
        ("json.decode('{\"zones\":[{\"name\":\"a\"}]}').zones[1].name", "a"),
        ("json.decode('[null]')[1] == json.null", "true"),
        ("json.encode({ b = json.array({}), a = {}, c = json.null })", r#"{"a":{},"b":[],"c":null}"#),
        ("json.encode(json.decode('[]'))", "[]"),
        ("networks.contains('192.0.2.0/24', request.peer)", "true"),
        ("networks.contains(networks.set({ '10.0.0.0/8', '192.0.2.7' }), request.peer)", "true"),
        ("networks.contains(networks.set({}), request.peer)", "false"),
        ("typeof(networks.set({}))", "NetworkSet"),
        ("time.utc(1795248000).weekday", "sat"),
        ("time.format(time.parse('2026-11-21T09:00:00+01:00'))", "2026-11-21T08:00:00Z"),
        ("time.within(1795248000, { days = { 'sat' }, from = '08:00', to = '18:00' })", "true"),
    ] {
        is(expression, value);
    }
}

#[test]
fn mistakes_are_errors_in_words_at_their_line() {
    is_an_error("base64.encode(1)", &["base64.encode: text must be", "not 1"]);
    is_an_error("base64.decode('a b')", &["base64.decode: ", "byte 2"]);
    is_an_error("glob.match('[a', 'b')", &["glob.match: pattern: the [ at character 1"]);
    is_an_error("hash.number('a', 0)", &["hash.number: buckets", "not 0"]);
    is_an_error("json.decode('{')", &["json.decode: ", "line 1 column 1"]);
    is_an_error("json.encode({ build = request.build })", &["json.encode: at .build: a Build has no JSON"]);
    is_an_error("json.encode({ relay.refuse })", &["json.encode: at [1]: a function has no JSON"]);
    is_an_error("json.array(1)", &["json.array: list must be a list, which may be empty, not 1"]);
    is_an_error("json.decoed('')", &["json has no field \"decoed\"; did you mean \"decode\"?"]);
    is_an_error("networks.set('10.0.0.0/8')", &["networks.set: list must be a list", "not \"10.0.0.0/8\""]);
    is_an_error("networks.set({ '10.0.0.0/8', 1 })", &["number 2 of the list is 1"]);
    is_an_error("networks.set({ '10.0.0.0/40' })", &["number 1 of the list: \"10.0.0.0/40\" has a prefix longer"]);
    is_an_error("networks.set({ office = '10.0.0.0/8' })", &["networks.set: list must be a list"]);
    is_an_error("networks.contains(request, '::1')", &["networks.contains: networks must be", "not a Request"]);
    is_an_error("networks.contains('::/0', 'gw1')", &["\"gw1\" is no address"]);
    is_an_error("networks.set({}).size", &["NetworkSet has no field \"size\""]);
    is_an_error("time.format(0 / 0)", &["time.format: seconds must be"]);
    is_an_error(
        "time.within(0, { day = { 'mon' } })",
        &["time.within: hours must be", "no option \"day\"; did you mean \"days\"?"],
    );
    is_an_error("time.within(0, { days = { 'monday' } })", &["days: number 1 of the list is \"monday\""]);
    is_an_error("time.within(0, { from = '8:00' })", &["time.within: from is a time of day", "not \"8:00\""]);
    is_an_error("jsn.decode('')", &["no global \"jsn\"; did you mean \"json\"?"]);
}

#[test]
fn the_libraries_cannot_be_changed() {
    for statement in ["json.decode = nil", "rawset(json, 'x', 1)", "networks.set({}).x = 1", "setmetatable(glob, {})"] {
        let failure = Scene::running_in(None).ask(&routing(statement)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Error, "{statement}: {failure}");
    }
}

#[test]
fn json_runs_no_code_of_the_script() {
    let body = "local asked = 0 \
                local count = function() asked += 1 return 'x' end \
                local rules = { __index = count, __len = count, __iter = count, __tostring = count, __call = count } \
                local text = json.encode({ setmetatable({ 1 }, rules), setmetatable({}, rules) }) \
                return relay.refuse(text .. asked)";
    assert_eq!(hosts(&Scene::without_build().ask(&routing(body)).unwrap()), ["refused: [[1],{}]0"]);
}

#[test]
fn a_set_made_at_load_answers_every_decision() {
    let policy = load(
        "local offices = networks.set({ '192.0.2.0/24', '2001:db8::/32' })\n\
         return { api = 1, route = function(request)\n\
           return relay.refuse(tostring(networks.contains(offices, request.peer))) end }",
    );
    for _ in 0..100 {
        assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: true"]);
    }
}

#[test]
fn memory_may_run_out_at_any_allocation_of_a_library() {
    let body = "local kept = {} \
                for i = 1, 40 do \
                  local set = networks.set({ '10.0.0.0/8', 'fd00::/8' }) \
                  local value = json.decode('[[[[{\"a\":[[],\"' .. i .. '\"]}]]]]') \
                  kept[i] = { set, value, json.encode(value), json.array({}), time.utc(i), base64.encode('a' .. i) } \
                end return relay.refuse(tostring(networks.contains(kept[1][1], '10.0.0.1')))";
    let policy = routing(body);
    let world = Scene::without_build();
    let mut failed = 0;
    for spare in (0..250_000).step_by(2_500) {
        let policy_memory = policy.with_engine(|engine| {
            engine.lua().gc_collect().unwrap();
            engine.lua().gc_collect().unwrap();
            engine.lua().used_memory()
        });
        policy.with_engine(|engine| engine.lua().set_memory_limit(policy_memory + spare).unwrap());
        match world.ask(&policy) {
            Ok(route) => {
                assert_eq!(hosts(&route), ["refused: true"]);
                policy.with_engine(|engine| engine.lua().set_memory_limit(16 << 20).unwrap());
            }
            Err(failure) => {
                assert_eq!(failure.kind, FailureKind::Memory, "{failure}");
                failed += 1;
            }
        }
    }
    assert!((20..90).contains(&failed), "{failed}");
}

#[test]
fn what_sets_hold_counts_as_memory() {
    // Each is another set: Lua keeps one of two equal texts.
    let body = "local list = {} for i = 1, 1000 do list[i] = '2001:db8::' .. i end \
                local kept = {} while true do list[1] = '::' .. #kept % 10000 kept[#kept + 1] = networks.set(list) end";
    let limits = settings::Policy { time_limit: Duration::from_secs(60), ..short_limits() };
    let failure = Scene::without_build().ask(&try_load(&script(body), limits).unwrap()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Memory, "{failure}");
}
