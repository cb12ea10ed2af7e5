//! A log on its way to its viewer. It is all that a stream keeps of its request while bytes flow, so nothing that was
//! only needed to find the way belongs here.

use std::pin::pin;
use std::sync::Arc;

use super::give_up;
use super::terms::Terms;
use crate::fault::{Blame, Fault};
use crate::record::Record;
use crate::request::Line;
use crate::route::TargetKind;
use crate::shared::Shared;
use crate::stream;
use crate::transport::Transport;
use crate::upstream::{Reached, Silence};

/// A target that was asked for a log, and what holds for the stream.
pub(super) struct Log<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) terms: Terms,
    /// What the target was asked.
    pub(super) line: Line,
    pub(super) reached: Reached,
}

impl Log<'_> {
    /// Carries the log to its end. An upstream that ends without a byte may never have taken the request: then the next
    /// target is asked, of which there are finitely many. Returns what holds the upstream at its end, to be
    /// closed by dropping it.
    pub(super) async fn follow(
        mut self: Box<Self>,
        viewer: &mut Transport,
        record: &mut Record,
    ) -> Result<Option<Box<Self>>, Fault> {
        // While the target answers; the viewer has waited long enough.
        stream::tune_viewer(viewer.tcp(), self.terms.stream());
        loop {
            record.reached(&self.reached);
            stream::tune_upstream(self.reached.transport.tcp(), self.reached.address.ip(), self.terms.stream());
            let carried = {
                let (upstream, settings) = (&mut self.reached.transport, self.terms.stream());
                // By reference: a future that is handed on by value has its room twice.
                let carrying = pin!(stream::carry(viewer, upstream, settings, &self.shared.pipes, &record.meter));
                self.terms.expiry.within(carrying).await
            };
            let silent = record.meter.bytes() == 0;
            let end = match carried {
                Ok(()) if silent => Ok(()),
                Err(Fault::UpstreamBroke(error)) if silent => Err(error),
                other => {
                    leave(&self.reached, &other);
                    return other.map(|()| Some(self));
                }
            };
            let meant = self.shared.dialler.after_silence(self.reached, end, &self.line, &self.terms.deciding.how);
            // In a box: hardly any stream comes here, and none should keep room for it.
            let meant = self.terms.expiry.within(Box::pin(async { Ok(meant.await) })).await?;
            match meant.map_err(|unreached| give_up(unreached, record))? {
                Silence::EmptyLog => return Ok(None),
                Silence::Instead(next) => self.reached = *next,
            }
        }
    }
}

/// Lets another relay know at once that nobody reads on. Zuul's executors take an orderly close for that, and log an
/// error for any other.
fn leave(reached: &Reached, carried: &Result<(), Fault>) {
    let given_up = |fault: &Fault| fault.blame() == Blame::Viewer || matches!(fault, Fault::Expired(_));
    if carried.as_ref().is_err_and(given_up) && reached.target.kind == TargetKind::Gateway {
        stream::abandon(&reached.transport);
    }
}
