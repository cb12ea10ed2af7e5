//! Decides the way to a build's log by asking a Lua script, and contains whatever that script does wrong. Never does
//! I/O while deciding, and never lets a script hold a thread past its limits.
//!
//! One [`Policy`] belongs to one generation. Each thread that asks it gets an engine of its own, which goes with the
//! policy, or when that decides no more: threads do not wait for each other, and nothing of an old script decides about
//! a new stream. What a script keeps in its own locals is seen by one thread only and may be gone at the next request:
//! it is no place for state. Only this room knows mlua.
//!
//! ```text
//! settings → Program (text, bytecode, limits) → Engine (one a thread) → Answer → Route
//!                                             → Jobs (an engine of their own) → relay.shared
//! ```

mod answer;
pub mod background;
mod call;
mod counters;
mod depth;
mod description;
mod engine;
mod facts;
mod failure;
mod hand;
mod hooks;
mod jobs;
mod journal;
mod kept;
mod known;
mod leash;
mod library;
mod limits;
mod literal;
mod machine;
mod modules;
mod outside;
mod program;
pub mod prompt;
mod question;
mod rank;
pub mod reference;
mod relay;
mod retired;
mod script;
pub mod shared;
pub mod sources;
mod spelling;
pub mod testing;
#[cfg(test)]
mod tests;
mod unguarded;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::admission::{Admission, Connection};
use crate::config::settings;
use crate::metrics;
use crate::names::{Hostname, Zone};
use crate::registry::Build;
use crate::route::Route;

use answer::Decision;
use counters::Counters;
pub use failure::{Failure, FailureKind, LoadError};
pub use jobs::Jobs;
pub use journal::{Journal, Reads};
pub use known::{Known, Moment, World};
use modules::Modules;
pub use outside::{Fetch, Outside, TlsFiles, Unanswered};
use program::Surroundings;
pub use question::{Ended, Request};
pub(crate) use rank::rank;
pub use retired::Retired;
use script::{Answer, Script};
pub use shared::SharedTable;
use sources::Sources;
use testing::Probe;

/// Most policies that one request may be handed to.
const MAX_ASKED: usize = 8;

/// Compiled scripts, ready to decide on any thread. Clones share them.
#[derive(Clone)]
pub struct Policy(Arc<Scripts>);

/// Where the relay stands, as scripts see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The zone the relay serves.
    pub zone: Option<Zone>,
    /// The name it is registered under.
    pub hostname: Hostname,
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
    /// How the request came to that script from the one of [`Policy::choice`].
    pub handed_over: Vec<HandOver>,
}

/// Where one policy handed a request over to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    /// The script that did: see [`Policy::name`].
    pub file: String,
    /// The line that did, counted from 1.
    pub line: Option<usize>,
    /// The name of the other policy.
    pub to: String,
}

/// The policy that is asked first about a request, and why that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice<'a> {
    /// Its script: see [`Policy::name`].
    pub file: &'a str,
    /// The rule that says so; `None` for the default.
    pub rule: Option<&'a settings::Rule>,
}

struct Scripts {
    /// By name. Those that a rule names, and the default, are among them.
    by_name: BTreeMap<String, Script>,
    rules: Vec<settings::Rule>,
    default: String,
    /// Where scripts are and what they may read, the one that counts first.
    folders: Arc<[PathBuf]>,
    counters: Counters,
}

impl Policy {
    /// Compiles the scripts that `settings` names and runs each once, under the limits of a decision, to see that it
    /// is a policy.
    pub fn load(settings: &settings::Policy, place: Place, metrics: metrics::Policy) -> Result<Self, LoadError> {
        let Sources { policies, modules, default, .. } = Sources::read(settings)?;
        let modules = Modules::compile(modules, false);
        if settings.file.is_none() {
            // In a folder of policies nothing is there by chance.
            modules.all_usable()?;
        }
        let names: Vec<String> = policies.keys().cloned().collect();
        let surroundings = Surroundings {
            place,
            modules: modules.into(),
            names: names.into(),
            params: settings.params.clone().into(),
            probe: None,
        };
        let scripts =
            policies.into_iter().map(|(name, source)| Ok((name, Script::load(source, &surroundings, settings)?)));
        Ok(Self(Arc::new(Scripts {
            by_name: scripts.collect::<Result<_, LoadError>>()?,
            rules: settings.rules.clone(),
            default,
            folders: folders(settings),
            counters: Counters::new(&metrics),
        })))
    }

    /// The same scripts for a relay that stands elsewhere, counted in `metrics`.
    #[must_use]
    pub fn placed(&self, place: &Place, metrics: &metrics::Policy) -> Self {
        self.of(|script| script.placed(place), metrics)
    }

