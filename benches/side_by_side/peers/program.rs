//! A program of Debian's, started from a configuration of its own on an address of its own. It never outlives the
//! measurement, and is never taken to serve before its port answers.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use super::Process;
use crate::support::gateway::own_address;

/// Where all of them listen, each on its own address.
const PORT: u16 = 7979;
/// Longest wait for a port that answers, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause between two looks at a port.
const PAUSE: Duration = Duration::from_millis(5);

/// Gives a program as many file descriptors as it may have, of which each stream takes two. Should we be killed, it is
/// told to end; it gets a signal that it can catch, for nginx has workers to take with it.
const START: &str = r#"ulimit -Sn "$(ulimit -Hn)" && exec setpriv --pdeathsig TERM "$@""#;

/// A program that is about to start.
#[derive(Debug)]
pub struct Program {
    /// Where it will serve.
    pub address: SocketAddr,
    dir: tempfile::TempDir,
}

impl Program {
    /// Gives it an address and a folder.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Self { address: (own_address(), PORT).into(), dir }
    }

    /// Its folder, for a command line.
    pub fn dir(&self) -> &str {
        self.dir.path().to_str().expect("a path in UTF-8")
    }

    /// Writes a file into its folder; returns the file's path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let file = format!("{}/{name}", self.dir());
        fs::write(&file, text).unwrap_or_else(|problem| panic!("{file}: {problem}"));
        file
    }

    /// Starts it by `command`, which must stay in the foreground, and waits until it serves.
    pub async fn start(self, command: &[&str]) -> Process {
        let log = self.dir.path().join("log");
        let mut child = spawn(command, File::create(&log).expect("a file for its log"));
        let ended = match timeout(PATIENCE, serves(self.address, &mut child)).await {
            Ok(Ok(())) => return Process::child(child, self.dir),
            Ok(Err(status)) => format!("it ended with {status}"),
            Err(_elapsed) => format!("nobody answers at {} after {PATIENCE:?}", self.address),
        };
        panic!("{command:?}: {ended}\n{}", fs::read_to_string(&log).unwrap_or_default());
    }
}

fn spawn(command: &[&str], log: File) -> Child {
    Command::new("sh")
        .args(["-c", START, "sh"])
        .args(command)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the same file again"))
        .stderr(log)
        .spawn()
        .expect("a shell")
}

/// Waits for a connection, or for the program's end.
async fn serves(address: SocketAddr, child: &mut Child) -> Result<(), ExitStatus> {
    // Nobody tells of a port that opens, so it is tried again and again.
    let mut looks = interval(PAUSE);
    while TcpStream::connect(address).await.is_err() {
        if let Some(status) = child.try_wait().expect("our own child") {
            return Err(status);
        }
        looks.tick().await;
    }
    Ok(())
}
