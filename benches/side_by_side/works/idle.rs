//! Memory of viewers that wait for the next line. Only what programs hold themselves is counted; what the kernel holds
//! for a connection is the same whoever has it.

use std::time::Duration;

use tokio::time::sleep;

use crate::load::{Asking, Executor, Streams};
use crate::peers::{Peer, Running, Topology};
use crate::rounds::Pace;
use crate::site::{HERE, Site};
use crate::table::{Row, Target};

/// Viewers who wait.
const STREAMS: usize = 5_000;
/// Zuul's own gateway has a thread for each of them.
const STREAMS_OF_ZUUL: usize = 1_000;
/// A program that held more gives nothing back, so every figure takes a program of its own. They hardly differ.
const MOST_ROUNDS: usize = 3;

/// How long memory has to stay the same, until nobody is at work any more.
const REST: Duration = Duration::from_secs(1);
/// A program that never rests is looked at all the same.
const MOST_RESTS: usize = 20;

/// One way in which viewers wait.
struct Case {
    work: &'static str,
    topology: Topology,
    peers: &'static [Peer],
    targets: &'static [Target],
}

const CASES: [Case; 2] = [
    Case {
        work: "memory of an idle stream, 5 000 of them (zuul-fingergw: 1 000)",
        topology: Topology::Plain,
        peers: &[Peer::Fingerpost, Peer::HaProxy, Peer::Nginx, Peer::Fingergw],
        targets: &[Target::AtMost(3.0), Target::Share(1.0, Peer::HaProxy)],
    },
    Case {
        work: "the same over TLS",
        topology: Topology::Tls,
        peers: &[Peer::Fingerpost, Peer::HaProxy, Peer::Nginx, Peer::Stunnel, Peer::Fingergw],
        targets: &[Target::AtMost(20.0), Target::Share(1.0, Peer::HaProxy)],
    },
];

pub async fn measure(site: &Site, pace: &Pace) -> Vec<Row> {
    let mut rows = Vec::new();
    for case in CASES {
        rows.push(case.measure(site, pace).await);
    }
    rows
}

impl Case {
    async fn measure(self, site: &Site, pace: &Pace) -> Row {
        let mut samples: Vec<_> = self.peers.iter().map(|peer| (*peer, Vec::new())).collect();
        for _ in 0..pace.rounds.min(MOST_ROUNDS) {
            for (peer, figures) in &mut samples {
                figures.push(self.held(site, *peer, pace).await);
            }
        }
        Row { work: self.work.to_owned(), unit: "KiB", samples, targets: self.targets.to_vec() }
    }

    /// Streams in plain TCP are soon there, and fewer of them could not be told from what a program takes at a time.
    fn divisor(&self, pace: &Pace) -> usize {
        if self.topology == Topology::Tls { usize::try_from(pace.divisor).expect("64-bit") } else { 1 }
    }

    /// KiB that one stream takes.
    async fn held(&self, site: &Site, peer: Peer, pace: &Pace) -> f64 {
        let all = if peer == Peer::Fingergw { STREAMS_OF_ZUUL } else { STREAMS };
        let count = all / self.divisor(pace);
        let executor = Executor::start();
        let build = site.build(HERE, executor.address).await;
        let running = peer.start(site, self.topology, &build).await;
        let before = at_rest(&running, REST).await;
        let _streams = Streams::open(&executor, &Asking::new(&build.uuid, site.tls()), running.place, count);
        let taken = at_rest(&running, pace.time(REST)).await.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "millions of bytes")]
        let each = taken as f64 / count as f64;
        each / 1024.0
    }
}

/// What the peer holds once that stays the same for `rest`.
async fn at_rest(running: &Running, rest: Duration) -> u64 {
    let mut held = running.resident();
    for _ in 0..MOST_RESTS {
        sleep(rest).await;
        let before = std::mem::replace(&mut held, running.resident());
        if held == before {
            break;
        }
    }
    held
}
