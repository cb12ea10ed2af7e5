//! Moves a log's bytes from an upstream to a viewer, exactly, until the upstream's end. It must never pass on what
//! the viewer sends, never cut a viewer that still reads, and never keep a buffer, a pipe or a timer for a stream
//! that moves nothing.
//!
//! A stream is in one of three states. It *copies* small chunks through a buffer that the whole thread shares, it
//! *splices* bulk through a pipe without bringing it to user space, or it *waits*, owning nothing but two sockets.

use std::future::poll_fn;
use std::task::{Context, Poll};

use tokio::io::Interest;

use crate::config::settings;
use crate::fault::Fault;
use crate::transport::Transport;

mod close;
mod copy;
mod delivery;
mod gate;
mod meter;
mod patience;
mod pipes;
mod presence;
mod splice;
mod tune;
mod watchdog;

#[cfg(test)]
mod tests;

pub use close::{abandon, finish, reply, say};
pub use meter::Meter;
pub use pipes::Pipes;
pub use tune::{tune_early_viewer, tune_upstream, tune_viewer, tune_viewers, unpace_viewers};

use delivery::Delivery;
use gate::Gate;
use patience::Sent;
use watchdog::Watchdog;

/// Carries the log from `upstream` to `viewer` until the upstream's end of file, with every byte handed to the
/// viewer's socket and flushed.
///
/// The kernel may keep the last bytes until the viewer is told of the end, see [`finish`], so that both leave in one
/// packet. What the viewer sends is read and thrown away. Cancelling is safe at any moment: `meter` is right, and no
/// pipe with somebody's bytes in it goes back to `pipes`.
///
/// # Errors
/// - [`Fault::ViewerLeft`]: the viewer's connection broke, or it closed and shows no sign of being there.
/// - [`Fault::ViewerStalled`]: bytes waited for the viewer for `settings.viewer_stall_timeout`, here or in the kernel,
///   and it took none.
/// - [`Fault::UpstreamBroke`]: the upstream's connection broke; what it had sent before was delivered.
pub fn carry<'a>(
    viewer: &'a mut Transport,
    upstream: &'a mut Transport,
    settings: &'a settings::Stream,
    pipes: &'a Pipes,
    meter: &'a Meter,
) -> impl Future<Output = Result<(), Fault>> + Send + 'a {
    let mut carrier = Carrier {
        gate: Gate::new(viewer, upstream),
        watchdog: Watchdog::new(settings),
        delivery: Delivery::default(),
        viewer,
        upstream,
        settings,
        pipes,
        meter,
    };
    // What an `async fn` is given has its room in it twice; a stream that waits has it once.
    async move {
        let mut next = Next::Copy;
        loop {
            next = match next {
                Next::Copy => carrier.copy().await?,
                Next::Splice => carrier.splice().await?,
                Next::Wait => carrier.wait().await?,
                Next::End => return Ok(()),
            }
        }
    }
}

/// What a stream does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Move small chunks.
    Copy,
    /// Move bulk.
    Splice,
    /// Everything that came is delivered: wait for more.
    Wait,
    /// The log has ended, and all of it is delivered.
    End,
}

/// One stream on its way.
struct Carrier<'a> {
    viewer: &'a mut Transport,
    upstream: &'a mut Transport,
    settings: &'a settings::Stream,
    pipes: &'a Pipes,
    meter: &'a Meter,
    delivery: Delivery,
    watchdog: Watchdog<'a>,
    gate: Gate,
}

impl Carrier<'_> {
    /// Waits until the upstream has something to say, or the viewer has, or it is time to judge the viewer.
    ///
    /// It waits on the sockets, below TLS: both sides were read until they had nothing left, so nothing is hidden in
    /// a TLS buffer.
    async fn wait(&mut self) -> Result<Next, Fault> {
        let (viewer, upstream) = (self.viewer.tcp(), self.upstream.tcp());
        let sent = self.sent();
        let listens = self.watchdog.presence.listens();
        // A socket that has seen the peer's FIN stays readable for ever; only an error is news from it. In a box,
        // because few streams wait for that.
        let mut broken = (!listens).then(|| Box::pin(viewer.ready(Interest::ERROR)));
        poll_fn(|cx| {
            if upstream.poll_read_ready(cx).is_ready() || (listens && viewer.poll_read_ready(cx).is_ready()) {
                return Poll::Ready(Ok(Next::Copy));
            }
            if broken.as_mut().is_some_and(|broken| broken.as_mut().poll(cx).is_ready()) {
                return Poll::Ready(Err(Fault::ViewerLeft));
            }
            self.watchdog.poll_verdict(cx, viewer, sent).map(Err)
        })
        .await
    }

    /// Resolves only when the stream has to end because of its viewer.
    fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Fault>> {
        let sent = self.sent();
        self.watchdog.poll_verdict(cx, self.viewer.tcp(), sent).map(Err)
    }

    fn sent(&self) -> Sent {
        Sent { bytes: self.meter.bytes(), clear: self.delivery.is_clear() }
    }
}
