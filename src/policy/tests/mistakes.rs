//! What a policy's author gets to read: the file, the line, the wrong name or value, and what was meant.

use super::*;

/// The failure of a policy whose `route` has `body`, asked about a build in zone `there` with one gateway.
fn mistake(body: &str) -> Failure {
    let world = Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)]);
    let failure = world.ask(&routing(body)).unwrap_err();
    assert!(failure.file.ends_with("policy.lua"), "{failure}");
    failure
}

fn says(kind: FailureKind, body: &str, words: &[&str]) {
    let failure = mistake(body);
    assert_eq!(failure.kind, kind, "{failure}");
    for word in words {
        assert!(failure.message.contains(word), "{word} is not in: {failure}");
    }
}

fn is_an_error(body: &str, words: &[&str]) {
    says(FailureKind::Error, body, words);
}

fn is_a_bad_route(body: &str, words: &[&str]) {
    says(FailureKind::BadRoute, body, words);
}

#[test]
fn the_line_is_that_of_the_mistake() {
    for body in [
        "\n\nreturn nil + 1",
        "\n\nerror('no')",
        "\n\nreturn request.nothing",
        "\n\nreturn relay.direct(1)",
        "\n\nreturn relay.zome",
        "\n\nstring.find('a', '[')",
        "\n\ntable.sort({ 1, 'x' })",
        "\n\nnothing()",
        "\n\nnothing = 1",
        "\n\nreturn coroutine.wrap(function() error('no') end)()",
    ] {
        let failure = mistake(body);
        assert_eq!(failure.line, Some(3), "{body}: {failure}");
        assert!(failure.to_string().contains("policy.lua:3: "), "{failure}");
        assert!(!failure.to_string().contains("stack traceback"), "{failure}");
    }
}

#[test]
fn the_text_of_the_line_stands_beside_the_failure() {
    let failure = mistake("\n\n  local peer = request.pier\n\treturn nil");
    assert_eq!(failure.excerpt.as_deref(), Some("local peer = request.pier"));
    assert!(failure.to_string().ends_with("did you mean \"peer\"? | local peer = request.pier"), "{failure}");
    let long = mistake(&format!("return nothing.at('{}')", "x".repeat(1000)));
    assert!(long.to_string().ends_with("xxx…") && long.to_string().len() < 500, "{long}");
}

#[test]
fn a_misspelled_field_is_an_error_that_knows_better() {
    is_an_error("return request.build.tennant", &["Build", "\"tennant\"", "did you mean \"tenant\"?"]);
    is_an_error("return request.buidl", &["Request", "\"buidl\"", "did you mean \"build\"?"]);
    is_an_error("return request.build.worker.port", &["Worker", "\"port\"", "log_port"]);
    is_an_error("return relay.gateways('there')[1].prot", &["Gateway", "\"prot\"", "did you mean \"port\"?"]);
    is_an_error("return relay.refused('x')", &["relay", "\"refused\"", "did you mean \"refuse\"?"]);
    is_an_error("return relay.refuse('x').txt", &["Route", "\"txt\"", "did you mean \"text\"?"]);
    is_an_error("return request[1]", &["Request", "no field \"1\""]);
    is_an_error("return request[{}]", &["Request", "no field a table"]);
    is_an_error("return request['\\255']", &["Request", "no field"]);
}

#[test]
fn a_misspelled_global_is_an_error_that_knows_better() {
    is_an_error("return tostirng(1)", &["\"tostirng\"", "did you mean \"tostring\"?"]);
    is_an_error("return rely.zone", &["\"rely\"", "did you mean \"relay\"?"]);
}

#[test]
fn a_forgotten_local_is_an_error() {
    is_an_error("count = 1", &["\"count\"", "local count"]);
}

#[test]
fn a_wrong_argument_is_quoted_with_what_it_should_be() {
    is_a_bad_route("return relay.direct('executor1')", &["relay.direct", "\"executor1\"", "request.build.worker"]);
    is_a_bad_route("return relay.direct(nil)", &["relay.direct", "nil"]);
    is_a_bad_route("return relay.direct(request.build)", &["relay.direct", "a Build"]);
    is_a_bad_route("return relay.direct({ hostname = 'x' })", &["relay.direct", "a table"]);
    is_a_bad_route("return relay.via('there')", &["relay.via", "\"there\"", "relay.gateways(zone)"]);
    is_a_bad_route("return relay.via({ hostname = 'x' })", &["relay.via", "a table"]);
    is_a_bad_route("return relay.via({ request.build.worker })", &["relay.via", "a Worker"]);
    is_a_bad_route("return relay.via({})", &["relay.via", "empty"]);
    is_a_bad_route("return relay.refuse(404)", &["relay.refuse", "404"]);
    is_a_bad_route("return relay.refuse('a', 'b')", &["relay.refuse", "a table of options", "\"b\""]);
    is_a_bad_route("return relay.refuse('a', nil, 1)", &["relay.refuse", "2 arguments", "3"]);
    is_a_bad_route("return relay:refuse('a')", &["relay.refuse", "text", "a table"]);
    is_an_error("return relay.gateways('there', 1)", &["relay.gateways", "one argument", "2"]);
    is_an_error("return relay.gateways(nil)", &["relay.gateways", "nil", "build.worker.zone"]);
    is_an_error("return relay.gateways(request.build.worker)", &["relay.gateways", "a Worker"]);
}

