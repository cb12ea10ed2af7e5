//! Why targets were not reached, told so that an operator can act on it. The viewer never sees a word of it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::connect::ConnectError;
use super::itself::Sign;
use crate::fault::Fault;
use crate::route::Target;
use crate::tls;

/// No target of a route was reached.
#[derive(Debug)]
pub struct Unreached {
    /// Every target, in the order they were tried, with what came of it.
    pub attempts: Vec<Attempt>,
    /// Whether every one of them was this relay itself.
    pub only_itself: bool,
}

/// One target that was not reached.
#[derive(Debug, thiserror::Error)]
#[error("{target}: {error}")]
pub struct Attempt {
    /// The target.
    pub target: Target,
    /// Why not.
    #[source]
    pub error: TargetError,
}

/// Why one target was not reached.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is this relay, so it was not dialled.
    #[error("not dialled, {0}")]
    Itself(Sign),
    /// It wants TLS, for which there are no keys; it was not dialled.
    #[error("not dialled, it needs TLS: set upstream.tls in the configuration")]
    NoTls,
    /// The route's time was over before its turn came; it was not dialled.
    #[error(
        "not dialled, the targets before it took all of upstream.timeout, {}",
        humantime::format_duration(*.0)
    )]
    OutOfTime(Duration),
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
    /// Connected, then silence.
    #[error("connected to {address}, but the handshake took longer than {}", humantime::format_duration(*after))]
    HandshakeTimeout {
        /// Where.
        address: SocketAddr,
        /// The deadline.
        after: Duration,
    },
    /// Connected, but it broke off before anything came.
    #[error("connected to {address}, but it broke off before it answered the request: {source}")]
    Broke {
        /// Where.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Connected, but it closed without taking the request.
    #[error("connected to {address}, but it closed before it took the request")]
    Closed {
        /// Where.
        address: SocketAddr,
    },
}

impl Unreached {
    /// Draws the conclusion from `attempts`.
    pub(super) fn new(attempts: Vec<Attempt>) -> Self {
        let itself = |attempt: &Attempt| matches!(attempt.error, TargetError::Itself(_));
        let only_itself = !attempts.is_empty() && attempts.iter().all(itself);
        Self { attempts, only_itself }
    }
}

impl TargetError {
    /// The metric label, from the closed set of [`crate::metrics::Dialled`].
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Itself(_) => "itself",
            Self::NoTls => "no_tls",
            Self::OutOfTime(_) => "out_of_time",
            Self::Connect(ConnectError::Resolve { .. } | ConnectError::NoAddress(_)) => "resolve",
            Self::Connect(ConnectError::ResolveTimeout { .. } | ConnectError::Timeout { .. }) => "connect_timeout",
            Self::Connect(ConnectError::Failed(_)) => "connect",
            Self::Handshake { .. } => "handshake",
            Self::HandshakeTimeout { .. } => "handshake_timeout",
            Self::Broke { .. } | Self::Closed { .. } => "closed",
        }
    }

    /// Whether it says something about the target, rather than about this relay.
    pub(super) fn is_its_fault(&self) -> bool {
        !matches!(self, Self::Itself(_) | Self::NoTls | Self::OutOfTime(_))
    }

    /// Whether nothing came in time, rather than something wrong.
    pub(super) fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Connect(ConnectError::ResolveTimeout { .. } | ConnectError::Timeout { .. })
                | Self::HandshakeTimeout { .. }
        )
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, attempt) in self.attempts.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            attempt.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Unreached {}

impl From<Unreached> for Fault {
    fn from(unreached: Unreached) -> Self {
        if unreached.only_itself { Self::Loop(unreached.to_string()) } else { Self::Unreachable(unreached.to_string()) }
    }
}
