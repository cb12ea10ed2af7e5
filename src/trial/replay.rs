//! What another policy would have decided on the traffic of the past, out of a decision log. Every decision is asked
//! again as it was asked then; what the log does not know is nobody's to guess, and such a decision is not judged.

mod report;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Kind;
use super::report::short;
use super::run::MAX_FAILURES;
use super::verdict::{Alike, Verdict, change};
use crate::config::settings;
use crate::decisions::{Asked, Decision, Logged, Outcome, Relay, Unread};
use crate::metrics;
use crate::names::Zone;
use crate::policy::{Failure, Journal, Known, LoadError, Moment, Place, Policy, Request, World};
use crate::registry::{Freshness, Snapshot};
use crate::route::Route;

/// Kinds of change that are told apart; those of any other kind are only counted.
const MAX_GROUPS: usize = 1000;

/// Relays at which the candidate is kept ready: a log has the same few again and again.
const MAX_RELAYS: usize = 64;

/// The policy that wants to decide.
#[derive(Debug)]
pub struct Candidate {
    /// Its scripts, rules and limits.
    pub settings: settings::Policy,
    /// Its scripts read as `relay.params` what those of the past did, whatever `settings` say.
    pub params_of_log: bool,
}

/// A candidate that is asked what was asked before.
#[derive(Debug)]
pub struct Replay {
    candidate: Candidate,
    /// The candidate, as it stands at each relay of the log.
    placed: Vec<(Relay, Policy)>,
    /// Nothing is read of it: what was read then is in the log.
    world: World,
    /// What ages are counted from: the clock of ages may not reach back as far as they do.
    start: Instant,
    /// How often the candidate was stopped by a limit.
    stopped: usize,
    past: Past,
}

/// Everything in which a candidate differs from the past.
#[derive(Debug, Default)]
pub struct Past {
    /// Decisions that were compared.
    pub decisions: usize,
    /// Those that would be others.
    pub changed: usize,
    /// Decisions that were not judged, because the candidate read what the log does not have.
    pub unjudged: Noted,
    /// Lines that could not be read.
    pub unread: Noted,
    /// Decisions that were not asked again, after too many at which the candidate was stopped by a limit.
    pub left_out: usize,
    kinds: HashMap<Kind, usize>,
    groups: HashMap<(Option<Zone>, Alike), Group>,
}

/// How often something happened, and what it was for the first time.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Noted {
    /// How often.
    pub count: usize,
    /// What, and in which line.
    pub first: Option<String>,
}

#[derive(Debug)]
struct Group {
    decisions: usize,
    /// Where one of them is.
    example: String,
}

impl Replay {
    /// Begins with nothing found.
    pub fn new(candidate: Candidate) -> Self {
        let (world, start) = (World::default(), Instant::now());
        Self { candidate, placed: Vec::new(), world, start, stopped: 0, past: Past::default() }
    }

    /// Asks the candidate what was asked in this line of `file`, and notes the difference.
    ///
    /// # Errors
    /// If the candidate is no policy at the relay that was asked.
    pub fn take(&mut self, file: &Path, logged: Logged) -> Result<(), LoadError> {
        if self.stopped >= MAX_FAILURES {
            self.past.left_out += 1;
            return Ok(());
        }
        let policy = self.placed(&logged.relay)?;
        let spot = format!("{}:{}", file.display(), logged.line);
        let (then, missed) = self.ask(&policy, &logged);
        if let Some(question) = missed.first() {
            self.past.unjudged.note(|| format!("{spot}: {question}"));
            return Ok(());
        }
        self.past.decisions += 1;
        self.stopped += usize::from(then.as_ref().is_err_and(|failure| failure.kind.is_limit()));
        let was = match logged.decision.outcome {
            Outcome::Decided(route) => Ok(route),
            Outcome::Failed(failure) => Err(failure),
        };
        if let Some(alike) = difference(was, then) {
            self.past.note(logged.relay.zone.clone(), alike, spot);
        }
        Ok(())
    }

