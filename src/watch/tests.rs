//! Files changed the way editors, deployment tools and Kubernetes change them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

/// No poll happens within a test: what is seen was hinted at.
const NEVER: Duration = Duration::from_secs(3600);

/// Ends a test that would wait for ever.
const PATIENCE: Duration = Duration::from_secs(20);

struct Watched {
    dir: TempDir,
    tasks: Tasks,
    watcher: Watcher,
}

impl Watched {
    fn by(poll_interval: Duration, hints: Hints) -> Self {
        let tasks = Tasks::new();
        let watcher = Watcher::start(&tasks, poll_interval, hints);
        Self { dir: tempfile::tempdir().unwrap(), tasks, watcher }
    }

    fn by_hints() -> Self {
        Self::by(NEVER, Hints::of_kernel())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    async fn set(&self, names: &[&str]) {
        self.watcher.set(names.iter().map(|name| self.path(name)).collect()).await;
    }

    /// The names of the next report.
    async fn changed(&mut self) -> Vec<String> {
        let changed = timeout(PATIENCE, self.watcher.changed()).await.expect("no change was reported");
        changed.iter().map(|path| path.strip_prefix(self.dir.path()).unwrap().display().to_string()).collect()
    }
}

#[tokio::test]
async fn a_plain_write_is_seen_at_once() {
    let mut watched = Watched::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    watched.write("a", "2");
    assert_eq!(watched.changed().await, ["a"]);
    watched.write("a", "3");
    assert_eq!(watched.changed().await, ["a"]);
}

#[tokio::test]
async fn a_burst_is_one_report() {
    let mut watched = Watched::by_hints();
    watched.set(&["a", "b", "c"]).await;
    for round in 0..50 {
        watched.write("a", &round.to_string());
        watched.write("b", &round.to_string());
    }
    assert_eq!(watched.changed().await, ["a", "b"]);
    watched.write("c", "the next report is of nothing else");
    assert_eq!(watched.changed().await, ["c"]);
}

#[tokio::test]
async fn the_same_content_is_no_change() {
    let mut watched = Watched::by_hints();
    watched.write("a", "1");
    watched.set(&["a", "b"]).await;
    watched.write("a", "1");
    fs::File::open(watched.path("a")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    watched.write("b", "2");
    assert_eq!(watched.changed().await, ["b"]);
}

#[tokio::test]
async fn a_rename_over_is_seen_again_and_again() {
    let mut watched = Watched::by_hints();
    watched.write("a", "0");
    watched.set(&["a"]).await;
    for content in ["1", "2", "3"] {
        watched.write("a.new", content);
        fs::rename(watched.path("a.new"), watched.path("a")).unwrap();
        assert_eq!(watched.changed().await, ["a"], "{content}");
    }
}

#[tokio::test]
async fn vims_way_of_moving_the_old_file_aside_is_one_change() {
    let mut watched = Watched::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    fs::rename(watched.path("a"), watched.path("a~")).unwrap();
    watched.write("a", "2");
    fs::remove_file(watched.path("a~")).unwrap();
    assert_eq!(watched.changed().await, ["a"]);
}

#[tokio::test]
async fn a_deleted_file_is_reported_and_seen_when_it_returns() {
    let mut watched = Watched::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    fs::remove_file(watched.path("a")).unwrap();
    assert_eq!(watched.changed().await, ["a"]);
    watched.write("a", "2");
    assert_eq!(watched.changed().await, ["a"]);
}

/// A ConfigMap as the kubelet lays it out: names lead through `..data` to a folder of the day.
fn publish(dir: &Path, version: &str, files: &[&str]) {
    let day = format!("..2026_01_{version}");
    fs::create_dir(dir.join(&day)).unwrap();
    for file in files {
        fs::write(dir.join(&day).join(file), version).unwrap();
    }
    symlink(&day, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
}

#[tokio::test]
async fn a_swap_of_a_config_map_is_one_report_of_all_its_files() {
    let files = ["fingerpost.yaml", "policy.lua"];
    let mut watched = Watched::by_hints();
    publish(watched.dir.path(), "01", &files);
    for file in files {
        symlink(Path::new("..data").join(file), watched.path(file)).unwrap();
    }
    watched.set(&files).await;
    for (old, new) in [("01", "02"), ("02", "03")] {
        publish(watched.dir.path(), new, &files);
        fs::remove_dir_all(watched.path(&format!("..2026_01_{old}"))).unwrap();
        assert_eq!(watched.changed().await, files, "{new}");
    }
}

#[tokio::test]
async fn a_write_behind_a_symbolic_link_is_seen() {
    let mut watched = Watched::by_hints();
    fs::create_dir_all(watched.path("archive")).unwrap();
    fs::create_dir_all(watched.path("live")).unwrap();
    watched.write("archive/cert1.pem", "1");
    symlink("../archive/cert1.pem", watched.path("live/cert.pem")).unwrap();
    watched.set(&["live/cert.pem"]).await;
    watched.write("archive/cert1.pem", "2");
    assert_eq!(watched.changed().await, ["live/cert.pem"]);
}

#[tokio::test]
async fn polling_alone_sees_changes_deletions_and_new_folders() {
    let mut watched = Watched::by(Duration::from_millis(10), Hints::none());
    watched.write("a", "1");
    watched.set(&["a", "later/b"]).await;
    watched.write("a", "2");
    assert_eq!(watched.changed().await, ["a"]);
    fs::remove_file(watched.path("a")).unwrap();
    assert_eq!(watched.changed().await, ["a"]);
    fs::create_dir(watched.path("later")).unwrap();
    watched.write("later/b", "1");
    assert_eq!(watched.changed().await, ["later/b"]);
}

#[tokio::test]
async fn the_watched_files_can_be_replaced() {
    let mut watched = Watched::by_hints();
    fs::create_dir(watched.path("other")).unwrap();
    watched.set(&["a"]).await;
    watched.set(&["other/b"]).await;
    watched.write("a", "no longer watched");
    watched.write("other/b", "1");
    assert_eq!(watched.changed().await, ["other/b"]);
}

#[tokio::test]
async fn a_change_between_two_sets_is_not_lost() {
    let mut watched = Watched::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    watched.write("a", "2");
    watched.set(&["a", "b"]).await;
    assert_eq!(watched.changed().await, ["a"]);
}

#[tokio::test]
async fn the_watch_ends_with_its_handle() {
    let Watched { tasks, watcher, .. } = Watched::by_hints();
    drop(watcher);
    assert!(tasks.ended_within(PATIENCE).await);
}
