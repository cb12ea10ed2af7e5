//! Viewers of short logs: so many at a time, each a connection of its own with a full handshake, read to its end.

use std::io::ErrorKind;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::peers::Place;

/// Longest wait for a whole short log.
const PATIENCE: Duration = Duration::from_secs(10);

/// Viewers of one build.
#[derive(Clone)]
pub struct Viewers {
    request: String,
    bytes: usize,
    tls: TlsConnector,
}

impl Viewers {
    /// They ask for the build `uuid`, whose log has `bytes` bytes.
    pub fn new(uuid: &str, bytes: usize, tls: Arc<ClientConfig>) -> Self {
        Self { request: format!("{uuid}\n"), bytes, tls: tls.into() }
    }

    /// Keeps `at_a_time` viewers busy for `time`; says how many logs ended in a second. Counting begins after a quarter
    /// of it: what is under way then makes good for what is under way at the end.
    pub async fn rate(&self, place: Place, at_a_time: usize, time: Duration) -> f64 {
        let begun = Instant::now();
        let counted = begun + time / 4..begun + time;
        let mut viewers = JoinSet::new();
        for _ in 0..at_a_time {
            viewers.spawn(self.clone().count(counted.clone(), place));
        }
        let done: u32 = viewers.join_all().await.into_iter().sum();
        f64::from(done) / (counted.end - counted.start).as_secs_f64()
    }

    /// Reads one log after the other until the end of `counted`; says how many ended within it.
    async fn count(self, counted: Range<Instant>, place: Place) -> u32 {
        let mut done = 0;
        while timeout_at(counted.end, self.read(place)).await.is_ok() {
            done += u32::from(Instant::now() >= counted.start);
        }
        done
    }

    /// Reads one log; says how long its first byte took, from connecting on.
    pub async fn first_byte(&self, place: Place) -> Duration {
        timeout(PATIENCE, self.read(place)).await.expect("a log in time")
    }

    async fn read(&self, place: Place) -> Duration {
        let begun = Instant::now();
        if !place.tls {
            return self.converse(dial(place).await, begun).await;
        }
        let name = ServerName::from(place.address.ip());
        loop {
            match self.tls.connect(name.clone(), dial(place).await).await {
                Ok(stream) => return self.converse(stream, begun).await,
                // Zuul's gateway has a queue of five connections, and the kernel may reset what it has beyond that: the
                // viewer comes again, and has lost its time.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
                Err(error) => panic!("no handshake: {error}"),
            }
        }
    }

    async fn converse(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, begun: Instant) -> Duration {
        stream.write_all(self.request.as_bytes()).await.expect("a request");
        let mut log = vec![0; self.bytes + 1];
        let mut read = stream.read(&mut log).await.expect("the first bytes");
        let first = begun.elapsed();
        loop {
            // Some peers end TLS without its farewell; that all bytes came is checked below.
            let more = stream.read(&mut log[read..]).await.unwrap_or(0);
            if more == 0 {
                break;
            }
            read += more;
        }
        assert_eq!(read, self.bytes, "bytes of the log");
        first
    }
}

async fn dial(place: Place) -> TcpStream {
    let tcp = TcpStream::connect(place.address).await.expect("connected");
    tcp.set_nodelay(true).expect("no delay");
    tcp
}
