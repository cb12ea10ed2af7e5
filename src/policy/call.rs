//! The call of a script that runs now: what it is for, what it may know, and how much it may still print. One engine
//! runs one call at a time.

use std::sync::Arc;

use mlua::Lua;

use super::Request;
use super::description::Phase;
use crate::registry::Components;

/// Lines that one call may print.
const MAX_LINES: usize = 16;

/// What the functions of a script's world need of the call that runs; kept in the engine.
#[derive(Debug, Default)]
pub(super) struct Call {
    phase: Phase,
    /// `None` while nothing is decided.
    components: Option<Arc<Components>>,
    seed: u64,
    explaining: bool,
    printed: usize,
}

impl Call {
    /// The script runs for the first time, and decides nothing yet. Routes that it makes now are made once.
    pub(super) fn loading() -> Self {
        Self { explaining: true, ..Self::default() }
    }

    pub(super) fn deciding(request: &Request<'_>, explaining: bool) -> Self {
        let components = Some(Arc::clone(&request.known.snapshot.components));
        Self { phase: Phase::Deciding, components, seed: request.seed, explaining, printed: 0 }
    }

    /// How many lines may follow the one that is to be printed now; `None` if that is one too many.
    pub(super) fn line_to_print(&mut self) -> Option<usize> {
        let left = MAX_LINES.checked_sub(self.printed + 1)?;
        self.printed += 1;
        Some(left)
    }
}

/// What the script in `lua` is doing.
pub(super) fn phase(lua: &Lua) -> Phase {
    lua.app_data_ref::<Call>().map(|call| call.phase).unwrap_or_default()
}

/// The components that the decision is made on, and its seed.
pub(super) fn components(lua: &Lua) -> (Arc<Components>, u64) {
    let call = lua.app_data_ref::<Call>();
    call.map(|call| (call.components.clone().unwrap_or_default(), call.seed)).unwrap_or_default()
}

/// Whether somebody wants to know which line made a route.
pub(super) fn is_explained(lua: &Lua) -> bool {
    lua.app_data_ref::<Call>().is_some_and(|call| call.explaining)
}
