//! Two policies on one registry, and what is said of their difference.

use std::time::Duration;

use super::*;
use crate::config::settings::{self, DryRun};
use crate::metrics::Metrics;
use crate::names::BuildId;
use crate::policy::{Moment, Place};
use crate::registry::{Components, Gateway, Snapshot, State, Worker};

const PATIENCE: Duration = Duration::from_secs(60);

fn policy(body: &str) -> Policy {
    script(&format!("function policy.route(request)\n{body}\nend"))
}

fn script(functions: &str) -> Policy {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.lua");
    let text = format!("local policy = {{ api = 1 }}\n{functions}\nreturn policy");
    std::fs::write(&file, text).unwrap();
    let settings = settings::Policy { file: Some(file), ..settings::Policy::default() };
    let place = Place { zone: Zone::parse("east"), hostname: Hostname::parse("relay.example").unwrap() };
    Policy::load(&settings, place, Metrics::new().policy.clone()).unwrap_or_else(|error| panic!("{error}"))
}

fn default() -> Policy {
    let place = Place { zone: Zone::parse("east"), hostname: Hostname::parse("relay.example").unwrap() };
    Policy::load(&settings::Policy::default(), place, Metrics::new().policy.clone()).unwrap()
}

/// `count` builds that run in each of the zones `east` and `west`, which have a gateway each, and one that waits.
fn registry(count: usize) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let gateways = ["east", "west"].map(|zone| {
        Arc::new(Gateway {
            id: zone.into(),
            hostname: Hostname::parse(&format!("gw.{zone}.example")).unwrap(),
            zone: Zone::parse(zone),
            public_port: Some(79),
            use_ssl: false,
            state: State::Running,
            version: None,
        })
    });
    snapshot.components = Arc::new(Components { gateways: gateways.to_vec(), ..Components::default() });
    for number in 0..=2 * count {
        let zone = Zone::parse(if number < count { "east" } else { "west" });
        let hostname = Hostname::parse(&format!("ze{number}.example")).unwrap();
        let worker = Worker { hostname, log_port: Some(7900), zone: zone.clone() };
        let build = Build {
            uuid: BuildId::parse(&format!("{number:032x}")).unwrap(),
            zone,
            tenant: Some("example".to_owned()),
            pipeline: None,
            state: None,
            worker: Some(worker).filter(|_| number < 2 * count),
        };
        snapshot.builds.insert(Arc::new(build));
    }
    snapshot
}

fn compare(active: &Policy, candidate: &Policy, snapshot: &Snapshot) -> Comparison {
    compare_on(&["finger"], active, candidate, snapshot)
}

fn compare_on(listeners: &[&str], active: &Policy, candidate: &Policy, snapshot: &Snapshot) -> Comparison {
    let (zone, hostname) = (Zone::parse("east"), Hostname::parse("relay.example").unwrap());
    let known = Known { snapshot: &Arc::new(snapshot.clone()), world: &Arc::default(), at: Moment::now() };
    let (zone, listeners) = (zone.as_ref(), listeners.to_vec());
    let trial = Trial { active, candidate, known, zone, hostname: &hostname, listeners };
    trial.run(Instant::now() + PATIENCE)
}

#[test]
fn a_policy_differs_in_nothing_from_itself() {
    let found = compare(&default(), &default(), &registry(10));
    assert_eq!((found.builds, found.zones, found.decisions, found.left_out), (20, 2, 40, 0));
    assert!(found.is_empty() && found.objection(DryRun::Strict).is_none(), "{found}");
    assert!(found.to_string().ends_with("no difference"), "{found}");
}

#[test]
fn a_build_that_is_done_is_not_decided() {
    let mut snapshot = registry(1);
    let running = snapshot.builds.iter().find(|build| build.worker.is_some()).unwrap();
    let done = Build { state: Some("completed".to_owned()), ..running.as_ref().clone() };
    snapshot.builds.insert(Arc::new(done));
    let found = compare(&default(), &policy("error('no')"), &snapshot);
    assert_eq!((found.builds, found.count(Kind::Failed)), (1, 2), "{found}");
}

#[test]
fn what_changes_is_told_once_for_all_builds_that_it_concerns() {
    let found = compare(&default(), &policy("return relay.direct(request.build.worker)"), &registry(10));
    let zones: Vec<_> = found.changes.iter().map(|change| change.zone.as_ref().unwrap().as_str()).collect();
    assert_eq!(zones, ["east", "west"]);
    let change = &found.changes[0];
    assert_eq!((change.kind, change.builds), (Kind::Rerouted, 10));
    assert_eq!((change.now.as_str(), change.then.as_str()), ("gateway gw.west.example:79", "direct"));
    assert_eq!(found.objection(DryRun::Strict), None);
    assert!(found.to_string().contains("40 decisions compared (20 running builds, 2 zones): 20 rerouted"), "{found}");
}

