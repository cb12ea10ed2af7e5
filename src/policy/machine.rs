//! One Luau machine on one thread, and the limits of whatever runs in it: a policy, or a test of one. It never decides
//! what runs, and knows neither hooks nor routes.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use bytesize::ByteSize;
use mlua::{FromLuaMulti, Function, IntoLuaMulti, Lua, LuaOptions, Value};

use super::call::Call;
use super::depth::Depth;
use super::description::Namespace;
use super::failure::{Chunks, Complaint};
use super::hand::{Given, Hand};
use super::kept::Kept;
use super::limits::Stopwatch;
use super::program::Program;
use super::testing::probe;
use super::{FailureKind, library};

/// What a machine may hold, in bytes, and what the configuration calls that.
#[derive(Clone, Copy)]
struct Memory {
    limit: usize,
    key: &'static str,
}

/// A sandbox with the library in it. After a limit was hit it must not be used again.
pub(super) struct Machine {
    watch: Arc<Stopwatch>,
    depth: Arc<Depth>,
    /// Where it ran last. A thread that ends leaves its machines to another one.
    thread: Cell<ThreadId>,
    /// Its names and limits, for messages.
    chunks: Chunks,
    memory: Memory,
    hand: Hand,
    lua: Lua,
}

impl Machine {
    /// A machine for `program`, whose scripts may use `own` beside the library, and are stopped as soon as `more`
    /// fails.
    pub(super) fn new(
        program: &Program,
        own: &[&'static Namespace],
        more: impl Fn(&Lua) -> mlua::Result<()> + Send + 'static,
    ) -> Result<Self, Complaint> {
        let machine =
            Self::furnished(program, own, more).map_err(|error| Complaint::from_lua(&error, &program.chunks))?;
        let used = machine.lua.used_memory();
        if used > machine.memory.limit {
            return Err(Complaint::new(FailureKind::Memory, None, &machine.memory.too_little(used)));
        }
        Ok(machine)
    }

    /// Runs the whole of `chunk`, for the first time.
    pub(super) fn load(&self, chunk: &Function) -> Result<Value, Complaint> {
        self.run(Call::loading(), chunk, ())
    }

    /// Calls `function` under the limits.
    pub(super) fn run(
        &self,
        call: Call,
        function: &Function,
        arguments: impl IntoLuaMulti,
    ) -> Result<Value, Complaint> {
        self.depth.start(0);
        self.limited(call, || function.call(arguments))
    }

    /// Calls `route`, which decides, with what it is given at hand.
    pub(super) fn decide<T: FromLuaMulti>(&self, call: Call, route: &Function, given: Given) -> Result<T, Complaint> {
        let (asked, build, worker, way) = given;
        // What calls it is a function as well.
        self.depth.start(1);
        let outcome = self.limited(call, || self.hand.call().call((route, asked, build, worker, way)));
        outcome.inspect_err(|_| self.hand.let_go())
    }

    fn limited<T>(&self, call: Call, work: impl FnOnce() -> mlua::Result<T>) -> Result<T, Complaint> {
        self.set_call(call);
        self.start_watch();
        let outcome = work();
        self.set_call(Call::default());
        let outcome = outcome.map_err(|error| judge(&error, &self.chunks, self.memory));
        self.watch.stop(self.depth.stop(outcome))
    }

    /// Reads an error that came out of the machine.
    pub(super) fn complaint(&self, error: &mlua::Error) -> Complaint {
        judge(error, &self.chunks, self.memory)
    }

    /// What its scripts are called in messages.
    pub(super) fn chunks(&self) -> &Chunks {
        &self.chunks
    }

    /// What nearly every policy looks at.
    pub(super) fn hand(&self) -> &Hand {
        &self.hand
    }

    pub(super) fn lua(&self) -> &Lua {
        &self.lua
    }

    #[cfg(test)]
    pub(super) fn watch(&self) -> &Arc<Stopwatch> {
        &self.watch
    }

    fn furnished(
        program: &Program,
        own: &[&'static Namespace],
        more: impl Fn(&Lua) -> mlua::Result<()> + Send + 'static,
    ) -> mlua::Result<Self> {
        let lua = Lua::new_with(library::parts(), LuaOptions::default())?;
        lua.set_app_data(program.surroundings.clone());
        lua.set_app_data(Kept::default());
        lua.set_app_data(Call::loading());
        lua.set_app_data(program.chunks.clone());
        probe::prepare(&lua);
        let hand = Hand::new(&lua)?;
        library::furnish(&lua, own)?;
        library::seal(&lua)?;
        let watch = Stopwatch::new(program.time_limit, program.keys.time);
        lua.set_memory_limit(program.memory_limit)?;
        let depth = Depth::new(program.recursion_limit);
        watch.start();
        watch.watch(&lua, &depth, more);
        let chunks = program.chunks.clone();
        let memory = Memory { limit: program.memory_limit, key: program.keys.memory };
        Ok(Self { watch, depth, thread: Cell::new(thread::current().id()), chunks, memory, hand, lua })
    }

    fn start_watch(&self) {
        let here = thread::current().id();
        if self.thread.replace(here) != here {
            self.watch.leave_thread();
        }
        self.watch.start();
    }

    /// Puts `call` where the last one was.
    fn set_call(&self, call: Call) {
        if let Some(mut place) = self.lua.app_data_mut::<Call>() {
            *place = call;
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        probe::collect(&self.lua);
    }
}

/// Reads an error of the script, and puts the limit's own words in the place of Lua's.
fn judge(error: &mlua::Error, chunks: &Chunks, memory: Memory) -> Complaint {
    let complaint = Complaint::from_lua(error, chunks);
    if complaint.kind != FailureKind::Memory {
        return complaint;
    }
    let (limit, key) = (ByteSize::b(memory.limit as u64), memory.key);
    let text = format!("the policy needed more than {limit} of memory, its {key}, and was stopped");
    Complaint::new(FailureKind::Memory, complaint.spot, &text)
}

impl Memory {
    fn too_little(self, used: usize) -> String {
        let (used, limit, key) = (ByteSize::b(used as u64), ByteSize::b(self.limit as u64), self.key);
        format!("an engine needs {used} before any policy is in it; raise {key} above its {limit}")
    }
}
