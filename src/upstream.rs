//! The way to whoever has the log: targets in order, each with its deadlines, until one was asked. It never reads an
//! answer, never decides where to go, and never dials this relay itself.

pub mod connect;
pub mod itself;
mod request;
mod resolver;
mod seen;
pub mod unreached;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tracing::debug;

use self::connect::Connect;
pub use self::connect::{ConnectError, Pace, connect, connect_by, look_up};
pub use self::itself::Itself;
pub use self::resolver::Resolver;
pub use self::seen::{Observed, Seen};
use self::seen::{Open, Peers};
pub use self::unreached::{Attempt, TargetError, Unreached};
use crate::config::settings;
use crate::metrics::{self, Dialled};
use crate::request::Line;
use crate::route::{Limit, Target};
use crate::tls;
use crate::transport::{TcpInfo, Transport};

/// Reaches targets, and remembers across generations what it saw of them. Clones share that
/// memory, and the names that are looked up at one time.
#[derive(Debug, Clone)]
pub struct Dialler {
    peers: Arc<Peers>,
    resolver: Resolver,
    metrics: metrics::Upstream,
}

/// How one generation dials.
#[derive(Debug, Clone)]
pub struct How {
    /// Deadlines.
    pub settings: settings::Upstream,
    /// The keys of `settings.tls`, loaded.
    pub tls: Option<tls::Client>,
    /// What must not be dialled.
    pub itself: Itself,
}

/// A target that was sent the request.
#[derive(Debug)]
pub struct Reached {
    /// The connection, nothing read from it yet.
    pub transport: Transport,
    /// The target.
    pub target: Target,
    /// Which of its addresses answered.
    pub address: SocketAddr,
    /// How many targets it took, this one included.
    pub tried: usize,
    open: Open,
    /// In a box, for which most streams need no room: their route had one target.
    rest: Option<Box<Rest>>,
}

/// What the end of an upstream that sent no byte meant.
#[derive(Debug)]
pub enum Silence {
    /// It took the request and had nothing to say: an empty log.
    EmptyLog,
    /// It never took the request; this one after it did.
    Instead(Box<Reached>),
}

/// What is left of a route.
#[derive(Debug, Default)]
struct Rest {
    targets: vec::IntoIter<Target>,
    failed: Vec<Attempt>,
    /// What reaching them may still take. The time that a reached one stays silent does not count: logs may.
    left: Duration,
}

impl Dialler {
    /// A dialler that has seen nothing yet.
    pub fn new(metrics: metrics::Upstream) -> Self {
        Self { peers: Arc::default(), resolver: Resolver::default(), metrics }
    }

    /// What this dialler and its clones have seen of targets, and will see.
    pub fn seen(&self) -> Seen {
        Seen::live(Arc::clone(&self.peers))
    }

    /// Sends `request` to the first of `targets` that takes a connection; those that failed lately come last. All of
    /// them together take no longer than the settings' `timeout`, whatever each of them may take.
    ///
    /// It returns as soon as the request is sent: a live upstream may be silent for hours. Whether the upstream took
    /// it shows later, see [`Dialler::after_silence`].
    pub async fn reach(&self, targets: &[Target], request: &Line, how: &How) -> Result<Reached, Unreached> {
        let order = self.peers.order(targets, how.settings.retry_failed_after);
        let rest = Rest { targets: order.into_iter(), failed: Vec::new(), left: how.settings.timeout };
        self.reach_rest(rest, request, how).await
    }

    /// Decides what it means that `reached` ended without having sent a byte, in order or with an error, and sends
    /// `request` to the next target if this one never took it.
    pub async fn after_silence(
        &self,
        reached: Reached,
        end: io::Result<()>,
        request: &Line,
        how: &How,
    ) -> Result<Silence, Unreached> {
        let Reached { transport, target, address, open, rest, .. } = reached;
        let error = match end.and_then(|()| request::was_taken(transport.tcp())) {
            Ok(true) => return Ok(Silence::EmptyLog),
            Ok(false) => TargetError::Closed { address },
            Err(source) => TargetError::Broke { address, source },
        };
        drop(transport);
        open.failed(error.label());
        let mut rest = rest.map(|rest| *rest).unwrap_or_default();
        rest.failed.push(self.count_failed(target, error));
        self.reach_rest(rest, request, how).await.map(|reached| Silence::Instead(Box::new(reached)))
    }

