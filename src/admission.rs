//! What a policy says of a connection before its request is read: whether it may ask at all, and within which limits.
//! It holds the answer and never carries it out.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::settings;
use crate::route::{Limit, Tags};
use crate::tls::Identity;

/// A connection that has shaken hands and asked for nothing yet.
#[derive(Debug, Clone, Copy)]
pub struct Connection<'a> {
    /// The name of the listener that took it.
    pub listener: &'a str,
    /// The viewer's address.
    pub peer: IpAddr,
    /// The server name (SNI) the viewer asked for.
    pub server_name: Option<&'a str>,
    /// Who the viewer proved to be.
    pub identity: Option<&'a Arc<Identity>>,
}

/// What becomes of a connection. The default is to let it ask, within the configuration's limits.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// Read its request.
    Allow {
        /// What holds for this one stream.
        limits: Limits,
        /// What the policy calls the stream, for its record and for metrics.
        tags: Tags,
    },
    /// Say this and close; no request is read.
    Refuse {
        /// What the viewer is told.
        text: String,
        /// What the policy calls the stream, for its record and for metrics.
        tags: Tags,
    },
}

/// Limits of one stream. Where one is not set, the configuration's holds, if it has one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Longest wait for the request line, in the place of the listener's `request_timeout`.
    pub request_timeout: Option<Limit>,
    /// Longest time of the whole stream, from here on, however well it goes. The configuration has no such limit.
    pub max_duration: Option<Limit>,
    /// Longest time without a byte taken while bytes wait, in the place of `stream.viewer_stall_timeout`.
    pub stall_timeout: Option<Limit>,
}

impl Limits {
    /// How this stream's bytes are moved where all others' are moved as `settings` say; `None` where that is the same.
    pub fn apply(&self, settings: &settings::Stream) -> Option<settings::Stream> {
        let viewer_stall_timeout = self.stall_timeout?.get();
        Some(settings::Stream { viewer_stall_timeout, ..settings.clone() })
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::Allow { limits: Limits::default(), tags: Tags::default() }
    }
}
