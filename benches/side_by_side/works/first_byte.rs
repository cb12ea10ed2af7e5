//! The first byte of a short log, one viewer at a time: what a peer adds to the way without one.

use crate::load::{Source, Viewers};
use crate::peers::{Peer, Topology};
use crate::rounds::{Pace, added_to_direct, median};
use crate::site::{HERE, Site};
use crate::table::{Row, Target};

/// Of one log, in bytes.
const BYTES: usize = 4 << 10;
/// Logs of one round.
const LOGS: u32 = 2_000;
const PEERS: [Peer; 5] = [Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Nginx, Peer::Fingergw];

pub async fn measure(site: &Site, pace: &Pace) -> Vec<Row> {
    let source = Source::of(BYTES as u64);
    let build = site.build(HERE, source.address).await;
    let running = Peer::start_all(&PEERS, site, Topology::Plain, &build).await;
    let viewers = Viewers::new(&build.uuid, BYTES, site.tls());
    let samples = pace
        .interleave(&running, async |running| {
            let mut times = Vec::new();
            for _ in 0..LOGS / pace.divisor {
                times.push(viewers.first_byte(running.place).await.as_secs_f64() * 1e6);
            }
            median(&times)
        })
        .await;
    vec![Row {
        work: "first byte of a short log, one at a time: median, and what peers add".to_owned(),
        unit: "µs",
        samples: added_to_direct(samples),
        targets: vec![Target::Share(1.0, Peer::HaProxy)],
    }]
}
