//! What systemd is told. Outside of systemd every message is a no-op.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::debug;

/// Ticks as often as systemd wants a sign of life; never, where it wants none.
#[derive(Debug)]
pub(super) struct Watchdog {
    ticks: Option<Interval>,
}

impl Watchdog {
    /// Follows `WATCHDOG_USEC`, at half its period.
    pub(super) fn new() -> Self {
        Self { ticks: sd_notify::watchdog_enabled().map(half_period) }
    }

    /// Resolves when a sign of life is due.
    pub(super) async fn due(&mut self) {
        match &mut self.ticks {
            Some(ticks) => drop(ticks.tick().await),
            None => std::future::pending().await,
        }
    }
}

/// The relay serves.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// A reload has begun; [`ready`] must follow it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "the monotonic clock cannot be read, so systemd is not told of the reload"),
    }
}

/// The relay takes no more viewers and waits for `streams` to end.
pub(super) fn stopping(streams: usize) {
    tell(&[NotifyState::Stopping, NotifyState::Status(&format!("draining {streams} streams"))]);
}

/// The main loop still turns.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn half_period(period: Duration) -> Interval {
    let mut ticks = interval((period / 2).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "systemd could not be told");
    }
}
