//! Zuul's own gateway, started from the same `zuul.conf` as this project's relay.

use super::fingerpost::gateways;
use super::{Peer, Running, Topology};
use crate::site::Site;
use crate::support::gateway::Kind;

/// A `zuul-fingergw` for `topology`; of two hops, each zone has one.
pub async fn start(site: &Site, topology: Topology) -> Running {
    gateways(Peer::Fingergw, Kind::Zuul, site, topology).await
}
