//! A registry from a YAML file, for sites without ZooKeeper and for the demo. A file that cannot be read leaves the
//! last good one in force.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tracing::error;

use crate::metrics::ByReason;
use crate::names::{BuildId, Hostname, Zone};
use crate::registry::builds::Builds;
use crate::registry::model::{Build, Components, Executor, Freshness, Gateway, Snapshot, State, Worker};
use crate::registry::publisher::Publisher;
use crate::tasks::Tasks;
use crate::watch::{Watched, Watcher};

/// How often the file is looked at for changes that the kernel does not report.
const POLL: Duration = Duration::from_secs(5);

/// Why a registry file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read the registry file {file}: {source}")]
    Read {
        /// The file.
        file: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not what it should be.
    #[error("{file}: {source}")]
    Yaml {
        /// The file.
        file: String,
        /// Where and why; line and column are in it.
        source: serde_yaml::Error,
    },
    /// A value cannot be used.
    #[error("{file}: {entry}: {value:?} is not {wanted}")]
    Value {
        /// The file.
        file: String,
        /// Which entry, such as `builds[3].uuid`.
        entry: String,
        /// What stands there.
        value: String,
        /// What should.
        wanted: &'static str,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    builds: Vec<FileBuild>,
    #[serde(default)]
    gateways: Vec<FileGateway>,
    #[serde(default)]
    executors: Vec<FileExecutor>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileBuild {
    uuid: String,
    zone: Option<String>,
    tenant: Option<String>,
    pipeline: Option<String>,
    state: Option<String>,
    worker: Option<FileWorker>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWorker {
    hostname: String,
    log_port: u16,
    zone: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGateway {
    hostname: String,
    public_port: u16,
    zone: Option<String>,
    #[serde(default)]
    use_ssl: bool,
    state: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileExecutor {
    hostname: String,
    zone: Option<String>,
    state: Option<String>,
}

/// Publishes `file` now and after every change of its content.
pub(super) async fn follow(file: PathBuf, mut publisher: Publisher, tasks: Tasks) {
    let malformed = publisher.metrics().malformed.clone();
    let mut watcher = Watcher::new(&tasks, POLL);
    watcher.set(vec![Watched::File(file.clone())]).await;
    loop {
        match read(&file).await {
            Ok(read) => publisher.publish(|snapshot| *snapshot = Snapshot { revision: snapshot.revision, ..read }),
            Err(error) => {
                malformed.get_or_create(&ByReason { reason: "file" }).inc();
                error!(%error, "the registry file cannot be used; the last good one goes on");
            }
        }
        watcher.changed().await;
    }
}

/// Reads one value of one entry, and knows how to complain about it.
struct Reader<'a> {
    file: &'a Path,
}

/// Reads the whole of `file`. The revision of the snapshot is 0: the publisher counts.
async fn read(file: &Path) -> Result<Snapshot, FileError> {
    parse(file, tokio::fs::read_to_string(file).await)
}

/// Says whether `file` could be used as a registry. Blocks on the file system.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(file: &Path) -> Result<(), FileError> {
    parse(file, fs::read_to_string(file)).map(drop)
}

fn parse(file: &Path, text: io::Result<String>) -> Result<Snapshot, FileError> {
    let name = || file.display().to_string();
    let text = text.map_err(|source| FileError::Read { file: name(), source })?;
    let parsed: File = serde_yaml::from_str(&text).map_err(|source| FileError::Yaml { file: name(), source })?;
    Reader { file }.snapshot(parsed)
}

impl Reader<'_> {
    fn snapshot(&self, file: File) -> Result<Snapshot, FileError> {
        let mut builds = Builds::default();
        for (index, build) in file.builds.into_iter().enumerate() {
            let build = self.build(&format!("builds[{index}]"), build)?;
            builds.insert(Arc::new(build));
        }
        let mut gateways = Vec::new();
        for (index, gateway) in file.gateways.into_iter().enumerate() {
            gateways.push(Arc::new(self.gateway(index, gateway)?));
        }
        gateways.sort_by(|a, b| a.state.cmp(&b.state).then_with(|| a.id.cmp(&b.id)));
        let mut executors = Vec::new();
        for (index, executor) in file.executors.into_iter().enumerate() {
            executors.push(Arc::new(self.executor(index, executor)?));
        }
        Ok(Snapshot {
            zones: Arc::new(zones(&builds)),
            builds,
            components: Arc::new(Components { gateways, executors, model_api: None }),
            freshness: Freshness::Live,
            revision: 0,
        })
    }

    fn build(&self, entry: &str, build: FileBuild) -> Result<Build, FileError> {
        let uuid = BuildId::parse(&build.uuid)
            .ok_or_else(|| self.wrong(&format!("{entry}.uuid"), &build.uuid, "a uuid of hexadecimal digits"))?;
        let worker = build.worker.map(|worker| self.worker(&format!("{entry}.worker"), worker)).transpose()?;
        let zone = self.zone(entry, build.zone)?;
        Ok(Build { uuid, zone, tenant: build.tenant, pipeline: build.pipeline, state: build.state, worker })
    }

    fn worker(&self, entry: &str, worker: FileWorker) -> Result<Worker, FileError> {
        Ok(Worker {
            hostname: self.hostname(entry, &worker.hostname)?,
            log_port: Some(worker.log_port),
            zone: self.zone(entry, worker.zone)?,
        })
    }

    fn gateway(&self, index: usize, gateway: FileGateway) -> Result<Gateway, FileError> {
        let entry = format!("gateways[{index}]");
        Ok(Gateway {
            id: format!("{}:{}", gateway.hostname, gateway.public_port).into(),
            hostname: self.hostname(&entry, &gateway.hostname)?,
            zone: self.zone(&entry, gateway.zone)?,
            public_port: Some(gateway.public_port),
            use_ssl: gateway.use_ssl,
            state: self.state(&entry, gateway.state)?,
            version: None,
        })
    }

    fn executor(&self, index: usize, executor: FileExecutor) -> Result<Executor, FileError> {
        let entry = format!("executors[{index}]");
        Ok(Executor {
            id: executor.hostname.as_str().into(),
            hostname: self.hostname(&entry, &executor.hostname)?,
            zone: self.zone(&entry, executor.zone)?,
            state: self.state(&entry, executor.state)?,
        })
    }

    fn hostname(&self, entry: &str, text: &str) -> Result<Hostname, FileError> {
        Hostname::parse(text).ok_or_else(|| self.wrong(&format!("{entry}.hostname"), text, "a host name or an address"))
    }

    fn zone(&self, entry: &str, text: Option<String>) -> Result<Option<Zone>, FileError> {
        let Some(text) = text else { return Ok(None) };
        let wrong = || self.wrong(&format!("{entry}.zone"), &text, "a zone's name");
        Zone::parse(&text).ok_or_else(wrong).map(Some)
    }

    /// Nobody keeps a hand-written file's states up to date, so that none means running.
    fn state(&self, entry: &str, text: Option<String>) -> Result<State, FileError> {
        let Some(text) = text else { return Ok(State::Running) };
        match State::parse(&text) {
            State::Unknown => {
                Err(self.wrong(&format!("{entry}.state"), &text, "initializing, running, paused or stopped"))
            }
            known => Ok(known),
        }
    }

    fn wrong(&self, entry: &str, value: &str, wanted: &'static str) -> FileError {
        FileError::Value {
            file: self.file.display().to_string(),
            entry: entry.to_owned(),
            value: value.to_owned(),
            wanted,
        }
    }
}

fn zones(builds: &Builds) -> Vec<Zone> {
    let mut zones: Vec<Zone> = builds.iter().filter_map(|build| build.zone.clone()).collect();
    zones.sort();
    zones.dedup();
    zones
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;
    use crate::registry::Registry;

    async fn read_text(text: &str) -> Result<Snapshot, FileError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("registry.yaml");
        fs::write(&file, text).unwrap();
        read(&file).await
    }

    #[tokio::test]
    async fn builds_and_gateways_are_read() {
        let snapshot = read_text(
            "builds:
  - uuid: abc123
    zone: east
    tenant: example
    worker: {hostname: executor.example, log_port: 7900, zone: west}
gateways:
  - {hostname: old.example, public_port: 79, zone: west, state: stopped}
  - {hostname: new.example, public_port: 7979, zone: west, use_ssl: true}
",
        )
        .await
        .unwrap();
        let build = snapshot.builds.get(&BuildId::parse("abc123").unwrap()).unwrap();
        assert_eq!(build.worker.as_ref().unwrap().log_port, Some(7900));
        let west = Zone::parse("west").unwrap();
        let names: Vec<_> = snapshot.components.gateways_of(&west).map(|gateway| gateway.hostname.as_str()).collect();
        assert_eq!(names, ["new.example", "old.example"], "running ones come first");
        assert_eq!(snapshot.freshness, Freshness::Live);
    }

    #[tokio::test]
    async fn an_empty_file_knows_nothing_and_says_so_truthfully() {
        let snapshot = read_text("{}").await.unwrap();
        assert!(snapshot.builds.is_empty());
        assert_eq!(snapshot.freshness, Freshness::Live);
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_with_its_place() {
        for (text, complaint) in [
            ("builds: [{uuid: ../x}]", "builds[0].uuid: \"../x\" is not a uuid"),
            ("gateways: [{hostname: h, public_port: 79, zone: a/b}]", "gateways[0].zone: \"a/b\""),
            ("gateways: [{hostname: h, public_port: 79, state: asleep}]", "gateways[0].state: \"asleep\""),
            ("gateways: [{hostname: h, prot: 79}]", "unknown field `prot`"),
            ("builds: [", "did not find expected node content at line"),
        ] {
            let error = read_text(text).await.unwrap_err().to_string();
            assert!(error.contains(complaint), "{text}: {error}");
        }
    }

    #[tokio::test]
    async fn a_changed_file_is_published_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("registry.yaml");
        fs::write(&file, "builds: [{uuid: aa}]").unwrap();
        let (metrics, tasks) = (metrics::Registry::default(), Tasks::new());
        let registry = Registry::file(&file, metrics.clone(), &tasks);
        let mut changes = registry.changes();
        let (aa, bb) = (BuildId::parse("aa").unwrap(), BuildId::parse("bb").unwrap());

        changes.wait_for(|_| registry.snapshot().builds.contains(&aa)).await.unwrap();
        fs::write(&file, "builds: [").unwrap();
        let refused = ByReason { reason: "file" };
        while metrics.malformed.get_or_create(&refused).get() == 0 {
            tokio::task::yield_now().await;
        }
        assert!(registry.find(&aa).await.unwrap().is_some(), "the last good one goes on");
        fs::write(&file, "builds: [{uuid: bb}]").unwrap();
        changes.wait_for(|_| registry.snapshot().builds.contains(&bb)).await.unwrap();
        assert!(registry.find(&aa).await.unwrap().is_none());
        tasks.stop();
    }
}
