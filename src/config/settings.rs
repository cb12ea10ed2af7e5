//! What a relay was told to do, after parsing: every value here is valid and in its final unit.
//!
//! Files are named here, never read: certificates belong to `tls`, policies to `policy`. The defaults are the
//! ones that `config/fingerpost.yaml` documents.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::names::{Hostname, Zone};

mod candidate;
mod network;
mod policy;
mod tls;

pub use candidate::{Canary, Candidate, Rollback};
pub use network::Network;
pub use policy::{Background, DryRun, Param, Params, Policy, Rule};
pub use tls::{ClientCertificates, ClientTls, KeyPairFiles, ServerTls, TlsVersion, Trust};

/// Everything one generation is made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The name under which other gateways and `zuul-web` reach this relay; the machine's FQDN unless set.
    pub hostname: Hostname,
    /// The zone this relay serves; `None` outside of every zone.
    pub zone: Option<Zone>,
    /// At least one, each with a name of its own.
    pub listeners: Vec<Listener>,
    /// Whether and how the relay is announced as a `fingergw` component.
    pub registration: Registration,
    /// Where builds and components are known from.
    pub registry: Registry,
    /// The Lua that decides, and what it may use.
    pub policy: Policy,
    /// Where decisions are kept; `None` keeps none.
    pub decisions: Option<Decisions>,
    /// How targets are dialled.
    pub upstream: Upstream,
    /// How bytes are moved.
    pub stream: Stream,
    /// The monitoring port; `None` leaves it closed.
    pub monitoring: Option<Monitoring>,
    /// What is written to standard error, and how.
    pub log: Log,
    /// The process as its surroundings see it.
    pub process: Process,
}

/// One socket that viewers connect to.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// What policies, metrics and logs call it.
    pub name: String,
    /// Where it is bound; `[::]` serves IPv4 too.
    pub address: ListenAddress,
    /// `None` serves plain TCP.
    pub tls: Option<ServerTls>,
    /// Longest wait for a TLS handshake, PROXY header included.
    pub handshake_timeout: Duration,
    /// Longest wait for the request line, counted from the end of the handshake.
    pub request_timeout: Duration,
    /// Streams at one time, all viewers together.
    pub max_connections: usize,
    /// Streams at one time from one client address; as many as all together, unless set.
    pub max_connections_per_address: usize,
    /// Peers whose PROXY protocol header is required and believed; nobody else's is.
    pub proxy_protocol_from: Vec<Network>,
}

/// Where a listener's socket comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// Bound by the relay itself.
    Bind(SocketAddr),
    /// Passed by systemd under this `FileDescriptorName` (or index, as text).
    Systemd(String),
}

/// How the relay appears in ZooKeeper to the rest of Zuul.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Announce the relay at all; needs a ZooKeeper registry.
    pub enabled: bool,
    /// The listener that others are told to dial; the first one unless named.
    pub listener: Option<String>,
    /// The port that others are told to dial, where NAT or a route makes it another than the listener's.
    pub public_port: Option<u16>,
}

/// Where builds and components are known from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registry {
    /// Zuul's ZooKeeper, mirrored by watches.
    ZooKeeper(ZooKeeper),
    /// A YAML file, read again when it changes.
    File(PathBuf),
}

/// How ZooKeeper is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZooKeeper {
    /// Tried in random order.
    pub hosts: Vec<HostPort>,
    /// Prefix of every path, without a trailing slash; empty for none.
    pub chroot: String,
    /// `None` speaks plain TCP, which Zuul itself never does.
    pub tls: Option<ClientTls>,
    /// Asked for; the server may grant less.
    pub session_timeout: Duration,
    /// Longest wait for one server to answer, and for one direct read.
    pub request_timeout: Duration,
}

/// A server's name or address, with its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A DNS name or an address; IPv6 without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Where decisions are kept, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decisions {
    /// The file that is written. Those that were full have `.1`, `.2` and so on after its name, the newest first.
    pub file: PathBuf,
    /// A file that would grow beyond this many bytes is full.
    pub max_size: u64,
    /// Full files that are kept beside the one that is written.
    pub keep: u32,
}

/// How targets are dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Longest wait for all targets of one route together.
    pub timeout: Duration,
    /// Longest wait for a target's TCP connection, name resolution included.
    pub connect_timeout: Duration,
    /// Longest wait for a target's TLS handshake.
    pub handshake_timeout: Duration,
    /// How long a target that failed is tried after those that did not.
    pub retry_failed_after: Duration,
    /// Head start of one address family over the other (RFC 8305).
    pub happy_eyeballs_delay: Duration,
    /// Used towards gateways that say `use_ssl`, and wherever a policy asks for TLS.
    pub tls: Option<ClientTls>,
}

