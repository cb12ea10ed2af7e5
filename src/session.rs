//! One stream, from accept to record. The only place that knows every stage: listener, policy, request, registry,
//! upstream, bytes. A stage takes a value and returns a value; what goes wrong in it is a [`Fault`], and this file
//! turns a fault into the viewer's answer.

mod asked;
mod expiry;
mod log;
mod terms;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tracing::{Level, debug, warn};

use self::asked::Asked;
use self::expiry::Expiry;
use self::log::Log;
use self::terms::Terms;
use crate::admission::{Admission, Connection};
use crate::candidate::Decider;
use crate::fault::Fault;
use crate::listener::{Greeting, Incoming, Permit, Viewer};
use crate::record::{Ending, Record};
use crate::request;
use crate::route::Limit;
use crate::shared::Shared;
use crate::stream;
use crate::transport::Transport;
use crate::upstream::Unreached;

/// Longest wait for a viewer to take a short answer and close its side after us.
const FAREWELL: Duration = Duration::from_secs(5);

/// A viewer that is there, and what serves it.
struct Visit<'a> {
    shared: &'a Arc<Shared>,
    viewer: Viewer,
}

/// What a viewer gets.
enum Answer<'a> {
    /// Nothing but its farewell.
    Over(Ending),
    /// A log, which has still to be carried.
    Log(Box<Log<'a>>),
}

/// What is kept of a visit once it has its answer.
struct Visited<'a> {
    viewer: Transport,
    permit: Permit,
    answer: Result<Answer<'a>, Fault>,
}

/// Serves one accepted connection to its end.
///
/// A log is followed for hours, and nearly all of what comes before that takes more memory: greeting, deciding,
/// dialling. All of it has a box, which is gone when bytes flow. So has the leave that is taken, whose box is not there
/// yet.
pub fn serve(shared: Arc<Shared>, incoming: Incoming) -> impl Future<Output = ()> + Send {
    let mut record = Record::open(Arc::clone(&shared.metrics), &incoming.config.settings.name, incoming.peer);
    // One word, in the room that lasts as long as the log.
    let greeting = Box::new(incoming.greet());
    async move {
        let Visited { mut viewer, mut permit, answer } =
            match Box::pin(Visit::receive(&shared, greeting, &mut record)).await {
                Ok(visited) => visited,
                Err(fault) => return end(&Err(fault), &mut record),
            };
        let (result, upstream) = match answer {
            Ok(Answer::Log(log)) => match log.follow(&mut viewer, &mut record).await {
                Ok(carried) => (Ok(Ending::Complete), carried),
                Err(fault) => (Err(fault), None),
            },
            Ok(Answer::Over(ending)) => (Ok(ending), None),
            Err(fault) => (Err(fault), None),
        };
        // Before the leave, for which the viewer may take its time: the next one often comes at once, and is served
        // without another thread.
        drop(permit.seat.take());
        Box::pin(conclude(&result, &mut viewer, upstream, &mut record)).await;
    }
}

