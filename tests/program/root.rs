//! Started as root: what needs root is done first, and then nothing of it is left.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use nix::unistd::{User, geteuid};

use crate::site::{BUILD, Relay, Site};
use crate::support::authority::Authority;
use crate::support::executor::Executor;
use crate::support::viewer::Viewer;

#[tokio::test]
async fn root_binds_port_79_reads_the_key_and_serves_as_nobody() {
    let (authority, executor) = (Authority::new(), Executor::new().await);
    let nobody = User::from_name("nobody").expect("looked up").expect("nobody");
    let mut site = Site::with_executor(executor.port());
    let leaf = authority.issue_for_address(site.ip);
    fs::set_permissions(&leaf.key, Permissions::from_mode(0o600)).expect("for root only");
    fs::set_permissions(site.path(""), Permissions::from_mode(0o755)).expect("readable");
    fs::create_dir(site.path("run")).expect("a folder");
    let address = (site.ip, if geteuid().is_root() { 79 } else { 7979 });
    site.listeners = format!(
        "  - name: finger\n    address: \"{}:{}\"\n    tls: {{certificates: [{{cert: {:?}, key: {:?}}}]}}\n",
        address.0, address.1, leaf.cert, leaf.key
    );
    site.more = "process: {user: nobody, command_socket: run/command, pid_file: run/pid}\n".to_owned();
    if !geteuid().is_root() {
        let relay = site.start().await;
        relay.until_logged("not started as root: process.user is ignored").await;
        return;
    }
    chown(site.path("run"), Some(nobody.uid.as_raw()), None).expect("the user's");
    let relay = site.start().await;
    let uids = uids(&relay);
    assert!(uids.len() > 1 && uids.iter().all(|uid| *uid == nobody.uid.as_raw().to_string()), "{uids:?}");
    assert_eq!(fs::metadata(site.path("run/command")).expect("a socket").uid(), nobody.uid.as_raw());
    assert_eq!(fs::read_to_string(site.path("run/pid")).expect("an id"), format!("{}\n", relay.pid()));
    carries(&site, &authority, &executor).await;

    // The user may not read the key: it stays as root read it, and keeps nothing else from being loaded again.
    relay.signal("HUP").await;
    relay.until_logged("reloaded by=").await;
    carries(&site, &authority, &executor).await;

    let log = relay.stop().await.text();
    assert!(log.contains("process.user may not read this file") && log.contains(".key"), "{log}");
    assert_eq!(log.matches("reloaded by=").count(), 1, "nothing seemed to have changed: {log}");
    assert!(!site.path("run/pid").exists() && !site.path("run/command").exists(), "its files are gone");
}

#[tokio::test]
async fn a_process_file_that_the_user_may_not_remove_is_said() {
    if !geteuid().is_root() {
        return;
    }
    let site = Site::new().and("process: {user: nobody, pid_file: pid}\n");
    fs::set_permissions(site.path(""), Permissions::from_mode(0o755)).expect("readable");
    let log = site.start().await.stop().await.text();
    assert!(log.contains("WARN") && log.contains("cannot remove the process id file file="), "{log}");
    assert!(log.contains("Permission denied"), "{log}");
}

async fn carries(site: &Site, authority: &Authority, executor: &Executor) {
    let mut viewer = Viewer::tls((site.ip, 79).into(), authority, None).await.expect("a handshake");
    viewer.ask(BUILD).await;
    executor.next().await.send(b"log").await;
    assert_eq!(viewer.rest().await, b"log");
}

/// The real, effective, saved and file system user of every thread.
fn uids(relay: &Relay) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{}/task", relay.pid())).expect("its threads");
    let status = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("status")).expect("its status");
    let statuses: Vec<_> = threads.map(|thread| status(thread.expect("a thread"))).collect();
    let lines = statuses.iter().filter_map(|status| status.lines().find_map(|line| line.strip_prefix("Uid:")));
    lines.flat_map(|line| line.split_whitespace().map(str::to_owned)).collect()
}
