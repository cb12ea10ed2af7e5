//! Streams over real loopback sockets: bytes in, bytes and verdict out.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

use super::*;

mod bytes;
mod endings;
mod half_close;
mod paths;
mod replies;
mod tls;

/// Two ends of one connection.
pub(super) async fn loopback() -> (TcpStream, TcpStream) {
    sized_loopback(None).await
}

/// Two ends of one connection, whose kernel buffers hold about `buffer` bytes.
async fn sized_loopback(buffer: Option<u32>) -> (TcpStream, TcpStream) {
    let (listener, socket) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
    if let Some(bytes) = buffer {
        for end in [&listener, &socket] {
            end.set_send_buffer_size(bytes).unwrap();
            end.set_recv_buffer_size(bytes).unwrap();
        }
    }
    connect(listener, socket).await
}

/// The relay's end and the viewer's, of which only the second has a narrow buffer.
async fn slow_loopback() -> (TcpStream, TcpStream) {
    let (listener, socket) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
    socket.set_recv_buffer_size(5000).unwrap();
    let (server, client) = connect(listener, socket).await;
    tune_viewers(&server, &settings::Stream::default());
    (server, client)
}

async fn connect(listener: TcpSocket, socket: TcpSocket) -> (TcpStream, TcpStream) {
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = listener.listen(1).unwrap();
    let (client, server) = tokio::join!(socket.connect(listener.local_addr().unwrap()), listener.accept());
    (server.unwrap().0, client.unwrap())
}

/// A relay between two peers: the relay's ends of both connections, and what it works with.
struct Relay {
    viewer: Transport,
    upstream: Transport,
    settings: settings::Stream,
    pipes: Arc<Pipes>,
    meter: Arc<Meter>,
}

/// The far ends.
struct Peers {
    viewer: TcpStream,
    upstream: TcpStream,
}

impl Relay {
    async fn new() -> (Self, Peers) {
        Self::with_buffers(None).await
    }

    async fn with_buffers(bytes: Option<u32>) -> (Self, Peers) {
        let (viewer, viewer_peer) = sized_loopback(bytes).await;
        let (upstream, upstream_peer) = sized_loopback(bytes).await;
        tune_viewers(&viewer, &settings::Stream::default());
        tune_upstream(&upstream, Ipv4Addr::LOCALHOST.into(), &settings::Stream::default());
        let relay = relay(Transport::Plain(viewer), Transport::Plain(upstream));
        (relay, Peers { viewer: viewer_peer, upstream: upstream_peer })
    }

    /// Never splices.
    fn copying(mut self) -> Self {
        self.pipes = Arc::new(Pipes::new(0));
        self
    }

    fn stalling_after(mut self, timeout: Duration) -> Self {
        self.settings.viewer_stall_timeout = timeout;
        self
    }

    async fn carry(&mut self) -> Result<(), Fault> {
        carry(&mut self.viewer, &mut self.upstream, &self.settings, &self.pipes, &self.meter).await
    }

    /// Carries to the end and closes without waiting for the peer, whose clock may stand still.
    async fn carry_and_drop(&mut self) -> Result<(), Fault> {
        self.carry().await?;
        self.viewer.shutdown().await.map_err(|_| Fault::ViewerLeft)
    }

    /// Carries to the end, and closes as a session does.
    async fn run(&mut self) -> Result<(), Fault> {
        self.carry().await?;
        finish(&mut self.viewer, Duration::from_secs(10), ()).await
    }
}

impl Peers {
    /// Sends a line from the upstream and waits until the viewer has it.
    async fn exchange(&mut self, line: &[u8]) {
        self.upstream.write_all(line).await.unwrap();
        let mut got = vec![0; line.len()];
        self.viewer.read_exact(&mut got).await.unwrap();
        assert_eq!(got, line);
    }
}

fn relay(viewer: Transport, upstream: Transport) -> Relay {
    let (pipes, meter) = (Arc::new(Pipes::new(4)), Arc::new(Meter::new()));
    Relay { viewer, upstream, settings: settings::Stream::default(), pipes, meter }
}

/// Bytes that look like nothing else, always the same for the same `seed`.
fn noise(len: usize, mut seed: u64) -> Vec<u8> {
    let next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// Closes with RST.
fn reset(tcp: TcpStream) {
    SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
    drop(tcp);
}

/// Keeps the paused clock from moving by itself while kernel buffers, of which it knows nothing, hold something.
struct HeldClock(Option<std::sync::mpsc::Sender<()>>);

impl HeldClock {
    fn new() -> Self {
        let (release, held) = std::sync::mpsc::channel();
        drop(tokio::task::spawn_blocking(move || held.recv()));
        Self(Some(release))
    }

    fn release(&mut self) {
        self.0 = None;
    }
}
