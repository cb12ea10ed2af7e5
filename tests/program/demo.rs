//! `fingerpost demo`: it works with nothing set up, what it tells to type works too, and it leaves nothing behind.

use std::fs;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::site::{output, signal};
use crate::support::gateway::fingerpost;
use crate::support::viewer::PATIENCE;

#[tokio::test]
async fn once_carries_a_whole_log_and_ends() {
    let (code, out, err) = output(&[&"demo", &"--once"]).await;
    assert_eq!((code, err.as_str()), (0, ""));
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 40);
    assert!(lines[0].ends_with("| documentation: checking out, step 0"), "{}", lines[0]);
    assert!(lines[39].ends_with("step 39"), "{}", lines[39]);
}

#[tokio::test]
async fn what_it_tells_to_type_shows_a_growing_log_and_ctrl_c_leaves_nothing() {
    let mut demo = Demo::start().await;
    let line = demo.told.lines().find(|line| line.contains("running")).expect("a build that runs");
    let typed = line.split('#').next().expect("a command").trim().to_owned();
    let mut words = typed.split(' ');
    assert_eq!(words.next(), Some("fingerpost"));
    let mut viewer = Command::new(fingerpost())
        .args(words)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|problem| panic!("{typed}: {problem}"));
    let mut log = BufReader::new(viewer.stdout.take().expect("piped")).lines();
    // It writes one line a second: three are more than there were at once.
    for _ in 0..3 {
        let line = timeout(PATIENCE, log.next_line()).await.expect("a line in time").expect("read").expect("a line");
        assert!(line.contains(" | unit-tests: "), "{line}");
    }
    demo.ends_by("INT").await;
    let status = timeout(PATIENCE, viewer.wait()).await.expect("the stream ends as well").expect("reaped");
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn sigterm_and_a_closed_terminal_leave_nothing() {
    for name in ["TERM", "HUP"] {
        Demo::start().await.ends_by(name).await;
    }
}

#[tokio::test]
async fn nc_shows_what_it_tells_as_well() {
    let mut demo = Demo::start().await;
    let line = demo.told.lines().find(|line| line.contains("| nc ")).expect("a line with nc");
    let typed = line.split_once(": ").expect("a command").1;
    let mut shell =
        Command::new("sh").args(["-c", typed]).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("sh");
    let mut log = BufReader::new(shell.stdout.take().expect("piped")).lines();
    let line = timeout(PATIENCE, log.next_line()).await.expect("a line in time").expect("read").expect("a line");
    assert!(line.contains(" | unit-tests: "), "{line}");
    demo.ends_by("INT").await;
}

/// A demo that runs, with a folder for temporary files of its own.
struct Demo {
    child: Child,
    told: String,
    folder: tempfile::TempDir,
}

impl Demo {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new(fingerpost())
            .arg("demo")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("our own program");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut told = String::new();
        while !told.contains("Ctrl-C") {
            let read = timeout(PATIENCE, out.read_line(&mut told)).await.expect("more in time").expect("read");
            assert!(read > 0, "it ended after {told}");
        }
        let demo = Self { child, told, folder };
        assert!(demo.told.contains(demo.folder.path().to_str().expect("text")), "{}", demo.told);
        assert_eq!(demo.left(), 1);
        demo
    }

    async fn ends_by(&mut self, name: &str) {
        signal(self.child.id().expect("it runs"), name).await;
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("reaped");
        let mut said = String::new();
        let mut err = self.child.stderr.take().expect("piped");
        err.read_to_string(&mut said).await.expect("text");
        assert!(status.success() && said.is_empty(), "SIG{name}: {status}: {said}");
        assert_eq!(self.left(), 0, "SIG{name}");
    }

    fn left(&self) -> usize {
        fs::read_dir(self.folder.path()).expect("its folder").count()
    }
}