#[test]
fn a_build_that_loses_its_way_is_an_objection() {
    let body = "if request.build.worker.zone == 'west' then return relay.refuse('closed') end
        return relay.direct(request.build.worker)";
    let found = compare(&default(), &policy(body), &registry(3));
    assert_eq!(found.count(Kind::Unroutable), 6);
    let objection = found.objection(DryRun::Strict).unwrap();
    assert_eq!(objection.then, "refused \"closed\"");
    assert_eq!((found.objection(DryRun::Errors), found.objection(DryRun::Off)), (None, None));
    assert!(found.to_string().starts_with("unroutable  east: 3 builds, such as "), "{found}");
}

#[test]
fn a_policy_is_tried_in_every_zone_and_not_only_in_the_relays_own() {
    let body = "if relay.zone == 'west' then error('no') end return relay.direct(request.build.worker)";
    let found = compare(&policy("return relay.direct(request.build.worker)"), &policy(body), &registry(3));
    let objection = found.objection(DryRun::Strict).unwrap();
    assert_eq!((objection.kind, objection.builds), (Kind::Failed, 6));
    assert_eq!((found.objection(DryRun::Errors), found.objection(DryRun::Off)), (Some(objection), None));
    assert_eq!(objection.zone, Zone::parse("west"));
    assert!(objection.then.contains("policy.lua:3: no"), "{objection}");
}

#[test]
fn a_policy_that_fails_always_is_not_asked_about_every_build() {
    let found = compare(&default(), &policy("error('no')"), &registry(200));
    assert_eq!((found.count(Kind::Failed), found.left_out), (run::MAX_FAILURES, 800 - run::MAX_FAILURES));
}

#[test]
fn it_ends_at_its_deadline() {
    let (zone, hostname, snapshot) = (None, Hostname::parse("relay.example").unwrap(), registry(100));
    let (active, candidate) = (default(), default());
    let (active, candidate) = (&active, &candidate);
    let known = Known { snapshot: &Arc::new(snapshot), world: &Arc::default(), at: Moment::now() };
    let trial = Trial { active, candidate, known, zone, hostname: &hostname, listeners: vec!["finger"] };
    let found = trial.run(Instant::now());
    assert_eq!((found.decisions, found.left_out, found.zones), (0, 600, 3));
    assert!(found.to_string().contains("600 left out"), "{found}");
}

#[test]
fn slow_decisions_do_not_keep_it_beyond_its_deadline() {
    let slow = policy("local n = 0 for i = 1, 3e5 do n += i end return relay.direct(request.build.worker)");
    let (hostname, snapshot) = (Hostname::parse("relay.example").unwrap(), registry(100));
    let known = Known { snapshot: &Arc::new(snapshot), world: &Arc::default(), at: Moment::now() };
    let listeners = vec!["finger"];
    let trial = Trial { active: &slow, candidate: &slow, known, zone: None, hostname: &hostname, listeners };
    let found = trial.run(Instant::now() + Duration::from_millis(50));
    assert!(found.decisions < 60, "{found}");
}

#[test]
fn however_many_ways_it_finds_few_are_kept_and_all_counted() {
    let found = compare(&default(), &policy("return relay.refuse('no ' .. request.uuid)"), &registry(700));
    assert_eq!((found.decisions, found.count(Kind::Unroutable)), (2800, 2800));
    assert!(found.changes.len() <= 1010, "{}", found.changes.len());
    assert_eq!(found.harmed(DryRun::Strict), 2800);
}

#[test]
fn one_that_failed_and_answers_now_is_no_objection() {
    let found = compare(&policy("error('no')"), &default(), &registry(3));
    assert_eq!((found.count(Kind::Answered), found.objection(DryRun::Strict)), (12, None));
}

/// A policy that goes straight to every executor, and wants `invariant` of its routes.
fn direct_with(invariant: &str) -> Policy {
    let route = "function policy.route(request) return relay.direct(request.build.worker) end";
    script(&format!("{route}\nfunction policy.invariant(build, route)\n{invariant}\nend"))
}

