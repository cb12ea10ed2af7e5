//! What a decision costs: the default policy on 10 000 running builds, from the look-up in the registry to the route,
//! beside the call of an empty function. Prints a table; it must never be read on a machine that is busy otherwise.
//!
//! With `count CASE CALLS` it prints nothing and does so many calls of one case, for tools that count instructions or take
//! samples: what they say of a busy machine is as good.

#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::env;
use std::fs;
use std::future::Future as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fingerpost::config::settings;
use fingerpost::metrics::{self, Metrics};
use fingerpost::names::{BuildId, Hostname, Zone};
use fingerpost::policy::{Known, Moment, Place, Policy, Request, World};
use fingerpost::registry::{Build, Components, Freshness, Gateway, Publisher, Registry, State, Worker};
use mlua::{Function, Lua, VmState};

/// Running builds in the registry, half of them in the relay's own zone.
const BUILDS: usize = 10_000;

/// Decisions that are timed together: enough to make the clock's own time disappear.
const BATCH: usize = 100;

/// Timings of which the median is shown.
const BATCHES: usize = 2_000;

/// Policies that are held at one time to see what one of them takes.
const HELD: usize = 64;

/// How long a round of the comparison of one thread with two takes, and how many there are.
const ROUND: Duration = Duration::from_millis(200);
const ROUNDS: usize = 10;

/// A relay in zone `here`, and builds to ask it for.
struct Bench {
    registry: Registry,
    world: Arc<World>,
    own: Vec<BuildId>,
    foreign: Vec<BuildId>,
    unknown: Vec<BuildId>,
}

/// Nanoseconds of one call, over all batches.
struct Timing {
    median: f64,
    slow: f64,
}

fn main() -> Result<()> {
    let bench = Bench::new()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [count, case, calls] = arguments.as_slice()
        && count == "count"
    {
        // Tools that count make calls up to a hundred times as slow.
        return bench.count(&default_policy(Duration::from_secs(10))?, case, calls.parse()?);
    }
    let policy = default_policy(settings::Policy::default().time_limit)?;
    show_machine()?;
    bench.show_times(&policy)?;
    show_memory()?;
    bench.show_scaling(&policy)
}

impl Bench {
    fn new() -> Result<Self> {
        let mut publisher = Publisher::new(metrics::Registry::default());
        let builds = (0..BUILDS).map(build).collect::<Result<Vec<_>>>()?;
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

    fn show_times(&self, policy: &Policy) -> Result<()> {
        println!("\none call, on one core                      median ns   x empty   slowest 1 % of batches, ns");
        let (empty, _engine) = empty_function()?;
        let base = timing(|| empty.call::<()>(()).context("the empty function failed"))?;
        base.show("empty Luau function, with the same limits", &base);
        let mut ids = self.foreign.iter().cycle();
        let find = timing(|| self.find(ids.next().context("no builds")?).map(|build| drop(black_box(build))))?;
        find.show("look-up in the registry alone", &base);
        let mut seed = 0;
        for (title, ids) in [
            ("default policy, build in the own zone", &self.own),
            ("default policy, other zone, 3 gateways", &self.foreign),
            ("default policy, unknown build", &self.unknown),
        ] {
            let mut next = ids.iter().cycle();
            let timing = timing(|| {
                seed += 1;
                self.decide(policy, next.next().context("no builds")?, seed)
            })?;
            timing.show(title, &base);
        }
        Ok(())
    }

    /// Does one case so many times, and says nothing of it.
    fn count(&self, policy: &Policy, case: &str, calls: u64) -> Result<()> {
        let ids = match case {
            "empty" => {
                let (empty, _engine) = empty_function()?;
                return (0..calls).try_for_each(|_| empty.call::<()>(()).context("the empty function failed"));
            }
            "own" => &self.own,
            "foreign" => &self.foreign,
            "unknown" => &self.unknown,
            other => anyhow::bail!("no case is called {other:?}: there are empty, own, foreign and unknown"),
        };
        (0..calls).zip(ids.iter().cycle()).try_for_each(|(seed, id)| self.decide(policy, id, seed))
    }

    /// What a session does between the request and the route.
    fn decide(&self, policy: &Policy, id: &BuildId, seed: u64) -> Result<()> {
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
    fn find(&self, id: &BuildId) -> Result<Option<Arc<Build>>> {
        match pin!(self.registry.find(id)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(build) => Ok(build?),
            Poll::Pending => anyhow::bail!("the mirror did not answer at once"),
        }
    }

    fn show_scaling(&self, policy: &Policy) -> Result<()> {
        let (mut one, mut two) = (0.0_f64, 0.0_f64);
        for _ in 0..ROUNDS {
            one = one.max(self.rate(policy, 1)?);
            two = two.max(self.rate(policy, 2)?);
        }
        println!("\ndecisions a second, best of {ROUNDS} rounds");
        println!("one thread   {one:>12.0}\ntwo threads  {two:>12.0}   x {:.2}", two / one);
        Ok(())
    }

    /// Decisions a second of so many threads together.
    fn rate(&self, policy: &Policy, threads: usize) -> Result<f64> {
        let work = |thread: usize| -> Result<f64> {
            // As viewers do, each thread asks for other builds than its neighbour.
            let ids = self.foreign.iter().skip(thread * BATCH).take(BATCH);
            let (began, mut count) = (Instant::now(), 0_u64);
            while began.elapsed() < ROUND {
                count += BATCH as u64;
                ids.clone().try_for_each(|id| self.decide(policy, id, count))?;
            }
            Ok(count as f64 / began.elapsed().as_secs_f64())
        };
        thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, Result<f64>>| {
                thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
            };
            running.into_iter().map(join).sum()
        })
    }
}

