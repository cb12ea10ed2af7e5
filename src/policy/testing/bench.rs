//! The engine in which one test file runs: it collects the file's cases, then runs each in a scene of its own. A case
//! that fails, or that a limit stops, keeps no other from running.

use std::time::Instant;

use bytesize::ByteSize;
use mlua::{Function, Lua};

use super::report::{Case, Flaw};
use super::scene::Scene;
use super::subject::Subject;
use crate::policy::call::Call;
use crate::policy::failure::{Complaint, Spot, spot_now};
use crate::policy::machine::Machine;
use crate::policy::program::Program;
use crate::policy::{Failure, FailureKind, LoadError};

/// Most cases of one file.
const MAX_CASES: usize = 2000;

/// One test file, loaded.
pub(super) struct Bench {
    program: Program,
    machine: Machine,
}

/// What the functions of `test` and `expect` work on; kept in the engine.
pub(super) struct Desk {
    pub(super) subject: Subject,
    pub(super) scene: Scene,
    pub(super) cases: Vec<Written>,
    /// The first expectation of this case that was not met. It counts also where the script caught the error.
    pub(super) unmet: Option<Unmet>,
    /// The error that a function of `test` raised last. It counts where nobody caught it.
    raised: Option<Wrong>,
}

/// A case as its file has it.
pub(super) struct Written {
    pub(super) name: String,
    pub(super) body: Function,
}

/// An expectation that was not met.
pub(super) struct Unmet {
    pub(super) spot: Option<Spot>,
    pub(super) message: String,
    /// What there is to see, line by line.
    pub(super) details: Vec<String>,
}

/// What is wrong with a call of a test.
pub(super) struct Wrong {
    pub(super) words: String,
    pub(super) details: Vec<String>,
}

impl Bench {
    /// Runs the file, which names its cases.
    pub(super) fn start(program: Program, subject: Subject) -> Result<Self, LoadError> {
        let machine = start(&program, subject).map_err(|complaint| program.load_error(complaint))?;
        Ok(Self { program, machine })
    }

    /// Runs the cases that are `wanted` by name, in order.
    pub(super) fn run(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<Case> {
        let names = |desk: &mut Desk| desk.cases.iter().map(|case| case.name.clone()).collect::<Vec<_>>();
        let names = desk(self.machine.lua(), names).unwrap_or_default();
        names.into_iter().filter(|name| wanted(name)).map(|name| self.run_one(name)).collect()
    }

    fn run_one(&mut self, name: String) -> Case {
        let began = Instant::now();
        let outcome = self.call(&name);
        let stopped = outcome.as_ref().is_err_and(|complaint| complaint.kind.is_limit());
        let flaw = self.flaw(outcome);
        let printed = desk(self.machine.lua(), |desk| desk.subject.probe().take_printed()).unwrap_or_default();
        if stopped {
            self.restart();
        }
        Case { name, took: began.elapsed(), printed, flaw }
    }

    fn call(&self, name: &str) -> Result<(), Complaint> {
        let lua = self.machine.lua();
        let found = desk(lua, |desk| {
            desk.clear();
            desk.cases.iter().find(|case| case.name == name).map(|case| case.body.clone())
        });
        match found.flatten() {
            Some(body) => self.machine.run(Call::testing(), &body, ()).map(drop),
            None => Err(Complaint::new(FailureKind::Error, None, "the file has no such case when it runs again")),
        }
    }

    /// Runs the file again: whatever a limit left half done is gone. That it failed now would show in the cases to
    /// come.
    fn restart(&mut self) {
        let Some(desk) = self.machine.lua().remove_app_data::<Desk>() else { return };
        if let Ok(machine) = start(&self.program, desk.subject) {
            self.machine = machine;
        }
    }

    /// What was wrong with a case, if something was.
    fn flaw(&self, outcome: Result<(), Complaint>) -> Option<Flaw> {
        let lua = self.machine.lua();
        let (unmet, raised) = desk(lua, |desk| (desk.unmet.take(), desk.raised.take())).unwrap_or_default();
        let (complaint, details) = match (outcome, unmet) {
            (Err(complaint), _) if complaint.kind.is_limit() => (in_words(&self.program, complaint), Vec::new()),
            (_, Some(Unmet { spot, message, details })) => {
                (Complaint::new(FailureKind::Error, spot, &message), details)
            }
            (Err(complaint), None) => {
                let raised = raised.filter(|wrong| complaint.is(&wrong.words));
                (complaint, raised.map(|wrong| wrong.details).unwrap_or_default())
            }
            (Ok(()), None) => return None,
        };
        Some(Flaw { error: self.program.load_error(complaint), details })
    }
}

impl Desk {
    /// Makes room for the next case.
    fn clear(&mut self) {
        self.scene = Scene::new(self.subject.params().clone());
        (self.unmet, self.raised) = (None, None);
        drop(self.subject.probe().take_printed());
    }

