//! Every path that a byte can take, as one table. What a test says of [`PATHS`] it says of every path, and a new one
//! gets all these tests by its line here.

use std::fmt;
use std::os::fd::AsFd as _;

use rustix::io::ioctl_fionread;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::yield_now;
use tokio::time::timeout;

use super::tls::{Site, foreign_client};
use super::*;
use crate::tls;
use crate::transport::TcpInfo;

mod broken;
mod exact;
mod idle;
mod short;

/// One way through a relay.
struct Path {
    name: &'static str,
    viewer: Side,
    upstream: Side,
    /// Bulk goes through a pipe.
    splices: bool,
}

/// How a peer is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Without TLS.
    Plain,
    /// TLS 1.3 as the rest of the world speaks it.
    Tls13,
    /// TLS 1.2, likewise.
    Tls12,
    /// TLS as relays speak it among each other.
    Relay,
}

const PATHS: [Path; 8] = [
    Path { name: "copy", viewer: Side::Plain, upstream: Side::Plain, splices: false },
    Path { name: "splice", viewer: Side::Plain, upstream: Side::Plain, splices: true },
    Path { name: "TLS 1.3 to a viewer", viewer: Side::Tls13, upstream: Side::Plain, splices: false },
    Path { name: "TLS 1.2 to a viewer", viewer: Side::Tls12, upstream: Side::Plain, splices: false },
    Path { name: "TLS to a relay", viewer: Side::Relay, upstream: Side::Plain, splices: false },
    Path { name: "TLS from a gateway", viewer: Side::Plain, upstream: Side::Tls13, splices: false },
    Path { name: "TLS from a gateway to a viewer", viewer: Side::Tls13, upstream: Side::Tls13, splices: false },
    Path { name: "TLS from a gateway to a relay", viewer: Side::Relay, upstream: Side::Tls13, splices: false },
];

/// Enough to be spliced.
const BULK: usize = 192 << 10;

/// The buffers between an upstream and the relay, which hold that much and more. Linux grants it to everybody.
const WIDE: u32 = 208 << 10;

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// The far end of a connection.
trait Far: AsyncRead + AsyncWrite + Unpin {
    fn tcp(&self) -> &TcpStream;
}

type Peer = Box<dyn Far>;

impl Far for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// A server of ours in the place of an upstream.
impl Far for tls::Stream {
    fn tcp(&self) -> &TcpStream {
        self.tcp()
    }
}

/// A viewer of whatever make. Unlike [`tls::Stream`], it takes an end without `close_notify` for an error.
impl Far for tokio_rustls::client::TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A relay on one path, and its peers.
struct Rig {
    relay: Relay,
    viewer: Peer,
    upstream: Peer,
}

impl Path {
    /// Over connections as they usually are.
    async fn rig(&self, site: &Site) -> Rig {
        self.over(loopback().await, site).await
    }

    /// With a viewer whose connection holds so little that no chunk of bulk is taken in one go.
    async fn narrow(&self, site: &Site) -> Rig {
        self.over(sized_loopback(Some(2048)).await, site).await
    }

    async fn over(&self, viewer: (TcpStream, TcpStream), site: &Site) -> Rig {
        let (near, viewer) = self.viewer.entered(site, viewer).await;
        let (far, upstream) = self.upstream.left(site, sized_loopback(Some(WIDE)).await).await;
        let mut relay = relay(near, far);
        relay.pipes = Arc::new(Pipes::new(if self.splices { 1 } else { 0 }));
        tune_viewers(relay.viewer.tcp(), &relay.settings);
        tune_upstream(relay.upstream.tcp(), Ipv4Addr::LOCALHOST.into(), &relay.settings);
        Rig { relay, viewer, upstream }
    }
}

impl Side {
    /// The relay's end of a viewer's connection, and the viewer's.
    async fn entered(self, site: &Site, (near, far): (TcpStream, TcpStream)) -> (Transport, Peer) {
        let versions: &[_] = match self {
            Self::Plain => return (Transport::Plain(near), Box::new(far)),
            Self::Tls12 => &[&rustls::version::TLS12],
            Self::Tls13 | Self::Relay => &[&rustls::version::TLS13],
        };
        let mut client = foreign_client(&site.ca(), versions);
        if self == Self::Relay {
            client.alpn_protocols.push(tls::ALPN.to_vec());
        }
        let client = tokio_rustls::TlsConnector::from(Arc::new(client));
        let name = ServerName::try_from("localhost").unwrap();
        let (accepted, connected) = tokio::join!(site.server.accept(near), client.connect(name, far));
        (Transport::Tls(Box::new(accepted.unwrap().stream)), Box::new(connected.unwrap()))
    }

    /// The relay's end of an upstream's connection, and the upstream's.
    async fn left(self, site: &Site, sockets: (TcpStream, TcpStream)) -> (Transport, Peer) {
        if self == Self::Plain {
            return (Transport::Plain(sockets.1), Box::new(sockets.0));
        }
        let (far, near) = site.connected_over(sockets).await;
        (Transport::Tls(Box::new(near)), Box::new(far))
    }
}

