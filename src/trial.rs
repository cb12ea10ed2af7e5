//! What another policy would do, before it does it: every running build is decided by both, as a relay of each zone
//! would. It dials nobody, changes nothing, and never holds a thread for longer than it was given.

pub mod replay;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

use crate::config::settings::{DryRun, Settings};
use crate::generation::Generation;
use crate::metrics;
use crate::names::{BuildId, Hostname, Zone};
use crate::policy::{Failure, Known, Place, Policy, Request};
use crate::registry::Build;
use crate::route::{Route, Way};

/// Failures after which the rest is not asked: a policy that fails so often is judged, and each may take its limit.
const MAX_FAILURES: usize = 100;

/// Decisions between two looks at the clock.
const STRIDE: usize = 64;

/// The policy that decides now, and the one that wants to.
#[derive(Debug)]
pub struct Trial<'a> {
    /// The one that decides now.
    pub active: &'a Policy,
    /// The one that wants to.
    pub candidate: &'a Policy,
    /// The builds, and the components to reach them.
    pub known: Known<'a>,
    /// The relay's own zone, one of those that are tried.
    pub zone: Option<&'a Zone>,
    /// The relay's name.
    pub hostname: &'a Hostname,
    /// The listener on which the builds are asked for.
    pub listener: &'a str,
}

/// Everything in which two policies differ.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Equal changes of one zone's relay as one, by zone.
    pub changes: Vec<Change>,
    /// Running builds.
    pub builds: usize,
    /// Zones whose relays were tried; being in no zone counts as one.
    pub zones: usize,
    /// Decisions that were compared.
    pub decisions: usize,
    /// Decisions that would have been, but for the deadline or too many failures.
    pub left_out: usize,
}

/// What would change for some builds at a relay of one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The relay's zone.
    pub zone: Option<Zone>,
    /// How bad it is.
    pub kind: Kind,
    /// What is decided now, in short.
    pub now: String,
    /// What would be decided, in short.
    pub then: String,
    /// How many builds it concerns.
    pub builds: usize,
    /// One of them.
    pub example: BuildId,
}

/// How bad a change is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The candidate fails.
    Failed,
    /// The build has a way now, and would have none.
    Unroutable,
    /// It would go another way.
    Rerouted,
    /// It has no way now, and would have one, or another answer.
    Answered,
}

/// What changes alike: how bad it is, what is decided now, and what would be.
type Alike = (Kind, String, String);

impl<'a> Trial<'a> {
    /// `candidate` against the policy of `active`, for a relay where that one stands.
    pub fn new(active: &'a Generation, candidate: &'a Policy, known: Known<'a>) -> Self {
        let Settings { zone, hostname, listeners, .. } = &active.settings;
        let listener = listeners.first().map_or("", |listener| listener.name.as_str());
        Self { active: &active.policy, candidate, known, zone: zone.as_ref(), hostname, listener }
    }

    /// Decides every running build for every zone, until `deadline`.
    pub fn run(&self, deadline: Instant) -> Comparison {
        let running = self.known.snapshot.builds.iter().filter(|build| build.worker.is_some());
        let mut builds: Vec<&Arc<Build>> = running.collect();
        builds.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        let zones = self.zones();
        let mut found = Comparison { builds: builds.len(), zones: zones.len(), ..Comparison::default() };
        for zone in zones {
            self.run_in(zone, &builds, deadline, &mut found);
        }
        found.left_out = found.builds * found.zones - found.decisions;
        found
    }

    /// Every zone that the registry knows, and the relay's own.
    fn zones(&self) -> BTreeSet<Option<&Zone>> {
        let components = &self.known.snapshot.components;
        let gateways = components.gateways.iter().filter_map(|gateway| gateway.zone.as_ref());
        let executors = components.executors.iter().filter_map(|executor| executor.zone.as_ref());
        self.known.snapshot.zones.iter().chain(gateways).chain(executors).map(Some).chain([self.zone]).collect()
    }

    fn run_in(&self, zone: Option<&Zone>, builds: &[&Arc<Build>], deadline: Instant, found: &mut Comparison) {
        let place = Place { zone: zone.cloned(), hostname: self.hostname.clone() };
        // Counted apart: nobody asked for these decisions.
        let [active, candidate] =
            [self.active, self.candidate].map(|policy| policy.placed(&place, &metrics::Policy::default()));
        let mut changes: BTreeMap<Alike, (usize, BuildId)> = BTreeMap::new();
        let mut failures = found.count(Kind::Failed);
        for (index, build) in builds.iter().enumerate() {
            if failures >= MAX_FAILURES || (index % STRIDE == 0 && Instant::now() >= deadline) {
                break;
            }
            found.decisions += 1;
            let (now, then) = (self.decide(&active, build), self.decide(&candidate, build));
            let Some(change) = change(&now, &then) else { continue };
            failures += usize::from(change.0 == Kind::Failed);
            changes.entry(change).or_insert_with(|| (0, build.uuid.clone())).0 += 1;
        }
        let change =
            |((kind, now, then), (builds, example))| Change { zone: zone.cloned(), kind, now, then, builds, example };
        found.changes.extend(changes.into_iter().map(change));
    }

    fn decide(&self, policy: &Policy, build: &Arc<Build>) -> Result<Route, Failure> {
        policy.route(&Request {
            query: build.uuid.as_str(),
            uuid: Some(&build.uuid),
            build: Some(build),
            known: self.known,
            listener: self.listener,
            peer: IpAddr::V6(Ipv6Addr::LOCALHOST),
            server_name: None,
            identity: None,
            seed: 0,
        })
    }
}

impl Comparison {
    /// Whether nothing would change, as far as it was asked.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many decisions would change in this way.
    pub fn count(&self, kind: Kind) -> usize {
        self.changes.iter().filter(|change| change.kind == kind).map(|change| change.builds).sum()
    }

    /// The worst of what would change, if `rule` keeps the candidate out for it.
    pub fn objection(&self, rule: DryRun) -> Option<&Change> {
        self.changes.iter().filter(|change| change.kind.breaks(rule)).min_by_key(|change| change.kind)
    }
}

impl Kind {
    fn breaks(self, rule: DryRun) -> bool {
        match rule {
            DryRun::Strict => self <= Self::Unroutable,
            DryRun::Errors => self == Self::Failed,
            DryRun::Off => false,
        }
    }
}

/// Whether the viewer gets what it came for, or what the policy has for it instead.
fn answers(route: &Route) -> bool {
    !matches!(route.way, Way::Refuse(_))
}

fn change(now: &Result<Route, Failure>, then: &Result<Route, Failure>) -> Option<Alike> {
    if now == then && then.is_ok() {
        return None;
    }
    let kind = match (now, then) {
        (_, Err(_)) => Kind::Failed,
        (Ok(now), Ok(then)) if answers(now) && answers(then) => Kind::Rerouted,
        (Ok(now), _) if answers(now) => Kind::Unroutable,
        _ => Kind::Answered,
    };
    Some((kind, report::short(now), report::short(then)))
}
