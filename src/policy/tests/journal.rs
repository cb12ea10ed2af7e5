//! What a script reads of the relay, noted in a world that is full and told again in one that is empty.

use std::collections::BTreeSet;
use std::time::Instant;

use super::folders::try_folder;
use super::*;
use crate::policy::description::Phase;
use crate::policy::relay::RELAY;
use crate::policy::shared::Entry;
use crate::registry::{Executor, Freshness};
use crate::upstream::{Observed, Seen};

/// Every function that says something of the relay while a request is decided, and a text made of its answer.
const READS: [(&str, &str); 13] = [
    ("relay.shared.get", "relay.shared.get('drain/west')"),
    ("relay.shared.keys", "table.concat(relay.shared.keys('drain/'), ' ')"),
    ("relay.zones", "table.concat(relay.zones(), ' ')"),
    ("relay.tenants", "table.concat(relay.tenants(), ' ')"),
    ("relay.build", "relay.build(request.uuid).worker.hostname"),
    ("relay.builds", "relay.builds('example')[1].pipeline"),
    ("relay.build_count", "relay.build_count('example')"),
    ("relay.running_count", "relay.running_count('west')"),
    ("relay.seen", "relay.seen(request.build.worker).last_error .. relay.seen(request.build.worker).round_trip"),
    // What these say follows from what is kept with every decision.
    ("relay.gateways", "relay.gateways('west')[1].hostname"),
    ("relay.executors", "relay.executors('west')[1].hostname"),
    ("relay.age", "relay.age() > 0"),
    ("relay.now", "relay.now()"),
];

/// How many of them are noted.
const NOTED: usize = 9;

/// A relay that knows something of everything.
fn full() -> Scene {
    let mut scene = Scene::running_in(Some("west"));
    let executor =
        Executor { id: "ze1".into(), hostname: host("executor1"), zone: Some(in_zone("west")), state: State::Running };
    let components = Components {
        gateways: vec![Arc::new(gateway("gw", "west", State::Running))],
        executors: vec![Arc::new(executor)],
        ..Components::default()
    };
    let freshness = Freshness::StaleSince(scene.at.tick);
    scene.at.tick += Duration::from_secs(7);
    let builds = scene.build.iter().cloned().collect();
    scene.snapshot = Arc::new(Snapshot { builds, components: Arc::new(components), freshness, ..Snapshot::default() });
    let entry = Entry { key: "drain/west".to_owned(), value: "since noon".into(), expires_in: None };
    let observed = Observed {
        last_error: Some("connect".into()),
        round_trip: Some(Duration::from_nanos(1_234_567)),
        ..Observed::default()
    };
    scene.world = Arc::new(World {
        shared: SharedTable::from_entries([entry], Instant::now()).unwrap(),
        seen: Seen::of_observations([((host("executor1"), 7900, false), observed)]),
        journal: None,
    });
    scene
}

/// The same as a decision log has it.
fn empty(full: &Scene) -> Scene {
    let Snapshot { components, freshness, .. } = &*full.snapshot;
    let snapshot = Snapshot { components: Arc::clone(components), freshness: *freshness, ..Snapshot::default() };
    let (query, build, at) = (full.query.clone(), full.build.clone(), full.at);
    Scene { query, build, at, snapshot: Arc::new(snapshot), ..Scene::without_build() }
}

/// What `policy` decides where everything is noted, and the notes.
fn witnessed(policy: &Policy, scene: &Scene) -> (Result<Route, Failure>, Reads) {
    let world = Arc::new(scene.world.witnessed());
    let decided = asked_in(&world, policy, scene);
    (decided, world.journal.as_ref().unwrap().reads())
}

/// What it decides where nothing is known but `reads`, and what it missed.
fn replayed(policy: &Policy, scene: &Scene, reads: &Reads) -> (Result<Route, Failure>, Vec<String>) {
    let world = Arc::new(scene.world.replaying(reads.clone()));
    let decided = asked_in(&world, policy, scene);
    (decided, world.journal.as_ref().unwrap().missed())
}

fn asked_in(world: &Arc<World>, policy: &Policy, scene: &Scene) -> Result<Route, Failure> {
    policy.route(&Request { known: Known { world, ..scene.known() }, ..scene.request() })
}

fn said(decided: Result<Route, Failure>) -> Result<String, Failure> {
    decided.map(|route| match route.way {
        Way::Refuse(text) => text,
        other => panic!("{other:?}"),
    })
}

