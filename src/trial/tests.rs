//! Two policies on one registry, and what is said of their difference.

use std::time::Duration;

use super::*;
use crate::config::settings;
use crate::metrics::Metrics;
use crate::policy::Moment;
use crate::registry::{Components, Gateway, Snapshot, State, Worker};

const PATIENCE: Duration = Duration::from_secs(60);

fn policy(body: &str) -> Policy {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.lua");
    let text = format!("local policy = {{ api = 1 }}\nfunction policy.route(request)\n{body}\nend\nreturn policy");
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
    let (zone, hostname) = (Zone::parse("east"), Hostname::parse("relay.example").unwrap());
    let known = Known { snapshot: &Arc::new(snapshot.clone()), world: &Arc::default(), at: Moment::now() };
    let trial = Trial { active, candidate, known, zone: zone.as_ref(), hostname: &hostname, listener: "finger" };
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
    assert_eq!((found.count(Kind::Failed), found.left_out), (MAX_FAILURES, 800 - MAX_FAILURES));
}

#[test]
fn it_ends_at_its_deadline() {
    let (zone, hostname, snapshot) = (None, Hostname::parse("relay.example").unwrap(), registry(100));
    let (active, candidate) = (default(), default());
    let (active, candidate) = (&active, &candidate);
    let known = Known { snapshot: &Arc::new(snapshot), world: &Arc::default(), at: Moment::now() };
    let trial = Trial { active, candidate, known, zone, hostname: &hostname, listener: "finger" };
    let found = trial.run(Instant::now());
    assert_eq!((found.decisions, found.left_out, found.zones), (0, 600, 3));
    assert!(found.to_string().contains("600 left out"), "{found}");
}

#[test]
fn one_that_failed_and_answers_now_is_no_objection() {
    let found = compare(&policy("error('no')"), &default(), &registry(3));
    assert_eq!((found.count(Kind::Answered), found.objection(DryRun::Strict)), (12, None));
}
