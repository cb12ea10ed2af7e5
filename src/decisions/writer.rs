//! The writers' end of the queue. It writes off the threads that serve streams, says once that it cannot, and counts
//! what is lost meanwhile.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io;
use std::ptr;
use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;
use tracing::{error, info};

use super::Offer;
use super::entry::{Line, Name, Relay, VERSION};
use super::rotation::Rotation;
use crate::config::settings::Decisions;
use crate::generation::Generation;
use crate::metrics::{self, ByReason};
use crate::registry::Components;
use crate::tasks::Tasks;

/// Decisions that are written at a time.
const BATCH: usize = 256;

/// Writes decisions, and before them what they name.
pub(super) struct Writer {
    files: Option<Rotation>,
    /// What the file has already.
    told: HashSet<Name>,
    relay: Option<Named<Generation>>,
    components: Option<Named<Components>>,
    failing: bool,
    metrics: metrics::Decisions,
}

/// Something that lines name.
struct Named<T> {
    name: Name,
    /// Weak, so that nothing outlives its time for having been written; while it is held, nothing else can have its
    /// address.
    is: Weak<T>,
}

/// Writes what is offered as it is wanted, until nobody can offer any more. After `tasks` were told to stop, nothing is
/// taken but what waits already.
pub(super) async fn run(
    mut writer: Writer,
    mut offers: mpsc::Receiver<Offer>,
    mut wanted: watch::Receiver<Option<Decisions>>,
    tasks: Tasks,
) {
    loop {
        let mut batch = Vec::new();
        let taken = tokio::select! {
            biased;
            Ok(()) = wanted.changed() => None,
            () = tasks.stopping(), if !offers.is_closed() => {
                offers.close();
                None
            }
            taken = offers.recv_many(&mut batch, BATCH) => Some(taken),
        };
        if taken == Some(0) {
            return;
        }
        let settings = wanted.borrow_and_update().clone();
        let writing = spawn_blocking(move || {
            writer.follow(settings);
            batch.into_iter().for_each(|offer| writer.take(&offer));
            writer
        });
        // It does not panic, and is cancelled only when the runtime ends.
        let Ok(back) = writing.await else { return };
        writer = back;
    }
}

impl Writer {
    pub(super) fn new(metrics: metrics::Decisions) -> Self {
        Self { files: None, told: HashSet::new(), relay: None, components: None, failing: false, metrics }
    }

    /// Writes as `wanted` from now on; and looks whether that can be done, before anything is to be written.
    pub(super) fn follow(&mut self, wanted: Option<Decisions>) {
        if self.files.as_ref().map(|files| &files.settings) == wanted.as_ref() {
            return;
        }
        self.files = wanted.map(Rotation::new);
        (self.relay, self.components, self.failing) = (None, None, false);
        let ready = self.ready();
        self.note(&ready);
    }

    pub(super) fn take(&mut self, offer: &Offer) {
        if self.files.is_none() {
            // It was decided before the log was switched off.
            return;
        }
        let written = self.ready().and_then(|()| self.write(offer));
        match &written {
            Ok(()) => self.metrics.logged.inc(),
            Err(_) => self.metrics.lost.get_or_create(&ByReason { reason: "unwritable" }).inc(),
        };
        self.note(&written);
    }

    /// Tells when it begins to fail, and when it works again.
    fn note(&mut self, outcome: &io::Result<()>) {
        let Some(files) = &self.files else { return };
        let file = files.settings.file.display();
        match outcome {
            Err(why) if !self.failing => {
                error!(%file, %why, "the decision log cannot be written; decisions are lost until it can");
            }
            Ok(()) if self.failing => info!(%file, "the decision log is written again"),
            _ => {}
        }
        self.failing = outcome.is_err();
    }

    fn ready(&mut self) -> io::Result<()> {
        if let Some(files) = &mut self.files
            && files.ready()?
        {
            self.told.clear();
        }
        Ok(())
    }

    fn write(&mut self, offer: &Offer) -> io::Result<()> {
        let names = self.names(offer)?;
        let mut lines = self.lines(offer, &names)?;
        let Some(files) = &mut self.files else { return Ok(()) };
        if files.is_full(lines.len()) {
            self.told.clear();
            files.rotate()?;
            lines = self.lines(offer, &names)?;
        }
        if let Some(files) = &mut self.files {
            files.append(&lines)?;
        }
        self.told.extend(names);
        Ok(())
    }

    /// What the relay and the components of a decision are called.
    fn names(&mut self, offer: &Offer) -> io::Result<[Name; 2]> {
        let relay = |generation: &Generation| serde_json::to_vec(&Relay::of(&generation.settings));
        let relay = name(&mut self.relay, &offer.generation, relay)?;
        let components = name(&mut self.components, &offer.components, serde_json::to_vec)?;
        Ok([relay, components])
    }

    /// The line of a decision, after those of what the file does not have yet.
    fn lines(&self, offer: &Offer, [relay, components]: &[Name; 2]) -> io::Result<Vec<u8>> {
        let mut lines = Vec::new();
        if self.told.is_empty() {
            lines.extend(Line::Log { version: VERSION, program: env!("CARGO_PKG_VERSION").into() }.bytes()?);
        }
        if !self.told.contains(relay) {
            let is = Cow::Owned(Relay::of(&offer.generation.settings));
            lines.extend(Line::Relay { name: relay.clone(), is }.bytes()?);
        }
        if !self.told.contains(components) {
            let are = Cow::Borrowed(&*offer.components);
            lines.extend(Line::Components { name: components.clone(), are }.bytes()?);
        }
        let (relay, components) = (relay.clone(), components.clone());
        lines.extend(Line::Decision { relay, components, made: Cow::Borrowed(&offer.decision) }.bytes()?);
        Ok(lines)
    }
}

/// What `is` is called, which is the hash of its `text`; found out once for as long as it is the same.
fn name<T>(
    known: &mut Option<Named<T>>,
    is: &Arc<T>,
    text: impl FnOnce(&T) -> serde_json::Result<Vec<u8>>,
) -> io::Result<Name> {
    if let Some(known) = known
        && ptr::eq(known.is.as_ptr(), Arc::as_ptr(is))
    {
        return Ok(known.name.clone());
    }
    let name = Name::of(&text(is)?);
    *known = Some(Named { name: name.clone(), is: Arc::downgrade(is) });
    Ok(name)
}
