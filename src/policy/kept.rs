//! What an engine keeps from call to call because it costs more to make than to find: the strings of zones' names,
//! the values of gateways, and ways through these. Scripts see no difference but in time. Never grows past its bounds,
//! and never keeps a registry's old components alive.

use std::hash::Hasher as _;
use std::ptr;
use std::sync::{Arc, Weak};

use mlua::{AnyUserData, Lua, LuaString};
use rustc_hash::{FxHashMap, FxHasher};

use super::facts::Fact;
use crate::names::{Hostname, Zone};
use crate::registry::{Components, Gateway};

/// Zones whose names or gateways are kept: a script may ask for any text.
const MAX_ZONES: usize = 256;

/// Ways through gateways that are kept, and the most gateways of one: in any order, four of them make 24.
const MAX_WAYS: usize = 128;
const MAX_STEPS: usize = 8;

/// The things kept, which live in the engine.
#[derive(Default)]
pub(super) struct Kept {
    names: FxHashMap<Zone, LuaString>,
    /// What `gateways` were made from. Weak, so that an engine at rest holds nothing of the registry; while it is
    /// held, no other components can have their address.
    components: Weak<Components>,
    gateways: FxHashMap<Box<[u8]>, Vec<Listed>>,
    /// By a hash of where their gateways are in memory, which each way holds there.
    ways: FxHashMap<u64, Through>,
}

/// A way through gateways without options, as scripts see it.
struct Through {
    gateways: Vec<Arc<Gateway>>,
    way: AnyUserData,
}

/// A gateway, and what scripts see of it.
pub(super) struct Listed {
    pub(super) gateway: Arc<Gateway>,
    pub(super) value: AnyUserData,
}

impl Kept {
    /// The name of `zone` as Lua sees it.
    pub(super) fn name(&mut self, lua: &Lua, zone: &Zone) -> mlua::Result<LuaString> {
        if let Some(name) = self.names.get(zone) {
            return Ok(name.clone());
        }
        if self.names.len() >= MAX_ZONES {
            self.names.clear();
        }
        let name = lua.create_string(zone.as_str())?;
        self.names.insert(zone.clone(), name.clone());
        Ok(name)
    }

    /// The gateways that `components` have for `zone`.
    pub(super) fn gateways(&mut self, lua: &Lua, components: &Arc<Components>, zone: &[u8]) -> mlua::Result<&[Listed]> {
        if !ptr::eq(self.components.as_ptr(), Arc::as_ptr(components)) {
            self.components = Arc::downgrade(components);
            self.gateways.clear();
            self.ways.clear();
        }
        if !self.gateways.contains_key(zone) {
            let found = list(lua, components, zone)?;
            // What no gateway serves is any text, of any length, which Lua's memory limit would not count here.
            if found.is_empty() {
                return Ok(&[]);
            }
            if self.gateways.len() >= MAX_ZONES {
                self.gateways.clear();
            }
            self.gateways.insert(zone.into(), found);
        }
        Ok(self.gateways.get(zone).map_or(&[], Vec::as_slice))
    }

    /// The way through `gateways` in this order, if it was kept.
    pub(super) fn way(&self, gateways: &[Arc<Gateway>]) -> Option<&AnyUserData> {
        let Through { gateways: kept, way } = self.ways.get(&place(gateways))?;
        let same = kept.len() == gateways.len() && kept.iter().zip(gateways).all(|(kept, it)| Arc::ptr_eq(kept, it));
        same.then_some(way)
    }

    /// Keeps the `way` through `gateways` in this order, if there is room for it.
    pub(super) fn keep_way(&mut self, gateways: Vec<Arc<Gateway>>, way: AnyUserData) {
        if gateways.len() > MAX_STEPS {
            return;
        }
        if self.ways.len() >= MAX_WAYS {
            self.ways.clear();
        }
        self.ways.insert(place(&gateways), Through { gateways, way });
    }
}

