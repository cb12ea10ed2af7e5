//! Why nothing could be fetched, in words for an operator. It never repeats a header's value or a body.

use std::error::Error as _;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::tls;
use crate::upstream::ConnectError;

/// Why nothing could be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL is none, or none that can be fetched; nothing was dialled.
    #[error("cannot fetch {url:?}: {reason}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The URL holds a user or a password; nothing was dialled.
    #[error("a URL must hold no user and password; send them in the header Authorization")]
    Credentials,
    /// The method is none, or none that can be used; nothing was dialled.
    #[error("{method:?} is no method that can be used here; try \"GET\" or \"POST\"")]
    BadMethod {
        /// What was given.
        method: String,
    },
    /// A header cannot be sent; nothing was dialled.
    #[error("the header {name:?} cannot be sent: {reason}")]
    BadHeader {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// HTTPS is asked for, and no CA is known; nothing was dialled.
    #[error("{host} was not dialled, it needs TLS: name the file of the CA that its certificate comes from")]
    NoTls {
        /// The host.
        host: String,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Connected, but TLS came to nothing.
    #[error("connected to {address}, but the TLS handshake failed: {source}")]
    Handshake {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: tls::HandshakeError,
    },
    /// Connected, but the time was over before the answer was complete.
    #[error("connected to {address}, but {stage} was not over within {}", humantime::format_duration(*after))]
    Timeout {
        /// Where.
        address: SocketAddr,
        /// What was waited for.
        stage: Stage,
        /// The deadline of the whole request.
        after: Duration,
    },
    /// What came is no answer in HTTP/1.
    #[error("{address} does not answer in HTTP/1: {source}; check the port, and whether it wants https")]
    NotHttp {
        /// Where.
        address: SocketAddr,
        /// What is wrong with the answer.
        source: hyper::Error,
    },
    /// The answer's headers are too large.
    #[error("{address} answered with headers of more than {limit} bytes or 100 lines")]
    HeadTooLarge {
        /// Where.
        address: SocketAddr,
        /// The limit in bytes.
        limit: usize,
    },
    /// The answer's body is too large.
    #[error("{address} answered with a body of more than {limit} bytes; raise the limit of the request if it is right")]
    BodyTooLarge {
        /// Where.
        address: SocketAddr,
        /// The limit in bytes.
        limit: usize,
    },
    /// Connected, but it broke off before the answer was complete.
    #[error("connected to {address}, but it broke off before the answer was complete: {}", Cause(source))]
    Broke {
        /// Where.
        address: SocketAddr,
        /// What happened.
        source: hyper::Error,
    },
    /// A body over TLS ends with the connection, so that whoever cuts the connection could shorten it.
    #[error(
        "{address} answered over TLS with a body of no declared length, which anybody in between could cut short; \
         have it send Content-Length or chunks"
    )]
    OpenEnd {
        /// Where.
        address: SocketAddr,
    },
}

/// What a request waits for once it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// TLS.
    Handshake,
    /// The answer's status and headers.
    Head,
    /// The answer's body.
    Body,
}

impl FetchError {
    /// The metric label, from the closed set of [`crate::metrics::Policy::fetches`].
    pub fn label(&self) -> &'static str {
        match self {
            Self::BadUrl { .. }
            | Self::Credentials
            | Self::BadMethod { .. }
            | Self::BadHeader { .. }
            | Self::NoTls { .. } => "request",
            Self::Connect(_) => "connect",
            Self::Handshake { .. } => "handshake",
            Self::Timeout { .. } => "timeout",
            Self::NotHttp { .. } => "not_http",
            Self::HeadTooLarge { .. } | Self::BodyTooLarge { .. } => "too_large",
            Self::Broke { .. } | Self::OpenEnd { .. } => "broken",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the TLS handshake",
            Self::Head => "the wait for an answer",
            Self::Body => "the answer's body",
        })
    }
}

/// hyper says that the connection failed; what it has as the source says why.
struct Cause<'a>(&'a hyper::Error);

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(self.0, f),
        }
    }
}
