//! The sockets that viewers connect to: bound, kept through reloads, closed.
//!
//! The accept loops await no peer and end on no error; whatever a peer can delay (PROXY header, TLS handshake) happens
//! in [`Incoming::greet`], in the task of the connection. A socket whose address did not change is never made anew.

mod accept;
mod bind;
mod greet;
mod limits;
mod passed;
mod proxy;
mod refusals;

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, info_span};

use crate::config::settings;
use crate::config::settings::ListenAddress;
use crate::metrics;
use crate::metrics::ByListener;
use crate::stream::tune_viewers;
use crate::tasks::Tasks;
use crate::tls;

pub use bind::BindError;
pub use greet::{Arrival, Greeting, Incoming, Viewer};
pub use limits::Permit;
pub use passed::Passed;

use bind::Bound;
use limits::Limits;
use refusals::Refusals;

/// What one listener serves with, in one generation.
#[derive(Debug)]
pub struct Config {
    /// Its name, address, limits and deadlines.
    pub settings: settings::Listener,
    /// Its certificates, loaded; `None` serves plain TCP.
    pub tls: Option<tls::Server>,
    /// How its viewers' bytes are moved, for the options of their sockets.
    pub stream: settings::Stream,
}

/// Every socket that viewers connect to.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<Arc<Socket>>,
    passed: Passed,
    metrics: metrics::Listeners,
    tasks: Tasks,
    /// Where connections are accepted; `None` accepts them where the socket is bound.
    host: Option<Handle>,
}

/// What a successful [`Listeners::apply`] did, by listener name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Bound now.
    pub added: Vec<String>,
    /// Closed now; their connections go on.
    pub removed: Vec<String>,
    /// Untouched sockets, whose next connections get the new settings.
    pub kept: Vec<String>,
}

/// One bound socket, with what serves it now.
#[derive(Debug)]
struct Socket {
    bound: Bound,
    serving: ArcSwap<Serving>,
    limits: Arc<Limits>,
    refusals: Arc<Refusals>,
    closed: CancellationToken,
}

/// What serves a socket's next connections, with what is made of it once for all of them.
#[derive(Debug)]
struct Serving {
    config: Arc<Config>,
    /// Connections accepted under its name.
    accepted: Counter,
}

/// How the open sockets become the wanted ones. Everything new is bound, and nothing has changed yet.
#[derive(Debug)]
#[must_use = "dropping it gives the new sockets up"]
pub struct Plan {
    steps: Vec<Step>,
    leaving: Vec<Arc<Socket>>,
}

/// What becomes of one wanted listener.
#[derive(Debug)]
enum Step {
    Keep(Arc<Socket>, Arc<Config>),
    Add(Bound, Arc<Config>),
}

impl Listeners {
    /// No socket yet. Accept loops run in `tasks` and count in `metrics`.
    pub fn new(metrics: metrics::Listeners, tasks: Tasks) -> Self {
        Self { sockets: Vec::new(), passed: Passed::default(), metrics, tasks, host: None }
    }

    /// Gives the sockets that systemd passed, for listeners that are configured to use one.
    pub fn with_passed(self, passed: Passed) -> Self {
        Self { passed, ..self }
    }

    /// Has connections accepted by `host`.
    pub fn on(self, host: Option<&Handle>) -> Self {
        Self { host: host.cloned(), ..self }
    }

    /// Carries out `plan`, which cannot fail. Sockets no longer wanted are closed once the new ones are served.
    ///
    /// `handler` gets every connection of the sockets added here and must not wait; kept ones stay with the handler
    /// that they were added with, so it should look the generation up itself.
    pub fn apply<H>(&mut self, plan: Plan, handler: H) -> Applied
    where
        H: Fn(Arrival) + Clone + Send + Sync + 'static,
    {
        let Plan { steps, leaving } = plan;
        let mut applied = Applied::default();
        self.sockets = steps.into_iter().map(|step| self.take(step, &handler, &mut applied)).collect();
        for socket in leaving {
            applied.removed.push(socket.name());
            socket.close();
        }
        applied
    }