    /// The same scripts, where `probe` sees what they do; counted nowhere.
    fn watched(&self, probe: &Probe) -> Self {
        self.of(|script| script.watched(probe), &metrics::Policy::default())
    }

    /// The same with `other` scripts in their places.
    fn of(&self, other: impl Fn(&Script) -> Script, metrics: &metrics::Policy) -> Self {
        let Scripts { by_name, rules, default, folders, .. } = &*self.0;
        Self(Arc::new(Scripts {
            by_name: by_name.iter().map(|(name, script)| (name.clone(), other(script))).collect(),
            rules: rules.clone(),
            default: default.clone(),
            folders: Arc::clone(folders),
            counters: Counters::new(metrics),
        }))
    }

    /// The jobs of every script that has some. Whoever has them runs them; each run is aborted once `stop` is told.
    pub fn jobs(&self, stop: &CancellationToken) -> Vec<Jobs> {
        let scripts = self.0.by_name.iter().filter(|(_, script)| !script.planned().is_empty());
        scripts.map(|(name, script)| Jobs::new(name, script.program(), script.planned(), stop)).collect()
    }

    /// Where scripts are and what their jobs may read, the folder that counts first.
    pub fn folders(&self) -> &Arc<[PathBuf]> {
        &self.0.folders
    }

    /// Whether `other` is the same text under the same rules and limits.
    pub fn is(&self, other: &Self) -> bool {
        let (a, b) = (&self.0, &other.0);
        let scripts = a.by_name.iter().map(|(name, script)| (name, script.program()));
        a.rules == b.rules
            && a.default == b.default
            && scripts.eq(b.by_name.iter().map(|(name, script)| (name, script.program())))
    }

    /// Decides. Takes about as long as a function call, and at most the policy's time limit.
    pub fn route(&self, request: &Request<'_>) -> Result<Route, Failure> {
        self.decide(request, false).map(|explained| explained.route)
    }

    /// Decides whether a connection may ask for a build at all, and within which limits. Asked once for each, after its
    /// handshake and before its request, of the policy for its listener: whose build it wants is not known yet.
    pub fn accept(&self, connection: &Connection<'_>, known: &Known<'_>) -> Result<Admission, Failure> {
        let script = self.0.script(connection.listener, None, None);
        let Some(script) = script.filter(|script| script.has().accept) else { return Ok(Admission::default()) };
        self.counted(script.with(|engine| engine.accept(connection, known)))
    }

    /// Takes note of the end of a stream that [`Self::accept`] let in. Told once of each, however it ended. Called
    /// where a stream is dropped, also while a panic unwinds: it must not panic itself. A failure is counted and
    /// logged.
    pub fn ended(&self, ended: &Ended<'_>, known: &Known<'_>) {
        if let Err(failure) = self.counted(self.tell(ended, known)) {
            warn!(why = %failure, "the policy failed to take note of a stream's end");
        }
    }

    /// What the policy that decides about `build` finds wrong with giving it that `route`; `None` if nothing is.
    pub fn broken_invariant(
        &self,
        listener: &str,
        build: &Arc<Build>,
        route: &Route,
        known: &Known<'_>,
    ) -> Result<Option<String>, Failure> {
        let script = self.0.script_for(listener, Some(build));
        let Some(script) = script.filter(|script| script.has().invariant) else { return Ok(None) };
        script.with(|engine| engine.broken(build, route, known))
    }

    /// Whether the policy that decides about `build` says what must hold of its routes.
    pub fn has_invariant(&self, listener: &str, build: &Arc<Build>) -> bool {
        self.0.script_for(listener, Some(build)).is_some_and(|script| script.has().invariant)
    }

    /// Decides as [`Self::route`] does, and finds out where in the script the route was made, which takes longer.
    pub fn explain(&self, request: &Request<'_>) -> Result<Explained, Failure> {
        self.decide(request, true)
    }

    /// Which script is asked first on `listener` about `build`, by the rules alone.
    pub fn choice(&self, listener: &str, build: Option<&Arc<Build>>) -> Choice<'_> {
        let (zone, tenant) = traits(build);
        let rule = self.0.rule_for(listener, zone, tenant);
        let name = rule.map_or(&self.0.default, |rule| &rule.policy);
        Choice { file: self.0.by_name.get(name).map_or("", Script::title), rule }
    }

    /// The listeners that a rule names, whether they are configured or not.
    pub fn named_listeners(&self) -> impl Iterator<Item = &str> {
        self.0.rules.iter().flat_map(|rule| &rule.listener).map(String::as_str)
    }

    /// The file of the script that decides where no rule says otherwise, or `built-in default`.
    pub fn name(&self) -> &str {
        self.0.by_name.get(&self.0.default).map_or("", Script::title)
    }

    fn decide(&self, request: &Request<'_>, explaining: bool) -> Result<Explained, Failure> {
        let outcome = self.0.decide(request, explaining);
        self.0.counters.count(&outcome);
        outcome
    }

    /// As [`Self::ended`], for whoever wants to know of a failure.
    fn tell(&self, ended: &Ended<'_>, known: &Known<'_>) -> Result<(), Failure> {
        let script = self.0.script(ended.listener, ended.zone, ended.tenant);
        let Some(script) = script.filter(|script| script.has().ended) else { return Ok(()) };
        script.with(|engine| engine.ended(ended, known))
    }

    fn counted<T>(&self, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(failure) = &outcome {
            self.0.counters.count_failure(failure.kind);
        }
        outcome
    }
}

