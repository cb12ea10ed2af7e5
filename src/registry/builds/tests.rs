//! The census against a recount, and clones against time.

use std::collections::BTreeMap;

use super::*;
use crate::names::Hostname;
use crate::registry::model::Worker;

/// Random numbers that are the same in every run: xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % sides
    }

    /// One of `words`, or none.
    fn word<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        words.get(self.below(words.len() as u64 + 1) as usize).copied()
    }

    fn id(&mut self) -> BuildId {
        BuildId::parse(&format!("{:x}", self.below(400))).unwrap()
    }

    fn build(&mut self) -> Arc<Build> {
        let worker = (self.below(3) > 0).then(|| Worker {
            hostname: Hostname::parse("executor").unwrap(),
            log_port: Some(7900),
            zone: self.word(&["east", "north", "west"]).and_then(Zone::parse),
        });
        Arc::new(Build {
            uuid: self.id(),
            zone: self.word(&["east", "west"]).and_then(Zone::parse),
            tenant: self.word(&["acme", "example", "umbrella"]).map(str::to_owned),
            pipeline: None,
            state: self.word(&["requested", "running", "paused", "completed"]).map(str::to_owned),
            worker,
        })
    }
}

/// The same by walking over everything.
#[derive(Debug, PartialEq, Eq)]
struct Recount {
    tenants: BTreeMap<String, Vec<BuildId>>,
    zones: BTreeMap<Option<Zone>, usize>,
    states: BTreeMap<String, usize>,
}

impl Recount {
    fn of<'b>(all: impl Iterator<Item = &'b Arc<Build>>) -> Self {
        let mut recount = Self { tenants: BTreeMap::new(), zones: BTreeMap::new(), states: BTreeMap::new() };
        for build in all {
            if let Some(tenant) = &build.tenant {
                recount.tenants.entry(tenant.clone()).or_default().push(build.uuid.clone());
            }
            if let Some(worker) = build.worker.as_ref().filter(|_| build.state.as_deref() != Some("completed")) {
                *recount.zones.entry(worker.zone.clone()).or_default() += 1;
            }
            if let Some(state) = &build.state {
                *recount.states.entry(state.clone()).or_default() += 1;
            }
        }
        recount.tenants.values_mut().for_each(|ids| ids.sort());
        recount
    }

    fn census(builds: &Builds) -> Self {
        let ids = |tenant| builds.of_tenant(tenant).map(|build| build.uuid.clone()).collect::<Vec<_>>();
        let tenants = builds.tenants().inspect(|(tenant, count)| assert_eq!(builds.count_of(tenant), *count));
        let zones = builds.zones().inspect(|(zone, count)| assert_eq!(builds.running_in(*zone), *count));
        Self {
            tenants: tenants
                .map(|(tenant, count)| (tenant.to_owned(), ids(tenant), count))
                .inspect(|(_, ids, count)| assert_eq!(ids.len(), *count))
                .map(|(tenant, ids, _)| (tenant, ids))
                .collect(),
            zones: zones.map(|(zone, count)| (zone.cloned(), count)).collect(),
            states: builds.states().map(|(state, count)| (state.to_owned(), count)).collect(),
        }
    }
}

/// The builds beside the simplest thing that could hold them.
#[derive(Default)]
struct Pair {
    builds: Builds,
    model: BTreeMap<BuildId, Arc<Build>>,
}

impl Pair {
    fn change(&mut self, dice: &mut Dice) {
        match dice.below(100) {
            0 => {
                let tenant = dice.word(&["acme", "example"]);
                self.builds.retain(|build| build.tenant.as_deref() != tenant);
                self.model.retain(|_, build| build.tenant.as_deref() != tenant);
            }
            1..40 => {
                let id = dice.id();
                assert_eq!(self.builds.remove(&id), self.model.remove(&id));
            }
            _ => {
                let build = dice.build();
                let replaced = self.builds.insert(Arc::clone(&build));
                assert_eq!(replaced, self.model.insert(build.uuid.clone(), build));
            }
        }
    }
}

#[test]
fn the_census_is_what_a_recount_finds_after_any_change() {
    for seed in 1..=20 {
        let (mut dice, mut pair) = (Dice(seed), Pair::default());
        for round in 0..40 {
            (0..50).for_each(|_| pair.change(&mut dice));
            assert_eq!(Recount::census(&pair.builds), Recount::of(pair.model.values()), "seed {seed}, round {round}");
        }
        assert_eq!(pair.builds, pair.model.values().cloned().collect(), "seed {seed}");
        pair.model.keys().for_each(|id| drop(pair.builds.remove(id)));
        assert_eq!(Recount::census(&pair.builds), Recount::of([].iter()), "seed {seed}: names are forgotten");
    }
}

#[test]
fn a_clone_keeps_the_census_of_its_moment() {
    let mut dice = Dice(7);
    let mut builds: Builds = (0..500).map(|_| dice.build()).collect();
    let then: Vec<_> = builds.iter().cloned().collect();
    let snapshot = builds.clone();
    for build in &then {
        builds.remove(&build.uuid);
        builds.insert(dice.build());
    }
    assert_ne!(builds, snapshot);
    assert_eq!(Recount::census(&snapshot), Recount::of(then.iter()));
    assert_eq!(snapshot.len(), then.len());
}

#[test]
fn the_same_uuids_do_not_make_equal_builds() {
    let uuid = BuildId::parse("a1").unwrap();
    let one = |state: &str| {
        let build = Build { uuid: uuid.clone(), state: Some(state.to_owned()), ..Build::clone(&Dice(7).build()) };
        Builds::from_iter([Arc::new(build)])
    };
    assert_eq!(one("running"), one("running"));
    assert_ne!(one("running"), one("completed"));
    assert_ne!(one("running"), Builds::default());
}

#[test]
fn names_that_nobody_has_count_nothing() {
    let builds = Builds::default();
    assert!(builds.is_empty());
    assert_eq!((builds.count_of("acme"), builds.of_tenant("acme").count()), (0, 0));
    assert_eq!((builds.running_in(None), builds.running_in(Zone::parse("east").as_ref())), (0, 0));
}