/// Sees how far a stream is, without a hand on it. It keeps the relay's sockets open.
struct Watch {
    meter: Arc<Meter>,
    pipes: Arc<Pipes>,
    viewer: TcpStream,
    upstream: TcpStream,
}

impl Watch {
    fn over(relay: &Relay) -> Self {
        let again = |end: &Transport| {
            let tcp = end.tcp().as_fd().try_clone_to_owned().unwrap();
            TcpStream::from_std(tcp.into()).unwrap()
        };
        Self {
            meter: Arc::clone(&relay.meter),
            pipes: Arc::clone(&relay.pipes),
            viewer: again(&relay.viewer),
            upstream: again(&relay.upstream),
        }
    }

    /// Bytes of the upstream that the relay did not read yet; encrypted ones, where it is TLS.
    fn unread(&self) -> u64 {
        ioctl_fionread(&self.upstream).unwrap()
    }

    /// Bytes that the viewer's kernel has; encrypted ones, where it is TLS.
    fn delivered(&self) -> u64 {
        TcpInfo::of(&self.viewer).unwrap().acknowledged()
    }

    /// Lets time pass. First the viewer's kernel has to acknowledge everything: it takes its time for that (40 ms on
    /// Linux), in which nobody else's clock may run.
    async fn pass(&self, time: Duration) {
        while TcpInfo::of(&self.viewer).unwrap().holds_bytes() {
            yield_now().await;
        }
        tokio::time::advance(time).await;
    }

    /// Waits until nothing moves any more unless a peer does something.
    async fn standstill(&self) {
        const TURNS: usize = 16;
        let (mut seen, mut quiet) = ((self.meter.bytes(), self.unread()), 0);
        while quiet < TURNS {
            yield_now().await;
            let now = (self.meter.bytes(), self.unread());
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
        }
    }
}

/// Sends `bytes`, and waits until the relay's kernel has them.
async fn arrive(upstream: &mut Peer, bytes: &[u8]) {
    upstream.write_all(bytes).await.unwrap();
    upstream.flush().await.unwrap();
    while TcpInfo::of(upstream.tcp()).unwrap().holds_bytes() {
        yield_now().await;
    }
}

/// Sends `bytes`, and reads as many.
async fn exchange(upstream: &mut Peer, viewer: &mut Peer, bytes: &[u8], case: impl fmt::Display) {
    let mut got = vec![0; bytes.len()];
    let sending = async {
        upstream.write_all(bytes).await?;
        upstream.flush().await
    };
    let (sent, received) = tokio::join!(sending, viewer.read_exact(&mut got));
    sent.unwrap();
    received.unwrap();
    assert_same(&got, bytes, case);
}

/// Ends the log, which ends everything in order.
async fn end(upstream: &mut Peer, viewer: &mut Peer, case: impl fmt::Display) {
    upstream.shutdown().await.unwrap();
    assert_eq!(viewer.read(&mut [0]).await.unwrap(), 0, "{case}");
    viewer.shutdown().await.unwrap();
}

/// Carries and closes as a session does, beside what the peers do. They would wait for ever for a relay that failed.
async fn complete<T>(relay: &mut Relay, peers: impl Future<Output = T>, case: impl fmt::Display) -> T {
    let relaying = async { relay.run().await.unwrap_or_else(|fault| panic!("{case}: {fault}")) };
    tokio::join!(relaying, peers).1
}

/// Ends the test where bytes that are missing would be waited for in vain.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), work).await.expect("nothing moves any more")
}

/// Closes with RST.
fn reset_peer(peer: Peer) {
    SockRef::from(peer.tcp()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
}

/// Throws the same numbers for the same seed.
struct Dice(u64);

impl Dice {
    /// Below `limit`.
    fn throw(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    /// A length between a byte and some scratch buffers, small and large ones alike.
    fn length(&mut self) -> usize {
        let most = [1, 4, 100, 5_000, 70_000, 300_000][self.throw(6)];
        1 + self.throw(most)
    }
}

/// A log with all that has ever broken viewers: NULs, no UTF-8, characters to be cut in two, endless lines.
fn log(len: usize, seed: u64) -> Vec<u8> {
    let (mut dice, mut log) = (Dice(seed), Vec::with_capacity(len + 10_000));
    while log.len() < len {
        log.extend(noise(1 + dice.throw(5000), seed + log.len() as u64));
        match dice.throw(3) {
            0 => log.resize(log.len() + dice.throw(5000), 0),
            1 => log.extend("zöne ☃ 𝄞\r\n".repeat(dice.throw(300)).bytes()),
            _ => log.extend(b"\xff\xc3\x28\xf0\x9d\x84\xed\xa0\x80\r\n\n".repeat(dice.throw(300))),
        }
    }
    log.truncate(len);
    log
}

/// That `got` is `log`, and else where it is not.
#[track_caller]
fn assert_same(got: &[u8], log: &[u8], case: impl fmt::Display) {
    if got == log {
        return;
    }
    match got.iter().zip(log).position(|(got, sent)| got != sent) {
        Some(at) => panic!("{case}: byte {at} is {:#04x}, not {:#04x}", got[at], log[at]),
        None => panic!("{case}: {} bytes arrived of {}", got.len(), log.len()),
    }
}
