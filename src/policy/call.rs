//! The call of a script that runs now: what it is for, what it may know, and how much it may still print. One engine
//! runs one call at a time.

use std::sync::Arc;

use mlua::Lua;

use super::description::Phase;
use super::rank::rank;
use super::{Known, Moment, Request, World};
use crate::names::BuildId;
use crate::registry::{Components, Snapshot};

/// Lines that one call may print.
const MAX_LINES: usize = 16;

/// What the functions of a script's world need of the call that runs; kept in the engine.
#[derive(Debug, Default)]
pub(super) struct Call {
    phase: Phase,
    /// `None` while there is nothing to know.
    held: Option<Held>,
    seed: u64,
    affinity: Affinity,
    explaining: bool,
    printed: usize,
    /// Lines that it may print beyond what others may.
    allowance: usize,
}

/// What is the same for all requests for one build, and for as good as no other.
#[derive(Debug)]
enum Affinity {
    /// Of a build; few policies want to know.
    Build(BuildId),
    Known(u64),
}

/// What is known during a call, kept for as long as it runs.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) world: Arc<World>,
    pub(super) at: Moment,
}

impl Call {
    /// The script runs for the first time, and decides nothing yet. Routes that it makes now are made once.
    pub(super) fn loading() -> Self {
        Self { explaining: true, ..Self::default() }
    }

    /// One call of another hook than `route`.
    pub(super) fn of(phase: Phase, known: &Known<'_>) -> Self {
        Self { phase, held: Some(Held::of(known)), ..Self::default() }
    }

    /// A case of a test, which knows nothing but what it makes up.
    pub(super) fn testing() -> Self {
        Self { phase: Phase::Testing, ..Self::default() }
    }

    /// One input of somebody who tries things out: it reads as `route` does, and prints up to `lines` lines.
    pub(super) fn trying(known: &Known<'_>, lines: usize) -> Self {
        Self { allowance: lines.saturating_sub(MAX_LINES), ..Self::of(Phase::Deciding, known) }
    }

    pub(super) fn deciding(request: &Request<'_>, explaining: bool) -> Self {
        let affinity = match request.uuid {
            Some(uuid) => Affinity::Build(uuid.clone()),
            None => Affinity::Known(rank(0, request.query.as_bytes())),
        };
        Self { seed: request.seed, affinity, explaining, ..Self::of(Phase::Deciding, &request.known) }
    }

    /// The components that there are, and the number by which this request orders what is equally good.
    pub(super) fn components(&self) -> Option<(&Arc<Components>, u64)> {
        self.held.as_ref().map(|held| (&held.snapshot.components, self.seed))
    }

    /// How many lines may follow the one that is to be printed now; `None` if that is one too many.
    pub(super) fn line_to_print(&mut self) -> Option<usize> {
        let left = (MAX_LINES + self.allowance).checked_sub(self.printed + 1)?;
        self.printed += 1;
        Some(left)
    }
}

impl Affinity {
    fn get(&self) -> u64 {
        match self {
            Self::Build(uuid) => rank(0, uuid.as_str().as_bytes()),
            Self::Known(affinity) => *affinity,
        }
    }
}

impl Default for Affinity {
    fn default() -> Self {
        Self::Known(0)
    }
}

impl Held {
    fn of(known: &Known<'_>) -> Self {
        Self { snapshot: Arc::clone(known.snapshot), world: Arc::clone(known.world), at: known.at }
    }
}

/// What the script in `lua` is doing.
pub(super) fn phase(lua: &Lua) -> Phase {
    lua.app_data_ref::<Call>().map(|call| call.phase).unwrap_or_default()
}

/// What the script may know now; `None` while its file is loaded.
pub(super) fn held(lua: &Lua) -> Option<Held> {
    lua.app_data_ref::<Call>()?.held.clone()
}

/// Lets time pass for the script in `lua`, which waited until `at`.
pub(super) fn waited(lua: &Lua, at: Moment) {
    if let Some(held) = lua.app_data_mut::<Call>().as_mut().and_then(|call| call.held.as_mut()) {
        held.at = at;
    }
}

/// The number by which this request orders what is equally good.
pub(super) fn seed(lua: &Lua) -> u64 {
    lua.app_data_ref::<Call>().map(|call| call.seed).unwrap_or_default()
}

/// The number by which every request for the same build orders what is equally good.
pub(super) fn affinity(lua: &Lua) -> u64 {
    lua.app_data_ref::<Call>().map(|call| call.affinity.get()).unwrap_or_default()
}

/// Whether somebody wants to know which line made a route.
pub(super) fn is_explained(lua: &Lua) -> bool {
    lua.app_data_ref::<Call>().is_some_and(|call| call.explaining)
}
