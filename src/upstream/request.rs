//! The one line that is said to an upstream, and whether it was heard. Only the session reads what comes back.

use std::io;
use std::os::fd::AsFd as _;

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::names::BuildId;
use crate::transport::Transport;

/// Sends `UUID\n`, exactly that, whatever else the viewer's line held.
pub(super) async fn send(transport: &mut Transport, request: &BuildId) -> io::Result<()> {
    transport.write_all(format!("{request}\n").as_bytes()).await?;
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
    /// `TCP_CLOSE` of `linux/tcp_states.h`.
    const CLOSE: u8 = 7;

    let info = getsockopt(&tcp.as_fd(), HeadOfTcpInfo)?;
    Ok(info.state != CLOSE && info.unacked == 0)
}

/// The first fields of Linux's `struct tcp_info`, in the order they have had since 2.4 (`linux/tcp.h`). The kernel
/// fills as much as it is asked for, so a short struct fits every version.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Head {
    state: u8,
    /// Congestion state, retransmits, probes, backoff, options, window scales.
    _flags: [u8; 7],
    /// Timeouts and segment sizes.
    _sizes: [u32; 4],
    /// Segments sent that the peer did not acknowledge.
    unacked: u32,
}

#[derive(Debug, Clone, Copy)]
struct HeadOfTcpInfo;

// The standard library has no TCP_INFO, nor has any wrapper among the dependencies; this is nix's way to add one.
nix::getsockopt_impl!(HeadOfTcpInfo, libc::IPPROTO_TCP, libc::TCP_INFO, Head, GetStruct<Head>);
