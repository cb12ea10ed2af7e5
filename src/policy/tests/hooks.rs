//! What a policy may have beside `route`: who gets in, what is told of ends, and what must hold of routes.

use super::*;
use crate::admission::{Admission, Connection, Limits};
use crate::policy::shared::Value;
use crate::route::{Limit, Tags};

fn knocking(policy: &Policy, identity: Option<&Arc<Identity>>) -> Result<Admission, Failure> {
    let connection = Connection {
        listener: "finger",
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        server_name: Some("logs.example"),
        identity,
    };
    policy.accept(&connection, &Scene::without_build().known())
}

fn accepting(body: &str) -> Result<Admission, Failure> {
    knocking(&hooking(&format!("function policy.accept(connection) {body} end")), None)
}

fn ended<'a>(tags: &'a Tags, uuid: &'a BuildId) -> Ended<'a> {
    Ended {
        listener: "finger",
        peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        server_name: None,
        identity: None,
        uuid: Some(uuid),
        tenant: Some("example"),
        zone: None,
        target: Some("executor1:7900"),
        kind: Some("direct"),
        tried: 2,
        bytes: 1234,
        lasted: Duration::from_millis(1500),
        ending: "complete",
        blame: "nobody",
        tags,
    }
}

/// What of a relay's own table `expression` came to in `ended`.
fn noted(expression: &str) -> Option<Value> {
    let policy = hooking(&format!("function policy.ended(record) relay.shared.set('seen', {expression}) end"));
    let scene = Scene::without_build();
    let tags = Tags::new([("team", "blue")]).unwrap();
    policy.ended(&ended(&tags, &BuildId::parse(UUID).unwrap()), &scene.known());
    scene.world.shared.get("seen", scene.at.tick)
}

/// What the invariant with this body says of a route to `executor1`.
fn invariant(body: &str) -> Result<Option<String>, Failure> {
    let policy = hooking(&format!("function policy.invariant(build, route) {body} end"));
    let scene = Scene::running_in(Some("here"));
    let build = scene.build.as_ref().unwrap();
    let route = scene.ask(&routing("return relay.direct(request.build.worker, { tags = { a = 'b' } })")).unwrap();
    policy.broken_invariant("finger", build, &route, &scene.known())
}

#[test]
fn a_policy_without_accept_lets_everybody_in() {
    assert_eq!(knocking(&hooking(""), None).unwrap(), Admission::default());
}

#[test]
fn a_connection_is_let_in_as_configured_or_within_limits_of_its_own() {
    assert_eq!(accepting("").unwrap(), Admission::default());
    assert_eq!(accepting("return relay.allow()").unwrap(), Admission::default());
    let options = "request_timeout = 1, max_duration = 3600, stall_timeout = 0.5, tags = { who = 'bot' }";
    let limit = |seconds| Some(Limit::seconds(seconds).unwrap());
    let limits = Limits { request_timeout: limit(1.0), max_duration: limit(3600.0), stall_timeout: limit(0.5) };
    let tags = Tags::new([("who", "bot")]).unwrap();
    assert_eq!(accepting(&format!("return relay.allow{{ {options} }}")).unwrap(), Admission::Allow { limits, tags });
}

#[test]
fn a_connection_is_refused_with_a_text_of_the_policys() {
    let text = "not now".to_owned();
    let tags = Tags::new([("why", "night")]).unwrap();
    let refused = accepting("return relay.refuse('not now', { tags = { why = 'night' } })").unwrap();
    assert_eq!(refused, Admission::Refuse { text, tags });
}

#[test]
fn accept_sees_who_has_connected() {
    let policy = hooking(
        "function policy.accept(c)
           return relay.refuse(table.concat({ c.listener, c.peer, c.server_name, c.identity.subject }, ' '))
         end",
    );
    let identity = Identity { subject: "CN=me".to_owned(), names: Vec::new(), fingerprint: String::new() };
    let Admission::Refuse { text, .. } = knocking(&policy, Some(&Arc::new(identity))).unwrap() else { panic!() };
    assert_eq!(text, "finger 192.0.2.7 logs.example CN=me");
}

#[test]
fn what_accept_may_not_return_is_quoted() {
    for (body, words) in [
        ("return true", "accept returned true"),
        ("return relay.reply('hello')", "accept returned a Route"),
        ("return relay.hand_over('zuul')", "accept returned a Route"),
    ] {
        let failure = accepting(body).unwrap_err();
        assert_eq!((failure.kind, failure.line), (FailureKind::BadRoute, Some(2)), "{failure}");
        assert!(failure.message.contains(words) && failure.message.contains("relay.allow(options)"), "{failure}");
    }
    let failure = accepting("return relay.allow{ max_duration = 0 }").unwrap_err();
    assert!(failure.message.contains("relay.allow: max_duration: 0 s is no time limit"), "{failure}");
    let failure = accepting("return relay.allow{ max_duratoin = 1 }").unwrap_err();
    assert!(failure.message.contains("did you mean \"max_duration\"?"), "{failure}");
}

