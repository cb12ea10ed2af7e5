//! The one timer of a stream. It is set only while there is something to fear, and never on a stream that is idle
//! with its viewer in place and everything delivered.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::settings;
use crate::fault::Fault;
use crate::stream::patience::{Patience, Sent};
use crate::stream::presence::Presence;
use crate::transport::TcpInfo;

/// Watches one viewer for having stalled or gone.
#[derive(Debug)]
pub(super) struct Watchdog<'a> {
    /// Whether the viewer is there.
    pub(super) presence: Presence<'a>,
    /// Whether it takes what is there for it.
    patience: Patience,
    /// There while it is set. Progress does not take it back: it may ring for nothing once, which is cheaper than
    /// moving it with every byte.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<'a> Watchdog<'a> {
    pub(super) fn new(settings: &'a settings::Stream) -> Self {
        Self { presence: Presence::new(settings), patience: Patience::new(settings.viewer_stall_timeout), alarm: None }
    }

    /// Resolves when the stream has to end because of its viewer. Pending, it wakes `cx` when it must be asked again.
    pub(super) fn poll_verdict(&mut self, cx: &mut Context<'_>, viewer: &TcpStream, sent: Sent) -> Poll<Fault> {
        loop {
            let deadlines = [self.patience.look_at(sent), self.presence.judged_at()];
            let Some(next) = deadlines.into_iter().flatten().min() else { return Poll::Pending };
            let Some(now) = self.rings_by(next, cx) else { return Poll::Pending };
            if let Err(fault) = self.judge(now, viewer, sent) {
                return Poll::Ready(fault);
            }
        }
    }

    fn judge(&mut self, now: Instant, viewer: &TcpStream, sent: Sent) -> Result<(), Fault> {
        let info = TcpInfo::of(viewer).map_err(|_| Fault::ViewerLeft)?;
        self.patience.look(now, sent, &info)?;
        self.presence.judge(now, sent.bytes, !sent.clear || info.holds_bytes())
    }

    /// The time it is, if that is `deadline` or later; else the alarm is set to ring by then.
    fn rings_by(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Option<Instant> {
        loop {
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if alarm.deadline() > deadline {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.alarm = None;
            let now = Instant::now();
            if now >= deadline {
                return Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::stream::tests::loopback;

    #[tokio::test(start_paused = true)]
    async fn the_timer_is_gone_once_everything_is_delivered_and_back_with_the_next_bytes() {
        let settings = settings::Stream::default();
        let (viewer, _peer) = loopback().await;
        let mut watchdog = Watchdog::new(&settings);
        let mut cx = Context::from_waker(Waker::noop());
        let mut has_timer = |bytes| {
            let sent = Sent { bytes, clear: true };
            assert!(watchdog.poll_verdict(&mut cx, &viewer, sent).is_pending());
            watchdog.alarm.is_some()
        };
        assert!(!has_timer(0));
        assert!(has_timer(3));
        tokio::time::advance(settings.viewer_stall_timeout).await;
        assert!(!has_timer(3));
        assert!(has_timer(4));
    }
}
