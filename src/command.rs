//! The command socket: one line from an operator's script in, one answer out, as Zuul's services take them; and the
//! client that our own commands ask it with.
//!
//! Decides nothing: a command is handed over and answered by whoever leads the relay. Facts: `CommandSocket` in
//! Zuul 14.3.0, whose own client sends a line, reads nothing and leaves.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tracing::{Span, debug, info_span, warn};

use crate::tasks::Tasks;

/// Longest command line, in bytes.
const LINE_MAX: u64 = 1024;

/// Clients served at one time, and orders that wait for whoever leads the relay.
const CROWD: usize = 16;

/// Longest wait for a client's line, and for it to take its answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

/// Longest wait for an answer: a reload reads every file that the configuration names.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);

/// Pause after an accept that failed, so that a lack of descriptors is not met by spinning.
const PAUSE: Duration = Duration::from_millis(50);

/// The answer where something was to be done, and was.
const DONE: &str = "ok";

/// Begins each line of an answer that says what is wrong.
const PROBLEM: &str = "error: ";

/// Longest answer that our own commands read.
const ANSWER_MAX: u64 = 1 << 20;

/// What an operator can ask a running relay to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Let streams end, then the process.
    Stop,
    /// Announce that others should be preferred; go on serving.
    Pause,
    /// Take [`Command::Pause`] back.
    Unpause,
    /// Load configuration, policies and certificates again.
    Reload,
    /// Tell how the policy on trial stands; changes nothing.
    Shadow,
}

/// What came of a command: what was asked for, which is nothing where something was to be done; or every problem, one
/// a line.
pub type Outcome = Result<String, Vec<String>>;

/// A command that waits to be carried out.
#[derive(Debug)]
pub struct Order {
    /// What to do.
    pub command: Command,
    /// Takes what came of it.
    pub answer: oneshot::Sender<Outcome>,
}

/// The bound socket; its file goes when this does.
#[derive(Debug)]
pub struct CommandSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// Why there is no command socket.
#[derive(Debug, thiserror::Error)]
pub enum CommandSocketError {
    /// Another process answers there.
    #[error("process.command_socket: another process listens on {}: stop it, or choose another path", .0.display())]
    InUse(PathBuf),
    /// Something stands there that is not the relay's to remove.
    #[error("process.command_socket: {} exists and is no socket: remove it, or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("process.command_socket: cannot listen on {}: {source}; its folder must exist and belong to the relay's user", path.display())]
    Bind {
        /// The configured path.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Removes the socket's file.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl CommandSocket {
    /// Listens on `path`, for the process's own user only. A socket file that nobody answers on is replaced.
    ///
    /// # Errors
    /// [`CommandSocketError`] when the path is taken or cannot be bound.
    pub async fn bind(path: &Path) -> Result<Self, CommandSocketError> {
        let failed = |source| CommandSocketError::Bind { path: path.to_owned(), source };
        make_way(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        let file = SocketFile(path.to_owned());
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(Self { listener, file })
    }

    /// Serves clients in `tasks` until those are stopped, and gives the queue in which their orders arrive.
    pub fn serve(self, tasks: &Tasks) -> mpsc::Receiver<Order> {
        let (orders, queue) = mpsc::channel(CROWD);
        tasks.spawn_until_stopped(info_span!("commands"), self.run(tasks.clone(), orders));
        queue
    }

    async fn run(self, tasks: Tasks, orders: mpsc::Sender<Order>) {
        let Self { listener, file: _removed_at_the_end } = self;
        let crowd = Arc::new(Semaphore::new(CROWD));
        // Nobody closes the semaphore.
        while let Ok(place) = Arc::clone(&crowd).acquire_owned().await {
            match listener.accept().await {
                Ok((client, _)) => {
                    let attend = attend(client, orders.clone(), tasks.clone(), place);
                    tasks.spawn(Span::current(), attend);
                }
                Err(error) => {
                    warn!(%error, "cannot accept on the command socket; trying on");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

impl Command {
    /// Every command, in the order of its help.
    pub const ALL: [Self; 5] = [Self::Stop, Self::Pause, Self::Unpause, Self::Reload, Self::Shadow];

    /// The word on the socket.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Reload => "reload",
            Self::Shadow => "shadow",
        }
    }

    fn parse(word: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|command| command.as_str() == word).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("unknown command {word:?}: this socket takes {known}")
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            warn!(file = %self.0.display(), %error, "cannot remove the command socket");
        }
    }
}

/// Asks the relay that listens on `path`, and gives its answer, or what it says is wrong.
///
/// # Errors
/// If no relay can be asked there, or it does not answer in time.
pub async fn ask(path: &Path, command: Command) -> io::Result<Outcome> {
    let asked = async {
        let mut relay = UnixStream::connect(path).await?;
        relay.write_all(format!("{}\n", command.as_str()).as_bytes()).await?;
        let mut answer = String::new();
        relay.take(ANSWER_MAX).read_to_string(&mut answer).await?;
        io::Result::Ok(answer)
    };
    let answer = timeout(ANSWER_PATIENCE, asked).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let problems: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix(PROBLEM)).map(str::to_owned).collect();
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let said = answer.trim_end();
    Ok(Ok(if said == DONE { String::new() } else { said.to_owned() }))
}

/// Removes what a relay that did not end cleanly left behind, and nothing else.
async fn make_way(path: &Path) -> Result<(), CommandSocketError> {
    let failed = |source| CommandSocketError::Bind { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(there) if !there.file_type().is_socket() => return Err(CommandSocketError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(failed(error)),
        // It answers, or would if its queue were not full.
        _ => Err(CommandSocketError::InUse(path.to_owned())),
    }
}

/// One client: its line, what came of it, and the answer, which it may well not wait for.
async fn attend(mut client: UnixStream, orders: mpsc::Sender<Order>, tasks: Tasks, _place: OwnedSemaphorePermit) {
    // A stop ends the waiting for lines; what it was itself asked by is still answered.
    let received = tokio::select! {
        received = timeout(CLIENT_PATIENCE, line(&mut client)) => received,
        () = tasks.stopping() => return,
    };
    let outcome = match received {
        Ok(Ok(line)) => obey(line.trim(), &orders).await,
        Ok(Err(error)) => return debug!(%error, "a client of the command socket broke off"),
        Err(_) => return debug!("a client of the command socket sent no line in time"),
    };
    let reply = match outcome {
        Ok(said) if said.is_empty() => format!("{DONE}\n"),
        Ok(said) => format!("{said}\n"),
        Err(problems) => problems.iter().map(|problem| format!("{PROBLEM}{problem}\n")).collect(),
    };
    if !matches!(timeout(CLIENT_PATIENCE, client.write_all(reply.as_bytes())).await, Ok(Ok(()))) {
        debug!("a client of the command socket did not wait for its answer");
    }
}

async fn line(client: &mut UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(client.take(LINE_MAX)).read_line(&mut line).await?;
    Ok(line)
}

async fn obey(line: &str, orders: &mpsc::Sender<Order>) -> Outcome {
    let command = Command::parse(line).map_err(|problem| vec![problem])?;
    let (answer, answered) = oneshot::channel();
    let done = async {
        orders.send(Order { command, answer }).await.ok()?;
        answered.await.ok()
    };
    match timeout(ANSWER_PATIENCE, done).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(vec![format!("{}: the relay is stopping", command.as_str())]),
        Err(_) => Err(vec![format!("{}: no answer yet; see the relay's log", command.as_str())]),
    }
}

#[cfg(test)]
mod tests;
