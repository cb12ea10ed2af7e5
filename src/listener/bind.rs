//! Makes one listening socket, and says in an operator's words why that failed.
//!
//! Accepts nothing, and never leaves a port shared with other processes.

use std::error::Error;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::config::settings;
use crate::config::settings::ListenAddress;
use crate::stream::{tune_viewers, unpace_viewers};

/// Connections that the kernel completes before they are accepted. Zuul's 5 overflow as soon as viewers come in a
/// crowd; the kernel caps this at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) tcp: AsyncFd<TcpListener>,
    /// With port 0 resolved.
    pub(super) address: SocketAddr,
    /// Shared with systemd, which goes on holding it.
    pub(super) passed: bool,
}

/// Why a listener has no socket.
#[derive(Debug, thiserror::Error)]
#[error("listener {name}: cannot listen on {address}: {cause}{advice}")]
pub struct BindError {
    /// The configured listener's name.
    pub name: String,
    /// The configured address.
    pub address: String,
    /// What the system, or the search among the passed sockets, answered.
    #[source]
    pub cause: Box<dyn Error + Send + Sync>,
    /// What to do about it; starts with a separator, empty where there is nothing to say.
    advice: String,
}

/// Listens on `address`, for viewers with the socket options of `stream`. `[::]` takes IPv4 too. Where the port is
/// still held by a socket of `leaving`, the relay's own and about to be closed, both listen until then.
pub(super) fn bind<'a>(
    address: SocketAddr,
    stream: &settings::Stream,
    leaving: impl Iterator<Item = &'a Bound>,
) -> Result<Bound, Box<dyn Error + Send + Sync>> {
    match listen(address, stream, false) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let neighbours: Vec<_> = leaving.filter(|bound| bound.address.port() == address.port()).collect();
            if neighbours.is_empty() { Err(error.into()) } else { Ok(listen_beside(address, stream, &neighbours)?) }
        }
        other => Ok(other?),
    }
}

/// Takes over a socket that somebody else bound and listens on. Viewers that have connected by now are without the
/// socket options of `stream`.
pub(super) fn adopt(tcp: TcpListener, stream: &settings::Stream) -> io::Result<Bound> {
    tcp.set_nonblocking(true)?;
    tune_viewers(&tcp, stream);
    unpace_viewers(&tcp, tcp.local_addr()?.ip());
    Bound::new(tcp, true)
}

/// Lets ports be shared for the moment of one bind: `127.0.0.1:79` and `[::]:79` exclude each other otherwise.
fn listen_beside(address: SocketAddr, stream: &settings::Stream, neighbours: &[&Bound]) -> io::Result<Bound> {
    let share = |yes: bool| neighbours.iter().try_for_each(|bound| SockRef::from(&bound.tcp).set_reuse_port(yes));
    let bound = share(true).and_then(|()| listen(address, stream, true));
    share(false)?;
    bound
}

fn listen(address: SocketAddr, stream: &settings::Stream, share_port: bool) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections of a former process that linger in TIME_WAIT must not keep the port from its successor.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(share_port)?;
    if address.is_ipv6() {
        // The system's default is an administrator's choice (net.ipv6.bindv6only); the configuration's meaning is not.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    // Before the first viewer can come.
    tune_viewers(&socket, stream);
    unpace_viewers(&socket, address.ip());
    socket.listen(BACKLOG)?;
    socket.set_reuse_port(false)?;
    Bound::new(socket.into(), false)
}

impl Bound {
    #[expect(deprecated, reason = "its successor is unsafe, because of types whose descriptor may change")]
    fn new(tcp: TcpListener, passed: bool) -> io::Result<Self> {
        Ok(Self { address: tcp.local_addr()?, tcp: AsyncFd::with_interest(tcp, Interest::READABLE)?, passed })
    }

    /// The next connection and its other end. No runtime has it yet: tokio's own listener would give it to the one that
    /// accepts, and it costs as much to take it from there as to give it to another.
    pub(super) async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.tcp.async_io(Interest::READABLE, accept).await
    }

    /// Refuses new connections from now on, though tasks still hold the socket. One that systemd passed is left as it
    /// is: systemd keeps it listening for the relay's successor.
    pub(super) fn close(&self) {
        if !self.passed {
            // It fails only on a socket that is closed already.
            let _closed = SockRef::from(&self.tcp).shutdown(Shutdown::Read);
        }
    }
}

fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (tcp, peer) = acceptfrom_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    Ok((tcp.into(), peer.ok_or(io::ErrorKind::ConnectionAborted)?))
}

impl BindError {
    pub(super) fn new(settings: &settings::Listener, cause: Box<dyn Error + Send + Sync>) -> Self {
        let (address, advice) = match &settings.address {
            ListenAddress::Bind(address) => (address.to_string(), advice(&*cause, *address)),
            ListenAddress::Systemd(name) => (format!("systemd's socket {name:?}"), String::new()),
        };
        Self { name: settings.name.clone(), address, cause, advice }
    }
}

fn advice(cause: &(dyn Error + Send + Sync + 'static), address: SocketAddr) -> String {
    let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::PermissionDenied) => format!(
            "; ports below 1024 are for root: start as root with process.user set, let systemd pass the socket, or \
             allow it by `setcap cap_net_bind_service=+ep` (the port is {})",
            address.port()
        ),
        Some(io::ErrorKind::AddrInUse) => {
            format!("; another process holds it, and `ss -ltnp 'sport = :{}'` shows which one", address.port())
        }
        Some(io::ErrorKind::AddrNotAvailable) => {
            format!("; no interface of this machine has {}: take one that `ip address` shows", address.ip())
        }
        _ => String::new(),
    }
}
