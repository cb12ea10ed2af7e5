//! One request on its way: from the policy's decision to where a log's bytes begin to flow. It never speaks for the
//! relay: what the viewer is told of a failure is its caller's.

use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::Arc;

use super::log::Log;
use super::terms::Terms;
use super::{Answer, give_up, tell};
use crate::candidate::Decided;
use crate::fault::Fault;
use crate::listener::Viewer;
use crate::policy::Request;
use crate::record::{Ending, Record};
use crate::registry::Build;
use crate::request::{Line, Query};
use crate::route::{Reply, Route, Target, TargetKind, Way};
use crate::shared::Shared;
use crate::stream;
use crate::upstream::{Reached, Unreached};

/// What was asked, and what decides about it.
pub(super) struct Asked<'a> {
    shared: &'a Arc<Shared>,
    terms: Terms,
    query: Query,
    /// Spreads load among gateways that are equally good; the same for all that is asked about this request.
    seed: u64,
}

/// Where a request leads.
pub(super) enum Found {
    /// The policy's own words, instead of a log.
    Reply(Reply),
    /// The policy's own words, why there is no log.
    Refused(String),
    /// A target that has the request already.
    Reached(Box<Reached>),
}

impl<'a> Asked<'a> {
    pub(super) fn new(shared: &'a Arc<Shared>, terms: Terms, query: Query) -> Self {
        let seed = RandomState::new().hash_one(());
        Self { shared, terms, query, seed }
    }

    /// Asks the policy, and has whoever decided told of the end.
    pub(super) async fn decide(&mut self, viewer: &Viewer, record: &mut Record) -> Result<Route, Fault> {
        let build = self.terms.expiry.within(pin!(self.find_build())).await?;
        record.found(build.as_ref());
        if let Some(build) = &build {
            // The same text, but the registry's own: what streams keep for hours, they share.
            self.query.build = Some(build.uuid.clone());
        }
        let snapshot = self.shared.registry.snapshot();
        let request = Request {
            query: &self.query.line,
            uuid: self.query.build.as_ref(),
            build: build.as_ref(),
            known: self.shared.known(&snapshot),
            listener: &viewer.config.settings.name,
            peer: viewer.peer.ip(),
            server_name: viewer.server_name.as_deref(),
            identity: viewer.identity.as_ref(),
            seed: self.seed,
        };
        let Decided { route, by } = self.shared.decide(&self.terms.deciding, &request);
        record.decided(by.is_candidate());
        tell(by, self.shared, record);
        let route = route.map_err(|failure| Fault::Policy(failure.to_string()))?;
        record.routed(&route.tags);
        Ok(route)
    }

    /// Goes the way that was decided, up to where bytes begin to flow.
    pub(super) async fn find(&mut self, way: Way, viewer: &Viewer, record: &mut Record) -> Result<Found, Fault> {
        let expiry = self.terms.expiry;
        expiry.within(pin!(self.reach(way, viewer, record))).await
    }

    /// Makes what was found the viewer's answer; the policy's own words are said here.
    pub(super) async fn answer(self, found: Found, viewer: &mut Viewer, record: &Record) -> Result<Answer<'a>, Fault> {
        match found {
            Found::Refused(text) => Ok(Answer::Over(Ending::Refused(text))),
            Found::Reply(reply) => self.say(&reply, viewer, record).await.map(Answer::Over),
            Found::Reached(reached) => {
                let Self { shared, terms, query, .. } = self;
                Ok(Answer::Log(Box::new(Log { shared, terms, line: query.forwarded()?, reached: *reached })))
            }
        }
    }

    /// Dials the way's targets. If all of them failed and the registry now leads elsewhere, goes there, once.
    async fn reach(&mut self, way: Way, viewer: &Viewer, record: &mut Record) -> Result<Found, Fault> {
        let first = match way {
            Way::Targets(targets) => targets,
            Way::Reply(reply) => return Ok(Found::Reply(reply)),
            Way::Refuse(text) => return Ok(Found::Refused(text)),
        };
        let unreached = match self.dial(&first).await? {
            Ok(reached) => return Ok(Found::Reached(Box::new(reached))),
            Err(unreached) => unreached,
        };
        record.unreached(&unreached);
        match self.decide(viewer, record).await.map(|route| route.way) {
            Ok(Way::Reply(reply)) => Ok(Found::Reply(reply)),
            Ok(Way::Refuse(text)) => Ok(Found::Refused(text)),
            Ok(Way::Targets(targets)) if targets != first => {
                let reached = self.dial(&targets).await?.map_err(|unreached| give_up(unreached, record))?;
                Ok(Found::Reached(Box::new(reached)))
            }
            // The same way again, or nobody to ask for it: what went wrong is that it leads nowhere.
            _ => Err(unreached.into()),
        }
    }

    async fn find_build(&self) -> Result<Option<Arc<Build>>, Fault> {
        let Some(id) = &self.query.build else { return Ok(None) };
        self.shared.registry.find(id).await.map_err(|unavailable| Fault::Registry(unavailable.to_string()))
    }

    /// The outer error is a request that nobody can be asked, the inner one that nobody answered.
    async fn dial(&self, targets: &[Target]) -> Result<Result<Reached, Unreached>, Fault> {
        let line = self.line_for(targets)?;
        Ok(self.shared.dialler.reach(targets, &line, &self.terms.deciding.how).await)
    }

    /// Executors and Zuul's gateways know builds and nothing else.
    fn line_for(&self, targets: &[Target]) -> Result<Line, Fault> {
        let stranger = targets.iter().find(|target| target.kind != TargetKind::Connect);
        match stranger.filter(|_| self.query.build.is_none()) {
            None => self.query.forwarded(),
            Some(target) => {
                Err(Fault::Policy(format!("it gave the target {target} for a request that names no build")))
            }
        }
    }

    /// Says the policy's own answer. It has to be taken within the time that a viewer may leave any byte waiting.
    async fn say(&self, reply: &Reply, viewer: &mut Viewer, record: &Record) -> Result<Ending, Fault> {
        let patience = self.terms.stream().viewer_stall_timeout;
        let said = stream::reply(&mut viewer.transport, reply.as_str(), &record.meter, patience);
        self.terms.expiry.within(pin!(said)).await.map(|()| Ending::Replied)
    }
}
