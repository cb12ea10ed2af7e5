//! The one line that is said to an upstream, and whether it was heard. Only the session reads what comes back.

use std::io;

use rustix::io::Errno;
use rustix::net::{self, SendFlags};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::request::Line;
use crate::transport::{TcpInfo, Transport};

/// Sends `line`, exactly that.
pub(super) async fn send(transport: &mut Transport, line: &Line) -> io::Result<()> {
    let line = line.bytes();
    let sent = match transport {
        Transport::Plain(tcp) => send_at_once(tcp, &line)?,
        Transport::Tls(_) => 0,
    };
    transport.write_all(line.get(sent..).unwrap_or_default()).await?;
    transport.flush().await
}

/// Sends what the socket takes. It is new and has room for a line, but tokio would wait to be told so.
fn send_at_once(tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match net::send(tcp, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        sent => Ok(sent?),
    }
}

/// Says whether a peer that has just ended its side had taken the request before.
///
/// Both kinds of end look alike to a reader: TCP says nothing but "no more". The kernel knows more. A peer that took
/// the request acknowledged it, at the latest in the very segment that ends its side. A peer that closed before
/// never acknowledges: until its reset arrives the request is unacknowledged, and afterwards the socket is dead
/// (state `CLOSE`), where a peer that closed in order leaves it waiting for our own end (`CLOSE_WAIT`). One call,
/// nothing to wait for. A peer that closed with the request unread resets, which a reader sees as an error.
pub(super) fn was_taken(tcp: &TcpStream) -> io::Result<bool> {
    let info = TcpInfo::of(tcp)?;
    Ok(!info.is_dead() && !info.is_unacknowledged())
}
