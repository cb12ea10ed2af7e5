//! One TLS connection as a stream of bytes, with the socket below it.
//!
//! It must never report an end without `close_notify` as an error: that is how Zuul ends every log.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::handshake::HandshakeError;
use crate::transport::Records;

/// One TLS connection over TCP, either side.
pub struct Stream {
    inner: TlsStream<TcpStream>,
    records: Records,
}

impl Stream {
    pub(super) fn new(inner: TlsStream<TcpStream>, records: Records) -> Self {
        Self { inner, records }
    }

    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        self.inner.get_ref().0
    }

    /// How bytes towards this peer must be cut.
    pub fn records(&self) -> Records {
        self.records
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("tcp", self.tcp()).field("records", &self.records).finish_non_exhaustive()
    }
}

impl AsyncRead for Stream {
    /// Reads what the peer sent. A server of TLS 1.3 refuses a client's certificate only after the client's own
    /// handshake is over: such a refusal arrives here, as an error that holds a [`HandshakeError`].
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.get_mut().inner).poll_read(cx, buf) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, HandshakeError::from(error))))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    /// Sends `close_notify`, then closes the sending side of the socket.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}
