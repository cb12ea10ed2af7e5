//! What an engine keeps from call to call because it costs more to make than to find: the strings of zones' names, and
//! the values of gateways. Scripts see no difference but in time. Never grows past its bounds, and never keeps a
//! registry's old components alive.

use std::ptr;
use std::sync::{Arc, Weak};

use mlua::{AnyUserData, Lua, LuaString};
use rustc_hash::FxHashMap;

use super::facts::Fact;
use crate::names::{Hostname, Zone};
use crate::registry::{Components, Gateway};

/// Zones whose names or gateways are kept: a script may ask for any text.
const MAX_ZONES: usize = 256;

/// The things kept, which live in the engine.
#[derive(Default)]
pub(super) struct Kept {
    names: FxHashMap<Zone, LuaString>,
    /// What `gateways` were made from. Weak, so that an engine at rest holds nothing of the registry; while it is
    /// held, no other components can have their address.
    components: Weak<Components>,
    gateways: FxHashMap<Box<[u8]>, Vec<Listed>>,
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
