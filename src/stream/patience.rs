//! How long a viewer may leave bytes waiting. It goes by what the viewer's kernel acknowledges, never by when ours
//! takes more: ours does so in steps of 100 kB and more, which takes a slow reader minutes.

use std::time::Duration;

use tokio::time::Instant;

use crate::fault::Fault;
use crate::transport::TcpInfo;

/// Looks from time to time whether a viewer takes what is there for it.
#[derive(Debug)]
pub(super) struct Patience {
    timeout: Duration,
    /// What the viewer had acknowledged when it was last looked at, in bytes.
    acknowledged: u64,
    /// The viewer has taken everything up to here, in bytes of the log.
    settled: u64,
    /// Bytes are under way.
    watch: Option<Watch>,
}

/// A time during which there were always bytes under way.
#[derive(Debug, Clone, Copy)]
struct Watch {
    look_at: Instant,
    moved_at: Instant,
}

/// What went out to the viewer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    /// Bytes of the log that its connection has taken.
    pub(super) bytes: u64,
    /// The kernel has all of them.
    pub(super) clear: bool,
}

impl Patience {
    /// Looks while one timeout passes. So a viewer that stops is cut at most a quarter of the timeout late, and one
    /// that takes a byte within every timeout never.
    const LOOKS: u32 = 4;

    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, acknowledged: 0, settled: 0, watch: None }
    }

    /// When [`Patience::look`] has to be called; never while nothing is under way.
    pub(super) fn look_at(&mut self, sent: Sent) -> Option<Instant> {
        if self.watch.is_none() && (sent.bytes > self.settled || !sent.clear) {
            let now = Instant::now();
            self.watch = Some(Watch { look_at: self.next(now), moved_at: now });
        }
        self.watch.map(|watch| watch.look_at)
    }

    /// Looks at what the kernel says of the viewer.
    pub(super) fn look(&mut self, now: Instant, sent: Sent, info: &TcpInfo) -> Result<(), Fault> {
        self.judge(now, sent, info.acknowledged(), info.holds_bytes())
    }

    fn judge(&mut self, now: Instant, sent: Sent, acknowledged: u64, held: bool) -> Result<(), Fault> {
        let moved = acknowledged != self.acknowledged;
        self.acknowledged = acknowledged;
        if sent.clear && !held {
            (self.settled, self.watch) = (sent.bytes, None);
            return Ok(());
        }
        let moved_at = self.watch.filter(|_| !moved).map_or(now, |watch| watch.moved_at);
        if now >= moved_at + self.timeout {
            return Err(Fault::ViewerStalled(self.timeout));
        }
        self.watch = Some(Watch { look_at: self.next(now), moved_at });
        Ok(())
    }

    fn next(&self, now: Instant) -> Instant {
        now + self.timeout / Self::LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(4);
    const LOOK: Duration = Duration::from_secs(1);
    const SENT: Sent = Sent { bytes: 100, clear: true };

    /// Looks once every second, with so much acknowledged each time, and bytes left over.
    async fn watched(patience: &mut Patience, acknowledged: &[u64]) -> Result<(), Fault> {
        for acknowledged in acknowledged {
            let look_at = patience.look_at(SENT).unwrap();
            assert_eq!(look_at, Instant::now() + LOOK);
            tokio::time::advance(LOOK).await;
            patience.judge(look_at, SENT, *acknowledged, true)?;
        }
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_within_every_timeout_is_enough() {
        let mut patience = Patience::new(TIMEOUT);
        watched(&mut patience, &[1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_without_a_byte_is_the_end() {
        let mut patience = Patience::new(TIMEOUT);
        watched(&mut patience, &[1, 1, 1, 1]).await.unwrap();
        let ended = watched(&mut patience, &[1]).await;
        assert!(matches!(ended, Err(Fault::ViewerStalled(TIMEOUT))), "{ended:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_starts_anew_with_every_time_that_something_waits() {
        let mut patience = Patience::new(TIMEOUT);
        watched(&mut patience, &[1, 1, 1]).await.unwrap();
        patience.judge(Instant::now(), SENT, 1, false).unwrap();
        assert_eq!(patience.look_at(SENT), None, "nothing waits");
        tokio::time::advance(100 * TIMEOUT).await;
        let more = Sent { bytes: 101, clear: true };
        assert_eq!(patience.look_at(more), Some(Instant::now() + LOOK));
        patience.judge(Instant::now() + LOOK, more, 1, true).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_tls_holds_back_waits_as_well() {
        let mut patience = Patience::new(TIMEOUT);
        let unflushed = Sent { bytes: 0, clear: false };
        assert!(patience.look_at(unflushed).is_some());
        patience.judge(Instant::now(), unflushed, 0, false).unwrap();
        assert!(patience.look_at(unflushed).is_some());
    }
}
