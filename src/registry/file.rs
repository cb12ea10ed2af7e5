//! A registry from a YAML file, for sites without ZooKeeper and for the demo. A file that cannot be read leaves the
//! last good one in force. What is known from elsewhere can be written in the same form, and read again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tracing::error;

use crate::config::problem::Problems;
use crate::metrics::ByReason;
use crate::registry::model::Snapshot;
use crate::registry::publisher::Publisher;
use crate::tasks::Tasks;
use crate::watch::{Watched, Watcher};

mod findings;
#[cfg(test)]
mod tests;

/// How often the file is looked at for changes that the kernel does not report.
const POLL: Duration = Duration::from_secs(5);

/// Publishes `file` now and after every change of its content.
pub(super) async fn follow(file: PathBuf, mut publisher: Publisher, tasks: Tasks) {
    let malformed = publisher.metrics().malformed.clone();
    let mut watcher = Watcher::new(&tasks, POLL);
    watcher.set(vec![Watched::File(file.clone())]).await;
    loop {
        match read(file.clone()).await {
            Ok(read) => publisher.publish(|snapshot| *snapshot = Snapshot { revision: snapshot.revision, ..read }),
            Err(Problems(problems)) => {
                malformed.get_or_create(&ByReason { reason: "file" }).inc();
                for problem in problems {
                    error!(%problem, "the registry file cannot be used; the last good one goes on");
                }
            }
        }
        watcher.changed().await;
    }
}

/// Reads the whole of `file` away from the threads that serve streams: it may be long.
async fn read(file: PathBuf) -> Result<Snapshot, Problems> {
    let path = file.clone();
    // Reading doesn't panic, and is cancelled only when the runtime ends, which nobody lives to see.
    spawn_blocking(move || load(&path)).await.unwrap_or_else(|gone| Err(findings::unreadable(&file, &gone.into())))
}

/// Reads `file` as a registry that is live, at revision 0. Blocks on the file system.
///
/// # Errors
/// What is wrong with it, as [`parse`] says it, or why it cannot be read.
pub fn load(file: &Path) -> Result<Snapshot, Problems> {
    let text = fs::read_to_string(file).map_err(|error| findings::unreadable(file, &error))?;
    parse(file, &text)
}

/// Reads `text` as what [`write()`] wrote, or a person, into `file`: live, at revision 0.
///
/// # Errors
/// What is wrong with it: the first fault of each of its entries, up to twenty.
pub fn parse(file: &Path, text: &str) -> Result<Snapshot, Problems> {
    serde_yaml::from_str(text).map_err(|error| findings::all(file, text, &error))
}

/// Writes everything in `snapshot` but its age and its revision into `to`, as a registry file.
///
/// # Errors
/// Only those of `to`.
pub fn write(snapshot: &Snapshot, to: impl io::Write) -> io::Result<()> {
    serde_yaml::to_writer(to, snapshot).map_err(io::Error::other)
}
