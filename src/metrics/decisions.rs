//! What became of decisions that were to be kept.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::{ByReason, Encoder, add};

/// The decision log.
#[derive(Debug, Clone, Default)]
pub struct Decisions {
    /// Decisions that were written to it.
    pub logged: Counter,
    /// Decisions that were to be in it and are not: `queue_full`, `unwritable`, `stopping`.
    pub lost: Family<ByReason, Counter>,
}

impl Decisions {
    pub(super) fn register(&self, encoder: &mut Encoder) {
        add(encoder, "decisions_logged", "Decisions written to the log", &self.logged);
        let lost = "Decisions that the log was to have and does not, by reason";
        add(encoder, "decisions_lost", lost, &self.lost);
    }
}
