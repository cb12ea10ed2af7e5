//! Where a program stands that cannot look builds up, and so is told where their executor is.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::program::Program;
use super::{Peer, Place, Process, Running, Topology};
use crate::site::{Build, HERE, Site};
use crate::support::authority::Leaf;

/// One program's place on the way.
#[derive(Debug)]
pub struct Hop {
    /// The program that will stand there.
    pub program: Program,
    /// Where its streams go.
    pub next: SocketAddr,
    /// Which of its sides speaks TLS.
    pub tls: Tls,
    /// What it shows there.
    pub identity: Leaf,
    /// Who must have signed what it is shown.
    pub ca: PathBuf,
}

/// The side that speaks TLS 1.3, with certificates of both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Neither.
    Nowhere,
    /// Where streams come from.
    Behind,
    /// Where they go.
    Ahead,
}

/// Starts `peer` at each place of `topology`, by `serve`.
pub async fn start(
    peer: Peer,
    site: &Site,
    topology: Topology,
    build: &Build,
    serve: impl AsyncFn(Hop) -> Process,
) -> Running {
    let hops = hops(site, topology, build);
    let place = Place { address: hops[0].program.address, tls: hops[0].tls == Tls::Behind };
    let mut processes = Vec::new();
    for hop in hops {
        processes.push(serve(hop).await);
    }
    Running { peer, place, zone: HERE, processes }
}

/// The viewer's first.
fn hops(site: &Site, topology: Topology, build: &Build) -> Vec<Hop> {
    let sides: &[Tls] = match topology {
        Topology::Plain => &[Tls::Nowhere],
        Topology::Tls => &[Tls::Behind],
        Topology::TwoHops => &[Tls::Ahead, Tls::Behind],
    };
    let mut hops: Vec<Hop> = Vec::new();
    for tls in sides.iter().rev() {
        let next = hops.first().map_or(build.executor, |hop| hop.program.address);
        hops.insert(0, Hop::new(site, *tls, next));
    }
    hops
}

impl Hop {
    fn new(site: &Site, tls: Tls, next: SocketAddr) -> Self {
        let program = Program::new();
        let identity = site.authority().issue_for_address(program.address.ip());
        Self { program, next, tls, identity, ca: site.authority().ca() }
    }
}
