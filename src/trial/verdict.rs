//! What one policy makes of one build, and what changes if another one decides.

use super::Kind;
use super::report;
use crate::policy::{Failure, Policy, Request};
use crate::route::{Route, Way};

/// Said of a route that differs in what few words leave out.
const UNSHOWN: &str = ", with other hosts, limits, tags or words";

/// A policy's decision, and what it finds wrong with it itself.
pub(crate) struct Verdict {
    pub(crate) route: Result<Route, Failure>,
    /// What the policy's invariant says of the route, if it does not hold.
    pub(crate) broken: Option<String>,
}

/// What changes alike: how bad it is, what is decided now, and what would be.
pub(crate) type Alike = (Kind, String, String);

impl Verdict {
    /// What `policy` decides.
    pub(crate) fn of(policy: &Policy, request: &Request<'_>) -> Self {
        Self { route: policy.route(request), broken: None }
    }

    /// The same, held against the policy's invariant.
    pub(crate) fn checked(policy: &Policy, request: &Request<'_>) -> Self {
        let Self { route, .. } = Self::of(policy, request);
        let (Ok(made), Some(build)) = (&route, request.build) else { return Self { route, broken: None } };
        match policy.broken_invariant(request.listener, build, made, &request.known) {
            Ok(broken) => Self { route, broken },
            Err(failure) => Self { route: Err(failure), broken: None },
        }
    }

    /// Whether the viewer gets what it came for, or what the policy has for it instead.
    fn answers(&self) -> bool {
        matches!(&self.route, Ok(route) if !matches!(route.way, Way::Refuse(_)))
    }
}

/// What changes from `now` to `then`; `None` if nothing does.
pub(crate) fn change(now: &Verdict, then: &Verdict) -> Option<Alike> {
    let kind = match &then.route {
        Err(_) => Kind::Failed,
        Ok(_) if then.broken.is_some() => Kind::Broken,
        Ok(_) if now.route == then.route => return None,
        Ok(_) => match (now.answers(), then.answers()) {
            (true, true) => Kind::Rerouted,
            (true, false) => Kind::Unroutable,
            (false, _) => Kind::Answered,
        },
    };
    let (now, mut then) = (report::short(now), report::short(then));
    if kind == Kind::Rerouted && now == then {
        then += UNSHOWN;
    }
    Some((kind, now, then))
}
