//! Reload under load, measured: thousands of live streams, new ones all the time, and a policy that changes two hundred
//! times, every tenth time for the worse. It shows the figures.
//!
//! A binary of its own, so that no other test runs beside it: it takes the whole machine.

#![allow(
    clippy::allow_attributes,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a part that does not work ends the test"
)]

#[path = "../support/mod.rs"]
mod support;

#[allow(dead_code, reason = "this is not all that a site is for")]
#[path = "../program/site.rs"]
mod site;

mod changes;
mod crowd;
mod descriptors;
mod logs;
mod newcomers;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::time::Duration;

use crate::changes::{BROKEN, Change, policy};
use crate::crowd::Crowd;
use crate::logs::Logs;
use crate::newcomers::{Answer, Newcomers};
use crate::site::{Log, Relay, Site};

/// Streams that live from before the first reload until after the last.
const STREAMS: usize = 5000;

/// Builds whose logs they show.
const BUILDS: usize = 200;

const RELOADS: u64 = 200;

/// Reloads after which memory is flat, within one part in [`FLAT`].
const SETTLED: usize = 10;

/// A part of what the relay holds with all [`STREAMS`]. The first reloads on each of its threads give the allocator
/// some memory to keep, and not all threads have had one by then. One generation's engines take more than a reload's
/// share of this, so none can be left behind unnoticed.
const FLAT: u64 = 20;

/// What the allocator may take beyond that, in KiB. Arenas of glibc's filled during the first thirty reloads, by 3 MiB,
/// and by less than a hundredth in all that followed; mimalloc stays below that. The streams themselves are so small
/// that this is more than a twentieth of them.
const ARENAS: u64 = 4 << 10;

/// How soon a change must have reached every new stream. The promise is a second, and the figures that are printed are
/// a small part of it; what is asserted leaves room for a machine that does other things for seconds.
const DEADLINE: Duration = Duration::from_secs(5);

const APPLIED: &str = r#"fingerpost_reloads_total{result="applied"}"#;
const REFUSED: &str = r#"fingerpost_reloads_total{result="refused"}"#;
const OPEN: &str = r#"fingerpost_streams_open{listener="finger"}"#;
const HELD: &str = "fingerpost_generations_held";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reloads_lose_no_stream_refuse_none_and_leave_memory_flat() {
    let streams = descriptors::room_for(STREAMS);
    let logs = Logs::serve(BUILDS).await;
    let site = Site::new().and("policy: {file: policy.lua}\nlog: {format: json}\n");
    site.write("registry.yaml", &logs.registry());
    site.write("policy.lua", &policy(0));
    let relay = site.start().await;
    let crowd = Crowd::gather(site.address(), &logs, streams).await;
    let mut newcomers = Newcomers::start(site.address());
    // Of each policy that took effect one stream stays, and with it what decided that stream.
    let mut stayers = Vec::new();

    let mut run = Run { changes: vec![Change::good(0)], memory: Vec::new(), stayers: 0 };
    for number in 1..=RELOADS {
        let change = Change::numbered(number);
        site.write("policy.lua", &change.text);
        if change.good {
            newcomers.until_on(number).await;
            stayers.push(Crowd::gather(site.address(), &logs, 1).await);
            run.stayers += 1;
        } else {
            relay.until_metric(REFUSED, i64::try_from(number / BROKEN).expect("few")).await;
        }
        run.changes.push(change);
        logs.grow(number);
        run.memory.push(relay.resident());
    }

    let answers = newcomers.leave().await;
    let open = streams + stayers.len();
    relay.until_metric(OPEN, i64::try_from(open).expect("few")).await;
    // What decided the streams that stayed: one before the first reload, and one at each. Nothing of those refused.
    relay.until_metric(HELD, i64::try_from(1 + stayers.len()).expect("few")).await;
    logs.end();
    for crowd in [crowd].into_iter().chain(stayers) {
        crowd.has_seen_all_of(&logs).await;
    }
    relay.until_metric(OPEN, 0).await;
    relay.until_metric(HELD, 1).await;
    run.show(streams, &answers);
    run.held_its_promises(streams, &answers);
    everything_was_counted(&relay).await;
    every_stream_shows_its_generation(&relay.stop().await, open + 2 * answers.len());
}

