//! What a policy may expect of its engine, and the engine of a policy: on real scripts, through the public face.

mod folders;
mod hand;
mod hooks;
mod isolation;
mod journal;
mod loading;
mod mistakes;
mod order;
mod registry;
mod routes;
mod runaways;
mod shared;
mod threads;
mod tools;
mod zuul;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::metrics::Metrics;
use crate::names::BuildId;
use crate::registry::{Build, Components, Gateway, Snapshot, State, Worker};
use crate::request::Query;
use crate::route::Way;
use crate::tls::Identity;

pub(super) const UUID: &str = "0123456789abcdef0123456789abcdef";

/// A zone's relay with a registry of its own, to ask policies in.
pub(super) struct Scene {
    pub(super) query: Query,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) world: Arc<World>,
    pub(super) at: Moment,
    pub(super) build: Option<Arc<Build>>,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) seed: u64,
}

impl Scene {
    /// One build, which runs on `executor1:7900` in `zone`; no gateways.
    pub(super) fn running_in(zone: Option<&str>) -> Self {
        let worker = Worker { hostname: host("executor1"), log_port: Some(7900), zone: zone.map(in_zone) };
        Self { build: Some(Arc::new(build(Some(worker)))), ..Self::without_build() }
    }

    pub(super) fn without_build() -> Self {
        let query = Query::parse(UUID).unwrap();
        Self {
            query,
            snapshot: Arc::default(),
            world: Arc::default(),
            at: Moment::now(),
            build: None,
            identity: None,
            seed: 0,
        }
    }

    pub(super) fn asked(mut self, line: &str) -> Self {
        self.query = Query::parse(line).unwrap();
        self
    }

    pub(super) fn with(mut self, gateways: Vec<Gateway>) -> Self {
        let gateways = gateways.into_iter().map(Arc::new).collect();
        let components = Arc::new(Components { gateways, ..Components::default() });
        self.snapshot = Arc::new(Snapshot { components, ..(*self.snapshot).clone() });
        self
    }

    pub(super) fn seeded(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(super) fn of_tenant(mut self, tenant: &str) -> Self {
        self.build = self.build.map(|build| Arc::new(Build { tenant: Some(tenant.to_owned()), ..(*build).clone() }));
        self
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known { snapshot: &self.snapshot, world: &self.world, at: self.at }
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request {
            query: &self.query.line,
            uuid: self.query.build.as_ref(),
            build: self.build.as_ref(),
            known: self.known(),
            listener: "finger",
            peer: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
            server_name: Some("logs.example"),
            identity: self.identity.as_ref(),
            seed: self.seed,
        }
    }

    pub(super) fn ask(&self, policy: &Policy) -> Result<Route, Failure> {
        policy.route(&self.request())
    }
}

pub(super) fn build(worker: Option<Worker>) -> Build {
    Build {
        uuid: BuildId::parse(UUID).unwrap(),
        zone: Some(in_zone("asked")),
        tenant: Some("example".to_owned()),
        pipeline: Some("check".to_owned()),
        state: Some("running".to_owned()),
        worker,
    }
}

pub(super) fn gateway(name: &str, zone: &str, state: State) -> Gateway {
    Gateway {
        id: format!("{name}0000000001").into(),
        hostname: host(name),
        zone: Some(in_zone(zone)),
        public_port: Some(7979),
        use_ssl: true,
        state,
        version: None,
    }
}

pub(super) fn host(name: &str) -> Hostname {
    Hostname::parse(name).unwrap()
}

pub(super) fn in_zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

/// The relay of the tests stands in zone `here`.
pub(super) fn here() -> Place {
    Place { zone: Some(in_zone("here")), hostname: host("relay.example") }
}

pub(super) fn builtin(place: Place) -> Policy {
    Policy::load(&settings::Policy::default(), place, Metrics::new().policy.clone()).unwrap()
}

/// Loads `text` as the file `policy.lua` of a directory that is gone afterwards.
pub(super) fn try_load(text: &str, limits: settings::Policy) -> Result<Policy, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.lua");
    std::fs::write(&file, text).unwrap();
    let settings = settings::Policy { file: Some(file), ..limits };
    Policy::load(&settings, here(), Metrics::new().policy.clone())
}

pub(super) fn load(text: &str) -> Policy {
    try_load(text, settings::Policy::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// A policy that refuses every request, and has `more` after that, from line 2 on.
pub(super) fn hooking(more: &str) -> Policy {
    load(&hooks(more))
}

pub(super) fn hooks(more: &str) -> String {
    let head = "local policy = { api = 1, route = function() return relay.refuse('no') end }";
    format!("{head}\n{more}\nreturn policy")
}

/// A policy whose `route(request)` has `body`.
pub(super) fn routing(body: &str) -> Policy {
    load(&script(body))
}

/// `body` begins in line 1.
pub(super) fn script(body: &str) -> String {
    format!("local policy = {{ api = 1 }} function policy.route(request) {body}\nend return policy")
}

/// What `expression` is in a decision about `world`, as text.
pub(super) fn value_of(expression: &str, world: &Scene) -> String {
    let policy = routing(&format!("return relay.refuse(tostring({expression}))"));
    match world.ask(&policy) {
        Ok(Route { way: Way::Refuse(text), .. }) => text,
        other => panic!("{expression}: {other:?}"),
    }
}

pub(super) fn hosts(route: &Route) -> Vec<String> {
    match &route.way {
        Way::Targets(targets) => targets.iter().map(|target| target.host.to_string()).collect(),
        Way::Reply(reply) => vec![format!("replied: {}", reply.as_str())],
        Way::Refuse(text) => vec![format!("refused: {text}")],
    }
}

pub(super) fn short_limits() -> settings::Policy {
    settings::Policy { time_limit: Duration::from_millis(20), memory_limit: 4 << 20, ..settings::Policy::default() }
}
