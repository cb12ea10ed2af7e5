//! What one stream has moved so far, readable at any moment and by anybody. It never decides anything.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// What one stream has moved so far. It outlives the copying, so that a record is right also when that was cancelled.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    bytes: AtomicU64,
    /// Nanoseconds since `started`; zero is "not yet".
    first_byte: AtomicU64,
    spliced: AtomicBool,
}

impl Meter {
    /// A meter at zero, whose clock starts now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
            bytes: AtomicU64::new(0),
            first_byte: AtomicU64::new(0),
            spliced: AtomicBool::new(false),
        }
    }

    /// Bytes of the log that the viewer's connection has taken.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// How long after the start the first byte went out; `None` before that.
    pub fn first_byte(&self) -> Option<Duration> {
        Some(self.first_byte.load(Relaxed)).filter(|nanos| *nanos > 0).map(Duration::from_nanos)
    }

    /// Whether some of the bytes went by splice(2).
    pub fn spliced(&self) -> bool {
        self.spliced.load(Relaxed)
    }

    /// How long ago the meter was started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn count(&self, bytes: usize) {
        if self.bytes.fetch_add(bytes as u64, Relaxed) == 0 {
            let nanos = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.first_byte.store(nanos.max(1), Relaxed);
        }
    }

    pub(super) fn count_spliced(&self, bytes: usize) {
        self.spliced.store(true, Relaxed);
        self.count(bytes);
    }
}

impl Default for Meter {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_byte_is_timed_once() {
        let meter = Meter::new();
        assert_eq!(meter.first_byte(), None);
        tokio::time::advance(Duration::from_millis(7)).await;
        meter.count(3);
        tokio::time::advance(Duration::from_millis(7)).await;
        meter.count_spliced(4);
        assert_eq!(meter.first_byte(), Some(Duration::from_millis(7)));
        assert_eq!(meter.elapsed(), Duration::from_millis(14));
        assert_eq!(meter.bytes(), 7);
        assert!(meter.spliced());
    }
}
