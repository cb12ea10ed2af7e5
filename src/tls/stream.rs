//! One TLS connection as a stream of bytes, with the socket below it.
//!
//! It must never report an end without `close_notify` as an error: that is how Zuul ends every log. Nor may it lose
//! what came before a record that breaks the stream.

use std::fmt;
use std::io::{self, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::handshake::HandshakeError;
use crate::transport::Records;

/// One TLS connection over TCP, either side.
pub struct Stream {
    inner: TlsStream<TcpStream>,
    records: Records,
    /// Why no more can be read, for when all that came before has been.
    broken: Option<io::Error>,
}

impl Stream {
    pub(super) fn new(inner: TlsStream<TcpStream>, records: Records) -> Self {
        Self { inner, records, broken: None }
    }

    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        self.inner.get_ref().0
    }

    /// How bytes towards this peer must be cut.
    pub fn records(&self) -> Records {
        self.records
    }

    /// Reads what has been decrypted already, and says how many bytes. When a record breaks the stream, tokio-rustls
    /// says so at once, though good records came before it in the same read.
    fn read_decrypted(&mut self, buf: &mut ReadBuf<'_>) -> usize {
        let mut reader = match &mut self.inner {
            TlsStream::Client(stream) => stream.get_mut().1.reader(),
            TlsStream::Server(stream) => stream.get_mut().1.reader(),
        };
        // An error is that there is nothing.
        let bytes = reader.read(buf.initialize_unfilled()).unwrap_or(0);
        buf.advance(bytes);
        bytes
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
        let this = self.get_mut();
        let broken = match this.broken.take() {
            Some(error) => error,
            None => match ready!(Pin::new(&mut this.inner).poll_read(cx, buf)) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(())),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    io::Error::new(io::ErrorKind::InvalidData, HandshakeError::from(error))
                }
                other => return Poll::Ready(other),
            },
        };
        if this.read_decrypted(buf) == 0 {
            return Poll::Ready(Err(broken));
        }
        this.broken = Some(broken);
        Poll::Ready(Ok(()))
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
