//! A policy in a machine of its own, on one thread. Started from a program, it decides until a limit stops it; after that
//! it must not be asked again.

use std::sync::Arc;

use mlua::{Function, IntoLuaMulti, Value};

use super::answer::{Decision, Made};
use super::call::Call;
use super::description::Phase;
use super::facts::{ConnectionFacts, EndedFacts, Fact, RequestFacts};
use super::failure::{Complaint, Spot};
use super::hooks::{Has, Hooks};
use super::machine::Machine;
use super::program::Program;
use super::relay::RELAY;
use super::testing::probe;
use super::{Ended, Known, Request, answer};
use crate::admission::{Admission, Connection};
use crate::registry::Build;
use crate::route::Route;

/// A loaded policy on one thread.
pub(super) struct Engine {
    hooks: Hooks,
    machine: Machine,
}

impl Engine {
    /// Runs the program's script under the limits of a decision, and takes the policy that it returns.
    pub(super) fn start(program: &Program) -> Result<Self, Complaint> {
        let machine = Machine::new(program, &[&RELAY])?;
        let chunk = program.chunk(machine.lua()).into_function().map_err(|error| machine.complaint(&error))?;
        probe::watch(machine.lua(), &program.title, &chunk);
        let hooks = Hooks::of(&machine.load(&chunk)?)?;
        Ok(Self { hooks, machine })
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

    /// What there is to call.
    pub(super) fn has(&self) -> Has {
        self.hooks.has()
    }

    fn call(&self, hook: &Function, call: Call, arguments: impl IntoLuaMulti) -> Result<Value, Complaint> {
        self.machine.run(call, hook, arguments)
    }

    /// What `hook` returned is wrong, wherever in it that was made: its beginning is as good a place as any.
    fn at_beginning(&self, hook: &Function, complaint: Complaint) -> Complaint {
        let info = hook.info();
        let chunk = info.short_src.and_then(|name| self.machine.chunks().position(&name));
        let spot = chunk.zip(info.line_defined).map(|(chunk, line)| Spot { chunk, line });
        Complaint { spot, ..complaint }
    }

    #[cfg(test)]
    pub(super) fn lua(&self) -> &mlua::Lua {
        self.machine.lua()
    }

    #[cfg(test)]
    pub(super) fn watch(&self) -> &Arc<super::limits::Stopwatch> {
        self.machine.watch()
    }
}