#[cfg(test)]
impl Policy {
    /// Shows this thread's engine of the default policy.
    fn with_engine<T>(&self, look: impl FnOnce(&engine::Engine) -> T) -> T {
        self.0.by_name[&self.0.default].with_engine(look)
    }

    /// How many engines it has, on all threads.
    pub(crate) fn engines(&self) -> usize {
        self.0.by_name.values().map(Script::engines).sum()
    }
}

impl Scripts {
    /// Asks the policy that the rules choose, and whomever it hands over to.
    fn decide(&self, request: &Request<'_>, explaining: bool) -> Result<Explained, Failure> {
        let mut asked: Vec<&str> = Vec::new();
        let mut handed_over = Vec::new();
        let mut name = self.choose_for(request.listener, request.build);
        loop {
            let Some((name_of, script)) = self.by_name.get_key_value(name) else {
                return Err(unknown(name, &asked));
            };
            asked.push(name_of);
            let Answer { decision, file, line } = script.ask(request, explaining)?;
            let next = match decision {
                Decision::Route(route) => return Ok(Explained { route, file, line, handed_over }),
                Decision::HandOver(next) => next,
            };
            if asked.contains(&next.as_str()) || asked.len() >= MAX_ASKED {
                return Err(circle(&asked, &next, Answer { decision: Decision::HandOver(next.clone()), file, line }));
            }
            // Borrowed from the map and not from the answer, which ends with this round.
            name = self
                .by_name
                .get_key_value(&next)
                .map(|(name, _)| name.as_str())
                .ok_or_else(|| unknown(&next, &asked))?;
            if explaining {
                handed_over.push(HandOver { file, line, to: next });
            }
        }
    }

    fn rest(&self) {
        self.by_name.values().for_each(Script::rest);
    }

    fn rule_for(&self, listener: &str, zone: Option<&Zone>, tenant: Option<&str>) -> Option<&settings::Rule> {
        self.rules.iter().find(|rule| rule.matches(listener, zone, tenant))
    }

    /// The policy's name that the rules choose, or the default's.
    fn choose(&self, listener: &str, zone: Option<&Zone>, tenant: Option<&str>) -> &str {
        self.rule_for(listener, zone, tenant).map_or(&self.default, |rule| &rule.policy)
    }

    fn choose_for(&self, listener: &str, build: Option<&Arc<Build>>) -> &str {
        let (zone, tenant) = traits(build);
        self.choose(listener, zone, tenant)
    }

    fn script(&self, listener: &str, zone: Option<&Zone>, tenant: Option<&str>) -> Option<&Script> {
        self.by_name.get(self.choose(listener, zone, tenant))
    }

    fn script_for(&self, listener: &str, build: Option<&Arc<Build>>) -> Option<&Script> {
        self.by_name.get(self.choose_for(listener, build))
    }
}

/// Overlays come first: what they hold takes the place of what the package has.
fn folders(settings: &settings::Policy) -> Arc<[PathBuf]> {
    let mut folders: Vec<_> = settings.folders().map(|(folder, _)| folder).collect();
    folders.reverse();
    folders.into()
}

/// What rules look at: the zone where a build runs, and its tenant.
fn traits(build: Option<&Arc<Build>>) -> (Option<&Zone>, Option<&str>) {
    let worker = build.and_then(|build| build.worker.as_ref());
    (worker.and_then(|worker| worker.zone.as_ref()), build.and_then(|build| build.tenant.as_deref()))
}

/// A name that no policy has, which loading and `relay.hand_over` make sure of.
fn unknown(name: &str, asked: &[&str]) -> Failure {
    let file = asked.last().map_or(name, |last| last).to_owned();
    let message = format!("there is no policy \"{name}\"");
    Failure { kind: FailureKind::Error, file, line: None, message, excerpt: None }
}

fn circle(asked: &[&str], next: &str, answer: Answer) -> Failure {
    let way = asked.join(" to ");
    let message =
        format!("the policies handed over from {way} to {next}; a request may see {MAX_ASKED} policies, each once");
    Failure { kind: FailureKind::BadRoute, file: answer.file, line: answer.line, message, excerpt: None }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("name", &self.name()).finish_non_exhaustive()
    }
}
