//! One TLS connection as a stream of bytes, with the socket below it.
//!
//! It must never report an end without `close_notify` as an error: that is how Zuul ends every log. Nor may it lose
//! what came before a record that breaks the stream.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::receive::poll_receive;
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
    /// handshake is over: such a refusal arrives here, as an error that holds a
    /// [`HandshakeError`](super::HandshakeError).
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().inner {
            TlsStream::Client(stream) => {
                let (tcp, session) = stream.get_mut();
                poll_receive(tcp, session, cx, buf)
            }
            TlsStream::Server(stream) => {
                let (tcp, session) = stream.get_mut();
                poll_receive(tcp, session, cx, buf)
            }
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
