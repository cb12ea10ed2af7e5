//! One stream, from accept to record. The only place that knows every stage: listener, request, registry, policy,
//! upstream, bytes. A stage takes a value and returns a value; what goes wrong in it is a [`Fault`], and this file
//! turns a fault into the viewer's answer.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use tracing::{Level, debug, warn};

use crate::fault::{Blame, Fault};
use crate::listener::{Incoming, Viewer};
use crate::names::BuildId;
use crate::policy::Request;
use crate::record::{Ending, Record};
use crate::registry::Build;
use crate::request::{self, Query};
use crate::route::{Route, Target, TargetKind};
use crate::shared::{Deciding, Shared};
use crate::stream;
use crate::transport::Transport;
use crate::upstream::{Reached, Silence, Unreached};

/// Longest wait for a viewer to take a short answer and close its side after us.
const FAREWELL: Duration = Duration::from_secs(5);

/// One request on its way: what was asked, and what decides about it.
struct Asked<'a> {
    shared: &'a Shared,
    deciding: Arc<Deciding>,
    query: Query,
    /// Spreads load among gateways that are equally good; the same for all that is asked about this request.
    seed: u64,
}

/// Where a request leads.
enum Way {
    /// The policy's own words.
    Refused(String),
    /// A target that has the request already.
    Reached(Box<Reached>),
}

/// Serves one accepted connection to its end.
pub async fn serve(shared: Arc<Shared>, incoming: Incoming) {
    let mut record = Record::open(Arc::clone(&shared.metrics), &incoming.config.settings.name, incoming.peer);
    let request_timeout = incoming.config.settings.request_timeout;
    match incoming.greet().await {
        Ok(viewer) => converse(&shared, viewer, request_timeout, &mut record).await,
        Err(fault) => end(&Err(fault), &mut record),
    }
}

/// Answers a viewer, and takes leave of it in an orderly way whatever the answer was.
async fn converse(shared: &Shared, mut viewer: Viewer, request_timeout: Duration, record: &mut Record) {
    let subject = viewer.identity.as_ref().map(|identity| identity.subject.as_str());
    record.greeted(viewer.peer, viewer.server_name.as_deref(), subject);
    let result = answer(shared, &mut viewer, request_timeout, record).await;
    // Now, not after the leave: a viewer that takes its time to close is no longer stream, and no fault.
    end(&result, record);
    let farewell = match &result {
        Ok(Ending::Complete) => None,
        Ok(Ending::Refused(text)) => Some(text.as_str()),
        Err(Fault::ViewerLeft | Fault::ViewerStalled(_)) => return,
        Err(fault) => fault.reply(),
    };
    let _left_early = take_leave(&mut viewer.transport, farewell).await;
}

fn end(result: &Result<Ending, Fault>, record: &mut Record) {
    if let Err(fault) = result {
        log(fault);
    }
    record.ended(result);
}

async fn take_leave(viewer: &mut Transport, farewell: Option<&str>) -> Result<(), Fault> {
    if let Some(text) = farewell {
        stream::say(viewer, text, FAREWELL).await?;
    }
    stream::finish(viewer, FAREWELL).await
}

async fn answer(
    shared: &Shared,
    viewer: &mut Viewer,
    request_timeout: Duration,
    record: &mut Record,
) -> Result<Ending, Fault> {
    let query = request::read(&mut viewer.transport, request_timeout).await?;
    let deciding = shared.deciding();
    record.asked(&query, deciding.generation.number);
    stream::tune(viewer.transport.tcp(), &deciding.generation.settings.stream);
    let asked = Asked { shared, deciding, query, seed: RandomState::new().hash_one(()) };
    match asked.find_way(viewer, record).await? {
        Way::Refused(text) => Ok(Ending::Refused(text)),
        Way::Reached(reached) => asked.follow(*reached, viewer, record).await,
    }
}

