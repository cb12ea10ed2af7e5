//! Says when the content of watched files and folders has changed. It waits a moment for a change to be whole, and
//! never says what a file holds, nor loads it.
//!
//! The kernel's events are hints to look now; a poll looks anyway, because events miss bind mounts and may not be
//! available at all. What counts is what is read: an untouched content is no change, whatever was done to its file.

mod contents;
mod hints;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::info_span;

use self::contents::{Contents, Reading};
use self::hints::Hints;
use crate::tasks::Tasks;

/// What can be watched. It need not exist.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// One file.
    File(PathBuf),
    /// The files below a folder that end in one of these suffixes: those that [`crate::folder::search`] finds.
    Folder(PathBuf, &'static [&'static str]),
}

/// Files under watch. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watcher {
    wanted: watch::Sender<Contents>,
    reports: Arc<Reports>,
}

impl Watcher {
    /// Watches nothing yet. Files are looked at whenever the kernel hints at a change, and every `poll_interval`.
    pub fn new(tasks: &Tasks, poll_interval: Duration) -> Self {
        Self::start(tasks, poll_interval, Hints::of_kernel())
    }

    /// Replaces what is watched. Changes from here on are reported, so await it *before* reading the files; those
    /// that were watched already are compared with what was last reported of them.
    pub async fn set(&self, watched: Vec<Watched>) {
        let reading = Reading::of(watched).await;
        self.wanted.send_modify(|wanted| wanted.adopt(reading.contents));
    }

    /// Waits for changes and returns the files whose content changed, appeared or went since the last report, named as
    /// [`Watcher::set`] was told of them or of their folder; or that folder, if it appeared or went. Cancel-safe.
    pub async fn changed(&mut self) -> Vec<PathBuf> {
        loop {
            let mut changed = self.reports.take();
            // A look may have been under way when the files were replaced.
            changed.retain(|path| self.wanted.borrow().has(path));
            if !changed.is_empty() {
                return changed;
            }
            self.reports.wake.notified().await;
        }
    }

    fn start(tasks: &Tasks, poll_interval: Duration, hints: Hints) -> Self {
        let (wanted, receiver) = watch::channel(Contents::default());
        let reports = Arc::new(Reports::default());
        let mut poll = interval(poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watch = Watch { wanted: receiver, known: Contents::default(), hints, poll, reports: Arc::clone(&reports) };
        tasks.spawn_until_stopped(info_span!("watch"), watch.run());
        Self { wanted, reports }
    }
}

/// Changes that nobody asked for yet: each file at most once.
#[derive(Debug, Default)]
struct Reports {
    changed: Mutex<BTreeSet<PathBuf>>,
    wake: Notify,
}

impl Reports {
    fn add(&self, changed: Vec<PathBuf>) {
        if changed.is_empty() {
            return;
        }
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).extend(changed);
        self.wake.notify_one();
    }

    fn take(&self) -> Vec<PathBuf> {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *changed).into_iter().collect()
    }
}

/// The task behind a [`Watcher`].
struct Watch {
    wanted: watch::Receiver<Contents>,
    known: Contents,
    hints: Hints,
    poll: Interval,
    reports: Arc<Reports>,
}

impl Watch {
    /// How long files must stay as they are before a change counts: a writer that truncates and writes, or replaces
    /// several files, is done by then. It also bounds how often a busy folder is looked at.
    const QUIET: Duration = Duration::from_millis(100);

    /// Most times that files are read in the hope that they settle; one that is written all the time is reported
    /// all the same.
    const MAX_READINGS: usize = 10;

    async fn run(mut self) {
        loop {
            tokio::select! {
                set = self.wanted.changed() => {
                    if set.is_err() {
                        return;
                    }
                    let wanted = self.wanted.borrow_and_update().clone();
                    self.known.adopt(wanted);
                    self.look().await;
                }
                () = self.hints.heard() => {
                    sleep(Self::QUIET).await;
                    self.look().await;
                }
                _ = self.poll.tick() => if self.look().await {
                    // No hint came: the folder may have been replaced under its watch.
                    self.hints.renew();
                },
            }
        }
    }

    /// Reads all files and reports those that changed; says whether any did.
    async fn look(&mut self) -> bool {
        let Reading { contents, folders } = self.settled().await;
        self.hints.watch(&folders);
        let changed = self.known.replace(contents);
        let any = !changed.is_empty();
        self.reports.add(changed);
        any
    }

    async fn settled(&self) -> Reading {
        let mut last = Reading::of(self.known.watched()).await;
        if last.contents == self.known {
            return last;
        }
        for _ in 0..Self::MAX_READINGS {
            sleep(Self::QUIET).await;
            let next = Reading::of(self.known.watched()).await;
            let settled = next.contents == last.contents;
            last = next;
            if settled {
                break;
            }
        }
        last
    }
}

#[cfg(test)]
mod tests;
