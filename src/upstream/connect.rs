//! One TCP connection to a host: its name resolved, its addresses raced as RFC 8305 says, within one deadline. The
//! only place that opens a connection; it never says a word to the peer.

use std::collections::HashSet;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::settings;
use crate::upstream::resolver::Resolver;

/// How long a host is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Longest wait for a connection, name resolution included.
    pub deadline: Duration,
    /// Head start of each address over the next one.
    pub head_start: Duration,
}

/// Why a host could not be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name means nothing, or its servers could not say.
    #[error("cannot resolve the name {host}: {source}")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The name exists and has no address.
    #[error("the name {0} has no address")]
    NoAddress(String),
    /// The resolver did not answer.
    #[error("the name {host} was not resolved within {}", humantime::format_duration(*after))]
    ResolveTimeout {
        /// The name.
        host: String,
        /// The whole deadline.
        after: Duration,
    },
    /// Every address failed.
    #[error("{}", Listed(.0))]
    Failed(Vec<AddressError>),
    /// At least one address neither answered nor failed.
    #[error(
        "no connection within {}: no answer from {}{}{}",
        humantime::format_duration(*after),
        Listed(silent),
        if failed.is_empty() { "" } else { "; " },
        Listed(failed)
    )]
    Timeout {
        /// The whole deadline.
        after: Duration,
        /// The addresses that were still waited for.
        silent: Vec<SocketAddr>,
        /// The addresses that had failed by then.
        failed: Vec<AddressError>,
    },
}

/// Why one address could not be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {source}")]
pub struct AddressError {
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said.
    pub source: io::Error,
}

/// Connects to `host`, a name or an address (IPv6 without brackets), and says which address it was.
pub async fn connect(host: &str, port: u16, pace: Pace) -> Result<(TcpStream, SocketAddr), ConnectError> {
    connect_by(&Resolver::default(), host, port, pace).await
}

/// Does what [`connect`] does, with the look-up in the turn that `resolver` gives it.
pub async fn connect_by(
    resolver: &Resolver,
    host: &str,
    port: u16,
    pace: Pace,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    let connect = Connect::new(host, port, pace);
    let addresses = connect.resolve(resolver).await?;
    connect.race(addresses).await
}

/// The addresses of `host` within `deadline`, in the order in which they would be dialled, without any twice.
pub async fn look_up(resolver: &Resolver, host: &str, deadline: Duration) -> Result<Vec<IpAddr>, ConnectError> {
    let pace = Pace { deadline, head_start: Duration::ZERO };
    let found = Connect::new(host, 0, pace).resolve(resolver).await?;
    let mut seen = HashSet::new();
    Ok(found.iter().map(SocketAddr::ip).filter(|ip| seen.insert(*ip)).collect())
}

/// One connection in the making, its deadline running.
#[derive(Debug)]
pub(super) struct Connect<'a> {
    host: &'a str,
    port: u16,
    pace: Pace,
    since: Instant,
}

impl Pace {
    /// The same pace, for whoever has no more than `left`.
    pub(super) fn within(self, left: Duration) -> Self {
        Self { deadline: self.deadline.min(left), ..self }
    }
}

impl<'a> Connect<'a> {
    pub(super) fn new(host: &'a str, port: u16, pace: Pace) -> Self {
        Self { host, port, pace, since: Instant::now() }
    }

    /// How long it has been in the making.
    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    fn until(&self) -> Instant {
        self.since + self.pace.deadline
    }

