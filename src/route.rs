//! A policy's answer: where to go for a build's log, in which order, or what to say instead.

mod tags;

use std::fmt;
use std::sync::Arc;

pub use self::tags::{BadTags, Tags};
use crate::names::Hostname;
use crate::registry::{Gateway, Worker};

/// What a policy decided for one request.
#[derive(Debug, Clone, PartialEq)]
pub enum Route {
    /// Try these, in this order. Never empty.
    Targets(Vec<Target>),
    /// Say this and close.
    Refuse(String),
}

/// One way to a build's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Whether this is an executor or a gateway, for records and metrics.
    pub kind: TargetKind,
    /// What to dial.
    pub host: Hostname,
    /// The port to dial.
    pub port: u16,
    /// Speak TLS, and check the server's certificate against `host`.
    pub tls: bool,
    /// The registry's own name of the gateway that this is, by which a relay recognizes itself.
    pub gateway: Option<Arc<str>>,
}

/// What stands at the other end of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// The executor that runs the build.
    Direct,
    /// A gateway of the build's zone.
    Gateway,
}

impl Target {
    /// The executor itself; `None` if it registered no port to dial.
    pub fn direct(worker: &Worker) -> Option<Self> {
        Some(Self {
            kind: TargetKind::Direct,
            host: worker.hostname.clone(),
            port: worker.log_port?,
            tls: false,
            gateway: None,
        })
    }

    /// A gateway; `None` if it registered no port to dial.
    pub fn gateway(gateway: &Gateway) -> Option<Self> {
        Some(Self {
            kind: TargetKind::Gateway,
            host: gateway.hostname.clone(),
            port: gateway.public_port?,
            tls: gateway.use_ssl,
            gateway: Some(Arc::clone(&gateway.id)),
        })
    }
}

impl TargetKind {
    /// The word in records, metrics and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { " over TLS" } else { "" };
        write!(f, "{} {}:{}{tls}", self.kind.as_str(), self.host, self.port)
    }
}
