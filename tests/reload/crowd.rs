//! Viewers that were there before the first reload and stay until after the last.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::logs::{Logs, lines, uuid};
use crate::support::viewer::PATIENCE;

/// Viewers that come at the same time.
const AT_ONCE: usize = 16;

/// All of them, each with the number of the log it watches.
pub(crate) struct Crowd(JoinSet<(usize, std::io::Result<String>)>);

impl Crowd {
    /// Lets `count` viewers come; each has had the first line of its log when this returns.
    pub(crate) async fn gather(relay: SocketAddr, logs: &Logs, count: usize) -> Self {
        let (mut coming, mut there) = (JoinSet::new(), JoinSet::new());
        for number in (0..count).map(|number| number % logs.len()) {
            if coming.len() == AT_ONCE {
                stay(&mut there, coming.join_next().await.expect("one is coming").expect("it came"));
            }
            coming.spawn(come(relay, number));
        }
        while let Some(came) = coming.join_next().await {
            stay(&mut there, came.expect("it came"));
        }
        Self(there)
    }

    /// Waits for the end of every stream, and compares what it brought with its log.
    pub(crate) async fn has_seen_all_of(mut self, logs: &Logs) {
        while let Some(left) = timeout(PATIENCE, self.0.join_next()).await.expect("all streams end in time") {
            let (number, seen) = left.expect("a viewer that did not panic");
            assert_eq!(seen.expect("a clean end"), logs.text(number), "log {number}");
        }
    }
}

async fn come(relay: SocketAddr, number: usize) -> (usize, TcpStream, String) {
    let first = lines(&uuid(number), 0..1);
    let mut got = vec![0; first.len()];
    let asking = async {
        let mut stream = TcpStream::connect(relay).await?;
        stream.write_all(format!("{}\n", uuid(number)).as_bytes()).await?;
        stream.read_exact(&mut got).await?;
        Ok::<_, std::io::Error>(stream)
    };
    let stream = timeout(PATIENCE, asking).await.expect("a stream in time").expect("a stream");
    assert_eq!(String::from_utf8_lossy(&got), first);
    (number, stream, first)
}

fn stay(there: &mut JoinSet<(usize, std::io::Result<String>)>, came: (usize, TcpStream, String)) {
    let (number, mut stream, mut seen) = came;
    there.spawn(async move {
        let ended = stream.read_to_string(&mut seen).await;
        (number, ended.map(|_| seen))
    });
}