/// How bytes are moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// A viewer that takes no byte for this long, with bytes waiting for it, is cut. It is looked at four times in
    /// that time, so it may take a quarter longer.
    pub viewer_stall_timeout: Duration,
    /// After a viewer stopped sending and nothing reached it since: how long until it counts as gone.
    /// A viewer that stops sending within a fifth of it after its request, before anything was sent to it, only ended
    /// that request, and never counts as gone for that. One that closes so soon on a silent log looks the same: it
    /// is noticed by the next bytes, or a minute later by keepalive, or two on this machine.
    pub half_close_grace: Duration,
    /// Silence after which a peer is probed by TCP keepalive; for one at a loopback address it is five to ten
    /// minutes at least.
    pub keepalive_idle: Duration,
    /// Time between two probes. Bytes sent to an upstream may stay unacknowledged for as long as all probes take;
    /// those sent to a viewer for `viewer_stall_timeout`. None of this for an upstream at a loopback address: it has
    /// what the kernel does by itself.
    pub keepalive_interval: Duration,
    /// Unanswered probes after which a peer counts as gone; the kernel's own number for an upstream at a loopback
    /// address.
    pub keepalive_probes: u32,
    /// How long streams may go on after a stop was asked for.
    pub drain_timeout: Duration,
}

/// The monitoring port: metrics and health over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitoring {
    /// Where it is bound.
    pub address: SocketAddr,
}

/// What is written to standard error, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A `tracing` filter, such as `info` or `fingerpost=debug`.
    pub level: String,
    /// One line of text or one JSON object an event.
    pub format: LogFormat,
    /// Write one record when a stream ends.
    pub records: bool,
}

/// The shape of log lines and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The process as its surroundings see it. None of it changes without a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// Become this user once everything is bound and read that needs root.
    pub user: Option<String>,
    /// Takes `stop`, `pause`, `unpause`, `reload` and `shadow`, a line each.
    pub command_socket: Option<PathBuf>,
    /// Holds the process id while the relay runs.
    pub pid_file: Option<PathBuf>,
    /// Threads that serve streams; one a core unless set.
    pub workers: Option<usize>,
}

impl ZooKeeper {
    /// What Zuul asks for; servers usually grant 40 s.
    pub const SESSION_TIMEOUT: Duration = Duration::from_secs(120);
    /// Shorter than the patience of any viewer.
    pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
}

impl Decisions {
    /// Some hundred thousand decisions, in bytes.
    pub const MAX_SIZE: u64 = 64 << 20;
    /// With the one that is written, half a gigabyte in all.
    pub const KEEP: u32 = 7;
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            // No viewer of Zuul's own gateway ever waited longer for an answer.
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            retry_failed_after: Duration::from_secs(30),
            happy_eyeballs_delay: Duration::from_millis(250),
            tls: None,
        }
    }
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            viewer_stall_timeout: Duration::from_secs(300),
            half_close_grace: Duration::from_secs(5),
            keepalive_idle: Duration::from_secs(10),
            keepalive_interval: Duration::from_secs(5),
            keepalive_probes: 3,
            drain_timeout: Duration::from_secs(3600),
        }
    }
}

impl Default for Registration {
    fn default() -> Self {
        Self { enabled: true, listener: None, public_port: None }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text, records: true }
    }
}

impl Listener {
    /// A plain listener with the default limits and deadlines.
    pub fn plain(name: &str, address: SocketAddr) -> Self {
        Self {
            name: name.to_owned(),
            address: ListenAddress::Bind(address),
            tls: None,
            handshake_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            max_connections: 10_000,
            max_connections_per_address: 10_000,
            proxy_protocol_from: Vec::new(),
        }
    }
}

impl Settings {
    /// Every file named here whose change makes another generation; those of policies lie in [`Policy::folders`], too.
    /// A registry file is followed on its own.
    pub fn files(&self) -> Vec<PathBuf> {
        let servers = self.listeners.iter().filter_map(|listener| listener.tls.as_ref());
        let clients = self.upstream.tls.iter().chain(self.registry.tls());
        let tls = servers.flat_map(ServerTls::files).chain(clients.flat_map(ClientTls::files));
        let scripts = self.policy.both().filter_map(|policy| policy.file.as_deref());
        scripts.chain(tls).map(Path::to_owned).collect()
    }
}

impl Registry {
    /// TLS towards the registry's source.
    pub fn tls(&self) -> Option<&ClientTls> {
        match self {
            Self::ZooKeeper(zookeeper) => zookeeper.tls.as_ref(),
            Self::File(_) => None,
        }
    }
}
