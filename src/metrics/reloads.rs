//! What became of reloads, and how many generations they left in memory.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// Generations loaded, refused, and held.
#[derive(Debug, Clone, Default)]
pub struct Reloads {
    /// Reloads that were tried.
    pub(super) tried: Family<Reload, Counter>,
    /// The number of the generation that serves now.
    pub generation: Gauge,
    /// Generations in memory: that one, and older ones that streams were decided by and still hold.
    pub(super) held: Gauge,
    /// 1 while that is the newest one, 0 since a newer one was refused.
    pub(super) last_successful: Gauge,
}

impl Reloads {
    /// Counts a generation as one in memory until what is returned is dropped.
    pub fn hold(&self) -> Held {
        self.held.inc();
        Held(self.held.clone())
    }

    /// Counts a reload that took effect, or was refused.
    pub fn count(&self, applied: bool) {
        let result = if applied { "applied" } else { "refused" };
        self.last_successful.set(applied.into());
        self.tried.get_or_create(&Reload { result }).inc();
    }
}

/// Whether a reload took effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Reload {
    /// `applied` or `refused`.
    result: &'static str,
}

/// A generation that is in memory. Counts until it is dropped.
#[derive(Debug)]
pub struct Held(Gauge);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}
