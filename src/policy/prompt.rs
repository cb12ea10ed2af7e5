//! A machine for whoever tries things out: line by line, it runs what somebody types, on a registry that stands still,
//! and shows what came of it. It reads as `route` does: nothing that is typed can change what a relay knows.
//!
//! Two engines take part, as in a test: the machine of what is typed, and the engine of the policy that it asks, with
//! the limits and the checks that it has in a relay.

mod ask;
mod input;
mod shown;
#[cfg(test)]
mod tests;

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use mlua::chunk::ChunkMode;
use mlua::{Function, Lua, MultiValue, Table, Value};

use super::call::Call;
use super::description::Namespace;
use super::failure::{Chunks, Complaint};
use super::machine::Machine;
use super::modules::Modules;
use super::program::{Program, Surroundings};
use super::relay::RELAY;
use super::sources::{Source, Sources};
use super::testing::probe::MAX_PRINTED;
use super::testing::{Probe, in_words};
use super::{Known, LoadError, Moment, Place, Policy, World, library, outside, reference};
use crate::config::settings;
use crate::registry::Snapshot;
use ask::Desk;
use input::Input;

/// What only somebody at the prompt may use.
pub(super) const NAMESPACES: [&Namespace; 1] = [&ask::ASK];

/// What is typed, in messages. No script has this name: theirs end in `.lua`.
const TITLE: &str = "input";

/// What one input may use. The policies that it asks keep to their own limits.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const MEMORY_LIMIT: usize = 256 << 20;
const RECURSION_LIMIT: usize = 2000;

/// Hands all that an input returns to the function that shows it.
const SHOWING: &str = "local show = ... return function(input) return show(input()) end";

/// The prompt's side of Lua, with what was typed so far.
pub struct Prompt {
    /// From which the machine is started; its script is empty.
    program: Program,
    probe: Probe,
    policy: Policy,
    /// The listener that viewers come to unless another is named.
    listener: String,
    snapshot: Arc<Snapshot>,
    world: Arc<World>,
    input: Input,
    /// Not there before the first input, and after a limit was hit.
    running: Option<Running>,
}

/// What one input came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it and the policies that it asked printed, line by line.
    pub printed: Vec<String>,
    /// Its values, as text; `None` if it has none. Or what is wrong with it.
    pub outcome: Result<Option<String>, LoadError>,
    /// Where policies decided what it asked them, a sentence each.
    pub decided: Vec<String>,
    /// A limit stopped it, and took all variables with it.
    pub forgotten: bool,
}

/// A machine in which something was typed.
struct Running {
    /// What is assigned without `local`.
    variables: Table,
    /// See [`SHOWING`].
    showing: Function,
    machine: Machine,
}

impl Prompt {
    /// A prompt beside `policy`, which was loaded from `settings` for a relay at `place`, with its modules and params.
    ///
    /// # Errors
    /// If the scripts cannot be read.
    pub fn new(
        settings: &settings::Policy,
        policy: Policy,
        place: Place,
        listener: &str,
        snapshot: Arc<Snapshot>,
    ) -> Result<Self, LoadError> {
        let Sources { policies, modules, .. } = Sources::read(settings)?;
        let probe = Probe::default();
        let surroundings = Surroundings {
            place,
            modules: Modules::compile(modules, false).into(),
            names: policies.into_keys().collect(),
            params: settings.params.clone().into(),
            probe: Some(probe.clone()),
        };
        Ok(Self {
            program: program(surroundings)?,
            policy: policy.watched(&probe),
            probe,
            listener: listener.to_owned(),
            snapshot,
            world: Arc::default(),
            input: Input::default(),
            running: None,
        })
    }

    /// Lets `snapshot` be what is known from now on. Variables stay.
    pub fn learn(&mut self, snapshot: Arc<Snapshot>) {
        self.snapshot = snapshot;
    }

    /// Counts lines on from those of `earlier`, which this one replaces.
    pub fn follow(&mut self, earlier: &mut Self) {
        self.input = mem::take(&mut earlier.input);
    }

    /// What is known.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// What decides.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether the next line goes on with what was typed before.
    pub fn is_unfinished(&self) -> bool {
        self.input.is_unfinished()
    }

    /// Counts a line that is no input of this prompt's, so that messages name the lines of what was typed.
    pub fn pass_over(&mut self) {
        self.input.pass_over();
    }

    /// Runs `line`, with the unfinished ones before it. `None`: it needs more lines.
    pub fn enter(&mut self, line: &str) -> Option<Answer> {
        self.input.add(line);
        let compiled = self.input.compile()?;
        Some(match compiled {
            Ok(Some(bytecode)) => self.run(&bytecode),
            Ok(None) => Answer::of(Ok(None)),
            Err(error) => Answer::of(Err(error)),
        })
    }

    /// Gives up what is unfinished, and says what was missing.
    pub fn give_up(&mut self) -> Option<LoadError> {
        self.input.give_up()
    }