#[test]
fn a_runaway_in_accept_is_stopped_and_the_next_call_is_served() {
    let policy = hooking(
        "function policy.accept(c)
           if relay.shared.add('calls', 1) == 1 then while true do end end
         end",
    );
    let scene = Scene::without_build();
    let connection =
        Connection { listener: "finger", peer: Ipv4Addr::LOCALHOST.into(), server_name: None, identity: None };
    let failure = policy.accept(&connection, &scene.known()).unwrap_err();
    assert_eq!((failure.kind, failure.line), (FailureKind::Time, Some(3)), "{failure}");
    assert_eq!(policy.accept(&connection, &scene.known()).unwrap(), Admission::default());
}

#[test]
fn a_hook_that_is_no_function_is_no_hook() {
    for (more, words) in [
        ("policy.accept = true", "accept must be a function, not true: write function policy.accept(connection) … end"),
        ("policy.ended = {}", "function policy.ended(record) … end"),
        ("policy.invariant = 1", "function policy.invariant(build, route) … end"),
        ("function policy.acept() end", "a policy has no key \"acept\"; did you mean \"accept\"?"),
    ] {
        let error = try_load(&hooks(more), settings::Policy::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn ended_is_told_all_that_the_record_has() {
    let text = |text: &str| Some(Value::Text(text.as_bytes().into()));
    for (expression, value) in [
        ("record.listener .. record.peer", text("finger192.0.2.7")),
        ("record.uuid", text(UUID)),
        ("record.tenant", text("example")),
        ("record.target .. ' ' .. record.kind", text("executor1:7900 direct")),
        ("record.ending .. ' ' .. record.blame", text("complete nobody")),
        ("record.tags.team", text("blue")),
        ("record.tried", Some(Value::Number(2.0))),
        ("record.bytes", Some(Value::Number(1234.0))),
        ("record.seconds", Some(Value::Number(1.5))),
        ("record.zone == nil and record.server_name == nil and record.identity == nil", Some(Value::Boolean(true))),
    ] {
        assert_eq!(noted(expression), value, "{expression}");
    }
}

#[test]
fn a_mistake_in_ended_is_counted_and_harms_nobody() {
    let metrics = Metrics::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.lua");
    std::fs::write(&file, hooks("function policy.ended(record) error('oh') end")).unwrap();
    let settings = settings::Policy { file: Some(file), ..settings::Policy::default() };
    let policy = Policy::load(&settings, here(), metrics.policy.clone()).unwrap();
    let uuid = BuildId::parse(UUID).unwrap();
    policy.ended(&ended(&Tags::default(), &uuid), &Scene::without_build().known());
    assert!(metrics.text().contains("fingerpost_policy_failures_total{reason=\"error\"} 1"), "{}", metrics.text());
}

#[test]
fn an_invariant_says_what_is_wrong_with_a_route() {
    assert_eq!(invariant("return true").unwrap(), None);
    assert_eq!(invariant("return false").unwrap().unwrap(), "the invariant does not hold");
    assert_eq!(invariant("return build.tenant .. ' leaks'").unwrap().unwrap(), "example leaks");
    let failure = invariant("return nil").unwrap_err();
    assert!(failure.message.contains("invariant returned nil; it must return true"), "{failure}");
}

#[test]
fn an_invariant_reads_the_route_that_it_judges() {
    for expression in [
        "route.kind == 'targets' and #route.targets == 1 and route.text == nil and route.policy == nil",
        "route.targets[1].kind == 'direct' and route.targets[1].host == 'executor1'",
        "route.targets[1].port == 7900 and not route.targets[1].tls and route.targets[1].server_name == nil",
        "route.tags.a == 'b' and route.tags.b == nil",
    ] {
        assert_eq!(invariant(&format!("return {expression}")).unwrap(), None, "{expression}");
    }
}

#[test]
fn a_policy_without_an_invariant_breaks_none() {
    let scene = Scene::running_in(None);
    let route = Way::Refuse("no".to_owned()).into();
    let broken = hooking("").broken_invariant("finger", scene.build.as_ref().unwrap(), &route, &scene.known());
    assert_eq!(broken.unwrap(), None);
}
