//! What another policy would do, before it does it: every running build is decided by both, as a relay of each zone
//! would decide it on each of its listeners. It dials nobody, changes nothing, and never holds a thread for longer than
//! it was given.

mod comparison;
pub mod replay;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Instant;

pub use self::comparison::{Change, Comparison, Kind};
use self::run::Run;
pub(crate) use self::verdict::{Verdict, change};
use crate::config::settings::{self, Settings};
use crate::generation::Generation;
use crate::names::{Hostname, Zone};
use crate::policy::{Known, Policy, Request};
use crate::registry::Build;

/// Most listeners on which builds are asked for: a relay has few, and each costs as much as the first.
const MAX_LISTENERS: usize = 8;

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
    /// The listeners on which the builds are asked for, the most important first.
    pub listeners: Vec<&'a str>,
}

impl<'a> Trial<'a> {
    /// `candidate` against the policy of `active`, for a relay where that one stands, with its `listeners` as they are
    /// to be: at most eight of them, the first, then those that a rule of either policy names, then the others.
    pub fn new(
        active: &'a Generation,
        candidate: &'a Policy,
        listeners: &'a [settings::Listener],
        known: Known<'a>,
    ) -> Self {
        let Settings { zone, hostname, .. } = &active.settings;
        let named: BTreeSet<&str> = active.policy.named_listeners().chain(candidate.named_listeners()).collect();
        let listeners = in_order(listeners, &named);
        Self { active: &active.policy, candidate, known, zone: zone.as_ref(), hostname, listeners }
    }

    /// Decides every running build for every zone on every listener, until `deadline`. What matters most comes first:
    /// what this relay would do, and then what another zone's would do on its first listener.
    pub fn run(&self, deadline: Instant) -> Comparison {
        let running = self.known.snapshot.builds.iter().filter(|build| build.runs_on().is_some());
        let mut builds: Vec<&Arc<Build>> = running.collect();
        builds.sort_by(|a, b| a.uuid.cmp(&b.uuid));
        let zones = self.zones();
        let mut run = Run::new(self, &builds, deadline);
        run.at(self.zone, &self.listeners);
        let (first, others) = self.listeners.split_at(self.listeners.len().min(1));
        for listeners in [first, others] {
            zones.iter().filter(|zone| **zone != self.zone).for_each(|zone| run.at(*zone, listeners));
        }
        run.end(zones.len())
    }

    /// Every zone that the registry knows, and the relay's own.
    fn zones(&self) -> BTreeSet<Option<&'a Zone>> {
        self.known.snapshot.named_zones().into_iter().map(Some).chain([self.zone]).collect()
    }

    /// As somebody whom nobody knows would ask.
    fn request<'b>(&'b self, build: &'b Arc<Build>, listener: &'b str) -> Request<'b> {
        Request {
            query: build.uuid.as_str(),
            uuid: Some(&build.uuid),
            build: Some(build),
            known: self.known,
            listener,
            peer: IpAddr::V6(Ipv6Addr::LOCALHOST),
            server_name: None,
            identity: None,
            seed: 0,
        }
    }
}

/// The first of `listeners`, then those that are `named`, then the others; no more than [`MAX_LISTENERS`].
fn in_order<'a>(listeners: &'a [settings::Listener], named: &BTreeSet<&str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    if let Some((_, others)) = names.split_first_mut() {
        others.sort_by_key(|name| !named.contains(name));
    }
    names.truncate(MAX_LISTENERS);
    names
}
