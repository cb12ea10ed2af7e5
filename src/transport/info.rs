//! What the kernel knows of a connection (`TCP_INFO`). It changes nothing, and asks nobody but the kernel.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::GetStruct;
use tokio::net::TcpStream;

/// The first fields of Linux's `struct tcp_info`, in the order they have had since 4.6 (`linux/tcp.h`). The kernel
/// fills as much as it is asked for, so a short struct fits every later version.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct TcpInfo {
    state: u8,
    /// Congestion state, retransmits, probes, backoff, options, window scales.
    _flags: [u8; 7],
    /// Timeouts and segment sizes.
    _sizes: [u32; 4],
    /// Segments sent that the peer did not acknowledge.
    unacknowledged: u32,
    /// Losses, and the age of what was sent last.
    _losses: [u32; 6],
    /// Age of the last byte from the peer, in milliseconds.
    last_data: u32,
    /// Age of the last segment from the peer, with bytes or without, in milliseconds.
    last_segment: u32,
    _path: [u32; 2],
    /// Smoothed, in microseconds.
    round_trip: u32,
    /// How much round trips vary, windows, reordering.
    _metrics: [u32; 8],
    _pacing: [u64; 2],
    acknowledged: u64,
    _received: u64,
    _segments: [u32; 2],
    /// Bytes in the kernel's queue that were never sent.
    unsent: u32,
    _least_round_trip: u32,
}

impl TcpInfo {
    /// Asks the kernel.
    ///
    /// # Errors
    /// Whatever getsockopt(2) says of a socket that is no longer one.
    pub fn of(tcp: &TcpStream) -> io::Result<Self> {
        Ok(getsockopt(&tcp.as_fd(), Question)?)
    }

    /// Whether the connection is over in both directions.
    pub fn is_dead(&self) -> bool {
        /// `TCP_CLOSE` of `linux/tcp_states.h`.
        const CLOSE: u8 = 7;

        self.state == CLOSE
    }

    /// Whether something was sent that the peer did not acknowledge.
    pub fn is_unacknowledged(&self) -> bool {
        self.unacknowledged > 0
    }

    /// Whether bytes for the peer are still with this kernel, sent or not.
    pub fn holds_bytes(&self) -> bool {
        self.unacknowledged > 0 || self.unsent > 0
    }

    /// How long after its last byte the peer sent its last segment. If that was its FIN, and nothing was sent to the
    /// peer that it had to acknowledge, that is how late the FIN came.
    pub fn last_words_took(&self) -> Duration {
        Duration::from_millis(self.last_data.saturating_sub(self.last_segment).into())
    }

    /// Age of the last byte from the peer.
    pub fn silent_for(&self) -> Duration {
        Duration::from_millis(self.last_data.into())
    }

    /// The time from a segment to its acknowledgement, as the kernel smooths it (RFC 6298); `None` while it has
    /// measured none. The handshake is the first that it measures.
    pub fn round_trip(&self) -> Option<Duration> {
        let micros = u64::from(self.round_trip);
        (micros > 0).then(|| Duration::from_micros(micros))
    }

    /// How much the peer's kernel has acknowledged so far, in bytes. It takes no more than its reader leaves it room
    /// for, so this grows as long as the peer reads.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }
}

#[derive(Debug, Clone, Copy)]
struct Question;

// The standard library has no TCP_INFO, nor has any wrapper among the dependencies; this is nix's way to add one.
nix::getsockopt_impl!(Question, libc::IPPROTO_TCP, libc::TCP_INFO, TcpInfo, GetStruct<TcpInfo>);

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn the_fields_stand_where_the_c_library_has_them() {
        let ours = [
            offset_of!(TcpInfo, state),
            offset_of!(TcpInfo, unacknowledged),
            offset_of!(TcpInfo, last_data),
            offset_of!(TcpInfo, last_segment),
            offset_of!(TcpInfo, round_trip),
        ];
        let theirs = [
            offset_of!(libc::tcp_info, tcpi_state),
            offset_of!(libc::tcp_info, tcpi_unacked),
            offset_of!(libc::tcp_info, tcpi_last_data_recv),
            offset_of!(libc::tcp_info, tcpi_last_ack_recv),
            offset_of!(libc::tcp_info, tcpi_rtt),
        ];
        assert_eq!(ours, theirs);
    }
}
