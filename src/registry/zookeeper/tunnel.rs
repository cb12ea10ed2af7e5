//! One connection to ZooKeeper, dialled by us and handed to the client library over the loopback interface.
//!
//! The library dials by itself, with a TLS of its own: that refuses certificates of X.509 version 1, knows no common
//! names, and does not reload. So the relay dials and shakes hands as it does with everybody else, listens on a port of
//! 127.0.0.1, and lets the library connect to that. The inner connection is TLS as well, with certificates made for
//! this one connection and never written down: no other user of the machine can come in by the port, nor answer in its
//! place. All that come shake hands at the same time; the first that proves itself is carried, any later one is sent
//! away.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, info_span};
use zookeeper_client::TlsOptions;

use crate::config::settings::{ClientCertificates, KeyPairFiles, ServerTls, TlsVersion, Trust};
use crate::tasks::Tasks;
use crate::tls;
use crate::transport::Transport;

/// ZooKeeper's answer to a client whose session has expired: a frame of 37 bytes, all zero but for the length of the
/// password. Its session is number 0.
const NO_SESSION: [u8; 41] = {
    let mut frame = [0; 41];
    frame[3] = 37;
    frame[23] = 16;
    frame
};

/// The library's way to one server. Cut when dropped.
#[derive(Debug)]
pub(super) struct Tunnel {
    port: u16,
    key: TlsOptions,
    ended: CancellationToken,
    _cut: DropGuard,
}

