//! Everything that can end a stream before its log does, and what follows from it: whose fault it was, what the
//! viewer is told, how loudly it is logged, and which metric label counts it. Decided here and nowhere else.

use std::time::Duration;

use tracing::Level;

/// Whose fault an ending was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Blame {
    /// It came to the end that it was meant to have.
    Nobody,
    /// The peer that asked.
    Viewer,
    /// What the registry says, or that it says nothing.
    Registry,
    /// The Lua that decided.
    Policy,
    /// Whoever was dialled.
    Upstream,
    /// This relay: a limit of its own, or a stop.
    Relay,
}

/// Why a stream ended before its log did.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The viewer's TLS handshake or PROXY header failed.
    #[error("handshake with the viewer failed: {why}")]
    Handshake {
        /// The metric label of that reason.
        label: &'static str,
        /// The reason.
        why: String,
    },
    /// The viewer was silent in its handshake.
    #[error("the viewer did not finish its handshake within {}", humantime::format_duration(*.0))]
    HandshakeTimeout(Duration),
    /// The viewer closed before it asked for anything.
    #[error("the viewer closed before a request line")]
    NoRequest,
    /// The request line breaks the protocol.
    #[error("bad request line: {0}")]
    BadRequest(&'static str),
    /// The request line did not come in time.
    #[error("no request line within {}", humantime::format_duration(*.0))]
    RequestTimeout(Duration),
    /// The viewer went away while its log was running.
    #[error("the viewer left")]
    ViewerLeft,
    /// The viewer stopped reading.
    #[error("the viewer took no byte for {}", humantime::format_duration(*.0))]
    ViewerStalled(Duration),
    /// The build may exist, but the registry cannot say.
    #[error("the registry cannot say whether the build exists: {0}")]
    Registry(String),
    /// The policy failed or gave no route that makes sense.
    #[error("the policy failed: {0}")]
    Policy(String),
    /// No target of the route answered.
    #[error("no target answered: {0}")]
    Unreachable(String),
    /// The only ways left lead back to this relay.
    #[error("the route leads back to this relay: {0}")]
    Loop(String),
    /// The upstream broke off in the middle of the log.
    #[error("the upstream broke off: {0}")]
    UpstreamBroke(#[source] std::io::Error),
    /// The stream lasted as long as the policy lets it.
    #[error("the stream lasted {}, which is as long as the policy allows", humantime::format_duration(*.0))]
    Expired(Duration),
    /// The relay was told to end streams.
    #[error("the relay is stopping")]
    Stopping,
}

impl Fault {
    /// Whose fault this is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Handshake { .. }
            | Self::HandshakeTimeout(_)
            | Self::NoRequest
            | Self::BadRequest(_)
            | Self::RequestTimeout(_)
            | Self::ViewerLeft
            | Self::ViewerStalled(_) => Blame::Viewer,
            Self::Registry(_) => Blame::Registry,
            Self::Policy(_) | Self::Loop(_) => Blame::Policy,
            Self::Unreachable(_) | Self::UpstreamBroke(_) => Blame::Upstream,
            Self::Expired(_) => Blame::Nobody,
            Self::Stopping => Blame::Relay,
        }
    }

    /// The metric label, from a closed set.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Handshake { label, .. } => label,
            Self::HandshakeTimeout(_) => "handshake_timeout",
            Self::NoRequest => "no_request",
            Self::BadRequest(_) => "bad_request",
            Self::RequestTimeout(_) => "request_timeout",
            Self::ViewerLeft => "viewer_left",
            Self::ViewerStalled(_) => "viewer_stalled",
            Self::Registry(_) => "registry",
            Self::Policy(_) => "policy",
            Self::Unreachable(_) => "unreachable",
            Self::Loop(_) => "loop",
            Self::UpstreamBroke(_) => "upstream_broke",
            Self::Expired(_) => "expired",
            Self::Stopping => "stopping",
        }
    }

    /// What the viewer is told, in Zuul's words; `None` closes without a word.
    pub fn reply(&self) -> Option<&'static str> {
        match self {
            Self::Handshake { .. }
            | Self::HandshakeTimeout(_)
            | Self::NoRequest
            | Self::ViewerLeft
            | Self::ViewerStalled(_)
            | Self::Expired(_)
            | Self::Stopping => None,
            Self::BadRequest(_)
            | Self::RequestTimeout(_)
            | Self::Registry(_)
            | Self::Policy(_)
            | Self::Unreachable(_)
            | Self::Loop(_)
            | Self::UpstreamBroke(_) => Some("Internal streaming error"),
        }
    }

    /// How loudly it is logged beside its record: a peer's fault is no reason to wake anybody.
    pub fn level(&self) -> Level {
        match self.blame() {
            // The record tells of it.
            Blame::Nobody | Blame::Viewer | Blame::Upstream | Blame::Relay => Level::DEBUG,
            Blame::Registry | Blame::Policy => Level::WARN,
        }
    }
}

impl Blame {
    /// The word in records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Viewer => "viewer",
            Self::Registry => "registry",
            Self::Policy => "policy",
            Self::Upstream => "upstream",
            Self::Relay => "relay",
        }
    }
}
