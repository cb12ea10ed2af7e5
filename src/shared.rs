//! What all streams of one relay use. Each part can be shared as it is; this file only keeps them together, and
//! publishes whole what decides about the next stream.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::candidate::{Candidate, Decided};
use crate::decisions;
use crate::generation::Generation;
use crate::metrics::Metrics;
use crate::policy::{Known, Moment, Request, Retired, SharedTable, World};
use crate::registry::{Registry, Snapshot};
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
    /// What policies know from one generation to the next.
    pub world: Arc<World>,
    /// Where decisions are kept, as far as a generation wants it.
    pub decisions: decisions::Log,
    deciding: ArcSwap<Deciding>,
    retired: Retired,
}

/// What decides about one stream, from its request to its end.
#[derive(Debug)]
pub struct Deciding {
    /// Configuration, policy, certificates.
    pub generation: Arc<Generation>,
    /// How that generation's targets are dialled, and which of them would be this relay.
    pub how: How,
    /// The policy that is on trial in that generation, with what is known of it from those before.
    pub candidate: Option<Candidate>,
}

impl Shared {
    /// Begins with `generation`, and to follow its registry in tasks of `services`.
    pub fn new(generation: Generation, metrics: Arc<Metrics>, services: &Tasks) -> Self {
        let candidate = Candidate::of(&generation, None, &metrics.candidate, Moment::now());
        let dialler = Dialler::new(metrics.upstream.clone());
        let limit = generation.settings.policy.shared_limit;
        let table = SharedTable::new(limit, metrics.policy.shared.clone());
        Self {
            registry: generation.open_registry(&metrics, services),
            world: Arc::new(World { shared: table, seen: dialler.seen(), journal: None }),
            dialler,
            pipes: Pipes::new(PIPES),
            decisions: decisions::Log::new(metrics.decisions.clone(), services),
            deciding: ArcSwap::from_pointee(Deciding::new(Arc::new(generation), Itself::default(), candidate)),
            retired: Retired::default(),
            metrics,
        }
    }

    /// What is known now, with `snapshot` for what the registry knows.
    pub fn known<'a>(&'a self, snapshot: &'a Arc<Snapshot>) -> Known<'a> {
        Known { snapshot, world: &self.world, at: Moment::now() }
    }

    /// Decides about one request as `deciding` does, and keeps the decision where its generation wants it kept.
    pub fn decide(&self, deciding: &Deciding, request: &Request<'_>) -> Decided {
        self.decisions.witness(&deciding.generation, request, |request| deciding.decide(request))
    }

    /// What decides about the next stream.
    pub fn deciding(&self) -> Arc<Deciding> {
        self.deciding.load_full()
    }

    /// The generation that decides about the next stream.
    pub fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.deciding.load().generation)
    }

    /// Lets `generation` decide from the next stream on, which never dials what `itself` recognizes. Streams that run
    /// keep what decided about them.
    pub fn publish(&self, generation: Arc<Generation>, itself: Itself) {
        self.world.shared.set_limit(generation.settings.policy.shared_limit);
        // Writes clear away a few expired entries each; where nobody writes any more, the rest goes here.
        self.world.shared.purge(Instant::now());
        if let Some(tls) = &generation.zookeeper_tls {
            self.registry.replace_tls(tls.clone());
        }
        self.decisions.follow(generation.settings.decisions.as_ref());
        let previous = self.deciding.load_full();
        let candidate = Candidate::of(&generation, previous.candidate.as_ref(), &self.metrics.candidate, Moment::now());
        self.deciding.store(Arc::new(Deciding::new(Arc::clone(&generation), itself, candidate)));
        let Generation { policy, candidate, .. } = &*previous.generation;
        if !Arc::ptr_eq(&previous.generation, &generation) {
            self.retired.add([policy].into_iter().chain(candidate));
        }
    }

    /// Shows in metrics which generation serves: to be said once it does so on every socket, because whoever reads it
    /// goes by it.
    pub fn serving(&self) {
        let generation = self.generation();
        self.metrics.reloads.generation.set(i64::try_from(generation.number).unwrap_or(i64::MAX));
        self.metrics.certificates.expire_first(generation.first_expiry());
    }
}

impl Deciding {
    fn new(generation: Arc<Generation>, itself: Itself, candidate: Option<Candidate>) -> Self {
        let (settings, tls) = (generation.settings.upstream.clone(), generation.upstream_tls.clone());
        Self { generation, how: How { settings, tls, itself }, candidate }
    }

    /// Decides about one request, beside the candidate if there is one.
    pub fn decide(&self, request: &Request<'_>) -> Decided {
        match &self.candidate {
            Some(candidate) => candidate.decide(request),
            None => Decided::undisputed(&self.generation.policy, request),
        }
    }
}
