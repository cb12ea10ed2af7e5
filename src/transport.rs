//! A connection to a peer, plain or TLS, as one type that bytes can be read from and written to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};
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

    /// What the peer has sent already, at most so many bytes of it. Most viewers ask as soon as they are connected, but
    /// tokio would look at all its sockets before it reads a new one. Empty at an end, too, and where the connection
    /// broke, which the next read takes for an end, or speaks TLS.
    pub fn at_hand(&self, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Self::Plain(tcp) = self {
            bytes.reserve_exact(most);
            let _nothing_yet = recv(tcp, spare_capacity(&mut bytes), RecvFlags::DONTWAIT);
        }
        bytes
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn loopback() -> (Transport, std::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (Transport::Plain(listener.accept().await.unwrap().0), peer)
    }

    #[tokio::test]
    async fn what_is_at_hand_is_taken_once_and_what_comes_later_is_read() {
        let (mut transport, mut peer) = loopback().await;
        assert_eq!(transport.at_hand(4), b"");
        io::Write::write_all(&mut peer, b"abcdef").unwrap();
        transport.tcp().readable().await.unwrap();
        assert_eq!(transport.at_hand(4), b"abcd");
        assert_eq!(transport.at_hand(4), b"ef");
        assert_eq!(transport.at_hand(4), b"");
        io::Write::write_all(&mut peer, b"gh").unwrap();
        let mut later = [0; 2];
        transport.read_exact(&mut later).await.unwrap();
        assert_eq!(&later, b"gh");
    }

    #[tokio::test]
    async fn an_end_is_left_for_the_next_read() {
        let (mut transport, peer) = loopback().await;
        peer.shutdown(std::net::Shutdown::Write).unwrap();
        transport.tcp().readable().await.unwrap();
        assert_eq!(transport.at_hand(4), b"");
        assert_eq!(transport.read(&mut [0; 4]).await.unwrap(), 0);
        transport.write_all(b"still").await.unwrap();
    }
}
