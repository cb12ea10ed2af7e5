//! How long to wait before ZooKeeper is dialled again: shortly, and never longer for a longer outage. Many relays lose
//! the same server at the same moment, so no two wait alike.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The pauses between attempts.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: Self::FIRST }
    }
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(2);

    /// Waits for a time between half the present pause and all of it. The next pause is twice as long, up to 2 s.
    pub(super) async fn pause(&mut self) {
        let pause = self.next;
        self.next = (pause * 2).min(Self::LONGEST);
        tokio::time::sleep(pause.mul_f64(0.5 + 0.5 * chance())).await;
    }

    /// Starts again with the shortest pause, because things went well.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// A number from 0 up to 1, another one each time: the standard library keys its hash maps by chance.
fn chance() -> f64 {
    let digits = u32::try_from(dice() >> 32).unwrap_or_default();
    f64::from(digits) / (f64::from(u32::MAX) + 1.0)
}

/// 64 bits of chance, for spreading load only.
pub(super) fn dice() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_two_seconds_and_no_further() {
        let mut backoff = Backoff::default();
        let began = Instant::now();
        backoff.pause().await;
        assert!(began.elapsed() >= Backoff::FIRST / 2 && began.elapsed() < Backoff::FIRST * 2);
        for _ in 0..100 {
            backoff.pause().await;
        }
        let late = Instant::now();
        backoff.pause().await;
        assert!(
            late.elapsed() >= Backoff::LONGEST / 2 && late.elapsed() <= Backoff::LONGEST + Duration::from_millis(1)
        );
        backoff.reset();
        let again = Instant::now();
        backoff.pause().await;
        assert!(again.elapsed() < Backoff::FIRST * 2);
    }
}