    pub(super) fn add(&mut self, case: Written) -> Result<(), String> {
        if self.cases.iter().any(|known| known.name == case.name) {
            return Err(format!("there is a case \"{}\" already", case.name));
        }
        if self.cases.len() >= MAX_CASES {
            return Err(format!("a file may have {MAX_CASES} cases; write another file"));
        }
        self.cases.push(case);
        Ok(())
    }
}

impl From<String> for Wrong {
    fn from(words: String) -> Self {
        Self { words, details: Vec::new() }
    }
}

impl From<Failure> for Wrong {
    fn from(Failure { file, line, message, excerpt, .. }: Failure) -> Self {
        Self::in_policy(&file, line, &message, excerpt)
    }
}

impl From<LoadError> for Wrong {
    fn from(LoadError { file, line, message, excerpt }: LoadError) -> Self {
        Self::in_policy(&file, line, &message, excerpt)
    }
}

impl Wrong {
    /// What went wrong in a policy, with its own line.
    fn in_policy(file: &str, line: Option<usize>, message: &str, excerpt: Option<String>) -> Self {
        let place = line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"));
        let shown = excerpt.map(|text| format!("{place}:  {text}"));
        Self { words: format!("{place}: {message}"), details: shown.into_iter().collect() }
    }
}

/// Lets `work` have the desk of the test that runs in `lua`.
pub(super) fn desk<T>(lua: &Lua, work: impl FnOnce(&mut Desk) -> T) -> Option<T> {
    lua.app_data_mut::<Desk>().map(|mut desk| work(&mut desk))
}

/// As [`desk`]; what is wrong becomes an error of the function called `name`.
pub(super) fn at_desk<T, E: Into<Wrong>>(
    lua: &Lua,
    name: &str,
    work: impl FnOnce(&mut Desk) -> Result<T, E>,
) -> mlua::Result<T> {
    let outcome = desk(lua, |desk| work(desk).map_err(Into::into));
    match outcome.unwrap_or_else(|| Err(Wrong::from("no test runs".to_owned()))) {
        Ok(value) => Ok(value),
        Err(Wrong { words, details }) => {
            let words = format!("{name}: {words}");
            let error = Complaint::raised(lua, FailureKind::Error, &words);
            desk(lua, |desk| desk.raised = Some(Wrong { words, details }));
            Err(error)
        }
    }
}

/// Takes note of an expectation that is not met, and ends the case.
pub(super) fn unmet(lua: &Lua, message: &str, details: Vec<String>) -> mlua::Error {
    let unmet = Unmet { spot: spot_now(lua), message: message.to_owned(), details };
    desk(lua, |desk| {
        desk.unmet.get_or_insert(unmet);
    });
    Complaint::raised(lua, FailureKind::Error, message)
}

/// The file's engine, after the file ran.
fn start(program: &Program, subject: Subject) -> Result<Machine, Complaint> {
    let machine = Machine::new(program, &super::NAMESPACES, |_| Ok(()))?;
    let scene = Scene::new(subject.params().clone());
    machine.lua().set_app_data(Desk { subject, scene, cases: Vec::new(), unmet: None, raised: None });
    let chunk = program.chunk(machine.lua()).into_function().map_err(|error| machine.complaint(&error))?;
    machine.load(&chunk).map_err(|complaint| in_words(program, complaint))?;
    Ok(machine)
}

/// A limit in the words of what is no policy: a test, or what somebody typed.
pub(in crate::policy) fn in_words(program: &Program, complaint: Complaint) -> Complaint {
    let text = match complaint.kind {
        FailureKind::Time => format!("it ran for {} and was stopped", humantime::format_duration(program.time_limit)),
        FailureKind::Memory => {
            format!("it needed more than {} of memory and was stopped", ByteSize::b(program.memory_limit as u64))
        }
        FailureKind::Recursion => format!("its calls went more than {} deep and were stopped", program.recursion_limit),
        FailureKind::Error | FailureKind::BadRoute => return complaint,
    };
    Complaint { text, ..complaint }
}
