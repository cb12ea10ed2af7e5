//! One running relay: what its streams share, and its life from bound sockets to a clean stop. It knows nothing of
//! signals, files or systemd, so that several can live in one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, debug_span, info};

use crate::config::settings::{self, Settings};
use crate::generation::Generation;
use crate::listener::{Applied, Arrival, BindError, Listeners, Passed, Plan};
use crate::metrics::Metrics;
use crate::monitoring::{Health, Probe};
use crate::policy::background::Background;
use crate::registry::{Announcement, Registration, State};
use crate::session;
use crate::shared::Shared;
use crate::tasks::Tasks;
use crate::upstream::Itself;
use crate::workers::{Seat, Workers};

/// Longest wait for ZooKeeper to remove the relay's announcement.
const WITHDRAWAL: Duration = Duration::from_secs(5);

/// Longest wait for tasks that were told to end.
const END: Duration = Duration::from_secs(5);

/// One running relay.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    listeners: Listeners,
    /// Sockets on which nobody is accepted yet.
    bound: Option<Plan>,
    registration: Option<Registration>,
    background: Background,
    state: watch::Sender<State>,
    workers: Workers,
    streams: Tasks,
    services: Tasks,
}

impl Relay {
    /// Binds every listener of `generation` and begins to read the registry; streams will be served by `workers`.
    /// Viewers wait until [`Relay::serve`].
    pub fn bind(
        generation: Generation,
        passed: Passed,
        workers: Workers,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Vec<BindError>> {
        let (streams, services) = (Tasks::new(), Tasks::new());
        let listeners = Listeners::new(metrics.listeners.clone(), services.clone());
        let listeners = listeners.with_passed(passed).on(workers.host());
        let bound = Some(listeners.plan(generation.listeners.clone())?);
        let shared = Arc::new(Shared::new(generation, metrics, &services));
        let (registry, world) = (shared.registry.clone(), Arc::clone(&shared.world));
        let background = Background::new(registry, world, shared.metrics.policy.clone(), services.clone());
        let state = watch::Sender::new(State::Initializing);
        Ok(Self { shared, listeners, bound, registration: None, background, state, workers, streams, services })
    }

    /// Accepts viewers, registers the relay as a gateway if it is configured to be one, and says that it runs.
    pub fn serve(&mut self) {
        let generation = self.shared.generation();
        if let Some(announcement) = self.bound.as_ref().and_then(|bound| announcement(&generation.settings, bound)) {
            self.registration = Registration::start(&self.shared.registry, announcement, &self.services);
        }
        if let Some(bound) = self.bound.take() {
            self.background.replace(&generation.policy);
            self.shared.publish(generation, self.itself(&bound));
            self.listen(bound);
        }
        self.become_state(State::Running);
    }

    /// What the relay's streams share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Tells at any time how the relay is.
    pub fn health(&self) -> Probe {
        let (shared, state) = (Arc::clone(&self.shared), self.state.subscribe());
        Arc::new(move || Health { state: *state.borrow(), freshness: shared.registry.snapshot().freshness })
    }

    /// Where the listeners are bound, by name.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.listeners.addresses()
    }

    /// Says `state` to the registry and to whoever watches health.
    pub fn become_state(&mut self, state: State) {
        self.state.send_replace(state);
        if let Some(registration) = &self.registration {
            registration.state(state);
        }
        info!(state = state.as_str(), "state changed");
    }

    /// Binds what `generation` needs beyond what is bound. Nothing changes by it, whatever comes of it.
    pub fn plan(&self, generation: &Generation) -> Result<Plan, Vec<BindError>> {
        self.listeners.plan(generation.listeners.clone())
    }

    /// Puts `generation` in place of the one that serves, on the sockets of `plan`. It cannot fail.
    pub fn adopt(&mut self, generation: Generation, plan: Plan) {
        let announced = announcement(&generation.settings, &plan);
        self.background.replace(&generation.policy);
        self.shared.publish(Arc::new(generation), self.itself(&plan));
        self.listen(plan);
        if let (Some(registration), Some(announcement)) = (&self.registration, announced) {
            registration.announce(announcement);
        }
    }

    /// Takes no more viewers, has no more background work, and is gone from the registry when this returns. Streams go
    /// on.
    pub async fn close(&mut self) {
        self.become_state(State::Stopped);
        self.listeners.close();
        self.background.stop();
        if let Some(registration) = self.registration.take() {
            registration.withdraw(WITHDRAWAL).await;
        }
    }

    /// Waits for the streams that are left, for at most `deadline`; says whether all came to their end.
    pub async fn drained_within(&self, deadline: Duration) -> bool {
        self.streams.ended_within(deadline).await
    }

    /// How many streams are open.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Ends whatever still runs, streams included.
    pub async fn end(self) {
        self.streams.stop();
        self.background.stop();
        self.services.stop();
        let _streams_ended = self.streams.ended_within(END).await;
        let _services_ended = self.services.ended_within(END).await;
    }

    fn listen(&mut self, plan: Plan) {
        let (shared, streams, workers) = (Arc::clone(&self.shared), self.streams.clone(), self.workers.clone());
        let accept = move |arrival| serve(&shared, &streams, workers.seat(), arrival);
        let Applied { added, removed, kept } = self.listeners.apply(plan, accept);
        self.shared.serving();
        debug!(?added, ?removed, ?kept, "listeners applied");
    }

    /// Everything by which a target turns out to be this relay, once it serves on `plan`.
    fn itself(&self, plan: &Plan) -> Itself {
        let settings = &self.shared.generation().settings;
        let listening: Vec<SocketAddr> = plan.addresses().into_iter().map(|(_, address)| address).collect();
        let ports = listening.iter().map(SocketAddr::port).chain(settings.registration.public_port);
        Itself {
            entries: self.registration.as_ref().map(Registration::own_names).unwrap_or_default(),
            names: ports.map(|port| (settings.hostname.clone(), port)).collect(),
            listening,
        }
    }
}

/// Serves a connection that the workers' host accepted, on the worker of its seat.
fn serve(shared: &Arc<Shared>, streams: &Tasks, seat: Option<Seat>, arrival: Arrival) {
    let elsewhere = seat.as_ref().and_then(Seat::elsewhere).cloned();
    let Some(mut incoming) = arrival.on(elsewhere.as_ref()) else { return };
    incoming.permit.seat = seat;
    // Made only where what it gives a context to is logged: a span takes 300 bytes for as long as it lives, and time
    // whenever its stream moves.
    let span = debug_span!(parent: None, "stream", peer = %incoming.peer);
    streams.spawn_until_stopped_on(elsewhere.as_ref(), span, session::serve(Arc::clone(shared), incoming));
}

/// What others are told of the relay; `None` where they are told nothing.
fn announcement(settings: &Settings, plan: &Plan) -> Option<Announcement> {
    let registration = &settings.registration;
    if !registration.enabled {
        return None;
    }
    let named =
        |listener: &&settings::Listener| registration.listener.as_ref().is_none_or(|name| *name == listener.name);
    let listener = settings.listeners.iter().find(named)?;
    let (_, bound) = plan.addresses().into_iter().find(|(name, _)| *name == listener.name)?;
    Some(Announcement {
        hostname: settings.hostname.clone(),
        zone: settings.zone.clone(),
        public_port: registration.public_port.unwrap_or_else(|| bound.port()),
        use_ssl: listener.tls.is_some(),
    })
}
