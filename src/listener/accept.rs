//! The accept loop of one socket. It awaits no peer, and ends on no error while its socket is open.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::debug;

use super::{Arrival, Incoming, Socket};

/// Long enough for descriptors to be given back, short enough that no viewer notices.
const PAUSE: Duration = Duration::from_millis(50);

/// Says so when the loop breaks off. Nobody looks at its result, and the kernel goes on completing connections.
struct End<'a>(&'a Socket);

/// Hands every connection of `socket` to `handler`.
pub(super) async fn run<H>(socket: Arc<Socket>, handler: H)
where
    H: Fn(Arrival),
{
    let _end = End(&socket);
    loop {
        match socket.bound.accept().await {
            Ok((tcp, peer)) => {
                if let Some(arrival) = socket.admit(tcp, peer) {
                    handler(arrival);
                }
            }
            // A closed socket fails every accept; the loop may see that before it is cancelled.
            Err(_) if socket.closed.is_cancelled() => return,
            Err(error) if concerns_one_peer(&error) => debug!(%error, "a connection ended before it was accepted"),
            Err(error) => {
                socket.refusals.accept_error(&socket.name(), &error);
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
    fn admit(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Arrival> {
        let serving = self.serving.load();
        serving.accepted.inc();
        let config = Arc::clone(&serving.config);
        let Some(permit) = self.limits.admit(config.settings.max_connections) else {
            self.refusals.listener_full(&config.settings);
            return None;
        };
        // On a socket of IPv6, IPv4 peers come as mapped addresses; policies, limits and logs know them as IPv4.
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let since = Instant::now().into_std();
        let mut arrival = Incoming { tcp, peer, config, permit, since, refusals: Arc::clone(&self.refusals) };
        // Who stands behind a proxy is not known yet.
        (arrival.is_from_proxy() || arrival.claim()).then_some(arrival)
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.refusals.accept_panic(&self.0.name());
        }
    }
}
