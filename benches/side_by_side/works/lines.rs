//! Lines of many running builds, as they are written: what they take of the processor, and how late they arrive.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::load::{Asking, Executor, Streams};
use crate::peers::{Peer, Running, Topology};
use crate::rounds::{Pace, Samples, added_to_direct, quantile};
use crate::site::{HERE, Site};
use crate::table::{Row, Target};

/// Streams of the peer whose round it is, opened for it. Those of peers that wait for their turn would be probed by
/// TCP's keepalive, some of them all at once, and loopback drops what is more than a thousand packets at a time.
const STREAMS: usize = 2_000;
/// How often each has a line.
const EVERY: Duration = Duration::from_millis(100);
/// Of one round.
const TIME: Duration = Duration::from_secs(10);
const PEERS: [Peer; 4] = [Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Nginx];

/// What one round showed.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// Of one core, in %.
    processor: f64,
    /// What 99 % of all lines took at most, in µs.
    delay: f64,
}

pub async fn measure(site: &Site, pace: &Pace) -> Vec<Row> {
    let executor = Executor::start();
    let build = site.build(HERE, executor.address).await;
    let running = Peer::start_all(&PEERS, site, Topology::Plain, &build).await;
    let asking = Asking::new(&build.uuid, site.tls());
    let time = pace.time(TIME);
    let rounds = pace
        .interleave(&running, async |running| {
            let streams = Streams::open(&executor, &asking, running.place, STREAMS);
            Round::of(running, &streams, time).await
        })
        .await;
    rows(&rounds)
}

fn rows(rounds: &Samples<Round>) -> Vec<Row> {
    let asked = vec![Target::Share(1.0, Peer::HaProxy)];
    let work = "a line every 100 ms on each of 2 000 streams";
    vec![
        Row {
            work: format!("{work}: processor (direct: what the load itself takes)"),
            unit: "% of a core",
            samples: figures(rounds, |round| round.processor),
            targets: asked.clone(),
        },
        Row {
            work: format!("{work}: delay, p99, and what peers add"),
            unit: "µs",
            samples: added_to_direct(figures(rounds, |round| round.delay)),
            targets: asked,
        },
    ]
}

impl Round {
    async fn of(running: &Running, streams: &Streams, time: Duration) -> Self {
        let (begun, before) = (Instant::now(), processor_time(running));
        let delays = streams.lines(EVERY, time).await;
        let taken = processor_time(running).saturating_sub(before);
        let micros: Vec<_> = delays.iter().map(|delay| delay.as_secs_f64() * 1e6).collect();
        Self { processor: 100.0 * taken.as_secs_f64() / begun.elapsed().as_secs_f64(), delay: quantile(&micros, 0.99) }
    }
}

/// Of the peer's programs; where there are none, of this one. Whatever the peer, it runs on the same cores.
fn processor_time(running: &Running) -> Duration {
    match running.peer {
        Peer::Direct => clock_gettime(ClockId::ProcessCPUTime).try_into().expect("it only grows"),
        _ => running.processor_time(),
    }
}

fn figures(rounds: &Samples<Round>, figure: impl Fn(&Round) -> f64) -> Samples {
    rounds.iter().map(|(peer, rounds)| (*peer, rounds.iter().map(&figure).collect())).collect()
}
