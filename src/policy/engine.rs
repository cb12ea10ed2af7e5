//! One Luau machine with one policy in it, on one thread. Started from a program, it decides until a limit stops it;
//! after that it must not be asked again.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use bytesize::ByteSize;
use mlua::{Function, IntoLuaMulti, Lua, LuaOptions, Value};

use super::answer::{Decision, Made};
use super::call::Call;
use super::depth::Depth;
use super::description::Phase;
use super::facts::{ConnectionFacts, EndedFacts, Fact, RequestFacts};
use super::failure::{Chunks, Complaint};
use super::hooks::{Has, Hooks};
use super::jobs::{Asked, Job, Planned};
use super::kept::Kept;
use super::leash::Leash;
use super::limits::Stopwatch;
use super::program::Program;
use super::relay::RELAY;
use super::{Ended, FailureKind, Known, Request, answer, description, library};
use crate::admission::{Admission, Connection};
use crate::registry::Build;
use crate::route::Route;

/// A loaded policy on one thread.
pub(super) struct Engine {
    hooks: Hooks,
    watch: Arc<Stopwatch>,
    /// Where it decided last. A thread that ends leaves its engine to another one.
    thread: Cell<ThreadId>,
    depth: Arc<Depth>,
    /// Its names and limits, for messages.
    chunks: Chunks,
    memory: Memory,
    /// What the script asked for by `relay.every`.
    jobs: Vec<Job>,
    lua: Lua,
}

/// What an engine may hold, in bytes, and what the configuration calls that.
#[derive(Clone, Copy)]
struct Memory {
    limit: usize,
    key: &'static str,
}

/// The parts of an engine before a policy is in it.
struct Empty {
    watch: Arc<Stopwatch>,
    depth: Arc<Depth>,
    lua: Lua,
}

impl Engine {
    /// Runs the program's script under its limits, and takes the policy that it returns.
    pub(super) fn start(program: &Program) -> Result<Self, Complaint> {
        Self::start_in(Empty::new(program, |_| Ok(())), program)
    }

    /// The same, but for jobs, on a leash.
    pub(super) fn start_on(leash: &Arc<Leash>, program: &Program) -> Result<Self, Complaint> {
        let leash = Arc::clone(leash);
        Self::start_in(Empty::new(program, move |lua| leash.check(lua)), program)
    }

    fn start_in(empty: mlua::Result<Empty>, program: &Program) -> Result<Self, Complaint> {
        let Empty { watch, depth, lua } = empty.map_err(|error| Complaint::from_lua(&error, &program.chunks))?;
        let used = lua.used_memory();
        let memory = Memory { limit: program.memory_limit, key: program.keys.memory };
        if used > memory.limit {
            return Err(Complaint::new(FailureKind::Memory, None, &memory.too_little(used)));
        }
        let outcome = program.chunk(&lua).into_function().and_then(|chunk| chunk.call::<Value>(()));
        let outcome = outcome.map_err(|error| judge(&error, &program.chunks, memory));
        let hooks = Hooks::of(&watch.stop(depth.stop(outcome))?, &program.chunks)?;
        let thread = Cell::new(thread::current().id());
        Ok(Self {
            hooks,
            jobs: lua.remove_app_data::<Asked>().unwrap_or_default().0,
            watch,
            depth,
            thread,
            chunks: program.chunks.clone(),
            memory,
            lua,
        })
    }

    /// Decides one request; also says at which line that was, if `explaining`.
    pub(super) fn decide(&self, request: &Request<'_>, explaining: bool) -> Result<Made, Complaint> {
        let facts = Fact(RequestFacts::new(request));
        let value = self.call(&self.hooks.route, Call::deciding(request, explaining), facts)?;
        answer::read(&value).map_err(|complaint| self.at_beginning(&self.hooks.route, complaint))
    }

    /// Lets one connection in or refuses it.
    pub(super) fn accept(&self, connection: &Connection<'_>, known: &Known<'_>) -> Result<Admission, Complaint> {
        let Some(hook) = &self.hooks.accept else { return Ok(Admission::default()) };
        let value = self.call(hook, Call::of(Phase::Accepting, known), Fact(ConnectionFacts::new(connection)))?;
        answer::read_admission(&value).map_err(|complaint| self.at_beginning(hook, complaint))
    }

