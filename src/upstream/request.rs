//! The one line that is said to an upstream, and whether it was heard. Only the session reads what comes back.

use std::io;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::request::Line;
use crate::transport::{TcpInfo, Transport};

/// Sends `line`, exactly that.
pub(super) async fn send(transport: &mut Transport, line: &Line) -> io::Result<()> {
    transport.write_all(&line.bytes()).await?;
    transport.flush().await
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