#[test]
fn a_refusal_is_bounded_text() {
    let longest = routing("return relay.refuse(string.rep('x', 1024))");
    assert_eq!(Scene::without_build().ask(&longest), Ok(Way::Refuse("x".repeat(1024)).into()));
    is_a_bad_route("return relay.refuse(string.rep('x', 1025))", &["1025", "1024"]);
    is_a_bad_route("return relay.refuse('ab\\xff')", &["UTF-8", "byte 2"]);
}

#[test]
fn what_is_no_route_is_named() {
    is_a_bad_route("", &["nil", "relay.direct"]);
    assert_eq!(mistake("").line, Some(1));
    is_a_bad_route("return 'executor1'", &["\"executor1\"", "relay.direct"]);
    is_a_bad_route("return true", &["true"]);
    is_a_bad_route("return request", &["a Request"]);
    is_a_bad_route("return relay.gateways('there')", &["number 1", "a Gateway", "relay.via"]);
    is_a_bad_route("return { host = 'executor1', port = 7900 }", &["no list of routes", "relay.direct"]);
    is_a_bad_route("return {}", &["no list of routes"]);
    is_a_bad_route("return { relay.direct(request.build.worker), 'x' }", &["number 2", "\"x\""]);
    is_a_bad_route("return { relay.direct(request.build.worker), relay.refuse('x') }", &["stands alone"]);
}

#[test]
fn a_list_of_routes_is_tried_in_order() {
    let policy = routing("return { relay.via(relay.gateways('there')), relay.direct(request.build.worker) }");
    let world = Scene::running_in(Some("here")).with(vec![gateway("gw", "there", State::Running)]);
    assert_eq!(hosts(&world.ask(&policy).unwrap()), ["gw", "executor1"]);
    let alone = routing("return { relay.refuse('no') }");
    assert_eq!(hosts(&world.ask(&alone).unwrap()), ["refused: no"]);
}

#[test]
fn a_route_has_a_bounded_number_of_targets() {
    let policy = routing("return table.create(500, relay.direct(request.build.worker))");
    assert_eq!(hosts(&Scene::running_in(None).ask(&policy).unwrap()).len(), 64);
    let many = (0..500).map(|n| gateway(&format!("gw{n}"), "there", State::Running)).collect();
    let world = Scene::running_in(Some("there")).with(many);
    assert_eq!(hosts(&world.ask(&builtin(here())).unwrap()).len(), 64);
}

#[test]
fn a_route_may_be_made_before_the_request_comes() {
    let policy = load("local no = relay.refuse('closed') return { api = 1, route = function() return no end }");
    for _ in 0..3 {
        assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: closed"]);
    }
    assert_eq!(policy.explain(&Scene::without_build().request()).unwrap().line, Some(1));
}

#[test]
fn one_gateway_is_a_list_of_one() {
    let policy = routing("return relay.via(relay.gateways('there')[1])");
    let world = Scene::running_in(None).with(vec![gateway("gw", "there", State::Running)]);
    assert_eq!(hosts(&world.ask(&policy).unwrap()), ["gw"]);
}

#[test]
fn a_caught_mistake_is_none() {
    let policy = routing("local ok = pcall(relay.direct, 1) return relay.refuse(tostring(ok))");
    assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: false"]);
}

#[test]
fn what_a_script_catches_is_text_with_its_line_whoever_raised_it() {
    let relays = "relay.connect: host is no host name or address: \"\"";
    for (body, text) in [
        ("\nlocal _, why = pcall(relay.connect, { host = '', port = 1 })", format!("policy.lua:2: {relays}")),
        ("\nlocal _, why = pcall(function() return nil + 1 end)", "policy.lua:2: attempt to ".to_owned()),
        (
            "\nlocal _, why = xpcall(relay.connect, function(why) return 'handled ' .. why end, { host = '', port = 1 })",
            format!("handled policy.lua:2: {relays}"),
        ),
        (
            "local thread = coroutine.create(function()\nrelay.connect{ host = '', port = 1 } end)
            local _, why = coroutine.resume(thread)",
            format!("policy.lua:2: {relays}"),
        ),
        ("local _, why = pcall(error, 'mine', 0)", "mine".to_owned()),
        (
            "local fine, one, two = pcall(function() return 1, nil end) local why = `{fine} {one} {two}`",
            "true 1 nil".to_owned(),
        ),
    ] {
        let policy = routing(&format!("{body}\nreturn relay.refuse('>' .. why)"));
        let told = Scene::without_build().ask(&policy).map(|route| hosts(&route));
        let told = told.unwrap_or_else(|failure| panic!("{body}: {failure}"));
        assert!(told[0].starts_with(&format!("refused: >{text}")), "{body}: {told:?}");
        assert!(!told[0].contains("traceback"), "{told:?}");
    }
}