#[test]
fn a_broken_invariant_is_an_objection_with_its_words() {
    let invariant = "if relay.zone == build.worker.zone then return true end
        return 'nobody dials into zone ' .. build.worker.zone";
    let found = compare(&default(), &direct_with(invariant), &registry(3));
    assert_eq!((found.count(Kind::Broken), found.decisions), (6, 12));
    for rule in [DryRun::Strict, DryRun::Errors] {
        let objection = found.objection(rule).unwrap();
        assert_eq!(objection.then, "direct, against the invariant: nobody dials into zone west");
        assert_eq!(found.harmed(rule), 6);
    }
    assert_eq!((found.objection(DryRun::Off), found.harmed(DryRun::Off)), (None, 0));
    assert!(found.to_string().ends_with("(6 running builds, 2 zones): 6 broken"), "{found}");
}

#[test]
fn an_invariant_is_held_against_routes_that_do_not_change() {
    let (active, candidate) = (direct_with("return true"), direct_with("return #route.targets > 1"));
    assert!(compare(&active, &active, &registry(3)).is_empty());
    let found = compare(&active, &candidate, &registry(3));
    assert_eq!((found.count(Kind::Broken), found.changes[0].now.as_str()), (12, "direct"), "{found}");
    assert!(compare(&candidate, &active, &registry(3)).is_empty(), "what is left behind is not asked for its own");
}

#[test]
fn an_invariant_that_fails_is_a_policy_that_fails() {
    let found = compare(&default(), &direct_with("error('oops')"), &registry(3));
    let objection = found.objection(DryRun::Errors).unwrap();
    assert_eq!((objection.kind, found.count(Kind::Failed)), (Kind::Failed, 12));
    assert!(objection.then.contains("policy.lua:4: oops"), "{objection}");
}

#[test]
fn a_change_is_told_with_the_listeners_that_see_it() {
    let body = "if request.listener ~= 'a' then return relay.refuse('closed') end
        return relay.direct(request.build.worker)";
    let found =
        compare_on(&["a", "b", "c"], &policy("return relay.direct(request.build.worker)"), &policy(body), &registry(2));
    assert_eq!((found.listeners, found.decisions, found.count(Kind::Unroutable)), (3, 24, 16));
    let [east, west] = found.changes.as_slice() else { panic!("{found}") };
    assert_eq!((&east.listeners, east.builds, east.decisions), (&vec!["b".to_owned(), "c".to_owned()], 4, 8));
    assert_eq!(west.listeners, east.listeners);
    let text = found.to_string();
    assert!(text.starts_with("unroutable  east on b, c: 4 builds, such as "), "{text}");
    assert!(text.contains("24 decisions compared (4 running builds, 2 zones, 3 listeners): 16 unroutable"), "{text}");
    let everywhere = compare_on(&["a", "b"], &default(), &policy("return relay.refuse('closed')"), &registry(1));
    assert!(everywhere.changes.iter().all(|change| change.listeners.is_empty()), "{everywhere}");
}

#[test]
fn what_the_relay_itself_would_do_is_decided_first() {
    let (zone, hostname) = (Zone::parse("west"), Hostname::parse("relay.example").unwrap());
    let (active, candidate) = (default(), policy("error(relay.zone .. ' ' .. request.listener)"));
    let known = Known { snapshot: &Arc::new(registry(30)), world: &Arc::default(), at: Moment::now() };
    let listeners = vec!["a", "b"];
    let (active, candidate) = (&active, &candidate);
    let trial = Trial { active, candidate, known, zone: zone.as_ref(), hostname: &hostname, listeners };
    let found = trial.run(Instant::now() + PATIENCE);
    assert!(found.changes.iter().all(|change| change.zone == zone), "{found}");
    let seen = |name: &str| -> usize {
        found.changes.iter().filter(|change| change.listeners == [name]).map(|change| change.builds).sum()
    };
    assert_eq!((seen("a"), seen("b")), (60, run::MAX_FAILURES - 60), "{found}");
}

#[test]
fn listeners_that_rules_name_come_after_the_first() {
    let listener = |name: &str| settings::Listener::plain(name, ([127, 0, 0, 1], 79).into());
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let listeners = names.map(listener);
    let named = BTreeSet::from(["j", "c", "a", "elsewhere"]);
    assert_eq!(in_order(&listeners, &named), ["a", "c", "j", "b", "d", "e", "f", "g"]);
    assert_eq!(in_order(&[], &named), [""; 0]);
}

#[test]
fn what_few_words_leave_out_is_a_difference_all_the_same() {
    let tagged = "return relay.direct(request.build.worker, { tags = { team = 'a' } })";
    let found = compare(&policy("return relay.direct(request.build.worker)"), &policy(tagged), &registry(3));
    let told = ("direct", "direct, with other hosts, limits, tags or words");
    assert_eq!((found.changes[0].now.as_str(), found.changes[0].then.as_str()), told);
}