    /// All addresses of the host, families in turn, the resolver's favourite (RFC 6724) first.
    pub(super) async fn resolve(&self, resolver: &Resolver) -> Result<Vec<SocketAddr>, ConnectError> {
        // An address needs no look-up, and waits for none.
        if let Ok(ip) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, self.port)]);
        }
        let found = match timeout_at(self.until(), resolver.addresses(self.host, self.port)).await {
            Err(_elapsed) => return Err(self.unresolved()),
            Ok(Err(source)) => return Err(ConnectError::Resolve { host: self.host.to_owned(), source }),
            Ok(Ok(found)) => found,
        };
        if found.is_empty() {
            return Err(ConnectError::NoAddress(self.host.to_owned()));
        }
        Ok(interleave(&found))
    }

    /// Dials `addresses` in that order, each with its head start; the first that answers wins.
    pub(super) async fn race(&self, addresses: Vec<SocketAddr>) -> Result<(TcpStream, SocketAddr), ConnectError> {
        let mut race = Race { waiting: addresses.into_iter(), running: Vec::new(), failed: Vec::new() };
        // By reference: a future that is handed on by value has its room twice, and is copied.
        let winner = timeout_at(self.until(), pin!(race.winner(self.pace.head_start))).await;
        match winner {
            Ok(Some(winner)) => Ok(winner),
            Ok(None) => Err(ConnectError::Failed(race.failed)),
            Err(_elapsed) => Err(ConnectError::Timeout {
                after: self.pace.deadline,
                silent: race.running.iter().map(|runner| runner.address).collect(),
                failed: race.failed,
            }),
        }
    }

    fn unresolved(&self) -> ConnectError {
        ConnectError::ResolveTimeout { host: self.host.to_owned(), after: self.pace.deadline }
    }
}

/// Families in turn: a host whose one family is dead costs one head start, however many addresses it has.
fn interleave(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let favourite = found.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<SocketAddr>, Vec<SocketAddr>) =
        found.iter().partition(|address| address.is_ipv6() == favourite);
    let mut second = second.into_iter();
    let mut order = Vec::with_capacity(found.len());
    for address in first {
        order.push(address);
        order.extend(second.next());
    }
    order.extend(second);
    order
}

/// The addresses of one host, competing. Dropping it drops the losers' sockets.
struct Race {
    waiting: std::vec::IntoIter<SocketAddr>,
    running: Vec<Runner>,
    failed: Vec<AddressError>,
}

struct Runner {
    address: SocketAddr,
    dial: Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>,
}

impl Race {
    /// The first connection; `None` once every address failed. The next address starts when its predecessor's head
    /// start is over, or at once when one fails.
    async fn winner(&mut self, head_start: Duration) -> Option<(TcpStream, SocketAddr)> {
        loop {
            self.running.extend(self.waiting.next().map(Runner::new));
            if self.running.is_empty() {
                return None;
            }
            let more = self.waiting.len() > 0;
            let finished = poll_fn(|cx| self.poll_finished(cx));
            let (address, result) = match more {
                false => finished.await,
                true => match timeout(head_start, finished).await {
                    Ok(finished) => finished,
                    Err(_elapsed) => continue,
                },
            };
            match result {
                Ok(tcp) => return Some((tcp, address)),
                Err(source) => self.failed.push(AddressError { address, source }),
            }
        }
    }

    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, io::Result<TcpStream>)> {
        for index in 0..self.running.len() {
            let Some(runner) = self.running.get_mut(index) else { break };
            if let Poll::Ready(result) = runner.dial.as_mut().poll(cx) {
                return Poll::Ready((self.running.remove(index).address, result));
            }
        }
        Poll::Pending
    }
}

impl Runner {
    fn new(address: SocketAddr) -> Self {
        Self { address, dial: Box::pin(dial(address)) }
    }
}

/// Opens one connection. On the same machine the handshake is over before connect(2) returns, though it does not say
/// so; then nothing is waited for.
#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    // The request is small and must not wait for the acknowledgement of a handshake's last message.
    socket.set_tcp_nodelay(true)?;
    match net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(error) => return Err(error.into()),
    }
    let tcp = TcpStream::from_std(socket.into())?;
    if tcp.peer_addr().is_err() {
        tcp.writable().await?;
        tcp.take_error()?.map_or(Ok(()), Err)?;
    }
    not_ourselves(tcp, address)
}

/// A socket that the kernel gave the very port it dials is connected to itself (RFC 9293, simultaneous open):
/// nobody listens there, yet it looks open. Hardly ever are the ports alike, and only then is the peer asked for.
fn not_ourselves(tcp: TcpStream, dialled: SocketAddr) -> io::Result<TcpStream> {
    let own = tcp.local_addr()?;
    let ourselves = own.port() == dialled.port() && own == tcp.peer_addr()?;
    if ourselves { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(tcp) }
}

impl From<&settings::Upstream> for Pace {
    fn from(settings: &settings::Upstream) -> Self {
        Self { deadline: settings.connect_timeout, head_start: settings.happy_eyeballs_delay }
    }
}

struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests;
