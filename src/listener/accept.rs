//! The accept loop of one socket. It awaits no peer, and ends on no error while its socket is open.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::{debug, error};

use super::{Incoming, Socket};
use crate::metrics::{ByListener, Turned};

/// Long enough for descriptors to be given back, short enough that no viewer notices.
const PAUSE: Duration = Duration::from_millis(50);

/// The pause comes twenty times a second; its reason is worth one line a minute.
const SILENCE: Duration = Duration::from_secs(60);

/// Hands every connection of `socket` to `handler`.
pub(super) async fn run<H>(socket: Arc<Socket>, handler: H)
where
    H: Fn(Incoming),
{
    let mut silent_until = Instant::now();
    loop {
        match socket.bound.tcp.accept().await {
            Ok((tcp, peer)) => {
                if let Some(incoming) = socket.admit(tcp, peer) {
                    handler(incoming);
                }
            }
            // A closed socket fails every accept; the loop may see that before it is cancelled.
            Err(_) if socket.closed.is_cancelled() => return,
            Err(error) if concerns_one_peer(&error) => debug!(%error, "a connection ended before it was accepted"),
            Err(error) => {
                socket.turned_away("accept_error");
                if silent_until <= Instant::now() {
                    error!(%error, "cannot accept connections; trying on. Raise LimitNOFILE= if files are the reason");
                    silent_until = Instant::now() + SILENCE;
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Says whether the next connection may fare better at once: what accept(2) passes on of a network's or a firewall's
/// doing. Everything else (EMFILE, ENFILE, ENOBUFS, ENOMEM, and what is not known yet) would spin without a pause.
fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
    )
}

impl Socket {
    /// Gives a connection its place; `None`, and the connection closed, where there is none.
    fn admit(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Incoming> {
        let config = self.config.load_full();
        let label = ByListener { listener: config.settings.name.clone() };
        self.metrics.accepted.get_or_create(&label).inc();
        let Some(permit) = self.limits.admit(config.settings.max_connections) else {
            self.turned_away("listener_full");
            return None;
        };
        // On a socket of IPv6, IPv4 peers come as mapped addresses; policies, limits and logs know them as IPv4.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let since = Instant::now().into_std();
        let mut incoming = Incoming { tcp, peer, config, permit, since, metrics: self.metrics.clone() };
        // Who stands behind a proxy is not known yet.
        (incoming.is_from_proxy() || incoming.claim()).then_some(incoming)
    }

    fn turned_away(&self, reason: &'static str) {
        let turned = Turned { listener: self.name(), reason };
        self.metrics.turned_away.get_or_create(&turned).inc();
    }
}
