//! The monitoring port: metrics and health over HTTP, under the paths that Zuul's own services have.
//!
//! Reads state and changes none. A client that is slow, or one of very many, delays nobody else: each has one request
//! and one deadline. Facts: `MonitoringServer` in Zuul 14.3.0.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State as Given;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, debug_span};

use crate::config::settings;
use crate::listener::{BindError, Config, Incoming, Listeners, Plan};
use crate::metrics::Metrics;
use crate::registry::{Freshness, State};
use crate::standing::Standing;
use crate::tasks::Tasks;

/// Longest life of a connection: request, answer and all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections at one time. Scrapers and probes come one by one; a deadline later there is room again.
const CROWD: usize = 128;

/// What the metrics are written in.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the relay is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// What it announces of itself.
    pub state: State,
    /// How much of what it knows of builds is still true.
    pub freshness: Freshness,
}

/// Asks how the relay is now. Must not wait.
pub type Probe = Arc<dyn Fn() -> Health + Send + Sync>;

/// The monitoring port, open or closed.
pub struct Monitoring {
    listeners: Listeners,
    router: Router,
    tasks: Tasks,
}

#[derive(Clone)]
struct Sources {
    health: Probe,
    standing: watch::Receiver<Standing>,
    metrics: Arc<Metrics>,
    started: Instant,
}

impl Monitoring {
    /// Closed at first. Connections are served in `tasks`.
    pub fn new(health: Probe, standing: watch::Receiver<Standing>, metrics: Arc<Metrics>, tasks: Tasks) -> Self {
        let listeners = Listeners::new(metrics.listeners.clone(), tasks.clone());
        let sources = Sources { health, standing, metrics, started: Instant::now() };
        Self { listeners, router: router(sources), tasks }
    }

    /// Binds the port where `wanted` has it. One that stays where it is goes on untouched, and nothing changes yet.
    ///
    /// # Errors
    /// [`BindError`] when the new address cannot be bound.
    pub fn plan(&self, wanted: Option<&settings::Monitoring>) -> Result<Plan, Vec<BindError>> {
        let wanted = wanted.map(|wanted| Arc::new(listener(wanted.address)));
        self.listeners.plan(wanted.into_iter().collect())
    }

    /// Opens, moves or closes the port as planned. It cannot fail.
    pub fn apply(&mut self, plan: Plan) {
        let (router, tasks) = (self.router.clone(), self.tasks.clone());
        self.listeners.apply(plan, move |arrival| {
            let Some(incoming) = arrival.on(None) else { return };
            let span = debug_span!("monitoring", peer = %incoming.peer);
            tasks.spawn_until_stopped(span, serve(incoming, router.clone()));
        });
    }

    /// Where the port is bound; `None` while it is closed.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listeners.addresses().first().map(|(_, address)| *address)
    }
}

impl fmt::Debug for Monitoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitoring").field("address", &self.address()).finish_non_exhaustive()
    }
}

fn listener(address: SocketAddr) -> Config {
    let plain = settings::Listener::plain("monitoring", address);
    let settings = settings::Listener { max_connections: CROWD, max_connections_per_address: CROWD, ..plain };
    Config { settings, tls: None, stream: settings::Stream::default() }
}

async fn serve(incoming: Incoming, router: Router) {
    let Incoming { tcp, permit, .. } = incoming;
    // One request a connection: kept-alive ones would outlive every deadline that fits a request.
    let serving =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(tcp), TowerToHyperService::new(router));
    match timeout(PATIENCE, serving).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a monitoring client broke off"),
        Err(_) => debug!("a monitoring client was too slow"),
    }
    drop(permit);
}

fn router(sources: Sources) -> Router {
    Router::new()
        .route("/", get(metrics))
        .route("/metrics", get(metrics))
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .route("/health/status", get(status))
        .route("/health/reload", get(reload))
        .with_state(sources)
}

async fn metrics(Given(sources): Given<Sources>) -> impl IntoResponse {
    // An age grows by itself, so it is true only when it is asked for.
    let age = match (sources.health)().freshness {
        Freshness::Live => Duration::ZERO,
        Freshness::StaleSince(since) => since.elapsed(),
        Freshness::Never => sources.started.elapsed(),
    };
    sources.metrics.registry.age.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    ([(CONTENT_TYPE, OPENMETRICS)], sources.metrics.text())
}

/// The state as Zuul writes it here: in upper case, without a newline.
async fn status(Given(sources): Given<Sources>) -> String {
    (sources.health)().state.as_str().to_uppercase()
}

async fn ready(Given(sources): Given<Sources>) -> (StatusCode, String) {
    let health = (sources.health)();
    let code = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // The last good generation serves on, so a refused one is no reason to be sent no viewers.
    let refused =
        if sources.standing.borrow().refused.is_some() { "; last reload refused, see /health/reload" } else { "" };
    (code, format!("{}{refused}\n", health.in_words(Instant::now())))
}

/// Which generation serves, and all that is wrong with the one that should; an error while there is such a one, so that
/// whoever put a change in place learns of it from the code alone.
async fn reload(Given(sources): Given<Sources>) -> (StatusCode, String) {
    let standing = sources.standing.borrow().clone();
    let code = if standing.refused.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("{standing}\n"))
}

impl Health {
    /// Whether viewers may be sent here. Zuul looks at the state alone, and says yes while ZooKeeper refuses it for
    /// ever; a relay that never read the registry knows no build. One whose registry is away serves from its mirror.
    fn is_ready(&self) -> bool {
        matches!(self.state, State::Running | State::Paused) && self.freshness != Freshness::Never
    }

    fn in_words(&self, now: Instant) -> String {
        let registry = match self.freshness {
            Freshness::Never => "never read".to_owned(),
            Freshness::Live => "live".to_owned(),
            Freshness::StaleSince(since) => format!("away for {} s", now.saturating_duration_since(since).as_secs()),
        };
        format!("{}; registry {registry}", self.state.as_str())
    }
}

#[cfg(test)]
mod tests;
