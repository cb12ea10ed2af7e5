//! The one timer of a stream. It is set only while there is something to fear, and never on a stream that is idle
//! with its viewer in place.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::config::settings;
use crate::fault::Fault;
use crate::stream::delivery::Delivery;
use crate::stream::meter::Meter;
use crate::stream::presence::Presence;

/// Watches one viewer for having stalled or gone.
#[derive(Debug)]
pub(super) struct Watchdog<'a> {
    /// Whether the viewer is there.
    pub(super) presence: Presence,
    stall_timeout: Duration,
    alarm: Pin<&'a mut Sleep>,
    /// The alarm is registered with the runtime. Progress does not take it back: it may ring for nothing once, which
    /// is cheaper than moving it with every byte.
    set: bool,
}

impl<'a> Watchdog<'a> {
    /// `alarm` may be at any time: it is moved before it is first looked at.
    pub(super) fn new(settings: &settings::Stream, alarm: Pin<&'a mut Sleep>) -> Self {
        Self {
            presence: Presence::new(settings.half_close_grace),
            stall_timeout: settings.viewer_stall_timeout,
            alarm,
            set: false,
        }
    }

    /// Resolves when the stream has to end because of its viewer. Pending, it wakes `cx` when it must be asked again.
    pub(super) fn poll_verdict(&mut self, cx: &mut Context<'_>, delivery: &Delivery, meter: &Meter) -> Poll<Fault> {
        loop {
            let stalled_at = delivery.waiting_since().map(|since| since + self.stall_timeout);
            let Some(next) = stalled_at.into_iter().chain(self.presence.judged_at()).min() else {
                return Poll::Pending;
            };
            let Some(now) = self.rings_by(next, cx) else { return Poll::Pending };
            if stalled_at.is_some_and(|at| at <= now) {
                return Poll::Ready(Fault::ViewerStalled(self.stall_timeout));
            }
            if let Err(fault) = self.presence.judge(now, meter.bytes(), stalled_at.is_some()) {
                return Poll::Ready(fault);
            }
        }
    }

    /// The time it is, if that is `deadline` or later; else the alarm is set to ring by then.
    fn rings_by(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Option<Instant> {
        loop {
            if !self.set || self.alarm.deadline() > deadline {
                self.alarm.as_mut().reset(deadline);
                self.set = true;
            }
            if self.alarm.as_mut().poll(cx).is_pending() {
                return None;
            }
            self.set = false;
            let now = Instant::now();
            if now >= deadline {
                return Some(now);
            }
        }
    }
}
