//! One decision with who made it. It asks as a session does: first whether the viewer may ask at all, then the way. And
//! it holds the way against the policy's invariant, as a trial does.

use std::fmt;

use super::shown::{Shown, ShownTags};
use crate::admission::{Admission, Connection};
use crate::config::settings::{ClientCertificates, Listener};
use crate::policy::{Explained, Failure, Policy, Request};
use crate::route::{Route, Tags, Way};

/// What was decided, and who was asked first.
#[derive(Debug)]
pub(super) struct Decision {
    /// The script that is asked first.
    pub(super) file: String,
    /// The rule that says so, if one does.
    pub(super) rule: Option<String>,
    pub(super) answer: Answer,
    /// Of a running build's route, if the policy has one.
    pub(super) invariant: Option<Invariant>,
    /// The listener that would not have let the viewer come so far.
    closed: Option<String>,
}

/// What became of the request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The viewer was sent away before it could ask.
    TurnedAway(String, Tags),
    /// A route was made.
    Routed(Explained),
    /// The policy failed, and the viewer gets Zuul's words for that.
    Failed(Failure),
}

/// What the policy itself says of its route.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Invariant {
    /// It is as it must be.
    Holds,
    /// It is not, in the policy's words.
    Broken(String),
    /// The policy could not say.
    Failed(Failure),
}

impl Decision {
    /// Asks `policy` about a request to one of `listeners`.
    pub(super) fn of(policy: &Policy, request: &Request<'_>, listeners: &[Listener]) -> Self {
        let closed = listeners.iter().find(|listener| listener.name == request.listener).filter(|listener| {
            let demanded = listener.tls.as_ref().map(|tls| &tls.client_certificates);
            request.identity.is_none() && matches!(demanded, Some(ClientCertificates::Required(_)))
        });
        let connection = Connection {
            listener: request.listener,
            peer: request.peer,
            server_name: request.server_name,
            identity: request.identity,
        };
        let admitted = policy.accept(&connection, &request.known);
        let answer = admitted.and_then(|admission| answer(policy, request, admission)).unwrap_or_else(Answer::Failed);
        // Whose build it wants is not known of a viewer that is turned away.
        let build = request.build.filter(|_| !matches!(answer, Answer::TurnedAway(..)));
        let choice = policy.choice(request.listener, build);
        let invariant = match &answer {
            Answer::Routed(explained) => held(policy, request, &explained.route),
            Answer::TurnedAway(..) | Answer::Failed(_) => None,
        };
        Self {
            file: choice.file.to_owned(),
            rule: choice.rule.map(ToString::to_string),
            answer,
            invariant,
            closed: closed.map(|listener| listener.name.clone()),
        }
    }

    /// Whether the viewer gets a log, or what the policy has for it instead, and that is as the policy itself wants it.
    pub(super) fn is_good(&self) -> bool {
        let answered = |explained: &Explained| !matches!(explained.route.way, Way::Refuse(_));
        let held = matches!(self.invariant, None | Some(Invariant::Holds));
        matches!(&self.answer, Answer::Routed(explained) if answered(explained)) && held
    }

    /// File and line that decided.
    pub(super) fn spot(&self) -> (&str, Option<usize>) {
        match &self.answer {
            Answer::TurnedAway(..) => (&self.file, None),
            Answer::Routed(explained) => (&explained.file, explained.line),
            Answer::Failed(failure) => (&failure.file, failure.line),
        }
    }

    /// A line of the script that was asked first is told by its number alone.
    fn place(&self, file: &str, line: Option<usize>) -> String {
        match line {
            None => format!(" in {file}"),
            Some(line) if file == self.file => format!(" in line {line}"),
            Some(line) => format!(" in {file}:{line}"),
        }
    }
}

fn answer(policy: &Policy, request: &Request<'_>, admission: Admission) -> Result<Answer, Failure> {
    match admission {
        Admission::Refuse { text, tags } => Ok(Answer::TurnedAway(text, tags)),
        Admission::Allow { tags, .. } => {
            let mut explained = policy.explain(request)?;
            explained.route.tags = tags.joined(explained.route.tags);
            Ok(Answer::Routed(explained))
        }
    }
}

fn held(policy: &Policy, request: &Request<'_>, route: &Route) -> Option<Invariant> {
    let build = request.build.filter(|build| build.runs_on().is_some())?;
    if !policy.has_invariant(request.listener, build) {
        return None;
    }
    Some(match policy.broken_invariant(request.listener, build, route, &request.known) {
        Ok(None) => Invariant::Holds,
        Ok(Some(text)) => Invariant::Broken(text),
        Err(failure) => Invariant::Failed(failure),
    })
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(listener) = &self.closed {
            writeln!(f, "note     listener {listener} lets nobody in without a client certificate; see --certificate")?;
        }
        let by = self.rule.as_ref().map(|rule| format!(", by {rule}")).unwrap_or_default();
        writeln!(f, "policy   {}{by}", self.file)?;
        let explained = match &self.answer {
            Answer::TurnedAway(text, tags) => {
                writeln!(f, "refused  before it could ask; the viewer gets {text:?}")?;
                return write!(f, "{}", ShownTags(tags));
            }
            Answer::Routed(explained) => explained,
            Answer::Failed(failure) => {
                return writeln!(f, "failed   {failure}\n         the viewer gets \"Internal streaming error\"");
            }
        };
        for step in &explained.handed_over {
            writeln!(f, "handed   over to {}{}", step.to, self.place(&step.file, step.line))?;
        }
        if explained.line.is_some() || explained.file != self.file {
            writeln!(f, "decided {}", self.place(&explained.file, explained.line))?;
        }
        write!(f, "{}", Shown(&explained.route))?;
        match &self.invariant {
            None => Ok(()),
            Some(Invariant::Holds) => writeln!(f, "checked  the invariant holds"),
            Some(Invariant::Broken(text)) => writeln!(f, "broken   the invariant: {text}"),
            Some(Invariant::Failed(failure)) => writeln!(f, "failed   the invariant: {failure}"),
        }
    }
}
