//! One Luau machine with one policy in it, on one thread. Started from a program, it decides until a limit stops it;
//! after that it must not be asked again.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use bytesize::ByteSize;
use mlua::{Function, Lua, LuaOptions, Table, Value};

use super::answer::Made;
use super::call::Call;
use super::depth::Depth;
use super::description::{Hook, Type, parameter};
use super::facts::{Described as _, Fact, RequestFacts, quote};
use super::failure::{Chunks, Complaint, Spot};
use super::kept::Kept;
use super::limits::Stopwatch;
use super::program::Program;
use super::relay::RELAY;
use super::{FailureKind, Request, answer, description, library, spelling};

/// The version of the API that a policy is written for.
const API: f64 = 1.0;

/// What the relay calls of a policy.
pub(super) const HOOKS: [Hook; 1] = [Hook {
    name: "route",
    about: "Decides the way of one request. A list of routes is tried in order; a refusal stands alone.",
    parameters: &[parameter("request", Type::Fact(RequestFacts::KIND), "what was asked, and by whom")],
    returns: Type::Either(&[Type::Fact(Made::KIND), Type::List(&Type::Fact(Made::KIND))]),
}];

/// A loaded policy on one thread.
pub(super) struct Engine {
    route: Function,
    watch: Arc<Stopwatch>,
    /// Where it decided last. A thread that ends leaves its engine to another one.
    thread: Cell<ThreadId>,
    depth: Arc<Depth>,
    /// Its names and limits, for messages.
    chunks: Chunks,
    memory_limit: usize,
    lua: Lua,
}

/// The parts of an engine before a policy is in it.
struct Empty {
    watch: Arc<Stopwatch>,
    depth: Arc<Depth>,
    lua: Lua,
}

impl Engine {
    /// Runs the program's script under the limits of a decision, and takes the policy that it returns.
    pub(super) fn start(program: &Program) -> Result<Self, Complaint> {
        let empty = Empty::new(program).map_err(|error| Complaint::from_lua(&error, &program.chunks))?;
        let Empty { watch, depth, lua } = empty;
        let used = lua.used_memory();
        if used > program.memory_limit {
            return Err(Complaint::new(FailureKind::Memory, None, &too_little(used, program.memory_limit)));
        }
        let outcome = program.chunk(&lua).into_function().and_then(|chunk| chunk.call::<Value>(()));
        let outcome = outcome.map_err(|error| judge(&error, &program.chunks, program.memory_limit));
        let route = policy_table(&watch.stop(depth.stop(outcome))?)?;
        let thread = Cell::new(thread::current().id());
        Ok(Self {
            route,
            watch,
            depth,
            thread,
            chunks: program.chunks.clone(),
            memory_limit: program.memory_limit,
            lua,
        })
    }

    /// Decides one request; also says at which line that was, if `explaining`.
    pub(super) fn decide(&self, request: &Request<'_>, explaining: bool) -> Result<Made, Complaint> {
        self.set_call(Call::deciding(request, explaining));
        self.start_watch();
        self.depth.start();
        let outcome = self.route.call::<Value>(Fact(RequestFacts::new(request)));
        self.set_call(Call::default());
        let outcome = outcome.map_err(|error| judge(&error, &self.chunks, self.memory_limit));
        let answer = self.watch.stop(self.depth.stop(outcome))?;
        answer::read(&answer).map_err(|complaint| Complaint { spot: self.beginning(), ..complaint })
    }

    /// Where `route` begins.
    fn beginning(&self) -> Option<Spot> {
        let info = self.route.info();
        Some(Spot { chunk: self.chunks.position(info.short_src.as_deref()?)?, line: info.line_defined? })
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
    fn new(program: &Program) -> mlua::Result<Self> {
        let lua = Lua::new_with(library::parts(), LuaOptions::default())?;
        lua.set_app_data(program.surroundings.clone());
        lua.set_app_data(Kept::default());
        library::furnish(&lua, description::table(&lua, &RELAY)?)?;
        library::seal(&lua)?;
        lua.set_app_data(Call::loading());
        lua.set_app_data(program.chunks.clone());
        let watch = Stopwatch::new(program.time_limit);
        lua.set_memory_limit(program.memory_limit)?;
        let depth = Depth::new(program.recursion_limit);
        watch.start();
        watch.watch(&lua, &depth);
        Ok(Self { watch, depth, lua })
    }
}

/// Reads an error of the script, and puts the limit's own words in the place of Lua's.
fn judge(error: &mlua::Error, chunks: &Chunks, memory_limit: usize) -> Complaint {
    let complaint = Complaint::from_lua(error, chunks);
    if complaint.kind != FailureKind::Memory {
        return complaint;
    }
    let limit = ByteSize::b(memory_limit as u64);
    let text = format!("the policy needed more than {limit} of memory, its memory_limit, and was stopped");
    Complaint::new(FailureKind::Memory, complaint.spot, &text)
}

fn too_little(used: usize, limit: usize) -> String {
    let (used, limit) = (ByteSize::b(used as u64), ByteSize::b(limit as u64));
    format!("an engine needs {used} before any policy is in it; raise memory_limit above its {limit}")
}

/// Takes `route` out of what a script returned, if that is a policy's table and nothing but.
fn policy_table(value: &Value) -> Result<Function, Complaint> {
    let Value::Table(table) = value else {
        return Err(wrong(&format!("the script returned {}; end it with: return policy", quote(value))));
    };
    table.pairs::<Value, Value>().flatten().try_for_each(|(key, _)| known_key(&key))?;
    check_version(table)?;
    match table.raw_get("route") {
        Ok(Value::Function(route)) => Ok(route),
        Ok(other) => Err(wrong(&format!(
            "route must be a function, not {}: write function policy.route(request) … end",
            quote(&other)
        ))),
        Err(error) => Err(wrong(&error.to_string())),
    }
}

fn known_key(key: &Value) -> Result<(), Complaint> {
    let name = key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default();
    let known = ["api"].into_iter().chain(HOOKS.iter().map(|hook| hook.name));
    match known.clone().any(|known| known == name) {
        true => Ok(()),
        false => Err(wrong(&format!("a policy has no key {}{}", quote(key), spelling::hint(&name, known)))),
    }
}

fn check_version(table: &Table) -> Result<(), Complaint> {
    match table.raw_get("api") {
        Ok(Value::Number(API)) | Ok(Value::Integer(1)) => Ok(()),
        Ok(Value::Nil) => {
            Err(wrong("the policy does not say which API it is written for; write: local policy = { api = 1 }"))
        }
        Ok(other) => {
            Err(wrong(&format!("the policy is written for API {}, and this relay knows only 1", quote(&other))))
        }
        Err(error) => Err(wrong(&error.to_string())),
    }
}

fn wrong(text: &str) -> Complaint {
    Complaint::new(FailureKind::Error, None, text)
}
