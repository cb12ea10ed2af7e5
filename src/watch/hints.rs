//! Hints of the kernel that files in some folders may have changed. They may come too often or not at all: nothing
//! is concluded from them. The only place that knows notify.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tracing::warn;

/// Where hints come from.
pub(super) struct Hints {
    /// `None` hears nothing; files are then polled alone.
    kernel: Option<Kernel>,
    heard: Arc<Notify>,
}

#[derive(Default)]
struct Kernel {
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    warned: bool,
}

impl Hints {
    /// Hints of the kernel, as far as it gives any.
    pub(super) fn of_kernel() -> Self {
        Self { kernel: Some(Kernel::default()), heard: Arc::default() }
    }

    /// No hints.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { kernel: None, heard: Arc::default() }
    }

    /// Resolves once something may have changed since the last time.
    pub(super) async fn heard(&self) {
        self.heard.notified().await;
    }

    /// Listens in `folders`, and nowhere else. Folders, not files: a rename puts another file in a name's place, and
    /// a watch on the old one would die with it.
    pub(super) fn watch(&mut self, folders: &BTreeSet<PathBuf>) {
        let Some(kernel) = &mut self.kernel else { return };
        if kernel.folders != *folders {
            kernel.folders.clone_from(folders);
            kernel.listen(&self.heard);
        }
    }

    /// Listens anew in the same folders, where they may have been replaced.
    pub(super) fn renew(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            kernel.listen(&self.heard);
        }
    }
}

impl Kernel {
    fn listen(&mut self, heard: &Arc<Notify>) {
        match watcher(&self.folders, heard) {
            Ok(watcher) => self.watcher = Some(watcher),
            Err(error) if !self.warned => {
                self.warned = true;
                warn!(%error, "the kernel does not tell of changed files; they are noticed by polling alone");
            }
            Err(_) => {}
        }
        // What happened before the watch began was not heard.
        heard.notify_one();
    }
}

fn watcher(folders: &BTreeSet<PathBuf>, heard: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let heard = Arc::clone(heard);
    let mut watcher = notify::recommended_watcher(move |event| {
        if may_change(&event) {
            heard.notify_one();
        }
    })?;
    // A folder that isn't there is polled for, and watched once a file in it was seen.
    for folder in folders.iter().filter(|folder| Path::is_dir(folder)) {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Whether something may have changed. Looking at files makes events as well, which must not lead to another look.
fn may_change(event: &notify::Result<Event>) -> bool {
    match event.as_ref().map(|event| event.kind) {
        Ok(EventKind::Access(access)) => access == AccessKind::Close(AccessMode::Write),
        // An error may stand for lost events.
        Ok(_) | Err(_) => true,
    }
}

impl fmt::Debug for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hints").field("folders", &self.kernel.as_ref().map(|kernel| &kernel.folders)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looking_at_a_file_hints_at_nothing() {
        let event = |kind| Ok(Event::new(kind));
        assert!(!may_change(&event(EventKind::Access(AccessKind::Open(AccessMode::Any)))));
        assert!(!may_change(&event(EventKind::Access(AccessKind::Read))));
        assert!(may_change(&event(EventKind::Access(AccessKind::Close(AccessMode::Write)))));
        assert!(may_change(&event(EventKind::Any)));
        assert!(may_change(&Err(notify::Error::generic("queue overflow"))));
    }
}