/// What could not be done to open a tunnel. None of it depends on ZooKeeper.
#[derive(Debug, thiserror::Error)]
pub(super) enum Blocked {
    #[error("cannot make the certificates of the inner connection: {0}")]
    Certificates(#[from] rcgen::Error),
    #[error("cannot use the certificates of the inner connection: {0}")]
    Server(String),
    #[error("cannot use the certificates of the inner connection: {0}")]
    Client(#[from] zookeeper_client::Error),
    #[error("cannot listen on 127.0.0.1: {0}")]
    Listen(#[from] io::Error),
}

impl Tunnel {
    /// A stranger on the port is given up after this.
    const HANDSHAKE: Duration = Duration::from_secs(1);

    /// So many may shake hands at a time.
    const CALLERS: usize = 64;

    /// Opens a way to `server` that somebody must take within `patience`.
    pub(super) async fn open(server: Transport, patience: Duration, tasks: &Tasks) -> Result<Self, Blocked> {
        let lock = Lock::new()?;
        let acceptor = lock.server().map_err(Blocked::Server)?;
        let key = lock.client()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (cut, ended) = (CancellationToken::new(), CancellationToken::new());
        let (until_cut, ending) = (cut.clone(), ended.clone().drop_guard());
        let stop = tasks.clone();
        tasks.spawn(info_span!("tunnel", port), async move {
            let carried = until_cut.run_until_cancelled(carry(&listener, &acceptor, server, patience)).await;
            debug!(?carried, "the connection to ZooKeeper ended");
            drop(ending);
            tokio::select! {
                dismissed = timeout(patience, dismiss(&listener, &acceptor)) => debug!(?dismissed, "library dismissed"),
                () = stop.stopping() => {}
            }
        });
        Ok(Self { port, key, ended, _cut: cut.drop_guard() })
    }

    /// What the library must connect to, up to the chroot.
    pub(super) fn address(&self) -> String {
        format!("tcp+tls://127.0.0.1:{}", self.port)
    }

    /// What the library must show and expect there.
    pub(super) fn key(&self) -> TlsOptions {
        self.key.clone()
    }

    /// Resolves when either side has closed.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// Lets the library in and copies both ways until either ends: a half-closed connection to ZooKeeper has no use.
async fn carry(
    listener: &TcpListener,
    acceptor: &tls::Server,
    server: Transport,
    patience: Duration,
) -> io::Result<u64> {
    let library = timeout(patience, accept(listener, acceptor)).await??;
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let (mut from_library, mut to_library) = tokio::io::split(library);
    tokio::select! {
        copied = tokio::io::copy(&mut from_library, &mut to_server) => copied,
        copied = tokio::io::copy(&mut from_server, &mut to_library) => copied,
    }
}

/// Tells the library that its session is over, which is the one answer after which it does not come back. Else it would
/// knock at this port for minutes, whoever listens there by then.
async fn dismiss(listener: &TcpListener, acceptor: &tls::Server) -> io::Result<()> {
    let mut library = accept(listener, acceptor).await?;
    let _request = library.read(&mut [0; 1024]).await?;
    library.write_all(&NO_SESSION).await?;
    library.shutdown().await
}

/// Waits for the library, whoever else comes. Where too many do, the one that has had the longest time must go: the
/// library needs a few milliseconds.
async fn accept(listener: &TcpListener, acceptor: &tls::Server) -> io::Result<tls::Stream> {
    let mut callers = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            library = first_proven(&mut callers) => return Ok(library),
            accepted = listener.accept() => {
                callers.truncate(Tunnel::CALLERS - 1);
                callers.push_front(Box::pin(shake(accepted?.0, acceptor)));
            }
        }
    }
}

/// Lets all `callers` shake hands, forgets those that fail, and resolves with the first that does not.
async fn first_proven<F>(callers: &mut VecDeque<Pin<Box<F>>>) -> tls::Stream
where
    F: Future<Output = Option<tls::Stream>>,
{
    poll_fn(|context| {
        let mut proven = None;
        callers.retain_mut(|caller| match caller.as_mut().poll(context) {
            Poll::Pending => true,
            Poll::Ready(shaken) => {
                proven = proven.take().or(shaken);
                false
            }
        });
        proven.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// `None` if the caller proves to be a stranger, or nothing at all.
async fn shake(tcp: TcpStream, acceptor: &tls::Server) -> Option<tls::Stream> {
    let shaken = async {
        tcp.set_nodelay(true).ok()?;
        timeout(Tunnel::HANDSHAKE, acceptor.accept(tcp)).await.ok()?.ok()
    };
    let accepted = shaken.await;
    if accepted.is_none() {
        debug!("a stranger knocked at the tunnel to ZooKeeper");
    }
    accepted.map(|accepted| accepted.stream)
}

/// The certificates of one tunnel, PEM: an authority whose key is already forgotten, and a pair for each end.
struct Lock {
    ca: String,
    server: Pair,
    client: Pair,
}

struct Pair {
    cert: String,
    key: String,
}

impl Lock {
    fn new() -> Result<Self, rcgen::Error> {
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(0));
        let authority = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate()?)?;
        Ok(Self {
            ca: authority.pem(),
            server: Pair::signed_by(&authority, "127.0.0.1")?,
            client: Pair::signed_by(&authority, "library")?,
        })
    }

    fn client(&self) -> Result<TlsOptions, zookeeper_client::Error> {
        TlsOptions::new().with_pem_ca(&self.ca)?.with_pem_identity(&self.client.cert, &self.client.key)
    }

    fn server(&self) -> Result<tls::Server, String> {
        let trust = Trust { ca: PathBuf::from("ca"), crl: None, version1_certificates: false };
        let settings = ServerTls {
            certificates: vec![KeyPairFiles { cert: PathBuf::from("cert"), key: PathBuf::from("key") }],
            require_known_server_name: false,
            client_certificates: ClientCertificates::Required(trust),
            min_version: TlsVersion::V1_3,
        };
        tls::Server::load_from(&settings, &|name| self.pem(name))
            .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    /// What stands in for files: nothing of this is ever on a disk.
    fn pem(&self, name: &Path) -> io::Result<Vec<u8>> {
        let pem = match name.to_str() {
            Some("ca") => &self.ca,
            Some("cert") => &self.server.cert,
            Some("key") => &self.server.key,
            _ => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(pem.clone().into_bytes())
    }
}

impl Pair {
    fn signed_by(authority: &rcgen::CertifiedIssuer<'_, rcgen::KeyPair>, name: &str) -> Result<Self, rcgen::Error> {
        let key = rcgen::KeyPair::generate()?;
        let cert = rcgen::CertificateParams::new([name.to_owned()])?.signed_by(&key, authority)?;
        Ok(Self { cert: cert.pem(), key: key.serialize_pem() })
    }
}

#[cfg(test)]
mod tests {
    use zookeeper_client::{Client, SessionState};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// What ZooKeeper answers to a new client: session 1, for four seconds.
    fn session() -> [u8; 41] {
        let mut frame = NO_SESSION;
        frame[8..12].copy_from_slice(&4000_i32.to_be_bytes());
        frame[19] = 1;
        frame
    }

    /// Both ends of a connection.
    #[expect(clippy::disallowed_methods, reason = "a loopback connection of a test")]
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    async fn connect(tunnel: &Tunnel, zookeeper: &mut TcpStream) -> Client {
        let connecting = Client::connector().with_fail_eagerly().with_tls(tunnel.key());
        let address = tunnel.address();
        let answering = async {
            zookeeper.read_exact(&mut [0; 48]).await.unwrap();
            zookeeper.write_all(&session()).await.unwrap();
            // The library pings once before it believes in its connection; this is the reply to that.
            zookeeper.read_exact(&mut [0; 12]).await.unwrap();
            let pong = [&[0, 0, 0, 16], [0xff, 0xff, 0xff, 0xfe].as_slice(), &[0; 12]].concat();
            zookeeper.write_all(&pong).await.unwrap();
        };
        let (client, ()) =
            timeout(PATIENCE, async { tokio::join!(connecting.connect(&address), answering) }).await.unwrap();
        client.unwrap()
    }

    /// The last state of a client, which comes after the loss of its connection.
    async fn end_of(client: &Client) -> SessionState {
        let mut states = client.state_watcher();
        while !states.state().is_terminated() {
            states.changed().await;
        }
        states.peek_state()
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a loopback connection of a test")]
    async fn a_stranger_is_turned_away_and_the_library_let_in() {
        let (near, mut zookeeper) = pair().await;
        let tunnel = Tunnel::open(Transport::Plain(near), PATIENCE, &Tasks::new()).await.unwrap();
        let mut stranger = TcpStream::connect((Ipv4Addr::LOCALHOST, tunnel.port)).await.unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        // An alert and an end, or a reset: but not a byte of ZooKeeper's.
        drop(timeout(PATIENCE, stranger.read_to_end(&mut said)).await.unwrap());
        assert!(said.len() < 16, "{said:?}");
        let client = connect(&tunnel, &mut zookeeper).await;
        assert_eq!(client.session_id().0, 1);
    }

    #[tokio::test]
    async fn strangers_that_say_nothing_do_not_keep_the_library_out() {
        // As the relay has it: less than the strangers would take one after the other.
        let patience = Duration::from_secs(5);
        for count in [16, 2 * Tunnel::CALLERS] {
            let (near, mut zookeeper) = pair().await;
            let tunnel = Tunnel::open(Transport::Plain(near), patience, &Tasks::new()).await.unwrap();
            let knock = || std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, tunnel.port)).unwrap();
            let _silent: Vec<_> = std::iter::repeat_with(knock).take(count).collect();
            let client = connect(&tunnel, &mut zookeeper).await;
            assert_eq!(client.session_id().0, 1, "beside {count} strangers");
        }
    }

    #[tokio::test]
    async fn a_library_without_the_key_stays_outside() {
        let (near, _zookeeper) = pair().await;
        let tunnel = Tunnel::open(Transport::Plain(near), PATIENCE, &Tasks::new()).await.unwrap();
        let other = Lock::new().unwrap().client().unwrap();
        let connecting = Client::connector().with_fail_eagerly().with_tls(other).connect(&tunnel.address()).await;
        assert!(connecting.is_err());
    }

    #[tokio::test]
    async fn the_library_is_sent_away_for_good_when_its_connection_ends() {
        let (near, mut zookeeper) = pair().await;
        let tunnel = Tunnel::open(Transport::Plain(near), PATIENCE, &Tasks::new()).await.unwrap();
        let client = connect(&tunnel, &mut zookeeper).await;
        drop(zookeeper);
        timeout(PATIENCE, tunnel.ended()).await.unwrap();
        assert_eq!(timeout(PATIENCE, end_of(&client)).await.unwrap(), SessionState::Expired);
    }
}
