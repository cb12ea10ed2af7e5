//! Orders of gateways and routes as scripts ask for them, and what they may not ask for.

use super::*;

const ORDERS: [&str; 4] = ["random", "least_streams", "round_trip", "hash"];

fn scene() -> Scene {
    let gateways = ["gw1", "gw2", "gw3"].map(|name| gateway(name, "there", State::Running));
    Scene::running_in(Some("there")).with(gateways.into())
}

fn route(body: &str) -> Route {
    scene().ask(&routing(body)).unwrap_or_else(|failure| panic!("{body}: {failure}"))
}

fn problem(body: &str) -> String {
    let failure = scene().ask(&routing(body)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadRoute, "{failure}");
    failure.message
}

fn connect(host: &str) -> String {
    format!("relay.connect{{ host = '{host}', port = 79, tags = {{ arm = '{host}' }} }}")
}

/// `relay.any` of three hosts, with these options.
fn any(options: &str) -> String {
    format!("return relay.any({{ {}, {}, {} }}, {options})", connect("a"), connect("b"), connect("c"))
}

#[test]
fn every_order_keeps_every_gateway() {
    for order in ORDERS {
        let mut hosts = hosts(&route(&format!("return relay.via(relay.gateways('there'), {{ order = '{order}' }})")));
        hosts.sort();
        assert_eq!(hosts, ["gw1", "gw2", "gw3"], "{order}");
    }
    let weighted = "local weights = {} for place, gateway in relay.gateways('there') do
        weights[place] = if gateway.hostname == 'gw2' then 1 else 0 end
        return relay.via(relay.gateways('there'), { order = 'weighted', weights = weights })";
    let policy = routing(weighted);
    for seed in 0..100 {
        let hosts = hosts(&scene().seeded(seed).ask(&policy).unwrap());
        assert_eq!((hosts.len(), hosts[0].as_str()), (3, "gw2"));
    }
}

#[test]
fn an_order_is_by_the_requests_seed_and_build() {
    let turns = |body: &str, scene: fn(u64) -> Scene| {
        let policy = routing(body);
        let first = |number| hosts(&scene(number).ask(&policy).unwrap())[0].clone();
        (0..50).map(first).collect::<std::collections::BTreeSet<_>>().len()
    };
    let requests = |seed| scene().seeded(seed);
    let builds = |number: u64| scene().asked(&format!("{number:032x}"));
    let lines = |number: u64| scene().asked(&format!("no uuid, line {number}"));
    assert_eq!(turns(&any("{ order = 'random' }"), requests), 3);
    assert_eq!(turns(&any("{ order = 'random' }"), builds), 1);
    assert_eq!(turns(&any("{ order = 'hash' }"), requests), 1);
    assert_eq!(turns(&any("{ order = 'hash' }"), builds), 3);
    assert_eq!(turns(&any("{ order = 'hash' }"), lines), 3);
}

#[test]
fn routes_are_joined_as_they_stand_unless_said_otherwise() {
    for body in [any("nil"), any("{}"), any("{ order = 'given' }")] {
        assert_eq!(hosts(&route(&body)), ["a", "b", "c"]);
    }
    let mixed = "return relay.any({ relay.direct(request.build.worker), relay.via(relay.gateways('there')) })";
    assert_eq!(hosts(&route(mixed)).len(), 4);
    let gateways = "relay.via(relay.gateways('there'))";
    let nested = format!(
        "return relay.any({{ {}, {gateways}, {} }}, {{ order = 'weighted', weights = {{ 0, 1, 0 }} }})",
        connect("a"),
        connect("b")
    );
    let hosts = hosts(&route(&nested));
    assert!(hosts[..3].iter().all(|host| host.starts_with("gw")), "a route's targets stay together: {hosts:?}");
}