#[test]
fn a_mistake_that_is_caught_and_raised_again_keeps_its_line() {
    let failure = mistake("\nlocal _, why = pcall(relay.connect, { host = '', port = 1 })\n\nerror(why)");
    assert_eq!(failure.line, Some(2), "{failure}");
    assert_eq!(failure.message, "relay.connect: host is no host name or address: \"\"");
    let table = mistake("local _, why = pcall(error, { code = 5 }) error(`code {why.code}`)");
    assert_eq!(table.message, "code 5", "what is no text stays what it is");
}

#[test]
fn the_facts_are_what_the_registry_and_the_viewer_said() {
    let mut world = Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Paused)]);
    world.identity = Some(Arc::new(Identity {
        subject: "CN=zuul-web".to_owned(),
        names: vec!["web.example".to_owned()],
        fingerprint: "ab".repeat(32),
    }));
    for (expression, value) in [
        ("request.query", UUID),
        ("request.uuid", UUID),
        ("request.listener", "finger"),
        ("request.peer", "192.0.2.7"),
        ("request.server_name", "logs.example"),
        ("request.identity.subject", "CN=zuul-web"),
        ("request.identity.names[1]", "web.example"),
        ("#request.identity.fingerprint", "64"),
        ("request.build.uuid", UUID),
        ("request.build.tenant", "example"),
        ("request.build.pipeline", "check"),
        ("request.build.zone", "asked"),
        ("request.build.state", "running"),
        ("request.build.worker.hostname", "executor1"),
        ("request.build.worker.log_port", "7900"),
        ("request.build.worker.zone", "there"),
        ("relay.zone", "here"),
        ("relay.hostname", "relay.example"),
        ("#relay.gateways('there')", "1"),
        ("#relay.gateways('elsewhere')", "0"),
        ("relay.gateways('there')[1].id", "gw0000000001"),
        ("relay.gateways('there')[1].hostname", "gw"),
        ("relay.gateways('there')[1].port", "7979"),
        ("relay.gateways('there')[1].zone", "there"),
        ("relay.gateways('there')[1].tls", "true"),
        ("relay.gateways('there')[1].state", "paused"),
        ("relay.gateways('there')[1].version", "nil"),
        ("typeof(request)", "Request"),
        ("request.build", "Build"),
    ] {
        assert_eq!(value_of(expression, &world), value, "{expression}");
    }
}

#[test]
fn facts_that_are_not_there_are_nil() {
    let nothing = Scene::without_build();
    for expression in ["request.build", "request.identity"] {
        assert_eq!(value_of(expression, &nothing), "nil", "{expression}");
    }
    assert_eq!(value_of("request.uuid", &nothing), UUID);
    let bare = Build { zone: None, tenant: None, pipeline: None, state: None, ..build(None) };
    let bare = Scene { build: Some(Arc::new(bare)), ..nothing };
    for field in ["tenant", "pipeline", "zone", "state", "worker"] {
        assert_eq!(value_of(&format!("request.build.{field}"), &bare), "nil", "{field}");
    }
}

#[test]
fn the_uuid_is_what_the_request_names_however_it_is_written() {
    for line in [UUID.to_owned(), format!("/{UUID}"), format!("//{UUID}/")] {
        for world in [Scene::without_build(), Scene::running_in(None)] {
            let world = world.asked(&line);
            assert_eq!(value_of("request.uuid", &world), UUID, "{line}");
            assert_eq!(value_of("request.query", &world), line);
        }
    }
    assert_eq!(value_of("request.uuid", &Scene::without_build().asked("no build")), "nil");
}

#[test]
fn no_more_lines_are_taken_from_before_a_message_than_there_can_be() {
    let failure = mistake("error(string.rep('policy.lua:7: ', 1000) .. 'no', 0)");
    assert!(failure.message.starts_with("policy.lua:7: "), "{failure}");
    assert_eq!(failure.line, Some(7));
}

#[test]
fn failures_show_no_control_characters_and_no_novels() {
    let failure = mistake("error('a\\27[2Jb\\n' .. string.rep('x', 10000))");
    assert!(failure.message.starts_with("a\\u{1b}[2Jb\\n"), "{failure}");
    assert!(failure.message.chars().count() < 600, "{failure}");
}
