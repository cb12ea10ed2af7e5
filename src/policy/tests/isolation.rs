//! A script reaches nothing but its facts, and leaves no mark on the engine that a later decision could see.

use super::*;

fn refused(body: &str) -> String {
    let failure = Scene::running_in(Some("there")).ask(&routing(body)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Error, "{body}: {failure}");
    failure.message
}

#[test]
fn what_is_not_safe_or_not_pure_is_not_there() {
    for name in [
        "os",
        "io",
        "debug",
        "package",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "getfenv",
        "setfenv",
        "collectgarbage",
        "gcinfo",
        "newproxy",
        "buffer",
        "vector",
        "integer",
        "class",
        "_G",
        "_VERSION",
    ] {
        assert!(refused(&format!("return {name}")).contains(&format!("no global \"{name}\"")), "{name}");
    }
    for name in ["math.random", "math.randomseed", "table.foreach", "string.dump"] {
        assert_eq!(value_of(name, &Scene::without_build()), "nil", "{name}");
    }
}

#[test]
fn every_name_of_the_library_exists() {
    // A misspelled name in the list would quietly take a function away.
    for name in library::names() {
        assert_ne!(value_of(&format!("type({name})"), &Scene::without_build()), "nil", "{name}");
    }
}

#[test]
fn the_library_cannot_be_changed() {
    for body in [
        "string.format = nil",
        "table.sort = print",
        "rawset(string, 'format', nil)",
        "table.clear(string)",
        "table.insert(string, 1)",
        "setmetatable(string, {})",
        "getmetatable('').__index = {}",
        "rawset(getmetatable(''), '__index', {})",
        "getmetatable('').__index.format = nil",
        "setmetatable(getmetatable(''), {})",
        "print = nil",
        "relay = nil",
    ] {
        refused(body);
    }
}

#[test]
fn relay_and_facts_cannot_be_changed() {
    for body in [
        "relay.zone = 'x'",
        "relay.direct = relay.refuse",
        "relay.mine = 1",
        "rawset(relay, 'mine', 1)",
        "table.clear(relay)",
        "setmetatable(relay, {})",
        "getmetatable(relay).__index = nil",
        "request.query = 'x'",
        "request.build.tenant = 'x'",
        "request.build.worker.hostname = 'x'",
        "rawset(request, 'query', 'x')",
        "setmetatable(request, {})",
        "getmetatable(request).__index = nil",
    ] {
        refused(body);
    }
}

#[test]
fn the_names_of_an_identity_cannot_be_changed() {
    let identity = Identity { subject: String::new(), names: vec!["a".to_owned()], fingerprint: String::new() };
    let world = Scene { identity: Some(Arc::new(identity)), ..Scene::without_build() };
    let failure = world.ask(&routing("request.identity.names[1] = 'b'")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Error, "{failure}");
}

#[test]
fn metatables_of_ours_are_locked() {
    for value in ["relay", "request", "request.build", "relay.refuse('x')"] {
        assert_eq!(value_of(&format!("getmetatable({value})"), &Scene::running_in(None)), "false", "{value}");
    }
}

#[test]
fn a_list_of_gateways_belongs_to_its_caller() {
    let body = "local list = relay.gateways('there') table.clear(list) return relay.via(relay.gateways('there'))";
    let world = Scene::running_in(None).with(vec![gateway("gw", "there", State::Running)]);
    assert_eq!(hosts(&world.ask(&routing(body)).unwrap()), ["gw"]);
}

#[test]
fn a_kept_request_stays_the_old_one() {
    let text = "local kept\n".to_owned() + &script("kept = kept or request return relay.refuse(kept.build.tenant)");
    let policy = load(&text);
    for tenant in ["first", "second"] {
        let mut world = Scene::running_in(None);
        world.build = Some(Arc::new(Build { tenant: Some(tenant.to_owned()), ..build(None) }));
        assert_eq!(hosts(&world.ask(&policy).unwrap()), ["refused: first"]);
    }
}

#[test]
fn the_registry_cannot_be_asked_for_what_it_is_after_the_decision() {
    let text = "local ask = relay.gateways\n".to_owned() + &script("return relay.refuse(tostring(#ask('there')))");
    let policy = load(&text);
    let with = Scene::running_in(None).with(vec![gateway("gw", "there", State::Running)]);
    assert_eq!(hosts(&with.ask(&policy).unwrap()), ["refused: 1"]);
    assert_eq!(hosts(&Scene::running_in(None).ask(&policy).unwrap()), ["refused: 0"]);
    assert_eq!(Arc::strong_count(&with.snapshot.components), 1);
}

#[test]
fn route_cannot_be_left_by_a_yield() {
    assert!(refused("coroutine.yield()").contains("yield"));
}

#[test]
fn printing_is_bounded_and_harmless() {
    let policy =
        routing("for i = 1, 1000 do print(i, nil, {}, request, string.rep('x', 100)) end return relay.refuse('x')");
    assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: x"]);
}
