//! An executor for the demo: it speaks the protocol of Zuul's log streamer and serves builds that it makes up.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{interval, timeout};
use tracing::{debug, info_span};

use crate::names::BuildId;
use crate::tasks::Tasks;

/// Time between two lines of a running build.
const PACE: Duration = Duration::from_secs(1);

/// Longest wait for a request line, and the longest line, as in Zuul.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: u64 = 1024;

/// Lines of a finished build, and how long they took to write.
const FINISHED_LINES: u64 = 40;
pub(super) const FINISHED_AFTER: Duration = Duration::from_secs(FINISHED_LINES * PACE.as_secs());

/// One made-up build.
#[derive(Debug, Clone)]
pub(super) struct DemoBuild {
    pub(super) uuid: BuildId,
    pub(super) job: &'static str,
    /// A finished build's log ends; a running one's grows by a line a second.
    pub(super) finished: bool,
    pub(super) since: SystemTime,
}

/// Serves `builds` on a port of its own, which is returned.
pub(super) async fn serve(builds: Vec<DemoBuild>, tasks: &Tasks) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tasks.spawn_until_stopped(info_span!("executor"), accept(listener, builds, tasks.clone()));
    Ok(address)
}

async fn accept(listener: TcpListener, builds: Vec<DemoBuild>, tasks: Tasks) {
    while let Ok((tcp, _)) = listener.accept().await {
        let builds = builds.clone();
        tasks.spawn_until_stopped(info_span!("executor stream"), async move {
            let ended = answer(tcp, &builds).await;
            debug!(?ended, "demo stream ended");
        });
    }
}

async fn answer(tcp: TcpStream, builds: &[DemoBuild]) -> io::Result<()> {
    let mut line = String::new();
    let mut tcp = BufReader::new(tcp);
    let mut limited = (&mut tcp).take(REQUEST_LIMIT);
    timeout(REQUEST_TIMEOUT, limited.read_line(&mut line)).await??;
    let mut tcp = tcp.into_inner();
    let uuid = line.trim_end();
    match builds.iter().find(|build| build.uuid.as_str() == uuid) {
        Some(build) => build.stream(&mut tcp).await,
        None => tcp.write_all(format!("Build ID {uuid} not found").as_bytes()).await,
    }
}

impl DemoBuild {
    async fn stream(&self, tcp: &mut TcpStream) -> io::Result<()> {
        let written = if self.finished { FINISHED_LINES } else { self.lines_so_far() };
        tcp.write_all(self.lines(0..written).as_bytes()).await?;
        if self.finished {
            return Ok(());
        }
        let mut pace = interval(PACE);
        pace.tick().await;
        for number in written.. {
            let gone = async { tcp.read_u8().await.is_err() };
            tokio::select! {
                _ = pace.tick() => {}
                true = gone => return Ok(()),
            }
            tcp.write_all(self.lines(number..number + 1).as_bytes()).await?;
        }
        Ok(())
    }

    fn lines_so_far(&self) -> u64 {
        self.since.elapsed().unwrap_or_default().as_secs().min(FINISHED_LINES) + 1
    }

    fn lines(&self, numbers: std::ops::Range<u64>) -> String {
        let mut text = String::new();
        for number in numbers {
            let time = humantime::format_rfc3339_seconds(self.since + PACE * u32::try_from(number).unwrap_or(u32::MAX));
            let step = match number % 4 {
                0 => "checking out",
                1 => "compiling",
                2 => "testing",
                _ => "packaging",
            };
            // Writing to a string cannot fail.
            let _written = writeln!(text, "{time} | {}: {step}, step {number}", self.job);
        }
        text
    }
}
