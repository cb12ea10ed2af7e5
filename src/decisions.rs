//! The decision log: every decision with all that it depended on, so that another policy can be asked on another day.
//! It never makes a stream wait and never harms one: what cannot be written in time, or at all, is counted and let go.
//!
//! ```text
//! session → Log (a bounded queue) → Writer (a task) → Rotation (files) … Reader → trial::Replay
//! ```

mod entry;
mod reader;
mod rotation;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tracing::info_span;

pub use self::entry::{Asked, Decision, Outcome, Relay};
pub use self::reader::{Logged, OpenError, Reader, Unread};
use self::writer::Writer;
use crate::candidate::Decided;
use crate::config::settings;
use crate::generation::Generation;
use crate::metrics::{self, ByReason};
use crate::policy::{Known, Request};
use crate::registry::Components;
use crate::tasks::Tasks;

/// Decisions that may wait to be written, and the memory that they may hold meanwhile, in bytes.
const MAX_WAITING: usize = 4096;
const MAX_BYTES: usize = 16 << 20;

/// A relay's log, through all generations: each says whether and where it is written. Dropping it ends the writing.
pub struct Log {
    queue: mpsc::Sender<Offer>,
    room: Arc<Semaphore>,
    wanted: watch::Sender<Option<settings::Decisions>>,
    metrics: metrics::Decisions,
}

/// A decision on its way to the file, with what others have in common with it.
#[derive(Debug)]
struct Offer {
    decision: Decision,
    generation: Arc<Generation>,
    components: Arc<Components>,
    /// Its part of [`MAX_BYTES`].
    _room: OwnedSemaphorePermit,
}

impl Log {
    /// A log that is written by a task of `tasks`, as soon as a generation wants it.
    pub fn new(metrics: metrics::Decisions, tasks: &Tasks) -> Self {
        let (queue, offers) = mpsc::channel(MAX_WAITING);
        let wanted = watch::Sender::new(None);
        let writer = Writer::new(metrics.clone());
        tasks.spawn(info_span!("decisions"), writer::run(writer, offers, wanted.subscribe(), tasks.clone()));
        Self { queue, room: Arc::new(Semaphore::new(MAX_BYTES)), wanted, metrics }
    }

    /// Has what is offered from now on written as `wanted`; `None` writes nothing.
    pub fn follow(&self, wanted: Option<&settings::Decisions>) {
        self.wanted.send_if_modified(|current| {
            let changed = current.as_ref() != wanted;
            *current = wanted.cloned();
            changed
        });
    }

    /// Has `decide` decide about `request`, and keeps the decision if `generation` wants it kept, with all that was
    /// read.
    pub fn witness(
        &self,
        generation: &Arc<Generation>,
        request: &Request<'_>,
        decide: impl FnOnce(&Request<'_>) -> Decided,
    ) -> Decided {
        if generation.settings.decisions.is_none() {
            return decide(request);
        }
        let world = Arc::new(request.known.world.witnessed());
        let request = Request { known: Known { world: &world, ..request.known }, ..*request };
        let decided = decide(&request);
        self.offer(Decision::of(&request, generation.number, &decided), generation, &request.known.snapshot.components);
        decided
    }

    fn offer(&self, decision: Decision, generation: &Arc<Generation>, components: &Arc<Components>) {
        let weight = u32::try_from(decision.weight()).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(weight) else { return self.lose("queue_full") };
        let (generation, components) = (Arc::clone(generation), Arc::clone(components));
        match self.queue.try_send(Offer { decision, generation, components, _room: room }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.lose("queue_full"),
            Err(TrySendError::Closed(_)) => self.lose("stopping"),
        }
    }

    fn lose(&self, reason: &'static str) {
        self.metrics.lost.get_or_create(&ByReason { reason }).inc();
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("wanted", &*self.wanted.borrow()).finish_non_exhaustive()
    }
}