#[test]
fn everything_that_a_script_reads_is_told_again() {
    let full = full();
    let empty = empty(&full);
    for (number, (name, answer)) in READS.iter().enumerate() {
        let policy = routing(&format!("return relay.refuse(tostring({answer}))"));
        let (first, reads) = witnessed(&policy, &full);
        let first = said(first).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let (again, missed) = replayed(&policy, &empty, &reads);
        assert_eq!(said(again).unwrap(), first, "{name}");
        assert!(missed.is_empty(), "{name}: {missed:?}");
        let (unread, missed) = replayed(&policy, &empty, &Reads::default());
        let noted = number < NOTED;
        assert_eq!((missed.len(), reads != Reads::default()), (usize::from(noted), noted), "{name}: {missed:?}");
        assert_eq!(said(unread).ok() != Some(first), noted, "{name}");
    }
}

#[test]
fn an_order_by_what_was_seen_is_told_again() {
    let gateways: Vec<_> = (1..=5).map(|number| gateway(&format!("gw{number}"), "west", State::Running)).collect();
    let seen = (1..=5).map(|number| {
        let round_trip = Some(Duration::from_millis(u64::from(10 - number)));
        let observed = Observed { open_streams: 10 - number, round_trip, ..Observed::default() };
        ((host(&format!("gw{number}")), 7979, true), observed)
    });
    let mut full = full().with(gateways);
    full.world = Arc::new(World { seen: Seen::of_observations(seen), ..World::default() });
    for (order, looks) in
        [("given", false), ("random", false), ("hash", false), ("least_streams", true), ("round_trip", true)]
    {
        let policy = routing(&format!("return relay.via(relay.gateways('west'), {{ order = '{order}' }})"));
        let (first, reads) = witnessed(&policy, &full);
        let (again, missed) = replayed(&policy, &empty(&full), &reads);
        assert_eq!(hosts(&again.unwrap()), hosts(first.as_ref().unwrap()), "{order}");
        assert!(missed.is_empty(), "{order}: {missed:?}");
        let (_, missed) = replayed(&policy, &empty(&full), &Reads::default());
        assert_eq!(!missed.is_empty(), looks, "{order}: {missed:?}");
        if looks {
            assert_eq!(hosts(&first.unwrap()), ["gw5", "gw4", "gw3", "gw2", "gw1"], "{order}");
        }
    }
}

/// Whoever adds a function that reads has to have it noted, and to add it above.
#[test]
fn no_function_reads_in_secret() {
    let mut all = BTreeSet::new();
    for (space, functions) in
        [("relay", RELAY.functions)].into_iter().chain(RELAY.inner.iter().map(|inner| (inner.name, inner.functions)))
    {
        let reading = functions
            .iter()
            .filter(|function| function.phases.include(Phase::Deciding) && !function.phases.include(Phase::Loading));
        all.extend(reading.map(|function| format!("{space}.{}", function.name)));
    }
    let known: BTreeSet<String> = READS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(all, known);
}

#[test]
fn a_policy_that_was_handed_the_request_takes_notes_as_well() {
    let full = full();
    let (one, other) =
        (script("return relay.hand_over('other')"), script("return relay.refuse(relay.shared.get('drain/west'))"));
    let scripts = [("one.lua", one.as_str()), ("other.lua", &other)];
    let settings = settings::Policy { default: Some("one".to_owned()), ..settings::Policy::default() };
    let policy = try_folder(&scripts, settings).unwrap();
    let (first, reads) = witnessed(&policy, &full);
    let (again, missed) = replayed(&policy, &empty(&full), &reads);
    assert_eq!((said(first).unwrap(), said(again).unwrap()), ("since noon".to_owned(), "since noon".to_owned()));
    assert!(missed.is_empty());
}

#[test]
fn what_no_entry_can_be_called_is_not_even_looked_for() {
    let scene = full();
    let world = Arc::new(scene.world.witnessed());
    let scene = Scene { world: Arc::clone(&world), ..scene };
    let asked = "local key = string.rep('k', 257)
        return relay.refuse(`{relay.shared.get(key)} {#relay.shared.keys(key)}`)";
    assert_eq!(hosts(&scene.ask(&routing(asked)).unwrap()), ["refused: nil 0"]);
    assert_eq!(world.journal.as_ref().unwrap().reads().weight(), 0);
}