    /// Every listener's name with the address it is bound to, in the order of the configuration.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.sockets.iter().map(|socket| (socket.name(), socket.bound.address)).collect()
    }

    /// Closes every socket before it returns. Connections that were accepted go on.
    pub fn close(&mut self) {
        for socket in self.sockets.drain(..) {
            socket.close();
        }
    }

    /// Binds what is missing to make the open sockets those of `wanted`, without touching what is there. A socket is
    /// kept where name and address, or the address alone, are still wanted. Needs tokio's runtime, if it has no host.
    ///
    /// # Errors
    /// One [`BindError`] for each listener that cannot be bound.
    pub fn plan(&self, wanted: Vec<Arc<Config>>) -> Result<Plan, Vec<BindError>> {
        // A socket belongs to the runtime that it is made in.
        let _entered = self.host.as_ref().map(Handle::enter);
        let mut leaving = self.sockets.clone();
        let kept = keep(&wanted, &mut leaving);
        let mut errors = Vec::new();
        let mut steps = Vec::new();
        for (config, kept) in wanted.into_iter().zip(kept) {
            match kept {
                Some(socket) => steps.push(Step::Keep(socket, config)),
                None => match self.bind(&config, &leaving) {
                    Ok(bound) => steps.push(Step::Add(bound, config)),
                    Err(error) => errors.push(error),
                },
            }
        }
        if errors.is_empty() { Ok(Plan { steps, leaving }) } else { Err(errors) }
    }

    fn bind(&self, config: &Config, leaving: &[Arc<Socket>]) -> Result<Bound, BindError> {
        let bound = match &config.settings.address {
            ListenAddress::Bind(address) => {
                bind::bind(*address, &config.stream, leaving.iter().map(|socket| &socket.bound))
            }
            ListenAddress::Systemd(name) => self.passed.socket(name, &config.stream),
        };
        bound.map_err(|cause| BindError::new(&config.settings, cause))
    }

    fn take<H>(&self, step: Step, handler: &H, applied: &mut Applied) -> Arc<Socket>
    where
        H: Fn(Arrival) + Clone + Send + Sync + 'static,
    {
        match step {
            Step::Keep(socket, config) => {
                tune_viewers(&socket.bound.tcp, &config.stream);
                socket.serving.store(Arc::new(Serving::new(config, &self.metrics)));
                applied.kept.push(socket.name());
                socket
            }
            Step::Add(bound, config) => {
                let socket = Arc::new(Socket::new(bound, config, &self.metrics));
                self.serve(&socket, handler.clone());
                applied.added.push(socket.name());
                socket
            }
        }
    }

    fn serve<H>(&self, socket: &Arc<Socket>, handler: H)
    where
        H: Fn(Arrival) + Send + Sync + 'static,
    {
        let address = socket.bound.address;
        info!(listener = socket.name(), %address, "listening");
        let closed = socket.closed.clone();
        let accepting = accept::run(Arc::clone(socket), handler);
        self.tasks.spawn_until_stopped_on(self.host.as_ref(), info_span!("accept", %address), async move {
            let _unless_closed = closed.run_until_cancelled(accepting).await;
        });
    }
}

impl Plan {
    /// Every wanted listener's name with the address it is, or will be, served on.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        let address = |step: &Step| {
            let (bound, config) = match step {
                Step::Keep(socket, config) => (&socket.bound, config),
                Step::Add(bound, config) => (bound, config),
            };
            (config.settings.name.clone(), bound.address)
        };
        self.steps.iter().map(address).collect()
    }
}

/// Finds for each wanted listener the open socket that can serve it, and takes it out of `open`. Names are looked at
/// first, so that two listeners on port 0 keep a socket each; then addresses alone, so that a name can change.
fn keep(wanted: &[Arc<Config>], open: &mut Vec<Arc<Socket>>) -> Vec<Option<Arc<Socket>>> {
    let mut kept: Vec<_> = wanted.iter().map(|config| extract(open, |socket| socket.is(config, true))).collect();
    for (config, kept) in wanted.iter().zip(&mut kept) {
        if kept.is_none() {
            *kept = extract(open, |socket| socket.is(config, false));
        }
    }
    kept
}

fn extract(open: &mut Vec<Arc<Socket>>, fits: impl Fn(&Socket) -> bool) -> Option<Arc<Socket>> {
    let index = open.iter().position(|socket| fits(socket))?;
    Some(open.remove(index))
}

impl Serving {
    fn new(config: Arc<Config>, metrics: &metrics::Listeners) -> Self {
        let by = ByListener { listener: config.settings.name.clone() };
        Self { accepted: metrics.accepted.get_or_create_owned(&by), config }
    }
}

impl Socket {
    fn new(bound: Bound, config: Arc<Config>, metrics: &metrics::Listeners) -> Self {
        Self {
            bound,
            serving: ArcSwap::from_pointee(Serving::new(config, metrics)),
            limits: Arc::default(),
            refusals: Arc::new(Refusals::new(metrics.clone())),
            closed: CancellationToken::new(),
        }
    }

    fn name(&self) -> String {
        self.serving.load().config.settings.name.clone()
    }

    fn is(&self, config: &Config, same_name: bool) -> bool {
        let own = &self.serving.load().config;
        own.settings.address == config.settings.address && (!same_name || own.settings.name == config.settings.name)
    }

    fn close(&self) {
        info!(listener = self.name(), address = %self.bound.address, "no longer listening");
        self.closed.cancel();
        self.bound.close();
    }
}

#[cfg(test)]
mod tests;