/// What happened while the policy changed.
struct Run {
    /// All of them, from the policy at the start on.
    changes: Vec<Change>,
    /// What the relay held after each reload, in KiB.
    memory: Vec<u64>,
    /// Streams that came beside the crowd and stayed, each of which takes as much as one of the crowd.
    stayers: u64,
}

impl Run {
    /// How long after each good change the last stream was still decided by an older policy.
    fn delays(&self, answers: &[Answer]) -> Vec<Duration> {
        let delay = |change: &Change| {
            let late = answers.iter().filter(|answer| answer.number < change.number && answer.at > change.made);
            late.map(|answer| answer.at - change.made).max().unwrap_or_default()
        };
        let mut delays: Vec<Duration> = self.changes.iter().skip(1).filter(|change| change.good).map(delay).collect();
        delays.sort();
        delays
    }

    fn settled(&self) -> u64 {
        self.memory[SETTLED - 1]
    }

    fn peak(&self) -> u64 {
        self.memory.iter().skip(SETTLED).copied().max().expect("there were more reloads")
    }

    fn show(&self, streams: usize, answers: &[Answer]) {
        let delays = self.delays(answers);
        let at = |share: usize| delays[(delays.len() - 1) * share / 100];
        tell(&format!("{streams} live streams, {} new ones, {RELOADS} reloads", 2 * answers.len()));
        tell(&format!(
            "from a change to the last stream on an older policy: median {:?}, 90 % {:?}, 99 % {:?}, most {:?}",
            at(50),
            at(90),
            at(99),
            at(100)
        ));
        let last = self.memory[self.memory.len() - 1];
        let (settled, peak, first) = (self.settled(), self.peak(), self.memory[0]);
        tell(&format!(
            "memory: {first} KiB after 1 reload, {settled} after {SETTLED}, {last} after {RELOADS}, {peak} at most"
        ));
    }

    fn held_its_promises(&self, streams: usize, answers: &[Answer]) {
        for answer in answers {
            let change = self.changes.iter().find(|change| change.number == answer.number).expect("one that was made");
            assert!(change.good, "change {} was broken, and decided a stream", change.number);
            assert!(change.made <= answer.at, "change {} decided before it was made", change.number);
        }
        let slowest = self.delays(answers).pop().expect("there were changes");
        assert!(slowest < DEADLINE, "a change took {slowest:?} to reach new streams");
        let (settled, peak) = (self.settled(), self.peak());
        // Where there is room for fewer streams, an engine is not smaller for it.
        let with_all = settled * STREAMS as u64 / streams as u64;
        let stayers = settled * self.stayers / streams as u64;
        let most = settled + stayers + with_all / FLAT + ARENAS;
        assert!(
            peak <= most,
            "{settled} KiB after {SETTLED} reloads, {peak} KiB later, of which {stayers} for streams"
        );
    }
}

/// Past the test runner, which would keep it to itself.
fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").expect("somebody listens");
}

async fn everything_was_counted(relay: &Relay) {
    let broken = i64::try_from(RELOADS / BROKEN).expect("few");
    let good = i64::try_from(RELOADS).expect("few") - broken;
    for (metric, value) in [
        (APPLIED, good),
        (REFUSED, broken),
        ("fingerpost_generation", 1 + good),
        ("fingerpost_policy_decisions_total{reason=\"failed\"}", 0),
        ("fingerpost_policy_decisions_total{reason=\"refused\"}", 0),
    ] {
        assert_eq!(relay.metric(metric).await, value, "{metric}");
    }
    let turned_away = relay.metrics().await.lines().filter(|line| line.contains("turned_away_total{")).count();
    assert_eq!(turned_away, 0);
}

/// The record of every stream names a generation, which is that of one policy and no other; and all came to a good end.
fn every_stream_shows_its_generation(log: &Log, streams: usize) {
    let records = log.records();
    assert_eq!(records.len(), streams, "records");
    let mut policies: BTreeMap<u64, &str> = BTreeMap::new();
    for record in &records {
        let ending = record["ending"].as_str().expect("an ending");
        assert!(["complete", "replied"].contains(&ending), "{record}");
        let generation = record["generation"].as_u64().expect("a generation");
        let tags = record["tags"].as_str().expect("tags");
        let policy = policies.entry(generation).or_insert(tags);
        assert_eq!(*policy, tags, "generation {generation}");
    }
    let names: BTreeSet<&str> = policies.values().copied().collect();
    assert_eq!(names.len(), policies.len(), "two generations of one policy: {policies:?}");
}
