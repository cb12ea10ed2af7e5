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

struct Site {
    dir: TempDir,
    tasks: Tasks,
    watcher: Watcher,
}

impl Site {
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
        self.watcher.set(names.iter().map(|name| Watched::File(self.path(name))).collect()).await;
    }

    /// Watches the scripts and settings below the folder `name`.
    async fn set_folder(&self, name: &str) {
        self.watcher.set(vec![Watched::Folder(self.path(name), &["lua", "yaml"])]).await;
    }

    /// The names of the next report.
    async fn changed(&mut self) -> Vec<String> {
        let changed = timeout(PATIENCE, self.watcher.changed()).await.expect("no change was reported");
        changed.iter().map(|path| path.strip_prefix(self.dir.path()).unwrap().display().to_string()).collect()
    }
}

#[tokio::test]
async fn a_plain_write_is_seen_at_once() {
    let mut watched = Site::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    watched.write("a", "2");
    assert_eq!(watched.changed().await, ["a"]);
    watched.write("a", "3");
    assert_eq!(watched.changed().await, ["a"]);
}

#[tokio::test]
async fn a_burst_is_one_report() {
    let mut watched = Site::by_hints();
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
    let mut watched = Site::by_hints();
    watched.write("a", "1");
    watched.set(&["a", "b"]).await;
    watched.write("a", "1");
    fs::File::open(watched.path("a")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    watched.write("b", "2");
    assert_eq!(watched.changed().await, ["b"]);
}

#[tokio::test]
async fn a_rename_over_is_seen_again_and_again() {
    let mut watched = Site::by_hints();
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
    let mut watched = Site::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    fs::rename(watched.path("a"), watched.path("a~")).unwrap();
    watched.write("a", "2");
    fs::remove_file(watched.path("a~")).unwrap();
    assert_eq!(watched.changed().await, ["a"]);
}

#[tokio::test]
async fn a_deleted_file_is_reported_and_seen_when_it_returns() {
    let mut watched = Site::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    fs::remove_file(watched.path("a")).unwrap();
    assert_eq!(watched.changed().await, ["a"]);
    watched.write("a", "2");
    assert_eq!(watched.changed().await, ["a"]);
}

#[tokio::test]
async fn files_that_come_change_and_go_in_a_folder_are_reported_by_name() {
    let mut watched = Site::by_hints();
    fs::create_dir(watched.path("d")).unwrap();
    watched.write("d/a.lua", "1");
    watched.set_folder("d").await;
    watched.write("d/b.lua", "1");
    assert_eq!(watched.changed().await, ["d/b.lua"]);
    watched.write("d/a.lua", "2");
    assert_eq!(watched.changed().await, ["d/a.lua"]);
    fs::rename(watched.path("d/a.lua"), watched.path("d/c.yaml")).unwrap();
    assert_eq!(watched.changed().await, ["d/a.lua", "d/c.yaml"]);
    fs::remove_file(watched.path("d/b.lua")).unwrap();
    assert_eq!(watched.changed().await, ["d/b.lua"]);
}

#[tokio::test]
async fn what_a_folder_does_not_show_is_no_change_of_it() {
    let mut watched = Site::by_hints();
    fs::create_dir(watched.path("d")).unwrap();
    watched.set_folder("d").await;
    for name in ["d/.a.lua.swp", "d/a.lua~", "d/notes.txt", "d/.hidden.lua"] {
        watched.write(name, "1");
    }
    // An editor's rename of its new file over the old one.
    watched.write("d/4913", "1");
    fs::rename(watched.path("d/4913"), watched.path("d/a.lua")).unwrap();
    assert_eq!(watched.changed().await, ["d/a.lua"]);
}

#[tokio::test]
async fn folders_that_are_new_in_a_folder_are_listened_to() {
    let mut watched = Site::by_hints();
    fs::create_dir(watched.path("d")).unwrap();
    watched.set_folder("d").await;
    fs::create_dir_all(watched.path("d/lib/net")).unwrap();
    watched.write("d/lib/net/a.lua", "1");
    assert_eq!(watched.changed().await, ["d/lib/net/a.lua"]);
    watched.write("d/lib/net/a.lua", "2");
    assert_eq!(watched.changed().await, ["d/lib/net/a.lua"]);
}

#[tokio::test]
async fn a_folder_that_goes_and_returns_is_followed() {
    let mut watched = Site::by_hints();
    fs::create_dir(watched.path("d")).unwrap();
    watched.write("d/a.lua", "1");
    watched.set_folder("d").await;
    fs::rename(watched.path("d"), watched.path("aside")).unwrap();
    assert_eq!(watched.changed().await, ["d"]);
    fs::create_dir(watched.path("next")).unwrap();
    watched.write("next/a.lua", "2");
    fs::rename(watched.path("next"), watched.path("d")).unwrap();
    assert_eq!(watched.changed().await, ["d"]);
    watched.write("d/a.lua", "3");
    assert_eq!(watched.changed().await, ["d/a.lua"]);
}

#[tokio::test]
async fn a_link_out_of_a_folder_is_seen_and_not_followed() {
    let mut watched = Site::by_hints();
    fs::create_dir(watched.path("d")).unwrap();
    watched.write("secret.lua", "1");
    watched.set_folder("d").await;
    symlink("../secret.lua", watched.path("d/a.lua")).unwrap();
    assert_eq!(watched.changed().await, ["d/a.lua"]);
    watched.write("secret.lua", "2");
    watched.write("d/b.lua", "1");
    assert_eq!(watched.changed().await, ["d/b.lua"]);
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
    let mut watched = Site::by_hints();
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
async fn a_folder_that_is_a_config_map_changes_with_its_swap() {
    for (poll, hints) in [(NEVER, Hints::of_kernel()), (Duration::from_millis(10), Hints::none())] {
        let mut watched = Site::by(poll, hints);
        publish(watched.dir.path(), "01", &["a.lua", "b.lua"]);
        for file in ["a.lua", "b.lua"] {
            symlink(Path::new("..data").join(file), watched.path(file)).unwrap();
        }
        watched.set_folder("").await;
        publish(watched.dir.path(), "02", &["a.lua", "b.lua"]);
        fs::remove_dir_all(watched.path("..2026_01_01")).unwrap();
        assert_eq!(watched.changed().await, ["a.lua", "b.lua"]);
        // The kubelet makes and removes names of files that are new or gone in another step.
        publish(watched.dir.path(), "03", &["a.lua", "c.lua"]);
        symlink("..data/c.lua", watched.path("c.lua")).unwrap();
        fs::remove_file(watched.path("b.lua")).unwrap();
        assert_eq!(watched.changed().await, ["a.lua", "b.lua", "c.lua"]);
    }
}

#[tokio::test]
async fn a_write_behind_a_symbolic_link_is_seen() {
    let mut watched = Site::by_hints();
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
    let mut watched = Site::by(Duration::from_millis(10), Hints::none());
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
async fn polling_alone_sees_what_comes_and_goes_in_a_folder() {
    let mut watched = Site::by(Duration::from_millis(10), Hints::none());
    watched.set_folder("d").await;
    fs::create_dir_all(watched.path("d/lib")).unwrap();
    assert_eq!(watched.changed().await, ["d"]);
    watched.write("d/lib/a.lua", "1");
    assert_eq!(watched.changed().await, ["d/lib/a.lua"]);
    fs::remove_dir_all(watched.path("d/lib")).unwrap();
    assert_eq!(watched.changed().await, ["d/lib/a.lua"]);
}

#[tokio::test]
async fn the_watched_files_can_be_replaced() {
    let mut watched = Site::by_hints();
    fs::create_dir(watched.path("other")).unwrap();
    watched.set(&["a"]).await;
    watched.set(&["other/b"]).await;
    watched.write("a", "no longer watched");
    watched.write("other/b", "1");
    assert_eq!(watched.changed().await, ["other/b"]);
}

#[tokio::test]
async fn a_change_between_two_sets_is_not_lost() {
    let mut watched = Site::by_hints();
    watched.write("a", "1");
    watched.set(&["a"]).await;
    watched.write("a", "2");
    watched.set(&["a", "b"]).await;
    assert_eq!(watched.changed().await, ["a"]);
}

#[tokio::test]
async fn the_watch_ends_with_its_handle() {
    let Site { tasks, watcher, .. } = Site::by_hints();
    drop(watcher);
    assert!(tasks.ended_within(PATIENCE).await);
}
