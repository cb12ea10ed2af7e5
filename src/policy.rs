//! Decides the way to a build's log by asking a Lua script, and contains whatever that script does wrong. Never does
//! I/O while deciding, and never lets a script hold a thread past its limits.
//!
//! One [`Policy`] belongs to one generation. Each thread that asks it gets an engine of its own, which goes with the
//! policy: no lock is shared between threads, and nothing of an old script outlives its generation. What a script
//! keeps in its own locals is seen by one thread only and may be gone at the next request: it is no place for state.
//! Only this room knows mlua.
//!
//! ```text
//! settings → Program (text, bytecode, limits) → Engine (one a thread) → Answer → Route
//! ```

mod answer;
mod counters;
mod engine;
mod facts;
mod failure;
mod library;
mod limits;
mod program;
mod relay;
mod spelling;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use thread_local::ThreadLocal;

use crate::admission::{Admission, Connection};
use crate::config::settings;
use crate::metrics;
use crate::names::{BuildId, Hostname, Zone};
use crate::registry::{Build, Snapshot};
use crate::route::{Route, Tags};
use crate::tls::Identity;

use counters::Counters;
use engine::Engine;
pub use failure::{Failure, FailureKind, LoadError};
use program::Program;

/// A compiled script, ready to decide on any thread. Clones share it.
#[derive(Clone)]
pub struct Policy(Arc<Shared>);

/// Where the relay stands, as scripts see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The zone the relay serves.
    pub zone: Option<Zone>,
    /// The name it is registered under.
    pub hostname: Hostname,
}

/// Everything that one decision may depend on. The same request gets the same route from the same script.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The line that the viewer sent, trailing blanks and line end removed.
    pub query: &'a str,
    /// The build it names, known or not.
    pub uuid: Option<&'a BuildId>,
    /// What is known of that build; `None` if it is unknown.
    pub build: Option<&'a Build>,
    /// What the registry knew when the request came.
    pub snapshot: &'a Snapshot,
    /// The name of the listener that took it.
    pub listener: &'a str,
    /// The viewer's address.
    pub peer: IpAddr,
    /// The server name (SNI) the viewer asked for.
    pub server_name: Option<&'a str>,
    /// Who the viewer proved to be.
    pub identity: Option<&'a Identity>,
    /// Orders gateways that are equally good. A fresh random number a request spreads load; a kept one replays.
    pub seed: u64,
}

/// A stream that has ended, as its record has it.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The name of the listener that took it.
    pub listener: &'a str,
    /// The viewer's address.
    pub peer: IpAddr,
    /// The server name (SNI) the viewer asked for.
    pub server_name: Option<&'a str>,
    /// The subject of the certificate by which the viewer proved who it is.
    pub identity: Option<&'a str>,
    /// The build that was asked for, known or not.
    pub uuid: Option<&'a BuildId>,
    /// That build's tenant.
    pub tenant: Option<&'a str>,
    /// The zone that build ran in.
    pub zone: Option<&'a Zone>,
    /// Host and port of the target that was reached last.
    pub target: Option<&'a str>,
    /// That target's kind: `direct`, `gateway` or `connect`.
    pub kind: Option<&'static str>,
    /// Targets that were tried, the one that was reached included.
    pub tried: usize,
    /// Bytes that the viewer's connection took.
    pub bytes: u64,
    /// How long it lasted, from accept to its end.
    pub lasted: Duration,
    /// `complete`, `replied`, `refused`, or a fault's label.
    pub ending: &'static str,
    /// Whose fault the end was: `nobody`, `viewer`, `registry`, `policy`, `upstream` or `relay`.
    pub blame: &'static str,
    /// What the policy called it: the tags of `accept` and of `route`.
    pub tags: &'a Tags,
}

/// A route, and where the script made it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// What was decided.
    pub route: Route,
    /// The script: see [`Policy::name`].
    pub file: String,
    /// The line of the call that made the route, counted from 1.
    pub line: Option<usize>,
}

struct Shared {
    program: Program,
    counters: Counters,
    /// Empty before its thread's first decision, while it decides, and after a limit was hit.
    engines: ThreadLocal<Cell<Option<Engine>>>,
}

impl Policy {
    /// Compiles the script that `settings` names and runs it once, under the limits of a decision, to see that it is
    /// a policy.
    pub fn load(settings: &settings::Policy, place: Place, metrics: metrics::Policy) -> Result<Self, LoadError> {
        let program = Program::read(settings, place)?;
        // Not kept: whoever loads may well do so on a thread that never decides.
        Engine::start(&program).map_err(|complaint| program.load_error(complaint))?;
        Ok(Self(Arc::new(Shared { program, counters: Counters::new(&metrics), engines: ThreadLocal::new() })))
    }

    /// Decides. Takes about as long as a function call, and at most the policy's time limit.
    pub fn route(&self, request: &Request<'_>) -> Result<Route, Failure> {
        self.decide(request, false).map(|explained| explained.route)
    }

    /// Decides whether a connection may ask for a build at all, and within which limits. Asked once for each, after its
    /// handshake and before its request.
    pub fn accept(&self, _connection: &Connection<'_>) -> Result<Admission, Failure> {
        Ok(Admission::default())
    }

    /// Takes note of the end of a stream that [`Self::accept`] let in. Told once of each, however it ended. Called
    /// where a stream is dropped, also while a panic unwinds: it must not panic itself, and nobody learns of a failure.
    pub fn ended(&self, _ended: &Ended<'_>) {}

    /// Decides as [`Self::route`] does, and finds out where in the script the route was made, which takes longer.
    pub fn explain(&self, request: &Request<'_>) -> Result<Explained, Failure> {
        self.decide(request, true)
    }

    /// The script's file, or `built-in default`.
    pub fn name(&self) -> &str {
        &self.0.program.name
    }

    fn decide(&self, request: &Request<'_>, explaining: bool) -> Result<Explained, Failure> {
        let outcome = self.0.ask(request, explaining);
        self.0.counters.count(&outcome);
        outcome
    }
}

#[cfg(test)]
impl Policy {
    /// Shows this thread's engine.
    fn with_engine<T>(&self, look: impl FnOnce(&Engine) -> T) -> T {
        let slot = self.0.engines.get_or_default();
        let engine = slot.take().unwrap_or_else(|| Engine::start(&self.0.program).unwrap());
        let seen = look(&engine);
        slot.set(Some(engine));
        seen
    }
}

impl Shared {
    fn ask(&self, request: &Request<'_>, explaining: bool) -> Result<Explained, Failure> {
        let slot = self.engines.get_or_default();
        let engine = match slot.take() {
            Some(engine) => engine,
            None => Engine::start(&self.program).map_err(|complaint| self.program.failure(complaint))?,
        };
        let outcome = engine.decide(request, explaining).map_err(|complaint| self.program.failure(complaint));
        // A limit may strike between any two instructions: what the script left half done goes with its engine.
        if !outcome.as_ref().is_err_and(|failure| failure.kind.is_limit()) {
            slot.set(Some(engine));
        }
        let (route, line) = outcome?;
        Ok(Explained { route, file: self.program.name.clone(), line })
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name()).finish_non_exhaustive()
    }
}