    /// Notes a line of `file` that could not be read.
    pub fn pass_over(&mut self, file: &Path, Unread { line, why }: &Unread) {
        self.past.unread.note(|| format!("{}:{line} {why}", file.display()));
    }

    /// What was found.
    pub fn found(self) -> Past {
        self.past
    }

    /// The candidate as it stands at `relay`.
    fn placed(&mut self, relay: &Relay) -> Result<Policy, LoadError> {
        if let Some((_, policy)) = self.placed.iter().find(|(at, _)| at == relay) {
            return Ok(policy.clone());
        }
        let mut settings = self.candidate.settings.clone();
        if self.candidate.params_of_log {
            settings.params.clone_from(&relay.params);
        }
        let place = Place { zone: relay.zone.clone(), hostname: relay.hostname.clone() };
        // Counted apart: nobody asked for these decisions.
        let policy = Policy::load(&settings, place, metrics::Policy::default())?;
        if self.placed.len() >= MAX_RELAYS {
            self.placed.remove(0);
        }
        self.placed.push((relay.clone(), policy.clone()));
        Ok(policy)
    }

    /// What `policy` decides about what was asked, and what it would have had to know beside.
    fn ask(&self, policy: &Policy, logged: &Logged) -> (Result<Route, Failure>, Vec<String>) {
        let Decision { at, asked, reads, .. } = &logged.decision;
        let (freshness, tick) = self.aged(asked.registry_age);
        let components = Arc::clone(&logged.components);
        let snapshot = Arc::new(Snapshot { components, freshness, ..Snapshot::default() });
        let Asked { query, uuid, build, listener, peer, server_name, identity, seed, .. } = asked;
        let (build, identity) = (build.clone().map(Arc::new), identity.clone().map(Arc::new));
        let world = Arc::new(self.world.replaying(reads.clone()));
        let request = Request {
            query,
            uuid: uuid.as_ref(),
            build: build.as_ref(),
            known: Known { snapshot: &snapshot, world: &world, at: Moment { wall: *at, tick } },
            listener,
            peer: *peer,
            server_name: server_name.as_deref(),
            identity: identity.as_ref(),
            seed: *seed,
        };
        let then = policy.route(&request);
        (then, world.journal.as_ref().map(Journal::missed).unwrap_or_default())
    }

    /// A registry whose source had been away for `seconds`, and the moment at which it had.
    fn aged(&self, seconds: Option<f64>) -> (Freshness, Instant) {
        let age = seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
        match age {
            None => (Freshness::Never, self.start),
            Some(Duration::ZERO) => (Freshness::Live, self.start),
            Some(age) => (Freshness::StaleSince(self.start), self.start.checked_add(age).unwrap_or(self.start)),
        }
    }
}

impl Past {
    fn note(&mut self, zone: Option<Zone>, alike: Alike, spot: String) {
        self.changed += 1;
        *self.kinds.entry(alike.0).or_default() += 1;
        let (full, key) = (self.groups.len() >= MAX_GROUPS, (zone, alike));
        match self.groups.get_mut(&key) {
            Some(group) => group.decisions += 1,
            None if full => {}
            None => drop(self.groups.insert(key, Group { decisions: 1, example: spot })),
        }
    }
}

impl Noted {
    fn note(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        self.first.get_or_insert_with(what);
    }
}

/// How two decisions differ; `None` if the viewer would not see it. What the candidate's invariant says of its routes
/// is found out on a registry that is whole, by a trial.
fn difference(was: Result<Route, Failure>, then: Result<Route, Failure>) -> Option<Alike> {
    if let (Err(was), Err(then)) = (&was, &then)
        && was.kind == then.kind
    {
        // The words are of another script, or of the same one under another name.
        return None;
    }
    let [was, then] = [was, then].map(|route| Verdict { route, broken: None });
    let (kind, in_short, then_in_short) = change(&was, &then)?;
    if short(&was) == short(&then) {
        return Some((kind, report::long(&was.route), report::long(&then.route)));
    }
    Some((kind, in_short, then_in_short))
}
