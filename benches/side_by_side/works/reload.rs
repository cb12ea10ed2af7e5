//! A policy's reload under lines of many builds: the longest that any line waits, beside the same without a reload.

use std::fs;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::load::{Asking, Executor, Streams};
use crate::peers::{Peer, Place};
use crate::rounds::Pace;
use crate::site::{HERE, Site};
use crate::support::gateway::{Conf, Gateway};
use crate::table::{Row, Target};

/// Streams with lines.
const STREAMS: usize = 5_000;
/// How often each has a line.
const EVERY: Duration = Duration::from_millis(500);
/// Reloads of one round.
const RELOADS: u32 = 8;
/// From one reload to the next.
const PAUSE: Duration = Duration::from_secs(1);

const GENERATION: &str = "fingerpost_generation";
const POLICY: &str = include_str!("../../../scripts/default.lua");

pub async fn measure(site: &Site, pace: &Pace) -> Vec<Row> {
    let relay = Relay::start(site).await;
    let executor = Executor::start();
    let build = site.build(HERE, executor.address).await;
    let place = Place::plain(relay.gateway.conf.address);
    let streams = Streams::open(&executor, &Asking::new(&build.uuid, site.tls()), place, STREAMS);
    let count = (RELOADS / pace.divisor).max(1);
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 0..=pace.rounds {
        let undisturbed = longest(&streams, count, relay.stays(count)).await;
        let disturbed = longest(&streams, count, relay.reloads(count)).await;
        // As everywhere, nobody counts the first.
        if round > 0 {
            without.push(undisturbed);
            with.push(disturbed);
        }
    }
    rows(with, without)
}

fn rows(with: Vec<f64>, without: Vec<f64>) -> Vec<Row> {
    let row = |work: &str, figures, targets| Row {
        work: work.to_owned(),
        unit: "ms",
        samples: vec![(Peer::Fingerpost, figures)],
        targets,
    };
    vec![
        row("5 000 streams: longest delay of any line, no reload", without, Vec::new()),
        row("the same while the policy is reloaded every second", with, vec![Target::AtMost(20.0)]),
    ]
}

/// The longest that any line took during `count` pauses, in milliseconds.
async fn longest(streams: &Streams, count: u32, meanwhile: impl Future<Output = ()>) -> f64 {
    let (delays, ()) = tokio::join!(streams.lines(EVERY, PAUSE * count), meanwhile);
    delays.iter().max().expect("there were lines").as_secs_f64() * 1e3
}

/// A relay whose policy is a file.
struct Relay {
    gateway: Gateway,
}

impl Relay {
    async fn start(site: &Site) -> Self {
        let conf = Conf::plain(&site.world, HERE);
        let yaml = conf.dir.path().join("fingerpost.yaml");
        fs::write(&yaml, text(site, &conf)).expect("the configuration written");
        fs::write(conf.dir.path().join("policy.lua"), POLICY).expect("the policy written");
        Self { gateway: Gateway::configured(&site.world, conf, &yaml).await }
    }

    /// Changes the policy `count` times.
    async fn reloads(&self, count: u32) {
        let before = self.gateway.metric(GENERATION).await;
        let numbers: Vec<_> = (1..=count).map(|number| before + u64::from(number)).collect();
        self.pass(&numbers, |number| self.replace(number)).await;
    }

    /// Changes nothing, and asks as often whether anything has changed.
    async fn stays(&self, count: u32) {
        let before = self.gateway.metric(GENERATION).await;
        let numbers: Vec<_> = (0..count).map(|_| before).collect();
        self.pass(&numbers, |_| ()).await;
    }

    /// Changes what makes each of these generations, and a pause later waits for it.
    async fn pass(&self, generations: &[u64], change: impl Fn(u64)) {
        let mut pauses = interval(PAUSE);
        pauses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pauses.tick().await;
        for generation in generations {
            change(*generation);
            pauses.tick().await;
            self.gateway.until_metric(GENERATION, *generation).await;
        }
    }

    /// Writes a policy that says the same in another file, as careful programs do: beside the old one, then over it.
    fn replace(&self, generation: u64) {
        let (beside, policy) = (".policy.lua.new", "policy.lua");
        let dir = self.gateway.conf.dir.path();
        fs::write(dir.join(beside), format!("{POLICY}-- {generation}\n")).expect("written");
        fs::rename(dir.join(beside), dir.join(policy)).expect("renamed");
    }
}

/// A configuration with nothing in it that a relay could do without.
fn text(site: &Site, conf: &Conf) -> String {
    format!(
        "hostname: \"{}\"\nzone: {HERE}\nlisteners:\n  - name: finger\n    address: \"{}\"\n{}policy:\n  file: policy.lua\n\
         monitoring:\n  address: \"{}\"\n",
        conf.hostname,
        conf.address,
        site.world.registry_yaml(),
        conf.monitoring,
    )
}