/// A hash of where `gateways` are.
fn place(gateways: &[Arc<Gateway>]) -> u64 {
    let mut hasher = FxHasher::default();
    gateways.iter().for_each(|gateway| hasher.write_usize(Arc::as_ptr(gateway).addr()));
    hasher.finish()
}

fn list(lua: &Lua, components: &Components, zone: &[u8]) -> mlua::Result<Vec<Listed>> {
    let serves = |gateway: &&Arc<Gateway>| gateway.zone.as_ref().is_some_and(|own| own.as_str().as_bytes() == zone);
    let listed = |gateway: &Arc<Gateway>| {
        let gateway = Arc::new(apart(gateway));
        let value = lua.create_userdata(Fact(Arc::clone(&gateway)))?;
        Ok(Listed { gateway, value })
    };
    components.gateways.iter().filter(serves).map(listed).collect()
}

/// A copy that shares no counter of references with the registry's, nor with another engine's: every target holds
/// some of these, and threads that count in one place wait for each other.
fn apart(gateway: &Gateway) -> Gateway {
    let hostname = Hostname::parse(gateway.hostname.as_str()).unwrap_or_else(|| gateway.hostname.clone());
    Gateway { id: (*gateway.id).into(), hostname, ..gateway.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_zones_are_asked_for_few_are_kept() {
        let (lua, mut kept, components) = (Lua::new(), Kept::default(), Arc::default());
        for number in 0..2 * MAX_ZONES {
            let zone = Zone::parse(&number.to_string()).unwrap();
            assert_eq!(kept.name(&lua, &zone).unwrap(), zone.as_str());
            assert!(kept.gateways(&lua, &components, zone.as_str().as_bytes()).unwrap().is_empty());
            assert!(kept.names.len() <= MAX_ZONES && kept.gateways.len() <= MAX_ZONES);
        }
    }

    #[test]
    fn a_way_is_that_through_these_gateways_in_this_order() {
        let (lua, mut kept) = (Lua::new(), Kept::default());
        let gateway =
            |host: &str| Arc::new(crate::policy::tests::gateway(host, "there", crate::registry::State::Running));
        let (a, b) = (gateway("a"), gateway("b"));
        let way = lua.create_userdata(Fact(Arc::clone(&a))).unwrap();
        kept.keep_way(vec![Arc::clone(&a), Arc::clone(&b)], way.clone());
        assert_eq!(kept.way(&[Arc::clone(&a), Arc::clone(&b)]), Some(&way));
        assert_eq!(kept.way(&[Arc::clone(&b), Arc::clone(&a)]), None);
        assert_eq!(kept.way(&[a]), None);
        assert_eq!(kept.way(&[gateway("a"), b]), None);
        (0..2 * MAX_WAYS).for_each(|_| kept.keep_way(vec![gateway("c")], way.clone()));
        assert!(kept.ways.len() <= MAX_WAYS);
        kept.keep_way(vec![gateway("d"); MAX_STEPS + 1], way);
        assert!(kept.ways.values().all(|through| through.gateways.len() <= MAX_STEPS));
        kept.gateways(&lua, &Arc::default(), b"there").unwrap();
        assert!(kept.ways.is_empty());
    }

    #[test]
    fn other_components_are_seen_at_once_and_old_ones_let_go() {
        let (lua, mut kept) = (Lua::new(), Kept::default());
        let with = Arc::new(Components {
            gateways: vec![Arc::new(crate::policy::tests::gateway("gw", "there", crate::registry::State::Running))],
            ..Components::default()
        });
        assert_eq!(kept.gateways(&lua, &with, b"there").unwrap().len(), 1);
        assert_eq!((Arc::strong_count(&with), Arc::strong_count(&with.gateways[0])), (1, 1));
        assert!(kept.gateways(&lua, &Arc::default(), b"there").unwrap().is_empty());
    }
}
