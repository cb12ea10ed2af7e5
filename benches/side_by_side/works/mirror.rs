//! How far the registry's mirror is behind Zuul: builds come, run and go by Zuul's own `ExecutorApi`, and every change
//! is timed from Zuul's asking for it to the first snapshot that shows it. What Zuul's own write takes is in the
//! figure.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use fingerpost::metrics::Registry as Metrics;
use fingerpost::registry::{Registry, Snapshot};
use fingerpost::tasks::Tasks;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::peers::Peer;
use crate::rounds::{Pace, quantile};
use crate::site::Site;
use crate::support::site::{live, registry, until};
use crate::table::{Row, Target};

/// Changes that Zuul makes in a second.
const A_SECOND: u32 = 200;
/// What one call of Zuul's side does: three changes of each of so many builds, which takes four seconds.
const BUILDS: u32 = 266;
/// Such calls in a minute.
const CALLS: u32 = 15;
/// Whose builds these are, so that they are told apart from those that stand.
const TENANT: &str = "churn";
/// Longest wait for the last change.
const PATIENCE: Duration = Duration::from_secs(10);

/// What changed, and of which build.
type Change = (Stage, String);
/// When something happened, on the clock of the machine (CLOCK_MONOTONIC), which Python's `time.monotonic_ns` reads
/// too.
type Moments = HashMap<Change, Duration>;

/// A build's way through Zuul.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    Submitted,
    Taken,
    Removed,
}

/// What the mirror showed when.
#[derive(Debug, Default)]
struct Seen {
    moments: Moments,
    alive: HashSet<String>,
}

pub(super) async fn measure(site: &Site, pace: &Pace) -> Vec<Row> {
    let tasks = Tasks::new();
    let registry = registry(&*site.world.zookeeper().lock().await, true, &Metrics::default(), &tasks);
    until(&registry, live).await;
    let calls = (CALLS / pace.divisor).max(1);
    let (done, told) = oneshot::channel();
    let begun = Instant::now();
    let (asked, seen) = tokio::join!(churn(site, calls, done), watch(&registry, told));
    let rate = asked.len() as f64 / begun.elapsed().as_secs_f64();
    tasks.stop();
    let lags = lags(&asked, &seen);
    let row = |share, what, targets| Row {
        work: format!("{rate:.0} builds' changes a second: from Zuul's call to the mirror, {what}"),
        unit: "ms",
        samples: vec![(Peer::Fingerpost, vec![quantile(&lags, share)])],
        targets,
    };
    vec![row(0.5, "median", Vec::new()), row(0.99, "p99", vec![Target::AtMost(50.0)]), row(1.0, "longest", Vec::new())]
}

/// Has Zuul make its changes, and returns when it was asked for each. Drops `done` when there are no more.
async fn churn(site: &Site, calls: u32, done: oneshot::Sender<Moments>) -> Moments {
    let mut asked = Moments::new();
    for call in 0..calls {
        let args = json!({"prefix": format!("c{call:x}"), "builds": BUILDS, "a_second": A_SECOND, "tenant": TENANT});
        let told = site.world.call("live", args).await;
        let told: Vec<(Stage, String, u64)> = serde_json::from_value(told).expect("stages, builds and times");
        asked.extend(told.into_iter().map(|(stage, uuid, time)| ((stage, uuid), Duration::from_nanos(time))));
    }
    let _unheard = done.send(asked.clone());
    asked
}

/// Notes when `registry` showed what, until all is seen that Zuul `told` it was asked for.
async fn watch(registry: &Registry, mut told: oneshot::Receiver<Moments>) -> Moments {
    let (mut changes, mut seen) = (registry.changes(), Seen::default());
    let asked = loop {
        tokio::select! {
            changed = changes.changed() => changed.expect("the registry goes on"),
            asked = &mut told => break asked.expect("Zuul says what it was asked for"),
        }
        seen.note(&registry.snapshot());
    };
    let rest = async {
        while seen.moments.len() < asked.len() {
            changes.changed().await.expect("the registry goes on");
            seen.note(&registry.snapshot());
        }
    };
    let ended = timeout(PATIENCE, rest).await;
    assert!(ended.is_ok(), "{} of {} changes were never seen", asked.len() - seen.moments.len(), asked.len());
    seen.moments
}

/// How long after Zuul was asked for each change it was seen, in milliseconds.
fn lags(asked: &Moments, seen: &Moments) -> Vec<f64> {
    asked
        .iter()
        .map(|(change, asked)| {
            let seen = seen.get(change).unwrap_or_else(|| panic!("{change:?} was never seen"));
            seen.saturating_sub(*asked).as_secs_f64() * 1000.0
        })
        .collect()
}

impl Seen {
    /// Notes what `snapshot` is the first to show.
    fn note(&mut self, snapshot: &Snapshot) {
        let now = now();
        let mut alive = HashSet::new();
        for build in snapshot.builds.of_tenant(TENANT) {
            let uuid = build.uuid.as_str();
            self.moments.entry((Stage::Submitted, uuid.to_owned())).or_insert(now);
            if build.runs_on().is_some() {
                self.moments.entry((Stage::Taken, uuid.to_owned())).or_insert(now);
            }
            alive.insert(uuid.to_owned());
        }
        let removed = self.alive.difference(&alive).map(|uuid| ((Stage::Removed, uuid.clone()), now));
        self.moments.extend(removed);
        self.alive = alive;
    }
}

fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Monotonic)).expect("the machine has been started")
}
