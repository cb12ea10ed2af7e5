//! A connection to a peer, plain or TLS, as one type that bytes can be read from and written to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::tls;

mod info;

pub use info::TcpInfo;

/// A connection to a viewer or to an upstream.
#[derive(Debug)]
pub enum Transport {
    /// Bytes as they are; may be spliced.
    Plain(TcpStream),
    /// Bytes inside TLS records.
    Tls(Box<tls::Stream>),
}

/// How a TLS writer must cut bytes into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Records {
    /// As large as they come.
    Full,
    /// The last record of each burst carries at most [`Records::SHORT_TAIL`] bytes. `zuul-web` reads that much once
    /// per readable event, and does not see what else its TLS library has already decrypted.
    ShortTail,
}

impl Records {
    /// The most that the last record of a burst may carry, in bytes.
    pub const SHORT_TAIL: usize = 1024;
}

impl Transport {
    /// The socket below, for its options and for waiting on it.
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(stream) => stream.tcp(),
        }
    }

    /// How bytes towards this peer must be cut; plain TCP has no records to cut.
    pub fn records(&self) -> Records {
        match self {
            Self::Plain(_) => Records::Full,
            Self::Tls(stream) => stream.records(),
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
