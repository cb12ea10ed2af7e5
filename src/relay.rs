//! One running relay: what its streams share, and its life from bound sockets to a clean stop. It knows nothing of
//! signals, files or systemd, so that several can live in one process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::{info, info_span};

use crate::config::settings::{self, Settings};
use crate::generation::Generation;
use crate::listener::{Applied, BindError, Incoming, Listeners, Passed};
use crate::metrics::Metrics;
use crate::monitoring::{Health, Probe};
use crate::names::Hostname;
use crate::registry::{Announcement, Registration, Registry, State};
use crate::session;
use crate::stream::Pipes;
use crate::tasks::Tasks;
use crate::upstream::{Dialler, How, Itself};

/// Pipes for bulk transfers: two descriptors each, kept and used again.
const PIPES: usize = 64;

/// Longest wait for ZooKeeper to remove the relay's announcement.
const WITHDRAWAL: Duration = Duration::from_secs(5);

/// What every stream of a relay uses.
#[derive(Debug)]
pub struct Shared {
    /// Every number kept.
    pub metrics: Arc<Metrics>,
    /// What is known of builds.
    pub registry: Registry,
    /// The way to targets, and what was learnt on it.
    pub dialler: Dialler,
    /// Pipes for bulk transfers.
    pub pipes: Pipes,
    generation: ArcSwap<Generation>,
    how: ArcSwap<How>,
}

/// One running relay.
#[derive(Debug)]
pub struct Relay {
    shared: Arc<Shared>,
    listeners: Listeners,
    registration: Option<Registration>,
    state: watch::Sender<State>,
    streams: Tasks,
    services: Tasks,
}

impl Shared {
    /// The generation that decides about the next stream.
    pub fn generation(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// How targets are dialled, and which of them would be this relay.
    pub fn how(&self) -> Arc<How> {
        self.how.load_full()
    }
}

impl Relay {
    /// Binds every listener of `generation` and begins to read the registry. Viewers are served from here on; the
    /// rest of the system hears of the relay by [`Relay::announce`].
    pub fn start(generation: Generation, passed: Passed, metrics: Arc<Metrics>) -> Result<Self, Vec<BindError>> {
        let (streams, services) = (Tasks::new(), Tasks::new());
        show(&generation, &metrics);
        let shared = Arc::new(Shared {
            registry: generation.open_registry(&metrics, &services),
            dialler: Dialler::new(metrics.upstream.clone()),
            pipes: Pipes::new(PIPES),
            how: ArcSwap::from_pointee(how(&generation, Itself::default())),
            generation: ArcSwap::from_pointee(generation),
            metrics,
        });
        let listeners = Listeners::new(shared.metrics.listeners.clone(), services.clone()).with_passed(passed);
        let mut relay = Self {
            shared,
            listeners,
            registration: None,
            state: watch::Sender::new(State::Initializing),
            streams,
            services,
        };
        let generation = relay.shared.generation();
        relay.listen(&generation)?;
        relay.recognize_itself();
        Ok(relay)
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

    /// Registers the relay as a gateway, if it is configured to, and says that it runs.
    pub fn announce(&mut self) {
        let generation = self.shared.generation();
        if let Some(announcement) = announcement(&generation.settings, &self.addresses()) {
            self.registration = Registration::start(&self.shared.registry, announcement, &self.services);
            self.recognize_itself();
        }
        self.become_state(State::Running);
    }

    /// Says `state` to the registry and to whoever watches health.
    pub fn become_state(&mut self, state: State) {
        self.state.send_replace(state);
        if let Some(registration) = &self.registration {
            registration.state(state);
        }
        info!(state = state.as_str(), "state changed");
    }

    /// Puts `generation` in place of the one that serves. Nothing changes if a socket cannot be bound.
    pub fn reload(&mut self, generation: Generation) -> Result<Applied, Vec<BindError>> {
        let applied = self.listen(&generation)?;
        show(&generation, &self.shared.metrics);
        if let Some(tls) = &generation.zookeeper_tls {
            self.shared.registry.replace_tls(tls.clone());
        }
        self.shared.generation.store(Arc::new(generation));
        self.recognize_itself();
        Ok(applied)
    }

    /// Takes no more viewers, and is gone from the registry when this returns. Streams go on.
    pub async fn close(&mut self) {
        self.become_state(State::Stopped);
        self.listeners.close();
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
        self.services.stop();
        let _streams_ended = self.streams.ended_within(WITHDRAWAL).await;
        let _services_ended = self.services.ended_within(WITHDRAWAL).await;
    }

    fn listen(&mut self, generation: &Generation) -> Result<Applied, Vec<BindError>> {
        let (shared, streams) = (Arc::clone(&self.shared), self.streams.clone());
        let accept = move |incoming: Incoming| {
            let span = info_span!("stream", viewer = %incoming.peer);
            streams.spawn_until_stopped(span, session::serve(Arc::clone(&shared), incoming));
        };
        self.listeners.apply(generation.listeners.clone(), accept)
    }

    fn recognize_itself(&self) {
        let generation = self.shared.generation();
        let hostname = &generation.settings.hostname;
        let addresses = self.addresses();
        let mut names: Vec<(Hostname, u16)> =
            addresses.iter().map(|(_, address)| (hostname.clone(), address.port())).collect();
        names.extend(generation.settings.registration.public_port.map(|port| (hostname.clone(), port)));
        let itself = Itself {
            entries: self.registration.as_ref().map(Registration::own_names).unwrap_or_default(),
            names,
            listening: addresses.into_iter().map(|(_, address)| address).collect(),
        };
        self.shared.how.store(Arc::new(how(&generation, itself)));
    }
}

fn show(generation: &Generation, metrics: &Metrics) {
    metrics.reloads.generation.set(i64::try_from(generation.number).unwrap_or(i64::MAX));
    metrics.certificates.expire_first(generation.first_expiry());
}

fn how(generation: &Generation, itself: Itself) -> How {
    How { settings: generation.settings.upstream.clone(), tls: generation.upstream_tls.clone(), itself }
}

/// What others are told of the relay; `None` where they are told nothing.
fn announcement(settings: &Settings, addresses: &[(String, SocketAddr)]) -> Option<Announcement> {
    let registration = &settings.registration;
    if !registration.enabled {
        return None;
    }
    let named =
        |listener: &&settings::Listener| registration.listener.as_ref().is_none_or(|name| *name == listener.name);
    let listener = settings.listeners.iter().find(named)?;
    let bound = addresses.iter().find(|(name, _)| *name == listener.name).map(|(_, address)| address.port())?;
    Some(Announcement {
        hostname: settings.hostname.clone(),
        zone: settings.zone.clone(),
        public_port: registration.public_port.unwrap_or(bound),
        use_ssl: listener.tls.is_some(),
    })
}