    fn run(&mut self, bytecode: &[u8]) -> Answer {
        let running = match self.running.take().map_or_else(|| self.start(), Ok) {
            Ok(running) => running,
            Err(complaint) => return Answer::of(Err(self.program.load_error(complaint))),
        };
        let known = Known { snapshot: &self.snapshot, world: &self.world, at: Moment::now() };
        let outcome = running.run(bytecode, &known);
        let mut answer = Answer { printed: self.printed(), decided: running.decided(), ..Answer::of(Ok(None)) };
        answer.forgotten = outcome.as_ref().is_err_and(|complaint| complaint.kind.is_limit());
        answer.outcome = outcome.map_err(|complaint| self.error(complaint));
        if !answer.forgotten {
            self.running = Some(running);
        }
        answer
    }

    fn start(&self) -> Result<Running, Complaint> {
        let desk = Desk::new(self.policy.clone(), self.listener.clone());
        Running::start(&self.program, desk)
    }

    fn printed(&self) -> Vec<String> {
        let mut printed = self.probe.take_printed();
        if printed.len() >= MAX_PRINTED {
            printed.push(format!("(no more than {MAX_PRINTED} lines are shown)"));
        }
        printed
    }

    /// What went wrong, with the line that was typed, or the line of a module.
    fn error(&self, complaint: Complaint) -> LoadError {
        let complaint = in_words(&self.program, complaint);
        match complaint.spot {
            Some(spot) if spot.chunk == 0 => self.input.error(Some(spot.line), complaint.text),
            Some(_) => self.program.load_error(complaint),
            None => self.input.error(None, complaint.text),
        }
    }
}

impl Running {
    fn start(program: &Program, desk: Desk) -> Result<Self, Complaint> {
        let own: Vec<_> = [&RELAY].into_iter().chain(outside::NAMESPACES).chain(NAMESPACES).collect();
        let machine = Machine::new(program, &own, |_| Ok(()))?;
        machine.lua().set_app_data(desk);
        let made = variables(machine.lua()).and_then(|variables| Ok((variables, showing(machine.lua())?)));
        let (variables, showing) = made.map_err(|error| machine.complaint(&error))?;
        Ok(Self { variables, showing, machine })
    }

    fn run(&self, bytecode: &[u8], known: &Known<'_>) -> Result<Option<String>, Complaint> {
        let lua = self.machine.lua();
        let chunk = lua.load(bytecode).set_mode(ChunkMode::Binary).set_name(format!("={TITLE}"));
        let chunk = chunk.set_environment(self.variables.clone()).into_function();
        let chunk = chunk.map_err(|error| self.machine.complaint(&error))?;
        let outcome = self.machine.run(Call::trying(known, MAX_PRINTED), &self.showing, chunk);
        // Luau makes no room for itself when it hits its limit; what failed to be collected will be told then.
        let _collected = lua.gc_collect();
        Ok(outcome?.as_string().map(|text| text.to_string_lossy()))
    }

    fn decided(&self) -> Vec<String> {
        let desk = self.machine.lua().app_data_mut::<Desk>();
        desk.map(|mut desk| mem::take(&mut desk.decided)).unwrap_or_default()
    }
}

impl Answer {
    fn of(outcome: Result<Option<String>, LoadError>) -> Self {
        Self { printed: Vec::new(), outcome, decided: Vec::new(), forgotten: false }
    }
}

/// Every name that may be typed.
pub fn names() -> Vec<String> {
    let own = [&RELAY].into_iter().chain(NAMESPACES).chain(library::NAMESPACES);
    let (print, require) = ("print".to_owned(), "require".to_owned());
    own.flat_map(reference::names_of).chain(library::names()).chain([print, require]).collect()
}

/// An empty script under the limits of an input.
fn program(surroundings: Surroundings) -> Result<Program, LoadError> {
    let limits = settings::Policy {
        time_limit: TIME_LIMIT,
        memory_limit: MEMORY_LIMIT,
        recursion_limit: RECURSION_LIMIT,
        ..settings::Policy::default()
    };
    let chunks = [TITLE.to_owned()].into_iter().chain(surroundings.modules.chunks()).collect();
    let source = Source { name: TITLE.to_owned(), path: None, text: String::new() };
    let mut program = Program::compile(source, surroundings, &limits)?;
    program.chunks = Chunks(chunks);
    Ok(program)
}

/// A table over the sealed globals, where what is assigned stays.
fn variables(lua: &Lua) -> mlua::Result<Table> {
    let rules = lua.create_table()?;
    rules.raw_set("__index", lua.globals())?;
    rules.set_readonly(true);
    let variables = lua.create_table()?;
    variables.set_metatable(Some(rules))?;
    Ok(variables)
}

/// Showing belongs to the call: fields of facts are read, which some can be only while it is known what is known.
fn showing(lua: &Lua) -> mlua::Result<Function> {
    let show = lua.create_function(|lua, values: MultiValue| match values.is_empty() {
        true => Ok(Value::Nil),
        false => lua.create_string(shown::lines(&values)).map(Value::String),
    })?;
    lua.load(SHOWING).set_name(format!("={}", library::CHUNK)).call(show)
}
