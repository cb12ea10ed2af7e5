//! Every build that is known, with a census that every change keeps true: who has how many, and where they run.
//! Counting never walks over all builds, and a clone costs nothing: clones share whatever did not change since.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::names::{BuildId, Zone};
use crate::registry::model::Build;

#[cfg(test)]
mod tests;

/// Builds by uuid, by tenant, and counted by zone and state.
#[derive(Debug, Clone, Default)]
pub struct Builds {
    /// The builds are the keys: most of the map's places are free, and each takes the room of an entry.
    by_uuid: imbl::HashMap<ByUuid, ()>,
    by_tenant: imbl::OrdMap<String, imbl::OrdSet<ByUuid>>,
    running: imbl::OrdMap<Option<Zone>, usize>,
    states: imbl::OrdMap<String, usize>,
}

/// A build that stands among others by its uuid alone: a list or a map needs no more than a pointer a build.
#[derive(Debug, Clone)]
struct ByUuid(Arc<Build>);

impl Builds {
    /// The build called `uuid`.
    pub fn get(&self, uuid: &BuildId) -> Option<&Arc<Build>> {
        self.by_uuid.get_key_value(uuid).map(|(ByUuid(build), ())| build)
    }

    /// Whether there is a build called `uuid`.
    pub fn contains(&self, uuid: &BuildId) -> bool {
        self.by_uuid.contains_key(uuid)
    }

    /// How many there are, running or not.
    pub fn len(&self) -> usize {
        self.by_uuid.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_uuid.is_empty()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Build>> {
        self.by_uuid.keys().map(|ByUuid(build)| build)
    }

    /// The builds of `tenant` by uuid, running or not. Takes time for these alone, however many others there are.
    pub fn of_tenant(&self, tenant: &str) -> impl Iterator<Item = &Arc<Build>> {
        self.by_tenant.get(tenant).into_iter().flatten().map(|ByUuid(build)| build)
    }

    /// How many builds `tenant` has, running or not.
    pub fn count_of(&self, tenant: &str) -> usize {
        self.by_tenant.get(tenant).map_or(0, imbl::OrdSet::len)
    }

    /// Every tenant that has builds, by name, and how many it has, running or not.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, usize)> {
        self.by_tenant.iter().map(|(tenant, builds)| (tenant.as_str(), builds.len()))
    }

    /// How many builds run in `zone`, or, for `None`, on executors without a zone. See [`Build::runs_on`].
    pub fn running_in(&self, zone: Option<&Zone>) -> usize {
        self.running.get(&zone.cloned()).copied().unwrap_or(0)
    }

    /// Every zone where builds run, by name, and how many do. `None`, which is no zone, comes first.
    pub fn zones(&self) -> impl Iterator<Item = (Option<&Zone>, usize)> {
        self.running.iter().map(|(zone, count)| (zone.as_ref(), *count))
    }

    /// Every state that builds are in, by its name in Zuul, and how many are.
    pub fn states(&self) -> impl Iterator<Item = (&str, usize)> {
        self.states.iter().map(|(state, count)| (state.as_str(), *count))
    }

    /// Takes `build` in, and returns the one that it replaces.
    pub fn insert(&mut self, build: Arc<Build>) -> Option<Arc<Build>> {
        let replaced = self.remove(&build.uuid);
        self.count(&build);
        self.by_uuid.insert(ByUuid(build), ());
        replaced
    }

    /// Takes the build called `uuid` out.
    pub fn remove(&mut self, uuid: &BuildId) -> Option<Arc<Build>> {
        let (ByUuid(build), ()) = self.by_uuid.remove_with_key(uuid)?;
        self.discount(&build);
        Some(build)
    }

    /// Takes all builds out but those that are to `keep`.
    pub fn retain(&mut self, keep: impl Fn(&Build) -> bool) {
        let gone: Vec<BuildId> = self.iter().filter(|build| !keep(build)).map(|build| build.uuid.clone()).collect();
        for uuid in &gone {
            self.remove(uuid);
        }
    }

    fn count(&mut self, build: &Arc<Build>) {
        if let Some(tenant) = &build.tenant {
            let known = ByUuid(Arc::clone(build));
            match self.by_tenant.get_mut(tenant) {
                Some(builds) => drop(builds.insert(known)),
                None => drop(self.by_tenant.insert(tenant.clone(), imbl::OrdSet::unit(known))),
            }
        }
        if let Some(worker) = build.runs_on() {
            add(&mut self.running, &worker.zone);
        }
        if let Some(state) = &build.state {
            add(&mut self.states, state);
        }
    }

    fn discount(&mut self, build: &Arc<Build>) {
        if let Some(tenant) = &build.tenant {
            self.take_from_tenant(tenant, build);
        }
        if let Some(worker) = build.runs_on() {
            subtract(&mut self.running, &worker.zone);
        }
        if let Some(state) = &build.state {
            subtract(&mut self.states, state);
        }
    }

    /// A tenant without builds is not kept: names come and go, and memory must not remember them all.
    fn take_from_tenant(&mut self, tenant: &str, build: &Arc<Build>) {
        let Some(builds) = self.by_tenant.get_mut(tenant) else { return };
        builds.remove(&ByUuid(Arc::clone(build)));
        if builds.is_empty() {
            self.by_tenant.remove(tenant);
        }
    }
}

impl FromIterator<Arc<Build>> for Builds {
    /// Of two builds with one uuid, the later counts.
    fn from_iter<I: IntoIterator<Item = Arc<Build>>>(builds: I) -> Self {
        let mut known = Self::default();
        for build in builds {
            known.insert(build);
        }
        known
    }
}

impl PartialEq for Builds {
    /// Equal builds have an equal census.
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|build| other.get(&build.uuid) == Some(build))
    }
}

impl Eq for Builds {}

impl Borrow<BuildId> for ByUuid {
    fn borrow(&self) -> &BuildId {
        &self.0.uuid
    }
}

impl Hash for ByUuid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.uuid.hash(state);
    }
}

impl PartialEq for ByUuid {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByUuid {}

impl PartialOrd for ByUuid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByUuid {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.uuid.cmp(&other.0.uuid)
    }
}

fn add<K: Ord + Clone>(counts: &mut imbl::OrdMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(counts.insert(key.clone(), 1)),
    }
}

fn subtract<K: Ord + Clone>(counts: &mut imbl::OrdMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count -= 1,
        _ => drop(counts.remove(key)),
    }
}
