//! TLS in both directions. The only room that knows rustls. (Interface; bodies follow.)
use crate::config::settings::{ClientTls, ServerTls};
use crate::transport::Records;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// One TLS connection over TCP, either side.
#[derive(Debug)]
pub struct Stream {}
impl Stream {
    /// The socket below.
    pub fn tcp(&self) -> &TcpStream {
        todo!()
    }
    /// How bytes towards this peer must be cut.
    pub fn records(&self) -> Records {
        todo!()
    }
}
impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, _buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        todo!()
    }
}
impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, _buf: &[u8]) -> Poll<io::Result<usize>> {
        todo!()
    }
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!()
    }
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        todo!()
    }
}

/// TLS towards others, ready to connect.
#[derive(Debug, Clone)]
pub struct Client {}
impl Client {
    /// Reads and checks every file that `settings` names.
    pub fn load(_settings: &ClientTls) -> Result<Self, Vec<LoadError>> {
        todo!()
    }
    /// Shakes hands over `tcp` with the server called `host`. The caller sets the deadline.
    pub async fn connect(&self, _host: &str, _tcp: TcpStream) -> Result<Stream, HandshakeError> {
        todo!()
    }
}

/// TLS towards viewers, ready to accept.
#[derive(Debug, Clone)]
pub struct Server {}
impl Server {
    /// Reads and checks every file that `settings` names.
    pub fn load(_settings: &ServerTls) -> Result<Self, Vec<LoadError>> {
        todo!()
    }
    /// Shakes hands with a viewer. The caller sets the deadline.
    pub async fn accept(&self, _tcp: TcpStream) -> Result<Accepted, HandshakeError> {
        todo!()
    }
}

/// A viewer after its handshake.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: Stream,
    /// The server name (SNI) it asked for.
    pub server_name: Option<String>,
    /// Who it proved to be.
    pub identity: Option<Arc<Identity>>,
}

/// A peer, as its verified certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The distinguished name, as RFC 4514 text.
    pub subject: String,
    /// DNS names and addresses among the subject's alternative names.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
}

/// Why a certificate, key, CA or CRL file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct LoadError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
#[error("placeholder")]
pub struct HandshakeError {}
