//! The default policy is Zuul's routing, rule by rule, with order where Zuul has chance.

use super::*;
use crate::route::TargetKind;

fn nowhere() -> Place {
    Place { zone: None, hostname: host("relay.example") }
}

fn answer(world: &Scene) -> Result<Route, Failure> {
    world.ask(&builtin(here()))
}

fn direct() -> Vec<String> {
    vec!["executor1".to_owned()]
}

#[test]
fn an_unknown_build_is_not_found() {
    assert_eq!(answer(&Scene::without_build()), Ok(Way::Refuse("Build not found".to_owned()).into()));
}

#[test]
fn a_build_without_a_worker_did_not_start_yet() {
    let world = Scene { build: Some(Arc::new(build(None))), ..Scene::without_build() };
    assert_eq!(answer(&world), Ok(Way::Refuse("Build did not start yet".to_owned()).into()));
}

#[test]
fn a_build_in_our_own_zone_is_reached_directly_even_beside_gateways() {
    let world = Scene::running_in(Some("here")).with(vec![gateway("gw", "here", State::Running)]);
    let Ok(Route { way: Way::Targets(targets), .. }) = answer(&world) else { panic!() };
    let [target] = targets.as_slice() else { panic!("{targets:?}") };
    assert_eq!(target.to_string(), "direct executor1:7900");
}

#[test]
fn a_build_without_a_zone_is_reached_directly() {
    let world = Scene::running_in(None).with(vec![gateway("gw", "there", State::Running)]);
    assert_eq!(hosts(&answer(&world).unwrap()), direct());
}

#[test]
fn a_relay_without_a_zone_reaches_zoned_builds_by_gateway_and_others_directly() {
    let policy = builtin(nowhere());
    let zoned = Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)]);
    assert_eq!(hosts(&zoned.ask(&policy).unwrap()), ["gw"]);
    assert_eq!(hosts(&Scene::running_in(None).ask(&policy).unwrap()), direct());
}

#[test]
fn the_zone_that_was_asked_for_does_not_matter() {
    let world = Scene::running_in(Some("there")).with(vec![gateway("gw", "asked", State::Running)]);
    assert_eq!(hosts(&answer(&world).unwrap()), direct());
}

#[test]
fn another_zone_is_reached_by_its_gateway_with_its_port_and_tls() {
    let world = Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)]);
    let Ok(Route { way: Way::Targets(targets), .. }) = answer(&world) else { panic!() };
    let [target] = targets.as_slice() else { panic!("{targets:?}") };
    assert_eq!(target.to_string(), "gateway gw:7979 over TLS");
    assert_eq!((target.kind, target.gateway.as_deref()), (TargetKind::Gateway, Some("gw0000000001")));
}

#[test]
fn another_zone_without_a_gateway_is_reached_directly() {
    let world = Scene::running_in(Some("there")).with(vec![gateway("gw", "elsewhere", State::Running)]);
    assert_eq!(hosts(&answer(&world).unwrap()), direct());
}

#[test]
fn running_gateways_come_before_others_and_stopped_ones_last() {
    let states = [State::Unknown, State::Stopped, State::Initializing, State::Paused, State::Running];
    let gateways = states.map(|state| gateway(state.as_str(), "there", state));
    let world = Scene::running_in(Some("there")).with(gateways.into());
    let order = ["running", "paused", "initializing", "stopped", "unknown"];
    assert_eq!(hosts(&answer(&world).unwrap()), order);
}

#[test]
fn a_gateway_without_a_port_is_passed_over_while_another_has_one() {
    let mute = Gateway { public_port: None, ..gateway("mute", "there", State::Running) };
    let world = Scene::running_in(Some("there")).with(vec![mute, gateway("gw", "there", State::Stopped)]);
    assert_eq!(hosts(&answer(&world).unwrap()), ["gw"]);
}

#[test]
fn a_zone_whose_gateways_have_no_port_is_an_internal_error() {
    let mute = Gateway { public_port: None, ..gateway("mute", "there", State::Running) };
    let failure = answer(&Scene::running_in(Some("there")).with(vec![mute])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadRoute);
    assert!(failure.to_string().starts_with("built-in default:"), "{failure}");
    assert!(failure.message.contains("public_port") && failure.message.contains("mute"), "{failure}");
}

#[test]
fn an_executor_without_a_log_port_is_an_internal_error() {
    let mut world = Scene::running_in(None);
    world.build = Some(Arc::new(build(Some(Worker { hostname: host("executor1"), log_port: None, zone: None }))));
    let failure = answer(&world).unwrap_err();
    assert_eq!(failure.kind, FailureKind::BadRoute);
    assert!(failure.message.contains("log_port") && failure.message.contains("executor1"), "{failure}");
}

#[test]
fn gateways_that_are_equally_good_share_the_load() {
    let names = ["gw1", "gw2", "gw3", "gw4"];
    let gateways = || names.map(|name| gateway(name, "there", State::Running)).into();
    let policy = builtin(here());
    let mut first = std::collections::HashMap::<String, u32>::new();
    for seed in 0..4000 {
        let world = Scene::running_in(Some("there")).with(gateways()).seeded(seed);
        let mut order = hosts(&world.ask(&policy).unwrap());
        *first.entry(order[0].clone()).or_default() += 1;
        order.sort();
        assert_eq!(order, names);
    }
    for (name, count) in first {
        assert!((900..1100).contains(&count), "{name} came first {count} times of 4000");
    }
}

#[test]
fn the_same_request_gets_the_same_route() {
    let gateways: Vec<_> = ["gw1", "gw2", "gw3"].map(|name| gateway(name, "there", State::Running)).into();
    let turned = gateways.iter().rev().cloned().collect();
    let one = Scene::running_in(Some("there")).with(gateways).seeded(7);
    let other = Scene::running_in(Some("there")).with(turned).seeded(7);
    assert_eq!(answer(&one), answer(&one));
    assert_eq!(answer(&one), answer(&other));
}

#[test]
fn the_explanation_names_the_line_that_made_the_route() {
    let policy = builtin(here());
    let lines: Vec<&str> = include_str!("../../../scripts/default.lua").lines().collect();
    let cases = [
        (Scene::without_build(), "Build not found"),
        (Scene::running_in(None), "relay.direct"),
        (Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)]), "relay.via"),
    ];
    for (world, call) in cases {
        let explained = policy.explain(&world.request()).unwrap();
        let line = explained.line.and_then(|line| lines.get(line - 1)).unwrap();
        assert!(line.contains(call), "{call}: {line}");
        assert_eq!(explained.file, "built-in default");
        assert_eq!(Ok(explained.route), policy.route(&world.request()));
    }
}
