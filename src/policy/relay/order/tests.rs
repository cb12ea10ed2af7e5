//! The orders themselves, request by request: chance is checked over thousands of fixed seeds.

use super::*;
use crate::names::Hostname;
use crate::route::TargetKind;
use crate::upstream::{Observed, Seen};

const REQUESTS: u64 = 4000;

fn target(name: &str) -> Target {
    Target::new(TargetKind::Gateway, Hostname::parse(name).unwrap(), 79)
}

fn choices(names: &[&str]) -> Vec<Choice> {
    let choice = |name: &&str| Choice { state: State::Running, targets: vec![target(name)], tags: Tags::default() };
    names.iter().map(choice).collect()
}

/// A request that is the `seed`th and for the `affinity`th build, in a relay that has seen nobody.
fn basis(seed: u64, affinity: u64) -> Basis {
    Basis { seed, affinity: rank(0, &affinity.to_le_bytes()), world: Arc::default() }
}

fn having_seen<const N: usize>(seen: [(&str, Observed); N]) -> Arc<World> {
    let seen = seen.map(|(name, observed)| ((Hostname::parse(name).unwrap(), 79, false), observed));
    Arc::new(World { seen: Seen::of_observations(seen), ..World::default() })
}

fn hosts(choices: &[Choice]) -> Vec<&str> {
    choices.iter().flat_map(|choice| &choice.targets).map(|target| target.host.as_str()).collect()
}

/// How often `name` is the first of `choices` in so many requests, each for another build.
fn firsts(order: &Order, choices: &[Choice], name: &str) -> u64 {
    let first = |request: &u64| hosts(&order.sorted(choices.to_vec(), &basis(*request, *request)))[0] == name;
    (0..REQUESTS).filter(first).count() as u64
}

#[test]
fn by_chance_everybody_is_as_often_the_first() {
    let names = ["a", "b", "c", "d"];
    for order in [Order::Random, Order::Hash, Order::LeastStreams, Order::RoundTrip, Order::Weighted(vec![2.0; 4])] {
        for name in names {
            let times = firsts(&order, &choices(&names), name);
            assert!((900..1100).contains(&times), "{order:?}: {name} came first {times} times of {REQUESTS}");
        }
    }
}

#[test]
fn the_same_request_gets_the_same_order() {
    let names = ["a", "b", "c", "d"];
    for order in [Order::Random, Order::Hash, Order::Weighted(vec![1.0, 2.0, 3.0, 4.0])] {
        for seed in 0..100 {
            let sorted = || order.sorted(choices(&names), &basis(seed, seed));
            assert_eq!(hosts(&sorted()), hosts(&sorted()));
        }
    }
}

#[test]
fn weights_say_how_often_who_is_first_and_who_is_second() {
    let (names, order) = (["rare", "often", "never"], Order::Weighted(vec![1.0, 9.0, 0.0]));
    let rare = firsts(&order, &choices(&names), "rare");
    assert!((340..460).contains(&rare), "1 of 10 came first {rare} times of {REQUESTS}");
    for seed in 0..REQUESTS {
        assert_eq!(hosts(&order.sorted(choices(&names), &basis(seed, 0)))[2], "never");
    }
}

#[test]
fn choices_that_begin_with_one_target_have_a_chance_each() {
    let tagged = |arm: &str| Choice { tags: Tags::new([("arm", arm)]).unwrap(), ..choices(&["a"]).remove(0) };
    let order = Order::Weighted(vec![1.0, 3.0]);
    let is_first =
        |seed: &u64| order.sorted(vec![tagged("x"), tagged("y")], &basis(*seed, 0))[0].tags.json().contains('x');
    let times = (0..REQUESTS).filter(is_first).count();
    assert!((900..1100).contains(&times), "1 of 4 came first {times} times of {REQUESTS}");
}

