//! What was read so far, znode by znode, and how it looks as a snapshot. Knows nothing of how it was read.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use crate::names::{BuildId, Zone};
use crate::registry::builds::Builds;
use crate::registry::malformed::Defect;
use crate::registry::model::{Build, Components, Freshness, Snapshot};
use crate::registry::znode::{self, Component, Role};

use super::paths::Place;

/// Builds, components and zones as the znodes say.
#[derive(Debug, Default)]
pub(super) struct Picture {
    builds: Builds,
    components: BTreeMap<Place, Component>,
    zones: BTreeSet<Zone>,
    /// The components as they were last shown; `None` since one of them changed.
    summary: Option<Arc<Components>>,
    shown_zones: Arc<Vec<Zone>>,
}

impl Picture {
    /// Takes what was read at `place`, `None` if nothing is there any more, and says whether that changed anything.
    ///
    /// What cannot be used changes nothing: the last good state of a znode is better than none.
    pub(super) fn take(&mut self, place: &Place, data: Option<&[u8]>) -> Result<bool, Defect> {
        match place {
            Place::Build(zone, uuid) => match data {
                Some(data) => Ok(self.put(znode::build(uuid, zone.as_ref(), data)?)),
                None => Ok(self.remove(zone.as_ref(), uuid)),
            },
            Place::Component(kind, id) => {
                let component = data.map(|data| znode::component(kind, id, data)).transpose()?;
                Ok(self.component(place, component))
            }
        }
    }

    /// Forgets everything that is not at one of `places`, which a complete listing has just shown.
    pub(super) fn keep_only(&mut self, places: &HashSet<Place>) {
        self.builds.retain(|build| places.contains(&Place::Build(build.zone.clone(), build.uuid.clone())));
        self.components.retain(|place, _| places.contains(place));
        self.summary = None;
    }

    /// Takes the zones that exist now, and forgets the builds of all others.
    pub(super) fn set_zones(&mut self, zones: BTreeSet<Zone>) {
        if self.zones == zones {
            return;
        }
        self.builds.retain(|build| build.zone.as_ref().is_none_or(|zone| zones.contains(zone)));
        self.shown_zones = Arc::new(zones.iter().cloned().collect());
        self.zones = zones;
    }

    /// Puts everything into a snapshot, which is live from now on. Costs next to nothing: all parts are shared.
    pub(super) fn show(&mut self, snapshot: &mut Snapshot) {
        snapshot.builds = self.builds.clone();
        snapshot.components =
            Arc::clone(self.summary.get_or_insert_with(|| Arc::new(summary(self.components.values()))));
        snapshot.zones = Arc::clone(&self.shown_zones);
        snapshot.freshness = Freshness::Live;
    }

    fn put(&mut self, build: Build) -> bool {
        if self.builds.get(&build.uuid).is_some_and(|known| **known == build) {
            return false;
        }
        self.builds.insert(Arc::new(build));
        true
    }

    /// A build that was moved to another zone is not removed by its end in the old one.
    fn remove(&mut self, zone: Option<&Zone>, uuid: &BuildId) -> bool {
        let here = self.builds.get(uuid).is_some_and(|build| build.zone.as_ref() == zone);
        here && self.builds.remove(uuid).is_some()
    }

    fn component(&mut self, place: &Place, component: Option<Component>) -> bool {
        if self.components.get(place) == component.as_ref() {
            return false;
        }
        match component {
            Some(component) => drop(self.components.insert(place.clone(), component)),
            None => drop(self.components.remove(place)),
        }
        self.summary = None;
        true
    }
}

