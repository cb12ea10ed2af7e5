//! Logs carried one at a time between two loopback sockets, whose far ends are threads that send from memory and throw
//! away. Only the carrying is timed: connections, handshakes and farewells are not.

use std::io::{self, Read, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream as FarEnd};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fingerpost::config::settings::{self, ClientCertificates, KeyPairFiles, ServerTls, TlsVersion};
use fingerpost::stream::{self, Meter, Pipes};
use fingerpost::tls::Server;
use fingerpost::transport::Transport;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::net::{TcpListener, TcpStream};

use crate::support::authority::Authority;
use crate::support::viewer::client_config;

/// Longest wait for a viewer to close.
const FAREWELL: Duration = Duration::from_secs(10);

/// The path that a log's bytes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through the thread's buffer.
    Copy,
    /// Through a pipe, once the log turns out to be bulk.
    Splice,
    /// Through the thread's buffer, and in TLS records to the viewer.
    Tls,
}

/// A log and the way it takes.
pub(crate) struct Carrying {
    log: Arc<[u8]>,
    pipes: Pipes,
    settings: settings::Stream,
    tls: Option<Tls>,
}

/// Both ends of the viewer's handshake.
struct Tls {
    relay: Server,
    viewer: Arc<ClientConfig>,
}

/// One end of a connection, and the thread that has the other.
type Peer<T> = (T, JoinHandle<io::Result<()>>);

impl Carrying {
    /// For logs of so many bytes.
    pub(crate) fn new(way: Way, bytes: usize) -> Self {
        Self {
            log: b"a line of a log\n".iter().copied().cycle().take(bytes).collect(),
            pipes: Pipes::new(if way == Way::Splice { 1 } else { 0 }),
            settings: settings::Stream::default(),
            tls: (way == Way::Tls).then(Tls::new),
        }
    }

    /// How long the carrying of so many logs took.
    pub(crate) async fn timed(&self, logs: u64) -> Duration {
        let mut time = Duration::ZERO;
        for _ in 0..logs {
            time += self.carry().await;
        }
        time
    }

    async fn carry(&self) -> Duration {
        let (mut viewer, sink) = self.viewer().await;
        let (mut upstream, source) = self.upstream().await;
        let began = Instant::now();
        let carried = stream::carry(&mut viewer, &mut upstream, &self.settings, &self.pipes, &Meter::new()).await;
        let time = began.elapsed();
        carried.expect("a whole log");
        stream::finish(&mut viewer, FAREWELL, ()).await.expect("a viewer that stays to the end");
        for end in [sink, source] {
            end.join().expect("a peer without panic").expect("a peer without error");
        }
        // Thousands of connections in a row must not leave their ports waiting.
        [viewer, upstream].iter().for_each(stream::abandon);
        time
    }

    /// A viewer that reads to the end, which it gets in order.
    async fn viewer(&self) -> Peer<Transport> {
        let tls = self.tls.as_ref().map(|tls| Arc::clone(&tls.viewer));
        let (tcp, sink) = peer(move |tcp| match tls {
            None => drain(tcp),
            Some(config) => {
                let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
                let client = ClientConnection::new(config, name).map_err(io::Error::other)?;
                drain(StreamOwned::new(client, tcp))
            }
        })
        .await;
        let transport = match &self.tls {
            None => Transport::Plain(tcp),
            Some(tls) => Transport::Tls(Box::new(tls.relay.accept(tcp).await.expect("a handshake").stream)),
        };
        (transport, sink)
    }

    /// An upstream that sends the log and closes.
    async fn upstream(&self) -> Peer<Transport> {
        let log = Arc::clone(&self.log);
        let (tcp, source) = peer(move |mut tcp| tcp.write_all(&log)).await;
        (Transport::Plain(tcp), source)
    }
}

impl Tls {
    fn new() -> Self {
        let authority = Authority::new();
        let leaf = authority.issue_for_address(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let settings = ServerTls {
            certificates: vec![KeyPairFiles { cert: leaf.cert, key: leaf.key }],
            require_known_server_name: false,
            client_certificates: ClientCertificates::None,
            min_version: TlsVersion::V1_3,
        };
        let relay = Server::load(&settings).expect("usable certificates");
        Self { relay, viewer: client_config(&authority, None) }
    }
}

/// A connection whose far end does `work` in a thread of its own, and closes after it.
async fn peer(work: impl FnOnce(FarEnd) -> io::Result<()> + Send + 'static) -> Peer<TcpStream> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a port");
    stream::tune_viewers(&listener, &settings::Stream::default());
    let address = listener.local_addr().expect("an address");
    let far = thread::spawn(move || work(FarEnd::connect(address)?));
    let (tcp, _) = listener.accept().await.expect("a connection");
    (tcp, far)
}

/// Reads to an orderly end.
fn drain(mut from: impl Read) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 20];
    while from.read(&mut bytes)? > 0 {}
    Ok(())
}
