//! One Luau machine with one policy in it, on one thread. Started from a program, it decides until a limit stops it;
//! after that it must not be asked again.

use std::sync::Arc;

use bytesize::ByteSize;
use mlua::{Function, Lua, LuaOptions, Table, Value};

use super::answer::Made;
use super::call::Call;
use super::description::{Hook, Type, parameter};
use super::facts::{Described as _, Fact, RequestFacts, quote};
use super::failure::{Complaint, ScriptName};
use super::limits::Stopwatch;
use super::program::Program;
use super::relay::RELAY;
use super::{FailureKind, Request, answer, description, library, spelling};
use crate::route::Route;

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
    /// Its name and limits, for messages.
    chunk: String,
    memory_limit: usize,
    lua: Lua,
}

/// The parts of an engine before a policy is in it.
struct Empty {
    watch: Arc<Stopwatch>,
    lua: Lua,
}

impl Engine {
    /// Runs the program's script under the limits of a decision, and takes the policy that it returns.
    pub(super) fn start(program: &Program) -> Result<Self, Complaint> {
        let empty = Empty::new(program).map_err(|error| Complaint::from_lua(&error, &program.chunk))?;
        let Empty { watch, lua } = empty;
        let used = lua.used_memory();
        if used > program.memory_limit {
            return Err(Complaint::new(FailureKind::Memory, None, &too_little(used, program.memory_limit)));
        }
        let outcome = program.chunk(&lua).into_function().and_then(|chunk| chunk.call::<Value>(()));
        let outcome = outcome.map_err(|error| judge(&error, &program.chunk, program.memory_limit));
        let route = policy_table(&watch.stop(outcome)?)?;
        Ok(Self { route, watch, chunk: program.chunk.clone(), memory_limit: program.memory_limit, lua })
    }

    /// Decides one request; also says at which line the route was made, if `explaining`.
    pub(super) fn decide(&self, request: &Request<'_>, explaining: bool) -> Result<(Route, Option<usize>), Complaint> {
        self.lua.set_app_data(Call::deciding(request, explaining));
        self.watch.start();
        let outcome = self.route.call::<Value>(Fact(RequestFacts::new(request)));
        self.lua.set_app_data(Call::default());
        let outcome = outcome.map_err(|error| judge(&error, &self.chunk, self.memory_limit));
        match answer::read(&self.watch.stop(outcome)?) {
            Ok(made) => Ok((made.route, made.line)),
            Err(complaint) => Err(Complaint { line: self.route.info().line_defined, ..complaint }),
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
        lua.set_app_data(program.place.clone());
        library::furnish(&lua, description::table(&lua, &RELAY)?)?;
        library::seal(&lua)?;
        lua.set_app_data(Call::loading());
        lua.set_app_data(ScriptName(program.chunk.clone()));
        let watch = Stopwatch::new(program.time_limit);
        lua.set_memory_limit(program.memory_limit)?;
        watch.start();
        watch.watch(&lua);
        Ok(Self { watch, lua })
    }
}

/// Reads an error of the script, and puts the limit's own words in the place of Lua's.
fn judge(error: &mlua::Error, chunk: &str, memory_limit: usize) -> Complaint {
    let complaint = Complaint::from_lua(error, chunk);
    if complaint.kind != FailureKind::Memory {
        return complaint;
    }
    let limit = ByteSize::b(memory_limit as u64);
    let text = format!("the policy needed more than {limit} of memory, its memory_limit, and was stopped");
    Complaint::new(FailureKind::Memory, complaint.line, &text)
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
