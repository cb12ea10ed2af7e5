//! A policy in a machine of its own, on one thread. Started from a program, it decides until a limit stops it; after
//! that it must not be asked again.

use std::iter;
use std::sync::Arc;

use mlua::{Either, Function, IntoLuaMulti, Lua, UserDataRef, Value};

use super::answer::{Decision, Made};
use super::call::Call;
use super::description::Phase;
use super::facts::{ConnectionFacts, EndedFacts, Fact};
use super::failure::Complaint;
use super::hooks::{Has, Hooks};
use super::jobs::{Asked, Job, Planned};
use super::leash::Leash;
use super::machine::Machine;
use super::program::Program;
use super::relay::RELAY;
use super::testing::probe;
use super::{Ended, FailureKind, Known, Request, answer, outside};
use crate::admission::{Admission, Connection};
use crate::registry::Build;
use crate::route::Route;

/// A loaded policy on one thread.
pub(super) struct Engine {
    hooks: Hooks,
    /// What the script asked for by `relay.every`.
    jobs: Vec<Job>,
    machine: Machine,
}

impl Engine {
    /// Runs the program's script under its limits, and takes the policy that it returns.
    pub(super) fn start(program: &Program) -> Result<Self, Complaint> {
        Self::start_watched(program, |_| Ok(()))
    }

    /// The same, but for jobs, on a leash.
    pub(super) fn start_on(leash: &Arc<Leash>, program: &Program) -> Result<Self, Complaint> {
        let leash = Arc::clone(leash);
        Self::start_watched(program, move |lua| leash.check(lua))
    }

    fn start_watched(
        program: &Program,
        more: impl Fn(&Lua) -> mlua::Result<()> + Send + 'static,
    ) -> Result<Self, Complaint> {
        let own: Vec<_> = iter::once(&RELAY).chain(outside::NAMESPACES).collect();
        let machine = Machine::new(program, &own, more)?;
        let lua = machine.lua();
        lua.set_app_data(Asked::default());
        let chunk = program.chunk(lua).into_function().map_err(|error| machine.complaint(&error))?;
        probe::watch(lua, &program.title, &chunk);
        let hooks = Hooks::of(&machine.load(&chunk)?, &program.chunks)?;
        let jobs = lua.remove_app_data::<Asked>().unwrap_or_default().0;
        Ok(Self { hooks, jobs, machine })
    }

    /// Decides one request; also says at which line that was, if `explaining`.
    pub(super) fn decide(&self, request: &Request<'_>, explaining: bool) -> Result<Made, Complaint> {
        self.routed(request, explaining).map_err(|complaint| self.spotted(&self.hooks.route, complaint))
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
        let _collected = self.machine.lua().gc_collect();
        outcome
    }

    /// What is to be done again and again, and when.
    pub(super) fn planned(&self) -> impl Iterator<Item = Planned> {
        self.jobs.iter().map(|job| job.planned)
    }

    /// Gives scripts `value` to reach, or nothing any more.
    pub(super) fn lend<T: Send + 'static>(&self, value: Option<T>) {
        match value {
            Some(value) => drop(self.machine.lua().set_app_data(value)),
            None => drop(self.machine.lua().remove_app_data::<T>()),
        }
    }

    /// What there is to call.
    pub(super) fn has(&self) -> Has {
        self.hooks.has()
    }

    fn routed(&self, request: &Request<'_>, explaining: bool) -> Result<Made, Complaint> {
        let machine = &self.machine;
        let given = machine.hand().give(machine.lua(), request, explaining);
        let given = given.map_err(|error| machine.complaint(&error))?;
        match machine.decide(Call::deciding(request, explaining), &self.hooks.route, given)? {
            Either::<UserDataRef<Fact<Made>>, Value>::Left(made) => Ok(made.0.clone()),
            Either::Right(value) => answer::read(&value),
        }
    }

    /// Calls one hook under the limits.
    fn call(&self, hook: &Function, call: Call, arguments: impl IntoLuaMulti) -> Result<Value, Complaint> {
        self.machine.run(call, hook, arguments).map_err(|complaint| self.spotted(hook, complaint))
    }

    /// Places in `hook` what has no place: at which line memory ran out, Luau does not say.
    fn spotted(&self, hook: &Function, complaint: Complaint) -> Complaint {
        match complaint.spot {
            Some(_) => complaint,
            None => self.at_beginning(hook, complaint),
        }
    }

    /// Places in `hook` what may have gone wrong anywhere in it: its beginning is as good a line as any.
    fn at_beginning(&self, hook: &Function, complaint: Complaint) -> Complaint {
        Complaint { spot: self.machine.chunks().beginning(hook), ..complaint }
    }

    #[cfg(test)]
    pub(super) fn lua(&self) -> &Lua {
        self.machine.lua()
    }

    #[cfg(test)]
    pub(super) fn watch(&self) -> &Arc<super::limits::Stopwatch> {
        self.machine.watch()
    }
}
