//! A trial on its way: what was decided so far, and in what it differs. It knows nothing of what that means.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::verdict::{self, Alike, Verdict};
use super::{Change, Comparison, Trial};
use crate::metrics;
use crate::names::{BuildId, Zone};
use crate::policy::{Place, Policy};
use crate::registry::Build;

/// Failures and broken invariants after which the rest is not asked: a policy that fails so often is judged, and each
/// failure may take its limit.
pub(super) const MAX_FAILURES: usize = 100;

/// Changes that are told apart, in all zones; those beyond are counted by how bad they are. A policy may have words of
/// its own for each build.
const MAX_CHANGES: usize = 1000;

/// Said of the changes that are not told apart.
const OTHERWISE: &str = "one of many other ways";

/// A trial with what it found so far.
pub(super) struct Run<'a> {
    trial: &'a Trial<'a>,
    builds: &'a [&'a Arc<Build>],
    deadline: Instant,
    decisions: usize,
    failures: usize,
    /// Changes that are told apart.
    apart: usize,
    changes: BTreeMap<Option<&'a Zone>, Changes<'a>>,
}

/// What changes at a relay of one zone: for each listener that sees a change, how many builds do, and one of them.
type Changes<'a> = BTreeMap<Alike, BTreeMap<&'a str, (usize, &'a BuildId)>>;

impl<'a> Run<'a> {
    pub(super) fn new(trial: &'a Trial<'a>, builds: &'a [&'a Arc<Build>], deadline: Instant) -> Self {
        Self { trial, builds, deadline, decisions: 0, failures: 0, apart: 0, changes: BTreeMap::new() }
    }

    /// Decides as a relay of `zone` would on these listeners.
    pub(super) fn at(&mut self, zone: Option<&'a Zone>, listeners: &[&'a str]) {
        if listeners.is_empty() || self.is_over() {
            return;
        }
        let place = Place { zone: zone.cloned(), hostname: self.trial.hostname.clone() };
        // Counted apart: nobody asked for these decisions.
        let both = [self.trial.active, self.trial.candidate];
        let both = both.map(|policy| policy.placed(&place, &metrics::Policy::default()));
        let mut changes = self.changes.remove(&zone).unwrap_or_default();
        for listener in listeners {
            self.on(listener, &both, &mut changes);
        }
        self.changes.insert(zone, changes);
    }

    fn on(&mut self, listener: &'a str, [active, candidate]: &[Policy; 2], changes: &mut Changes<'a>) {
        for build in self.builds {
            if self.is_over() {
                return;
            }
            self.decisions += 1;
            let request = self.trial.request(build, listener);
            let (now, then) = (Verdict::of(active, &request), Verdict::checked(candidate, &request));
            let Some(change) = verdict::change(&now, &then) else { continue };
            self.failures += usize::from(change.0.is_failure());
            let change = self.told_apart(change, changes);
            changes.entry(change).or_default().entry(listener).or_insert((0, &build.uuid)).0 += 1;
        }
    }

    /// `change` itself, or what stands for it where there are too many.
    fn told_apart(&mut self, change: Alike, known: &Changes<'a>) -> Alike {
        if known.contains_key(&change) {
            return change;
        }
        if self.apart >= MAX_CHANGES {
            return (change.0, OTHERWISE.to_owned(), OTHERWISE.to_owned());
        }
        self.apart += 1;
        change
    }

    fn is_over(&self) -> bool {
        self.failures >= MAX_FAILURES || Instant::now() >= self.deadline
    }

    /// All that was found, of so many zones.
    pub(super) fn end(self, zones: usize) -> Comparison {
        let Self { trial, builds, decisions, changes, .. } = self;
        let (builds, listeners) = (builds.len(), trial.listeners.len());
        let changes = changes.into_iter().flat_map(|(zone, changes)| told(zone, changes, listeners)).collect();
        Comparison { changes, builds, zones, listeners, decisions, left_out: builds * zones * listeners - decisions }
    }
}

/// The changes of one zone, those as one that so many builds see on several listeners.
fn told(zone: Option<&Zone>, changes: Changes<'_>, listeners: usize) -> Vec<Change> {
    let mut all = Vec::new();
    for ((kind, now, then), seen) in changes {
        let mut alike: BTreeMap<(usize, &BuildId), Vec<String>> = BTreeMap::new();
        for (listener, builds) in seen {
            alike.entry(builds).or_default().push(listener.to_owned());
        }
        all.extend(alike.into_iter().map(|((builds, example), on)| Change {
            zone: zone.cloned(),
            decisions: builds * on.len(),
            listeners: if on.len() == listeners { Vec::new() } else { on },
            kind,
            now: now.clone(),
            then: then.clone(),
            builds,
            example: example.clone(),
        }));
    }
    all
}