#[test]
fn the_first_route_and_the_options_own_tags_name_the_stream() {
    let arm = |body: &str| route(body).tags.json();
    assert_eq!(arm(&any("nil")), r#"{"arm":"a"}"#);
    assert_eq!(arm(&any("{ order = 'weighted', weights = { 0, 0, 1 } }")), r#"{"arm":"c"}"#);
    assert_eq!(arm(&any("{ tags = { arm = 'own', x = 'y' } }")), r#"{"arm":"own","x":"y"}"#);
    let many = |first: u32| (first..first + 8).map(|tag| format!("t{tag} = 'x'")).collect::<Vec<_>>().join(", ");
    let one = |first| format!("relay.direct(request.build.worker, {{ tags = {{ {} }} }})", many(first));
    for maker in ["relay.any", ""] {
        let said = problem(&format!("return {maker} {{ {}, {} }}", one(0), one(8)));
        assert!(said.contains("together they have 16 tags, and may have 8"), "{maker}: {said}");
    }
}

#[test]
fn an_order_of_requests_cannot_be_asked_for_before_there_is_one() {
    for order in ORDERS
        .map(|order| format!("{{ order = '{order}' }}"))
        .into_iter()
        .chain(["{ order = 'weighted', weights = { 1, 1 } }".to_owned()])
    {
        let text = format!("local way = relay.any({{ {}, {} }}, {order})", connect("a"), connect("b"));
        let error = try_load(&text, settings::Policy::default()).unwrap_err();
        assert!(error.message.contains("is another for each request; make the route in route(request)"), "{error}");
        assert_eq!(error.line, Some(1));
    }
    let once = format!(
        "local way = relay.any({{ {}, {} }}) return {{ api = 1, route = function() return way end }}",
        connect("a"),
        connect("b")
    );
    assert_eq!(hosts(&scene().ask(&load(&once)).unwrap()), ["a", "b"]);
}

#[test]
fn weights_that_say_nothing_are_errors_that_say_why() {
    for (options, words) in [
        ("{ order = 'weighted' }", "needs weights, a list with a number for each of the routes"),
        ("{ weights = { 1, 1, 1 } }", "weights are for order = \"weighted\" only"),
        ("{ order = 'hash', weights = { 1, 1, 1 } }", "weights are for order = \"weighted\" only"),
        (
            "{ order = 'weighted', weights = { 1, 1 } }",
            "weights must have a number for each of the 3 routes, in their places, and has 2",
        ),
        ("{ order = 'weighted', weights = { 1, -1, 1 } }", "weights: number 2 is -1"),
        ("{ order = 'weighted', weights = { 1, 1, 0/0 } }", "weights: number 3 is NaN"),
        ("{ order = 'weighted', weights = { 1, math.huge, 1 } }", "weights: number 2 is inf"),
        ("{ order = 'weighted', weights = { 0, 0, 0 } }", "all are 0"),
        ("{ order = 'weighted', weights = { 1, '1', 1 } }", "number 2 of the list is \"1\""),
        ("{ order = 'wieghted' }", "not \"wieghted\"; did you mean \"weighted\"?"),
    ] {
        let said = problem(&any(options));
        assert!(said.contains("relay.any: ") && said.contains(words), "{options}: {said}");
    }
    let said = problem("return relay.via(relay.gateways('there'), { order = 'weighted', weights = { 1 } })");
    assert!(
        said.contains("relay.via: weights must have a number for each of the 3 gateways, in their places, and has 1"),
        "{said}"
    );
}

#[test]
fn weights_stay_with_their_gateways_where_one_cannot_be_dialled() {
    let mute = Gateway { public_port: None, ..gateway("mute", "there", State::Running) };
    let scene = Scene::running_in(Some("there")).with(vec![mute, gateway("gw1", "there", State::Running)]);
    let policy = routing(
        "local gateways, weights = relay.gateways('there'), {}
        for place, gateway in gateways do weights[place] = if gateway.port then 1 else 0 end
        return relay.via(gateways, { order = 'weighted', weights = weights })",
    );
    for seed in 0..20 {
        let Scene { snapshot, .. } = &scene;
        let scene = Scene { snapshot: Arc::clone(snapshot), ..Scene::running_in(Some("there")) }.seeded(seed);
        assert_eq!(hosts(&scene.ask(&policy).unwrap()), ["gw1"]);
    }
}

#[test]
fn only_ways_to_targets_can_be_joined() {
    for other in ["relay.refuse('no')", "relay.reply('yes')", "relay.hand_over('policy')"] {
        let said = problem(&format!("return relay.any{{ {}, {other} }}", connect("a")));
        assert!(said.contains("relay.any: number 2 of the list has no targets"), "{other}: {said}");
    }
    assert!(problem("return relay.any{}").contains("relay.any: the list of routes is empty"));
    let many = format!("local way = {} return relay.any(table.create(257, way))", connect("a"));
    assert!(problem(&many).contains("relay.any: the list has 257 routes, and may have 256"));
}
