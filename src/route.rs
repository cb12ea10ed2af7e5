//! A policy's answer: where to go for a build's log, in which order, or what to say instead. It never goes anywhere
//! itself, and holds only what a session can carry out.

mod data;
mod limit;
mod reply;
mod tags;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::limit::{BadLimit, Limit};
pub use self::reply::{BadReply, Reply};
pub use self::tags::{BadTags, Tags};
use crate::names::Hostname;
use crate::registry::{Gateway, Worker};

/// What a policy decided for one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What is done.
    pub way: Way,
    /// What the policy calls the stream, for its record and for metrics.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
}

/// What is done about one request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Try these, in this order. Never empty.
    ///
    /// Targets that failed lately are tried after all others, whatever order the policy chose: any order says what is
    /// preferred, none of them wants a viewer to wait for a target that the last one found dead.
    Targets(Vec<Target>),
    /// Say this in the place of a log.
    Reply(Reply),
    /// Say why there is no log, and close.
    Refuse(String),
}

/// One way to a build's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What it is, for records and metrics.
    pub kind: TargetKind,
    /// What to dial.
    pub host: Hostname,
    /// The port to dial.
    pub port: u16,
    /// Speak TLS, and check the server's certificate.
    pub tls: bool,
    /// The name to ask for by SNI and to check the certificate against, where that is not `host`. Only TLS has it.
    pub server_name: Option<Hostname>,
    /// Longest wait for its TCP connection, in the place of the configuration's.
    pub connect_timeout: Option<Limit>,
    /// Longest wait for its TLS handshake, in the place of the configuration's.
    pub handshake_timeout: Option<Limit>,
    /// The registry's own name of the gateway that this is, by which a relay recognizes itself.
    #[serde(serialize_with = "data::text", deserialize_with = "data::shared_text")]
    pub gateway: Option<Arc<str>>,
}

/// What stands at the other end of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// The executor that runs the build.
    Direct,
    /// A gateway of the build's zone.
    Gateway,
    /// A host that the policy named itself, which may know what to do with a line that names no build.
    Connect,
}

impl Target {
    /// The executor itself; `None` if it registered no port to dial.
    pub fn direct(worker: &Worker) -> Option<Self> {
        Some(Self::new(TargetKind::Direct, worker.hostname.clone(), worker.log_port?))
    }

    /// A gateway; `None` if it registered no port to dial.
    pub fn gateway(gateway: &Gateway) -> Option<Self> {
        let dialled = Self::new(TargetKind::Gateway, gateway.hostname.clone(), gateway.public_port?);
        Some(Self { tls: gateway.use_ssl, gateway: Some(Arc::clone(&gateway.id)), ..dialled })
    }

    /// A host of the policy's own choice, without TLS.
    pub fn connect(host: Hostname, port: u16) -> Self {
        Self::new(TargetKind::Connect, host, port)
    }

    /// What `kind` is at `host`, without TLS and without wishes of its own.
    pub fn new(kind: TargetKind, host: Hostname, port: u16) -> Self {
        Self {
            kind,
            host,
            port,
            tls: false,
            server_name: None,
            connect_timeout: None,
            handshake_timeout: None,
            gateway: None,
        }
    }

    /// The name that TLS asks for, and that the certificate must be for.
    pub fn tls_name(&self) -> &Hostname {
        self.server_name.as_ref().unwrap_or(&self.host)
    }
}

impl TargetKind {
    /// The word in records, metrics and `explain`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gateway => "gateway",
            Self::Connect => "connect",
        }
    }
}

impl Way {
    /// About how much memory it takes beside itself, in bytes.
    pub fn weight(&self) -> usize {
        match self {
            Self::Targets(targets) => size_of_val(targets.as_slice()),
            Self::Reply(reply) => reply.as_str().len(),
            Self::Refuse(text) => text.len(),
        }
    }
}

impl From<Way> for Route {
    fn from(way: Way) -> Self {
        Self { way, tags: Tags::default() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.kind.as_str(), self.host, self.port)?;
        match &self.server_name {
            _ if !self.tls => Ok(()),
            None => f.write_str(" over TLS"),
            Some(name) => write!(f, " over TLS as {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Hostname {
        Hostname::parse(name).unwrap()
    }

    #[test]
    fn a_target_says_what_is_dialled_and_whom_it_must_prove_to_be() {
        let plain = Target::connect(host("edge.example"), 443);
        assert_eq!(plain.to_string(), "connect edge.example:443");
        let tls = Target { tls: true, ..plain };
        assert_eq!((tls.to_string().as_str(), tls.tls_name()), ("connect edge.example:443 over TLS", &tls.host));
        let named = Target { server_name: Some(host("gw.internal")), ..tls };
        assert_eq!(named.to_string(), "connect edge.example:443 over TLS as gw.internal");
        assert_eq!(named.tls_name(), &host("gw.internal"));
        let plain = Target { tls: false, ..named };
        assert_eq!(plain.to_string(), "connect edge.example:443", "without TLS there is nobody to prove it to");
    }
}