#[test]
fn extreme_weights_and_chances_are_in_order() {
    for chance in [0, 1, u64::MAX / 2, u64::MAX] {
        let lots = [f64::MAX, 1.0, f64::MIN_POSITIVE, 0.0].map(|weight| lot(weight, chance));
        assert!(lots.is_sorted() && lots[2] < u64::MAX, "{chance}: {lots:?}");
    }
    assert!(lot(1.0, u64::MAX) < lot(1.0, 0), "the likelier a chance, the earlier");
}

#[test]
fn one_build_has_one_order_whatever_the_seed() {
    let names = ["a", "b", "c", "d"];
    for seed in 0..100 {
        let order = |seed| Order::Hash.sorted(choices(&names), &basis(seed, 7));
        assert_eq!(hosts(&order(seed)), hosts(&order(0)));
        let mut alike = choices(&["a", "a"]);
        alike[1].targets.push(target("second"));
        let order = Order::Hash.sorted(alike, &basis(seed, 7));
        assert_eq!(hosts(&order), ["a", "a", "second"], "equals stay as they stand");
    }
}

#[test]
fn when_one_goes_only_its_builds_go_elsewhere_and_they_spread() {
    let (all, without) = (choices(&["a", "b", "c", "d"]), choices(&["d", "c", "a"]));
    let mut moved = 0;
    for build in 0..REQUESTS {
        let order = |choices: &[Choice]| Order::Hash.sorted(choices.to_vec(), &basis(build, build));
        let (before, after) = (order(&all), order(&without));
        let stayed: Vec<&str> = hosts(&before).into_iter().filter(|host| *host != "b").collect();
        assert_eq!(hosts(&after), stayed);
        moved += u64::from(hosts(&before)[0] == "b");
    }
    assert!((900..1100).contains(&moved), "a quarter of {REQUESTS} moved, which is {moved}");
}

#[test]
fn who_carries_the_fewest_streams_is_first() {
    let carrying = |open_streams| Observed { open_streams, ..Observed::default() };
    let world = having_seen([("full", carrying(9)), ("busy", carrying(2)), ("idle", carrying(0))]);
    for seed in 0..100 {
        let basis = Basis { world: Arc::clone(&world), ..basis(seed, 0) };
        let order = Order::LeastStreams.sorted(choices(&["full", "idle", "new", "busy"]), &basis);
        assert_eq!(hosts(&order)[2..], ["busy", "full"], "an idle one and one never dialled are equal");
    }
}

#[test]
fn the_nearest_is_first_but_for_those_that_were_never_dialled() {
    let away = |millis| Observed { round_trip: Some(Duration::from_millis(millis)), ..Observed::default() };
    let world = having_seen([("far", away(80)), ("near", away(1)), ("unmeasured", Observed::default())]);
    let basis = Basis { world, ..basis(1, 0) };
    let order = Order::RoundTrip.sorted(choices(&["unmeasured", "far", "near", "new"]), &basis);
    assert_eq!(hosts(&order), ["new", "near", "far", "unmeasured"]);
}

#[test]
fn whoever_does_not_run_comes_after_those_that_do_in_every_order() {
    let mut given = choices(&["stopped", "paused", "running"]);
    for (choice, state) in given.iter_mut().zip([State::Stopped, State::Paused, State::Running]) {
        choice.state = state;
    }
    let weighted = Order::Weighted(vec![1e9, 1.0, 1e-9]);
    for order in [Order::Random, Order::Hash, Order::LeastStreams, Order::RoundTrip, weighted] {
        for seed in 0..100 {
            let sorted = order.sorted(given.clone(), &basis(seed, seed));
            assert_eq!(hosts(&sorted), ["running", "paused", "stopped"], "{order:?}");
        }
    }
}

#[test]
fn targets_that_share_an_address_but_not_a_server_name_are_apart() {
    let named = |name| Target { tls: true, server_name: Hostname::parse(name), ..target("edge") };
    assert_eq!([target("edge"), named("a"), named("b")].each_ref().map(address), ["edge:79", "edge:79/a", "edge:79/b"]);
}