    async fn reach_rest(&self, mut rest: Rest, request: &Line, how: &How) -> Result<Reached, Unreached> {
        while let Some(target) = rest.targets.next() {
            let fair = rest.is_fair(&how.settings);
            let start = Instant::now();
            let outcome = self.attempt(&target, request, how, rest.left).await;
            rest.left = rest.left.saturating_sub(start.elapsed());
            match outcome {
                Ok((transport, address)) => {
                    let open = self.peers.reached(&target, || round_trip(&transport));
                    self.metrics.connected(target.kind).inc();
                    let tried = rest.failed.len() + 1;
                    return Ok(Reached { transport, target, address, tried, open, rest: rest.kept() });
                }
                Err(error) => rest.failed.push(self.failed(target, error, fair)),
            }
        }
        Err(Unreached::new(rest.failed))
    }

    /// Everything that is done to one target within `left`: is it another than this relay, connect, shake hands, ask.
    async fn attempt(
        &self,
        target: &Target,
        request: &Line,
        how: &How,
        left: Duration,
    ) -> Result<(Transport, SocketAddr), TargetError> {
        if let Some(sign) = how.itself.named_by(target) {
            return Err(TargetError::Itself(sign));
        }
        if target.tls && how.tls.is_none() {
            return Err(TargetError::NoTls);
        }
        if left.is_zero() {
            return Err(TargetError::OutOfTime(how.settings.timeout));
        }
        let connect = Connect::new(target.host.as_str(), target.port, how.pace(target).within(left));
        let addresses = connect.resolve(&self.resolver).await?;
        if let Some(sign) = how.itself.listens_at(&addresses) {
            return Err(TargetError::Itself(sign));
        }
        let (tcp, address) = connect.race(addresses).await?;
        let after = how.handshake_timeout(target).min(left.saturating_sub(connect.elapsed()));
        // By reference: a future that is handed on by value has its room twice, and is copied.
        let transport = timeout(after, pin!(ask(tcp, address, target, request, how))).await;
        let transport = transport.unwrap_or(Err(TargetError::HandshakeTimeout { address, after }))?;
        Ok((transport, address))
    }

    /// Notes a failure. Silence is held against a target only if it had a `fair` time to answer.
    fn failed(&self, target: Target, error: TargetError, fair: bool) -> Attempt {
        if error.is_its_fault() && (fair || !error.is_silence()) {
            self.peers.failed(&target, error.label());
        }
        self.count_failed(target, error)
    }

    fn count_failed(&self, target: Target, error: TargetError) -> Attempt {
        self.count(&target, error.label());
        let attempt = Attempt { target, error };
        debug!(attempt = %attempt, "target failed");
        attempt
    }

    fn count(&self, target: &Target, result: &'static str) {
        self.metrics.dialled.get_or_create(&Dialled { kind: target.kind.as_str(), result }).inc();
    }
}

impl How {
    fn pace(&self, target: &Target) -> Pace {
        let pace = Pace::from(&self.settings);
        Pace { deadline: target.connect_timeout.map_or(pace.deadline, Limit::get), ..pace }
    }

    fn handshake_timeout(&self, target: &Target) -> Duration {
        target.handshake_timeout.map_or(self.settings.handshake_timeout, Limit::get)
    }
}

impl Reached {
    /// The targets that failed before this one was reached.
    pub fn failed(&self) -> &[Attempt] {
        self.rest.as_ref().map_or(&[], |rest| &rest.failed)
    }
}

impl Rest {
    /// As much as is worth keeping for as long as the stream lasts.
    fn kept(mut self) -> Option<Box<Self>> {
        if self.targets.len() == 0 {
            // What they came in would stay.
            self.targets = Vec::new().into_iter();
        }
        (self.targets.len() > 0 || !self.failed.is_empty()).then(|| Box::new(self))
    }

    /// Whether the targets so far left more than half of the time: less says little about who does not answer in it,
    /// and the first that does not answer in more is found out, so that no route stays stuck at its dead targets.
    fn is_fair(&self, settings: &settings::Upstream) -> bool {
        self.left > settings.timeout / 2
    }
}

/// What the kernel measured so far; it may not know yet.
fn round_trip(transport: &Transport) -> Option<Duration> {
    TcpInfo::of(transport.tcp()).ok()?.round_trip()
}

async fn ask(
    tcp: TcpStream,
    address: SocketAddr,
    target: &Target,
    request: &Line,
    how: &How,
) -> Result<Transport, TargetError> {
    let mut transport = match (&how.tls, target.tls) {
        (_, false) => Transport::Plain(tcp),
        (None, true) => return Err(TargetError::NoTls),
        (Some(tls), true) => {
            let handshake = tls.connect(target.tls_name().as_str(), tcp).await;
            Transport::Tls(Box::new(handshake.map_err(|source| TargetError::Handshake { address, source })?))
        }
    };
    match request::send(&mut transport, request).await {
        Ok(()) => Ok(transport),
        Err(source) => Err(TargetError::Broke { address, source }),
    }
}

#[cfg(test)]
mod tests;