impl<'a> Visit<'a> {
    /// Receives a viewer, up to where bytes begin to flow.
    async fn receive(
        shared: &'a Arc<Shared>,
        greeting: Box<Greeting>,
        record: &mut Record,
    ) -> Result<Visited<'a>, Fault> {
        let mut visit = Self { shared, viewer: greeting.await? };
        let answer = visit.answer(record).await;
        let Viewer { transport: viewer, permit, .. } = visit.viewer;
        Ok(Visited { viewer, permit, answer })
    }

    async fn answer(&mut self, record: &mut Record) -> Result<Answer<'a>, Fault> {
        let admission = self.admit(record);
        self.ask(admission, record).await
    }

    /// Asks the policy whether the viewer may ask. A stream that was let in is told to the policy when it ends: to the
    /// one that decided its route, or to this one if it never came to that.
    fn admit(&self, record: &mut Record) -> Result<Admission, Fault> {
        let identity = self.viewer.identity.as_ref();
        let subject = identity.map(|identity| identity.subject.as_str());
        record.greeted(self.viewer.peer, self.viewer.server_name.as_deref(), subject);
        let policy = self.shared.generation().policy.clone();
        let connection = Connection {
            listener: &self.viewer.config.settings.name,
            peer: self.viewer.peer.ip(),
            server_name: self.viewer.server_name.as_deref(),
            identity,
        };
        let admission = policy.accept(&connection, &self.shared.known(&self.shared.registry.snapshot()));
        let admission = admission.map_err(|failure| Fault::Policy(failure.to_string()));
        if let Ok(Admission::Allow { .. }) = &admission {
            tell(policy.into(), self.shared, record);
        }
        admission
    }

    /// Reads the request of a viewer that may ask, and finds what it leads to.
    async fn ask(&mut self, admission: Result<Admission, Fault>, record: &mut Record) -> Result<Answer<'a>, Fault> {
        let limits = match admission? {
            Admission::Allow { limits, tags } => {
                record.admitted(tags);
                limits
            }
            Admission::Refuse { text, tags } => {
                record.admitted(tags);
                return Ok(Answer::Over(Ending::Refused(text)));
            }
        };
        let expiry = Expiry::after(limits.max_duration);
        let patience = limits.request_timeout.map_or(self.viewer.config.settings.request_timeout, Limit::get);
        let viewer = &mut self.viewer.transport;
        let at_hand = viewer.at_hand(request::TOO_LONG);
        let query = expiry.within(pin!(request::read(at_hand, viewer, patience))).await?;
        let deciding = self.shared.deciding();
        record.asked(&query, deciding.generation.number);
        tell(deciding.generation.policy.clone().into(), self.shared, record);
        let mut asked = Asked::new(self.shared, Terms::new(deciding, &limits, expiry), query);
        let route = asked.decide(&self.viewer, record).await?;
        let found = asked.find(route.way, &self.viewer, record).await?;
        asked.answer(found, &mut self.viewer, record).await
    }
}

/// Notes how it ended, and takes leave of `viewer` in an orderly way whatever that was. An `upstream` that has said all
/// can wait until the viewer knows.
async fn conclude(
    result: &Result<Ending, Fault>,
    viewer: &mut Transport,
    upstream: Option<Box<Log<'_>>>,
    record: &mut Record,
) {
    // Now, not after the leave: a viewer that takes its time to close is no longer stream, and no fault.
    end(result, record);
    let farewell = match result {
        Ok(Ending::Complete | Ending::Replied) => None,
        Ok(Ending::Refused(text)) => Some(text.as_str()),
        Err(Fault::ViewerLeft | Fault::ViewerStalled(_)) => return,
        Err(fault) => fault.reply(),
    };
    let _left_early = take_leave(viewer, farewell, upstream).await;
}

/// Has `decider` told how the stream ended, and no other.
fn tell(decider: Decider, shared: &Arc<Shared>, record: &mut Record) {
    let shared = Arc::clone(shared);
    record.tell(move |ended| decider.ended(ended, &shared.known(&shared.registry.snapshot())));
}

/// What became of a stream that reached nobody.
fn give_up(unreached: Unreached, record: &mut Record) -> Fault {
    record.unreached(&unreached);
    unreached.into()
}

fn end(result: &Result<Ending, Fault>, record: &mut Record) {
    if let Err(fault) = result {
        report(fault, record.viewer());
    }
    record.ended(result);
}

async fn take_leave(
    viewer: &mut Transport,
    farewell: Option<&str>,
    mut upstream: Option<Box<Log<'_>>>,
) -> Result<(), Fault> {
    if let Transport::Tls(_) = viewer {
        // It may have to wait for its viewer before it can tell, and nothing of the log waits with it.
        drop(upstream.take());
    }
    if let Some(text) = farewell {
        stream::say(viewer, text, FAREWELL).await?;
    }
    stream::finish(viewer, FAREWELL, upstream).await
}

/// A peer's fault is no reason to wake anybody; ours is.
fn report(fault: &Fault, viewer: SocketAddr) {
    let blame = fault.blame().as_str();
    match fault.level() {
        Level::WARN | Level::ERROR => warn!(%viewer, blame, why = %fault, "stream failed"),
        _ => debug!(%viewer, blame, why = %fault, "stream failed"),
    }
}