impl Asked<'_> {
    /// Asks for the route and dials it. If all of it failed and the registry now leads elsewhere, goes there, once.
    async fn find_way(&self, viewer: &Viewer, record: &mut Record) -> Result<Way, Fault> {
        let first = match self.decide(viewer, record).await? {
            Route::Refuse(text) => return Ok(Way::Refused(text)),
            Route::Targets(targets) => targets,
        };
        let unreached = match self.dial(&first).await? {
            Ok(reached) => return Ok(Way::Reached(Box::new(reached))),
            Err(unreached) => unreached,
        };
        record.unreached(&unreached);
        match self.decide(viewer, record).await {
            Ok(Route::Refuse(text)) => Ok(Way::Refused(text)),
            Ok(Route::Targets(targets)) if targets != first => {
                let reached = self.dial(&targets).await?.map_err(|unreached| give_up(unreached, record))?;
                Ok(Way::Reached(Box::new(reached)))
            }
            // The same way again, or nobody to ask for it: what went wrong is that it leads nowhere.
            _ => Err(unreached.into()),
        }
    }

    async fn decide(&self, viewer: &Viewer, record: &mut Record) -> Result<Route, Fault> {
        let build = self.find_build().await?;
        let worker = build.as_ref().and_then(|build| build.worker.as_ref());
        record.runs_in(worker.and_then(|worker| worker.zone.as_ref()));
        let request = Request {
            query: &self.query.line,
            uuid: self.query.build.as_ref(),
            build: build.as_ref(),
            snapshot: &self.shared.registry.snapshot(),
            listener: &viewer.listener,
            peer: viewer.peer.ip(),
            server_name: viewer.server_name.as_deref(),
            identity: viewer.identity.as_ref(),
            seed: self.seed,
        };
        self.deciding.generation.policy.route(&request).map_err(|failure| Fault::Policy(failure.to_string()))
    }

    async fn find_build(&self) -> Result<Option<Arc<Build>>, Fault> {
        let Some(id) = &self.query.build else { return Ok(None) };
        self.shared.registry.find(id).await.map_err(|unavailable| Fault::Registry(unavailable.to_string()))
    }

    /// The outer error is a request that nobody can be asked, the inner one that nobody answered.
    async fn dial(&self, targets: &[Target]) -> Result<Result<Reached, Unreached>, Fault> {
        let build = self.build()?;
        Ok(self.shared.dialler.reach(targets, build, &self.deciding.how).await)
    }

    /// Carries the log. An upstream that ends without a byte may never have taken the request: then the next target
    /// is asked, of which there are finitely many.
    async fn follow(&self, mut reached: Reached, viewer: &mut Viewer, record: &mut Record) -> Result<Ending, Fault> {
        let settings = &self.deciding.generation.settings.stream;
        loop {
            record.reached(&reached);
            stream::tune(reached.transport.tcp(), settings);
            let (from, to) = (&mut reached.transport, &mut viewer.transport);
            let carried = stream::carry(to, from, settings, &self.shared.pipes, &record.meter).await;
            let silent = record.meter.bytes() == 0;
            let end = match carried {
                Ok(()) if silent => Ok(()),
                Err(Fault::UpstreamBroke(error)) if silent => Err(error),
                other => {
                    leave(&reached, &other);
                    return other.map(|()| Ending::Complete);
                }
            };
            let meant = self.shared.dialler.after_silence(reached, end, self.build()?, &self.deciding.how).await;
            match meant.map_err(|unreached| give_up(unreached, record))? {
                Silence::EmptyLog => return Ok(Ending::Complete),
                Silence::Instead(next) => reached = *next,
            }
        }
    }

    fn build(&self) -> Result<&BuildId, Fault> {
        let nameless = || Fault::Policy("it gave targets for a request that names no build".to_owned());
        self.query.build.as_ref().ok_or_else(nameless)
    }
}

fn give_up(unreached: Unreached, record: &mut Record) -> Fault {
    record.unreached(&unreached);
    unreached.into()
}

/// Lets a gateway know at once that its viewer is gone. Zuul's executors take an orderly close for that, and log an
/// error for any other.
fn leave(reached: &Reached, carried: &Result<(), Fault>) {
    let viewer_gone = carried.as_ref().is_err_and(|fault| fault.blame() == Blame::Viewer);
    if viewer_gone && reached.target.kind == TargetKind::Gateway {
        stream::abandon(&reached.transport);
    }
}

/// A peer's fault is no reason to wake anybody; ours is.
fn log(fault: &Fault) {
    let blame = fault.blame().as_str();
    match fault.level() {
        Level::WARN | Level::ERROR => warn!(blame, why = %fault, "stream failed"),
        _ => debug!(blame, why = %fault, "stream failed"),
    }
}