impl Timing {
    fn show(&self, title: &str, base: &Self) {
        println!("{title:42} {:>9.0} {:>9.1} {:>9.0}", self.median, self.median / base.median, self.slow);
    }
}

fn timing(mut call: impl FnMut() -> Result<()>) -> Result<Timing> {
    let mut batch = || -> Result<f64> {
        let began = Instant::now();
        (0..BATCH).try_for_each(|_| call())?;
        Ok(began.elapsed().as_nanos() as f64 / BATCH as f64)
    };
    let mut all = (0..BATCHES).map(|_| batch()).collect::<Result<Vec<_>>>()?;
    all.sort_by(f64::total_cmp);
    let at = |share: usize| all.get(BATCHES * share / 100).copied().context("no batches");
    Ok(Timing { median: at(50)?, slow: at(99)? })
}

/// With the limits that an engine has.
fn empty_function() -> Result<(Function, Lua)> {
    let lua = Lua::new();
    lua.sandbox(true)?;
    lua.set_memory_limit(settings::Policy::default().memory_limit)?;
    let (origin, limit) = (Instant::now(), Duration::from_secs(3600));
    lua.set_interrupt(move |_| match origin.elapsed() > limit {
        true => Err(mlua::Error::runtime("too late")),
        false => Ok(VmState::Continue),
    });
    Ok((lua.load("return function() end").eval()?, lua))
}

fn default_policy(time_limit: Duration) -> Result<Policy> {
    let settings = settings::Policy { time_limit, ..settings::Policy::default() };
    let place = Place { zone: Some(zone("here")?), hostname: hostname("relay.example")? };
    Ok(Policy::load(&settings, place, Metrics::new().policy.clone())?)
}

fn show_machine() -> Result<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    println!("\n{} cores, Linux {}, {BUILDS} running builds", thread::available_parallelism()?, kernel.trim());
    Ok(())
}

/// Each policy has one engine on this thread, which has just decided.
fn show_memory() -> Result<()> {
    let bench = Bench::new()?;
    let id = bench.foreign.first().context("no builds")?;
    let before = resident()?;
    let mut held = Vec::new();
    for seed in 0..HELD as u64 {
        let policy = default_policy(settings::Policy::default().time_limit)?;
        bench.decide(&policy, id, seed)?;
        held.push(policy);
    }
    let each = resident()?.saturating_sub(before) / held.len();
    println!("\nmemory of one engine at rest: {each} bytes resident, its policy's text and metrics included");
    Ok(())
}

/// Bytes of memory that this process has.
fn resident() -> Result<usize> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
}

fn build(number: usize) -> Result<Arc<Build>> {
    let zone = zone(if number.is_multiple_of(2) { "here" } else { "there" })?;
    let hostname = hostname(&format!("executor{:02}.example", number % 40))?;
    Ok(Arc::new(Build {
        uuid: uuid(number)?,
        zone: Some(zone.clone()),
        tenant: Some("example".to_owned()),
        pipeline: Some("check".to_owned()),
        state: Some("running".to_owned()),
        worker: Some(Worker { hostname, log_port: Some(7900), zone: Some(zone) }),
    }))
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

/// Scattered as Zuul's are, so that no two begin alike.
fn uuid(number: usize) -> Result<BuildId> {
    let scattered = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    BuildId::parse(&format!("{scattered:032x}")).context("not a uuid")
}

fn zone(name: &str) -> Result<Zone> {
    Zone::parse(name).context("not a zone")
}

fn hostname(name: &str) -> Result<Hostname> {
    Hostname::parse(name).context("not a host name")
}