fn summary<'a>(components: impl Iterator<Item = &'a Component>) -> Components {
    let mut summary = Components::default();
    for component in components {
        summary.model_api = summary.model_api.max(component.model_api);
        match &component.role {
            Role::Gateway(gateway) => summary.gateways.push(Arc::clone(gateway)),
            Role::Executor(executor) => summary.executors.push(Arc::clone(executor)),
            Role::Other => {}
        }
    }
    summary.gateways.sort_by(|a, b| (a.state, &a.id).cmp(&(b.state, &b.id)));
    summary.executors.sort_by(|a, b| a.id.cmp(&b.id));
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(zone: Option<&str>, uuid: &str) -> Place {
        Place::Build(zone.map(|zone| Zone::parse(zone).unwrap()), id(uuid))
    }

    fn id(uuid: &str) -> BuildId {
        BuildId::parse(uuid).unwrap()
    }

    fn gateway(id: &str) -> Place {
        Place::Component("fingergw".into(), id.into())
    }

    fn shown(picture: &mut Picture) -> Snapshot {
        let mut snapshot = Snapshot::default();
        picture.show(&mut snapshot);
        snapshot
    }

    #[test]
    fn only_what_changed_is_a_change() {
        let mut picture = Picture::default();
        let place = build(None, "a1");
        assert_eq!(picture.take(&place, Some(b"{}")), Ok(true));
        assert_eq!(picture.take(&place, Some(b"{}")), Ok(false));
        assert_eq!(picture.take(&place, Some(br#"{"state": "running"}"#)), Ok(true));
        assert_eq!(picture.take(&place, None), Ok(true));
        assert_eq!(picture.take(&place, None), Ok(false));
    }

    #[test]
    fn a_half_written_znode_leaves_the_last_good_state() {
        let mut picture = Picture::default();
        let place = build(None, "a1");
        picture.take(&place, Some(br#"{"state": "running"}"#)).unwrap();
        assert_eq!(picture.take(&place, Some(b"{\"st")), Err(Defect::NotJson));
        assert_eq!(shown(&mut picture).builds.get(&id("a1")).unwrap().state.as_deref(), Some("running"));
    }

    #[test]
    fn the_end_of_a_build_in_one_zone_is_not_its_end_in_another() {
        let mut picture = Picture::default();
        picture.take(&build(Some("old"), "a1"), Some(b"{}")).unwrap();
        picture.take(&build(Some("new"), "a1"), Some(b"{}")).unwrap();
        assert_eq!(picture.take(&build(Some("old"), "a1"), None), Ok(false));
        assert!(shown(&mut picture).builds.contains(&id("a1")));
    }

    #[test]
    fn a_listing_and_a_vanished_zone_take_away_what_they_do_not_show() {
        let mut picture = Picture::default();
        let places = [build(None, "a1"), build(Some("z"), "a2"), build(None, "a3")];
        for place in &places {
            picture.take(place, Some(b"{}")).unwrap();
        }
        picture.take(&gateway("gone"), Some(br#"{"hostname": "h"}"#)).unwrap();
        picture.keep_only(&places[..2].iter().cloned().collect());
        let snapshot = shown(&mut picture);
        assert_eq!((snapshot.builds.len(), snapshot.components.gateways.len()), (2, 0));
        picture.set_zones([Zone::parse("z").unwrap()].into());
        assert_eq!(shown(&mut picture).builds.len(), 2);
        picture.set_zones(BTreeSet::new());
        assert_eq!(shown(&mut picture).builds.iter().map(|build| build.uuid.as_str()).collect::<Vec<_>>(), ["a1"]);
    }

    #[test]
    fn gateways_stand_best_first_and_every_kind_counts_for_the_model_api() {
        let mut picture = Picture::default();
        for (id, state) in [("b", "stopped"), ("c", "running"), ("a", "running")] {
            let data = format!(r#"{{"hostname": "h", "state": "{state}", "model_api": 37}}"#);
            picture.take(&gateway(id), Some(data.as_bytes())).unwrap();
        }
        picture.take(&Place::Component("scheduler".into(), "s".into()), Some(br#"{"model_api": 38}"#)).unwrap();
        let components = shown(&mut picture).components;
        assert_eq!(components.gateways.iter().map(|gateway| &*gateway.id).collect::<Vec<_>>(), ["a", "c", "b"]);
        assert_eq!(components.model_api, Some(38));
    }
}
