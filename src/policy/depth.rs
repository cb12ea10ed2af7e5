//! How deep a script's calls may nest. Looks for one frame too many, which costs the same however deep they are, and
//! never walks the stack.
//!
//! Every coroutine has a stack of its own, so each may nest as deep as this. Luau itself bounds how many of them, and
//! how many metamethods and library functions, run inside of each other; see [`NESTED`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mlua::Lua;

use super::FailureKind;
use super::failure::Complaint;

/// Said in the place of Luau's "C stack overflow".
pub(super) const NESTED: &str = "the policy nested too many coroutines, metamethods or functions that library functions \
     call inside of each other, and was stopped; does one of them call itself?";

/// Bounds the calls of one engine. All its methods belong to the engine's thread.
#[derive(Debug)]
pub(super) struct Depth {
    limit: usize,
    exceeded: AtomicBool,
}

impl Depth {
    /// At most `limit` functions may have been called and not returned, counted in each coroutine, `pcall` and its
    /// like included.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, exceeded: AtomicBool::new(false) })
    }

    /// Begins a new call of the engine.
    pub(super) fn start(&self) {
        self.exceeded.store(false, Ordering::Relaxed);
    }

    /// Fails if the script that runs in `lua` is too deep, and from then on at every turn: what it calls deeper may be
    /// a `pcall`.
    pub(super) fn check(&self, lua: &Lua) -> mlua::Result<()> {
        let deep = self.exceeded.load(Ordering::Relaxed) || lua.inspect_stack(self.limit, |_| ()).is_some();
        if !deep {
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
