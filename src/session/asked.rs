//! One request on its way: from the policy's decision to the end of what it led to. It never speaks for the relay:
//! what the viewer is told of a failure is its caller's.

use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::Arc;

use super::expiry::Expiry;
use super::tell;
use crate::candidate::Decided;
use crate::config::settings;
use crate::fault::{Blame, Fault};
use crate::listener::Viewer;
use crate::policy::Request;
use crate::record::{Ending, Record};
use crate::registry::Build;
use crate::request::{Line, Query};
use crate::route::{Reply, Route, Target, TargetKind, Way};
use crate::shared::{Deciding, Shared};
use crate::stream;
use crate::upstream::{Reached, Silence, Unreached};

/// What was asked, and what decides about it.
pub(super) struct Asked<'a> {
    shared: &'a Arc<Shared>,
    deciding: Arc<Deciding>,
    query: Query,
    /// How bytes are moved, with what the policy said of this stream.
    settings: settings::Stream,
    expiry: Expiry,
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
    pub(super) fn new(
        shared: &'a Arc<Shared>,
        deciding: Arc<Deciding>,
        query: Query,
        settings: settings::Stream,
        expiry: Expiry,
    ) -> Self {
        let seed = RandomState::new().hash_one(());
        Self { shared, deciding, query, settings, expiry, seed }
    }

    /// Asks the policy, and has whoever decided told of the end.
    pub(super) async fn decide(&self, viewer: &Viewer, record: &mut Record) -> Result<Route, Fault> {
        let build = self.expiry.within(self.find_build()).await?;
        record.found(build.as_deref());
        let snapshot = self.shared.registry.snapshot();
        let request = Request {
            query: &self.query.line,
            uuid: self.query.build.as_ref(),
            build: build.as_ref(),
            known: self.shared.known(&snapshot),
            listener: &viewer.listener,
            peer: viewer.peer.ip(),
            server_name: viewer.server_name.as_deref(),
            identity: viewer.identity.as_ref(),
            seed: self.seed,
        };
        let Decided { route, by } = self.shared.decide(&self.deciding, &request);
        record.decided(by.is_candidate());
        tell(by, self.shared, record);
        let route = route.map_err(|failure| Fault::Policy(failure.to_string()))?;
        record.routed(&route.tags);
        Ok(route)
    }

    /// Goes the way that was decided, up to where bytes begin to flow.
    pub(super) async fn find(&self, way: Way, viewer: &Viewer, record: &mut Record) -> Result<Found, Fault> {
        self.expiry.within(self.reach(way, viewer, record)).await
    }

    /// Has the viewer take what was found, to its end.
    pub(super) async fn take(&self, found: Found, viewer: &mut Viewer, record: &mut Record) -> Result<Ending, Fault> {
        match found {
            Found::Refused(text) => Ok(Ending::Refused(text)),
            // In a box: streams that follow a log need no room for it.
            Found::Reply(reply) => Box::pin(self.say(&reply, viewer, record)).await,
            Found::Reached(reached) => self.follow(reached, viewer, record).await,
        }
    }

    /// Dials the way's targets. If all of them failed and the registry now leads elsewhere, goes there, once.
    async fn reach(&self, way: Way, viewer: &Viewer, record: &mut Record) -> Result<Found, Fault> {
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
        Ok(self.shared.dialler.reach(targets, &line, &self.deciding.how).await)
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
        let patience = self.settings.viewer_stall_timeout;
        let said = stream::reply(&mut viewer.transport, reply.as_str(), &record.meter, patience);
        self.expiry.within(said).await.map(|()| Ending::Replied)
    }

    /// Carries the log. An upstream that ends without a byte may never have taken the request: then the next target
    /// is asked, of which there are finitely many.
    async fn follow(
        &self,
        mut reached: Box<Reached>,
        viewer: &mut Viewer,
        record: &mut Record,
    ) -> Result<Ending, Fault> {
        loop {
            record.reached(&reached);
            stream::tune_upstream(reached.transport.tcp(), &self.settings);
            let carried = {
                let (from, to) = (&mut reached.transport, &mut viewer.transport);
                // By reference: a future that is handed on by value has its room twice.
                let carrying = pin!(stream::carry(to, from, &self.settings, &self.shared.pipes, &record.meter));
                self.expiry.within(carrying).await
            };
            let silent = record.meter.bytes() == 0;
            let end = match carried {
                Ok(()) if silent => Ok(()),
                Err(Fault::UpstreamBroke(error)) if silent => Err(error),
                other => {
                    leave(&reached, &other);
                    return other.map(|()| Ending::Complete);
                }
            };
            let line = self.query.forwarded()?;
            let meant = self.shared.dialler.after_silence(*reached, end, &line, &self.deciding.how);
            // In a box: hardly any stream comes here, and none should keep room for it.
            let meant = Box::pin(self.expiry.within(async { Ok(meant.await) })).await?;
            match meant.map_err(|unreached| give_up(unreached, record))? {
                Silence::EmptyLog => return Ok(Ending::Complete),
                Silence::Instead(next) => reached = next,
            }
        }
    }
}

fn give_up(unreached: Unreached, record: &mut Record) -> Fault {
    record.unreached(&unreached);
    unreached.into()
}

/// Lets another relay know at once that nobody reads on. Zuul's executors take an orderly close for that, and log an
/// error for any other.
fn leave(reached: &Reached, carried: &Result<(), Fault>) {
    let given_up = |fault: &Fault| fault.blame() == Blame::Viewer || matches!(fault, Fault::Expired(_));
    if carried.as_ref().is_err_and(given_up) && reached.target.kind == TargetKind::Gateway {
        stream::abandon(&reached.transport);
    }
}
