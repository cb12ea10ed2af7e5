//! Sees what scripts do while they are tested: which of their lines run, and what they print. It changes nothing of it.

use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlua::{Function, Lua};

use crate::policy::program::Surroundings;

/// Most lines that one case may print.
pub(in crate::policy) const MAX_PRINTED: usize = 200;

/// What was seen. Clones are the same one.
#[derive(Clone, Default)]
pub(in crate::policy) struct Probe(Arc<Mutex<Seen>>);

/// How often each line that can run did, by file and line.
pub(super) type Lines = BTreeMap<String, BTreeMap<usize, u64>>;

#[derive(Default)]
struct Seen {
    lines: Lines,
    printed: Vec<String>,
}

/// The chunks of one engine whose lines count; kept in the engine.
#[derive(Default)]
struct Watched(Vec<(String, Function)>);

impl Probe {
    /// Takes note of a printed line.
    pub(in crate::policy) fn print(&self, line: String) {
        let mut seen = self.lock();
        if seen.printed.len() < MAX_PRINTED {
            seen.printed.push(line);
        }
    }

    /// What was printed since this was asked last.
    pub(in crate::policy) fn take_printed(&self) -> Vec<String> {
        mem::take(&mut self.lock().printed)
    }

    pub(super) fn lines(&self) -> Lines {
        self.lock().lines.clone()
    }

    /// Adds what `chunk` and the functions in it counted since they were loaded.
    fn count(&self, title: &str, chunk: &Function) {
        let mut seen = self.lock();
        let lines = seen.lines.entry(title.to_owned()).or_default();
        chunk.coverage(|function| {
            // Negative where no code is.
            let hits =
                function.hits.iter().enumerate().filter_map(|(line, hits)| Some((line, u64::try_from(*hits).ok()?)));
            hits.for_each(|(line, hits)| *lines.entry(line).or_default() += hits);
        });
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The probe of the engine `lua`, where somebody wants to see what it does.
pub(in crate::policy) fn of(lua: &Lua) -> Option<Probe> {
    lua.app_data_ref::<Surroundings>()?.probe.clone()
}

/// Makes the engine `lua` one whose lines can be counted.
pub(in crate::policy) fn prepare(lua: &Lua) {
    if of(lua).is_some() {
        lua.set_app_data(Watched::default());
    }
}

/// Has the lines of `chunk` counted, which is of the file called `title`, in an engine that was prepared for it.
pub(in crate::policy) fn watch(lua: &Lua, title: &str, chunk: &Function) {
    if let Some(mut watched) = lua.app_data_mut::<Watched>() {
        watched.0.push((title.to_owned(), chunk.clone()));
    }
}

/// Takes the counts of an engine that ends.
pub(in crate::policy) fn collect(lua: &Lua) {
    let Some((probe, watched)) = of(lua).zip(lua.remove_app_data::<Watched>()) else { return };
    // Counting takes memory, of which the script may have left none.
    if lua.set_memory_limit(0).is_ok() {
        watched.0.iter().for_each(|(title, chunk)| probe.count(title, chunk));
    }
}

impl PartialEq for Probe {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").finish_non_exhaustive()
    }
}
