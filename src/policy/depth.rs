//! How deep a script's calls may nest. Looks for one frame too many, which costs the same however deep they are, and
//! never walks the stack.
//!
//! Every coroutine has a stack of its own, so each may nest as deep as this. Luau itself bounds how many of them, and
//! how many metamethods and library functions, run inside of each other; see [`NESTED`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mlua::Lua;
use mlua::debug::Debug;

use super::failure::Complaint;
use super::{FailureKind, library};

/// Said in the place of Luau's "C stack overflow".
pub(super) const NESTED: &str = "the policy nested too many coroutines, metamethods or functions that library functions \
     call inside of each other, and was stopped; does one of them call itself?";

/// Turns that nobody looks after a look that found a script far from its limit.
const REST: usize = 3;

/// How far that is, in frames: two for each turn, because a `pcall` is one itself.
const FAR: usize = 2 * (REST + 1);

/// Bounds the calls of one engine. All its methods belong to the engine's thread.
#[derive(Debug)]
pub(super) struct Depth {
    limit: usize,
    exceeded: AtomicBool,
    /// Functions of the relay's own that the script's stand on.
    below: AtomicUsize,
    /// Turns until the next look.
    rest: AtomicUsize,
}

impl Depth {
    /// At most `limit` functions may have been called and not returned, counted in each coroutine, `pcall` and its
    /// like included.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            exceeded: AtomicBool::new(false),
            below: AtomicUsize::new(0),
            rest: AtomicUsize::new(0),
        })
    }

    /// Begins a new call of the engine, of which `below` functions are not the script's.
    pub(super) fn start(&self, below: usize) {
        self.below.store(below, Ordering::Relaxed);
        self.exceeded.store(false, Ordering::Relaxed);
        self.rest.store(0, Ordering::Relaxed);
    }

    /// Fails if the script that runs in `lua` is too deep, and from then on at every turn: what it calls deeper may be
    /// a `pcall`.
    pub(super) fn check(&self, lua: &Lua) -> mlua::Result<()> {
        let rest = self.rest.load(Ordering::Relaxed);
        if rest > 0 {
            self.rest.store(rest - 1, Ordering::Relaxed);
            return Ok(());
        }
        if !self.exceeded.load(Ordering::Relaxed) && !self.is_exceeded_in(lua) {
            return Ok(());
        }
        self.exceeded.store(true, Ordering::Relaxed);
        let limit = self.limit;
        let text = format!(
            "the policy's calls went more than {limit} deep, its recursion_limit, and were stopped; a function calls \
             itself without an end, or recursion_limit is too small for it"
        );
        Err(Complaint::raised(lua, FailureKind::Recursion, &text))
    }

    fn is_exceeded_in(&self, lua: &Lua) -> bool {
        let most = self.limit + self.below.load(Ordering::Relaxed);
        let nests = |depth| lua.inspect_stack(depth, |_| ()).is_some();
        if most.checked_sub(FAR).is_some_and(|near| !nests(near)) {
            self.rest.store(REST, Ordering::Relaxed);
            return false;
        }
        // What the library does on top of the script is over before the script's next turn, which has the right line.
        let is_ours = |frame: &Debug<'_>| frame.source().short_src.as_deref() == Some(library::CHUNK);
        nests(most) && !lua.inspect_stack(0, is_ours).unwrap_or_default()
    }

    /// Reads what a call came to, and says so if it was too deep: whatever it came to then is an accident.
    pub(super) fn stop<T>(&self, outcome: Result<T, Complaint>) -> Result<T, Complaint> {
        if !self.exceeded.load(Ordering::Relaxed) {
            return outcome;
        }
        match outcome {
            Err(complaint) if complaint.kind.is_limit() => Err(complaint),
            // Our own words that became a text on their way through a coroutine, or the script's instead of them.
            Err(complaint) => Err(Complaint { kind: FailureKind::Recursion, ..complaint }),
            Ok(_) => Err(Complaint::new(FailureKind::Recursion, None, "the policy caught the error that stopped it")),
        }
    }
}
