//! What decides in every benchmark: a relay in zone `here`, with 10 000 running builds in its registry and the default
//! policy. It knows nothing of how long anything takes.

pub(crate) mod builds;

use std::future::Future as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use anyhow::{Context as _, Result};
use fingerpost::config::settings;
use fingerpost::metrics::{self, Metrics};
use fingerpost::names::{BuildId, Zone};
use fingerpost::policy::{Known, Moment, Place, Policy, Request, World};
use fingerpost::registry::{Build, Components, Freshness, Gateway, Publisher, Registry, State, Worker};

use builds::{BUILDS, build, hostname, uuid};

/// What a relay knows, and builds to ask it for.
pub(crate) struct Site {
    registry: Registry,
    world: Arc<World>,
    /// Builds in the relay's own zone.
    pub(crate) own: Vec<BuildId>,
    /// Builds in another zone, which has gateways.
    pub(crate) foreign: Vec<BuildId>,
    /// Builds that nobody knows.
    pub(crate) unknown: Vec<BuildId>,
}

impl Site {
    /// Half of the builds run in the relay's own zone.
    pub(crate) fn new() -> Result<Self> {
        let mut publisher = Publisher::new(metrics::Registry::default());
        let builds = (0..BUILDS).map(|number| build(number, worker(number)?)).collect::<Result<Vec<_>>>()?;
        let gateways = (1..=3).map(gateway).collect::<Result<_>>()?;
        let ids = |parity| builds.iter().skip(parity).step_by(2).map(|build| build.uuid.clone()).collect();
        let (own, foreign) = (ids(0), ids(1));
        publisher.publish(|snapshot| {
            snapshot.builds = builds.iter().map(Arc::clone).collect();
            snapshot.components = Arc::new(Components { gateways, ..Components::default() });
            snapshot.freshness = Freshness::Live;
        });
        let unknown = (BUILDS..2 * BUILDS).map(uuid).collect::<Result<_>>()?;
        Ok(Self { registry: Registry::mirror_of(&publisher), world: Arc::default(), own, foreign, unknown })
    }

    /// What a session does between the request and the route.
    pub(crate) fn decide(&self, policy: &Policy, id: &BuildId, seed: u64) -> Result<()> {
        let build = self.find(id)?;
        let request = Request {
            query: id.as_str(),
            uuid: Some(id),
            build: build.as_ref(),
            known: Known { snapshot: &self.registry.snapshot(), world: &self.world, at: Moment::now() },
            listener: "finger",
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            server_name: None,
            identity: None,
            seed,
        };
        black_box(policy.route(&request)?);
        Ok(())
    }

    /// Never waits: there is nothing behind this registry to ask.
    pub(crate) fn find(&self, id: &BuildId) -> Result<Option<Arc<Build>>> {
        match pin!(self.registry.find(id)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(build) => Ok(build?),
            Poll::Pending => anyhow::bail!("the mirror did not answer at once"),
        }
    }
}

/// The default policy of a relay in zone `here`.
pub(crate) fn default_policy(time_limit: Duration) -> Result<Policy> {
    let settings = settings::Policy { time_limit, ..settings::Policy::default() };
    let place = Place { zone: Some(zone("here")?), hostname: hostname("relay.example")? };
    Ok(Policy::load(&settings, place, Metrics::new().policy.clone())?)
}

fn worker(number: usize) -> Result<Worker> {
    let zone = zone(if number.is_multiple_of(2) { "here" } else { "there" })?;
    let hostname = hostname(&format!("executor{:02}.example", number % 40))?;
    Ok(Worker { hostname, log_port: Some(7900), zone: Some(zone) })
}

fn gateway(number: usize) -> Result<Arc<Gateway>> {
    Ok(Arc::new(Gateway {
        id: format!("gateway{number}.example0000000001").into(),
        hostname: hostname(&format!("gateway{number}.example"))?,
        zone: Some(zone("there")?),
        public_port: Some(7979),
        use_ssl: true,
        state: State::Running,
        version: None,
    }))
}

fn zone(name: &str) -> Result<Zone> {
    Zone::parse(name).context("not a zone")
}
