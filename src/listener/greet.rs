//! What happens between accept and request: who is there, and in which language bytes will be exchanged.
//!
//! All that waits for a peer runs in the connection's own task, under one deadline. Reads no byte of the request.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use rustix::net::sockopt::set_tcp_quickack;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tracing::debug;

use super::limits::Permit;
use super::refusals::Refusals;
use super::{Config, proxy};
use crate::config::settings::ListenAddress;
use crate::fault::Fault;
use crate::stream::tune_early_viewer;
use crate::tls;
use crate::transport::Transport;

/// A connection that was accepted and has said nothing yet.
#[derive(Debug)]
pub struct Incoming<Tcp = TcpStream> {
    /// The connection.
    pub tcp: Tcp,
    /// Its other end: the viewer, or a proxy before it.
    pub peer: SocketAddr,
    /// What its listener serves it with.
    pub config: Arc<Config>,
    /// Its place among the listener's connections.
    pub permit: Permit,
    /// When it was accepted.
    pub since: Instant,
    pub(super) refusals: Arc<Refusals>,
}

/// One that no runtime has yet, so that whichever serves it is the only one to be told of it.
pub type Arrival = Incoming<std::net::TcpStream>;

/// A viewer in the making.
pub type Greeting = Pin<Box<dyn Future<Output = Result<Viewer, Fault>> + Send>>;

/// A connection that is ready for its request.
#[derive(Debug)]
pub struct Viewer {
    /// Where the request comes from and the log goes to.
    pub transport: Transport,
    /// What its listener serves it with.
    pub config: Arc<Config>,
    /// The viewer's address, as the PROXY header has it where one was required.
    pub peer: SocketAddr,
    /// The server name (SNI) that it asked for.
    pub server_name: Option<String>,
    /// Who its certificate proved it to be.
    pub identity: Option<Arc<tls::Identity>>,
    /// Its place among the listener's connections; to be kept as long as the connection.
    pub permit: Permit,
}

impl Arrival {
    /// Has the connection served by `runtime`, or by the present one where none is given; `None`, and the connection
    /// closed, where the system has no room for it there.
    pub fn on(self, runtime: Option<&Handle>) -> Option<Incoming> {
        let Self { tcp, peer, config, permit, since, refusals } = self;
        match registered(tcp, runtime) {
            Ok(tcp) => Some(Incoming { tcp, peer, config, permit, since, refusals }),
            Err(error) => {
                refusals.accept_error(&config.settings.name, &error);
                None
            }
        }
    }
}

impl Incoming {
    /// Reads the PROXY header where one is due, then shakes hands where the listener speaks TLS. Where neither is,
    /// nothing is waited for.
    ///
    /// # Errors
    /// [`Fault::HandshakeTimeout`] when all that takes longer than `handshake_timeout` since the accept,
    /// [`Fault::Handshake`] when it fails or the client behind a proxy has too many connections, [`Fault::NoRequest`]
    /// when a proxy opened a connection and closed it again, as health checks do.
    pub fn greet(self) -> Greeting {
        if let ListenAddress::Systemd(_) = self.config.settings.address {
            // systemd listens before the relay does.
            tune_early_viewer(&self.tcp, &self.config.stream);
        }
        if self.config.tls.is_none() && !self.is_from_proxy() {
            return Box::pin(ready(Ok(self.plain())));
        }
        Box::pin(self.introduced())
    }

    async fn introduced(self) -> Result<Viewer, Fault> {
        let patience = self.config.settings.handshake_timeout;
        let left = patience.saturating_sub(tokio::time::Instant::from_std(self.since).elapsed());
        let viewer = tokio::time::timeout(left, pin!(self.introduce())).await;
        viewer.unwrap_or(Err(Fault::HandshakeTimeout(patience)))
    }

    async fn introduce(mut self) -> Result<Viewer, Fault> {
        if self.is_from_proxy() {
            self.peer = proxy::client(&mut self.tcp).await?.unwrap_or(self.peer);
            if !self.claim() {
                let why = format!("{} has too many connections", self.peer.ip());
                return Err(Fault::Handshake { label: "address_full", why });
            }
        }
        let config = Arc::clone(&self.config);
        let Some(server) = &config.tls else { return Ok(self.plain()) };
        let Self { tcp, peer, permit, .. } = self;
        let accepted = server.accept(tcp).await.map_err(failed)?;
        let tls::Accepted { stream, server_name, identity } = accepted;
        acknowledge(stream.tcp());
        Ok(Viewer { transport: Transport::Tls(Box::new(stream)), config, peer, server_name, identity, permit })
    }

    fn plain(self) -> Viewer {
        let Self { tcp, peer, config, permit, .. } = self;
        Viewer { transport: Transport::Plain(tcp), config, peer, server_name: None, identity: None, permit }
    }
}

impl<Tcp> Incoming<Tcp> {
    /// Whether the peer is one of those that must send a PROXY header. From anybody else it is a bad request.
    pub(super) fn is_from_proxy(&self) -> bool {
        self.config.settings.proxy_protocol_from.iter().any(|network| network.contains(self.peer.ip()))
    }

    /// Counts the connection as one of its client's; says whether there was room, and counts it if not.
    pub(super) fn claim(&mut self) -> bool {
        let settings = &self.config.settings;
        let room = self.permit.claim(self.peer.ip(), settings.max_connections_per_address);
        if !room {
            self.refusals.address_full(settings, self.peer.ip());
        }
        room
    }
}

/// Acknowledges the viewer's last handshake message now. A viewer that delays small writes (Nagle) holds its request
/// back until then, and the kernel would take 40 ms, waiting for something of ours to send it with.
fn acknowledge(tcp: &TcpStream) {
    if let Err(error) = set_tcp_quickack(tcp, true) {
        debug!(%error, "TCP_QUICKACK could not be set; a viewer's request may come 40 ms late");
    }
}

/// A connection belongs to the runtime whose thread made it.
fn registered(tcp: std::net::TcpStream, runtime: Option<&Handle>) -> io::Result<TcpStream> {
    let _entered = runtime.map(Handle::enter);
    TcpStream::from_std(tcp)
}

fn failed(error: tls::HandshakeError) -> Fault {
    Fault::Handshake { label: error.label(), why: error.to_string() }
}
