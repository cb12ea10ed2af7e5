//! What all streams of one relay use. Each part can be shared as it is; this file only keeps them together, and
//! publishes a new generation whole.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::registry::Registry;
use crate::stream::Pipes;
use crate::tasks::Tasks;
use crate::upstream::{Dialler, How, Itself};

/// Pipes for bulk transfers: two descriptors each, kept and used again.
const PIPES: usize = 64;

/// What every stream of a relay uses.
#[derive(Debug)]
pub struct Shared {
    /// Every number kept.
    pub metrics: Arc<Metrics>,
    /// What is known of builds.
    pub registry: Registry,
    /// The way to targets, and what was learnt on it.
    pub dialler: Dialler,
    /// Pipes for bulk transfers.
    pub pipes: Pipes,
    generation: ArcSwap<Generation>,
    how: ArcSwap<How>,
}

impl Shared {
    /// Begins with `generation`, and to follow its registry in tasks of `services`.
    pub fn new(generation: Generation, metrics: Arc<Metrics>, services: &Tasks) -> Self {
        measure(&generation, &metrics);
        Self {
            registry: generation.open_registry(&metrics, services),
            dialler: Dialler::new(metrics.upstream.clone()),
            pipes: Pipes::new(PIPES),
            how: ArcSwap::from_pointee(how(&generation, Itself::default())),
            generation: ArcSwap::from_pointee(generation),
            metrics,
        }
    }

    /// The generation that decides about the next stream.
    pub fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// How targets are dialled, and which of them would be this relay.
    pub fn how(&self) -> Arc<How> {
        self.how.load_full()
    }

    /// Lets `generation` decide from the next stream on. Streams that run keep theirs.
    pub fn publish(&self, generation: Generation) {
        measure(&generation, &self.metrics);
        if let Some(tls) = &generation.zookeeper_tls {
            self.registry.replace_tls(tls.clone());
        }
        self.generation.store(Arc::new(generation));
    }

    /// Never dials what `itself` recognizes; dials everything else as the present generation says.
    pub fn recognize(&self, itself: Itself) {
        self.how.store(Arc::new(how(&self.generation(), itself)));
    }
}

fn how(generation: &Generation, itself: Itself) -> How {
    How { settings: generation.settings.upstream.clone(), tls: generation.upstream_tls.clone(), itself }
}

fn measure(generation: &Generation, metrics: &Metrics) {
    metrics.reloads.generation.set(i64::try_from(generation.number).unwrap_or(i64::MAX));
}
