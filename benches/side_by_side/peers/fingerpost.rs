//! This project's relay, started from a `zuul.conf` and nothing else.

use super::{Peer, Place, Process, Running, Topology};
use crate::site::{HERE, Site};
use crate::support::gateway::{Conf, Gateway, Kind};

/// A relay for `topology`; of two hops, each zone has one.
pub async fn start(site: &Site, topology: Topology) -> Running {
    gateways(Peer::Fingerpost, Kind::Fingerpost, site, topology).await
}

/// Another build of it.
pub async fn start_before(site: &Site, topology: Topology) -> Running {
    gateways(Peer::Before, Kind::Fingerpost, site, topology).await
}

/// The same for both programs that read a `zuul.conf`.
pub async fn gateways(peer: Peer, kind: Kind, site: &Site, topology: Topology) -> Running {
    let conf = |zone, tls| {
        let conf = Conf::new(&site.world, zone, tls);
        let before = site.before.clone().filter(|_| peer == Peer::Before);
        Conf { program: before.unwrap_or_else(|| conf.program.clone()), ..conf }
    };
    let near = Gateway::start(kind, &site.world, conf(HERE, topology == Topology::Tls)).await;
    let place = Place { address: near.conf.address, tls: near.conf.tls };
    let mut processes = vec![Process::gateway(near)];
    if topology != Topology::TwoHops {
        return Running { peer, place, zone: HERE, processes };
    }
    let zone = peer.far_zone();
    processes.push(Process::gateway(Gateway::start(kind, &site.world, conf(zone, true)).await));
    Running { peer, place, zone, processes }
}
