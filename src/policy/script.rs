//! One policy's script, with an engine a thread that asks it. It knows of no other policy.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thread_local::ThreadLocal;

use super::answer::Decision;
use super::engine::Engine;
use super::failure::Complaint;
use super::hooks::Has;
use super::jobs::Planned;
use super::program::{Program, Surroundings};
use super::sources::Source;
use super::testing::Probe;
use super::{Failure, LoadError, Place, Request};
use crate::config::settings;

/// A compiled script, ready to be asked on any thread.
pub(super) struct Script {
    program: Program,
    has: Has,
    /// What is to be done beside the decisions.
    planned: Arc<[Planned]>,
    /// Empty before its thread's first decision, while it decides, and after a limit was hit. A lock of one thread's
    /// own: no other takes it but to end an engine that decides no more.
    engines: ThreadLocal<Mutex<Option<Engine>>>,
}

/// What a script answered, and where.
pub(super) struct Answer {
    pub(super) decision: Decision,
    /// The script, or the module of it that made the answer; empty for a route that need not be explained.
    pub(super) file: String,
    /// Known where it was asked for.
    pub(super) line: Option<usize>,
}

impl Script {
    /// Compiles `source` and runs it once, under the limits of a decision, to see that it is a policy.
    pub(super) fn load(
        source: Source,
        surroundings: &Surroundings,
        limits: &settings::Policy,
    ) -> Result<Self, LoadError> {
        let program = Program::compile(source, surroundings.clone(), limits)?;
        // Not kept: whoever loads may well do so on a thread that never decides.
        let engine = Engine::start(&program).map_err(|complaint| program.load_error(complaint))?;
        let (has, planned) = (engine.has(), engine.planned().collect());
        Ok(Self { program, has, planned, engines: ThreadLocal::new() })
    }

    /// The same script for a relay that stands elsewhere.
    pub(super) fn placed(&self, place: &Place) -> Self {
        self.of(self.program.placed(place.clone()))
    }

    /// The same script, where `probe` sees what it does.
    pub(super) fn watched(&self, probe: &Probe) -> Self {
        self.of(self.program.watched(probe.clone()))
    }

    /// The same script in other surroundings.
    fn of(&self, program: Program) -> Self {
        Self { program, has: self.has, planned: Arc::clone(&self.planned), engines: ThreadLocal::new() }
    }

    pub(super) fn program(&self) -> &Program {
        &self.program
    }

    /// What operators know it by.
    pub(super) fn title(&self) -> &str {
        &self.program.title
    }

    /// What there is to call beside `route`: asking for the rest would start an engine for nothing.
    pub(super) fn has(&self) -> Has {
        self.has
    }

    /// What is to be done again and again, and when.
    pub(super) fn planned(&self) -> &Arc<[Planned]> {
        &self.planned
    }

    pub(super) fn ask(&self, request: &Request<'_>, explaining: bool) -> Result<Answer, Failure> {
        let made = self.with(|engine| engine.decide(request, explaining))?;
        // Only an explanation says where a route was made, and the names of files are long.
        let (file, line) = match made.decision {
            Decision::Route(_) if !explaining => (String::new(), None),
            _ => self.program.locate(made.spot),
        };
        Ok(Answer { decision: made.decision, file, line })
    }

    /// Lets this thread's engine `work`.
    pub(super) fn with<T>(&self, work: impl FnOnce(&Engine) -> Result<T, Complaint>) -> Result<T, Failure> {
        let slot = self.engines.get_or_default();
        let idle = of(slot).take();
        let engine = match idle {
            Some(engine) => engine,
            None => Engine::start(&self.program).map_err(|complaint| self.program.failure(complaint))?,
        };
        let outcome = work(&engine).map_err(|complaint| self.program.failure(complaint));
        // A limit may strike between any two instructions: what the script left half done goes with its engine.
        if !outcome.as_ref().is_err_and(|failure| failure.kind.is_limit()) {
            *of(slot) = Some(engine);
        }
        outcome
    }

    /// Ends the engines that nothing runs on. They begin anew where they are asked.
    pub(super) fn rest(&self) {
        for slot in self.engines.iter() {
            let idle = of(slot).take();
            // Its thread need not wait for that.
            drop(idle);
        }
    }
}

/// What is in a slot is whole at any time.
fn of(slot: &Mutex<Option<Engine>>) -> MutexGuard<'_, Option<Engine>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Script {
    /// Shows this thread's engine.
    pub(super) fn with_engine<T>(&self, look: impl FnOnce(&Engine) -> T) -> T {
        let slot = self.engines.get_or_default();
        let engine = of(slot).take().unwrap_or_else(|| Engine::start(&self.program).unwrap());
        let seen = look(&engine);
        *of(slot) = Some(engine);
        seen
    }

    pub(super) fn engines(&self) -> usize {
        self.engines.iter().filter(|slot| of(slot).is_some()).count()
    }
}
