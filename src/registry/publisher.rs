//! The one place where a snapshot becomes the next: a source writes, everybody else reads without a lock.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::metrics;
use crate::registry::model::{Freshness, Snapshot};

/// A source's end. There is one, so that no change overwrites another.
#[derive(Debug)]
pub struct Publisher {
    current: Arc<ArcSwap<Snapshot>>,
    revision: watch::Sender<u64>,
    metrics: metrics::Registry,
}

/// The readers' end.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    current: Arc<ArcSwap<Snapshot>>,
    revision: watch::Receiver<u64>,
}

impl Publisher {
    /// Starts with a snapshot that knows nothing, and says so.
    pub fn new(metrics: metrics::Registry) -> Self {
        Self { current: Arc::default(), revision: watch::Sender::new(0), metrics }
    }

    /// What was published last.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Publishes one change, however much it covers, and wakes whoever waits for one.
    pub fn publish(&mut self, change: impl FnOnce(&mut Snapshot)) {
        let mut next = Snapshot::clone(&self.current.load());
        change(&mut next);
        next.revision += 1;
        self.measure(&next);
        let revision = next.revision;
        self.current.store(Arc::new(next));
        self.revision.send_replace(revision);
    }

    /// Says that the source is away. What was known stays, with its age.
    pub fn lose(&mut self) {
        self.metrics.disconnects.inc();
        if self.current.load().freshness == Freshness::Live {
            self.publish(|snapshot| snapshot.freshness = Freshness::StaleSince(Instant::now()));
        }
    }

    /// The metrics of the registry, which a source counts in.
    pub(crate) fn metrics(&self) -> &metrics::Registry {
        &self.metrics
    }

    pub(crate) fn published(&self) -> Published {
        Published { current: Arc::clone(&self.current), revision: self.revision.subscribe() }
    }

    fn measure(&self, snapshot: &Snapshot) {
        self.metrics.builds.set(count(snapshot.builds.len()));
        self.metrics.gateways.set(count(snapshot.components.gateways.len()));
        self.metrics.live.set(i64::from(snapshot.freshness == Freshness::Live));
    }
}

impl Published {
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.revision.clone()
    }
}

fn count(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_wakes_the_readers_and_a_loss_keeps_what_was_known() {
        let mut publisher = Publisher::new(metrics::Registry::default());
        let published = publisher.published();
        let mut changes = published.changes();
        assert_eq!(published.snapshot().freshness, Freshness::Never);
        publisher.lose();
        assert_eq!(published.snapshot().freshness, Freshness::Never, "what was never read cannot get old");
        publisher.publish(|snapshot| snapshot.freshness = Freshness::Live);
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow_and_update(), 1);
        publisher.lose();
        let first = published.snapshot();
        assert!(matches!(first.freshness, Freshness::StaleSince(_)));
        publisher.lose();
        assert_eq!(published.snapshot().freshness, first.freshness, "the first loss counts");
    }
}
