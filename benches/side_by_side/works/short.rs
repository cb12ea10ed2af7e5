//! Short logs, many at a time: what a request costs.

use std::time::Duration;

use crate::load::{Source, Viewers};
use crate::peers::{Peer, Topology};
use crate::rounds::{Pace, Samples};
use crate::site::{HERE, Site};
use crate::table::{Row, Target};

/// Of one log, in bytes.
const BYTES: usize = 4 << 10;
/// Viewers at a time.
const AT_A_TIME: usize = 50;
/// Of one round.
const TIME: Duration = Duration::from_secs(4);

/// In plain TCP.
pub async fn plain(site: &Site, pace: &Pace) -> Vec<Row> {
    let peers = &[Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Nginx, Peer::Fingergw];
    vec![Row {
        work: "4 KiB logs, 50 at a time".to_owned(),
        unit: "a second",
        samples: rates(site, pace, Topology::Plain, peers).await,
        targets: vec![Target::Times(1.0, Peer::HaProxy), Target::Times(10.0, Peer::Fingergw)],
    }]
}

/// Over TLS, with a full handshake each.
pub async fn tls(site: &Site, pace: &Pace) -> Vec<Row> {
    let peers = &[Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Nginx, Peer::Stunnel, Peer::Fingergw];
    vec![Row {
        work: "the same over TLS, full handshakes with client certificates".to_owned(),
        unit: "a second",
        samples: rates(site, pace, Topology::Tls, peers).await,
        targets: vec![Target::Times(1.1, Peer::HaProxy), Target::Times(10.0, Peer::Fingergw)],
    }]
}

async fn rates(site: &Site, pace: &Pace, topology: Topology, peers: &[Peer]) -> Samples {
    let source = Source::of(BYTES as u64);
    let build = site.build(HERE, source.address).await;
    let running = Peer::start_all(peers, site, topology, &build).await;
    let viewers = Viewers::new(&build.uuid, BYTES, site.tls());
    let time = pace.time(TIME);
    pace.interleave(&running, async |running| viewers.rate(running.place, AT_A_TIME, time).await).await
}