    /// Tells of a stream's end.
    pub(super) fn ended(&self, ended: &Ended<'_>, known: &Known<'_>) -> Result<(), Complaint> {
        let Some(hook) = &self.hooks.ended else { return Ok(()) };
        self.call(hook, Call::of(Phase::Noting, known), Fact(EndedFacts::new(ended))).map(drop)
    }

    /// Says what is wrong with giving `build` that `route`; `None` if nothing is.
    pub(super) fn broken(
        &self,
        build: &Arc<Build>,
        route: &Route,
        known: &Known<'_>,
    ) -> Result<Option<String>, Complaint> {
        let Some(hook) = &self.hooks.invariant else { return Ok(None) };
        let made = Made { decision: Decision::Route(route.clone()), spot: None };
        let arguments = (Fact(Arc::clone(build)), Fact(made));
        let value = self.call(hook, Call::of(Phase::Deciding, known), arguments)?;
        answer::read_verdict(&value).map_err(|complaint| self.at_beginning(hook, complaint))
    }

    /// Does the job at `position` among those that the script asked for.
    pub(super) fn work(&self, position: usize, known: &Known<'_>) -> Result<(), Complaint> {
        let Some(job) = self.jobs.get(position) else {
            return Err(Complaint::new(FailureKind::Error, None, "the script did not ask for this job again"));
        };
        let outcome = self.call(&job.work, Call::of(Phase::Background, known), ()).map(drop);
        // Luau makes no room for itself when it hits its limit; what failed to be collected will be told then.
        let _collected = self.lua.gc_collect();
        outcome
    }

    /// What is to be done again and again, and when.
    pub(super) fn planned(&self) -> impl Iterator<Item = Planned> {
        self.jobs.iter().map(|job| job.planned)
    }

    /// Gives scripts `value` to reach, or nothing any more.
    pub(super) fn lend<T: Send + 'static>(&self, value: Option<T>) {
        match value {
            Some(value) => drop(self.lua.set_app_data(value)),
            None => drop(self.lua.remove_app_data::<T>()),
        }
    }

    /// What there is to call.
    pub(super) fn has(&self) -> Has {
        self.hooks.has()
    }

    /// Calls one hook under the limits.
    fn call(&self, hook: &Function, call: Call, arguments: impl IntoLuaMulti) -> Result<Value, Complaint> {
        self.set_call(call);
        self.start_watch();
        self.depth.start();
        let outcome = hook.call::<Value>(arguments);
        self.set_call(Call::default());
        let outcome = outcome.map_err(|error| judge(&error, &self.chunks, self.memory));
        // At which line memory ran out, Luau does not say.
        self.watch.stop(self.depth.stop(outcome)).map_err(|complaint| match complaint.spot {
            Some(_) => complaint,
            None => self.at_beginning(hook, complaint),
        })
    }

    /// Places in `hook` what may have gone wrong anywhere in it: its beginning is as good a line as any.
    fn at_beginning(&self, hook: &Function, complaint: Complaint) -> Complaint {
        Complaint { spot: self.chunks.beginning(hook), ..complaint }
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

    #[cfg(test)]
    pub(super) fn lua(&self) -> &Lua {
        &self.lua
    }

    #[cfg(test)]
    pub(super) fn watch(&self) -> &Arc<Stopwatch> {
        &self.watch
    }
}

impl Empty {
    fn new(program: &Program, more: impl Fn(&Lua) -> mlua::Result<()> + Send + 'static) -> mlua::Result<Self> {
        let lua = Lua::new_with(library::parts(), LuaOptions::default())?;
        lua.set_app_data(program.surroundings.clone());
        lua.set_app_data(Kept::default());
        lua.set_app_data(Asked::default());
        library::furnish(&lua, description::table(&lua, &RELAY)?)?;
        library::seal(&lua)?;
        lua.set_app_data(Call::loading());
        lua.set_app_data(program.chunks.clone());
        let watch = Stopwatch::new(program.time_limit, program.keys.time);
        lua.set_memory_limit(program.memory_limit)?;
        let depth = Depth::new(program.recursion_limit);
        watch.start();
        watch.watch(&lua, &depth, more);
        Ok(Self { watch, depth, lua })
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
