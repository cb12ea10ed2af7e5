//! What is measured: the peers, how each stands between a viewer and an executor, and what it takes of the machine.

mod fingergw;
mod fingerpost;
mod haproxy;
mod hop;
mod nginx;
mod process;
mod program;
mod stunnel;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::site::{Build, HERE, Site};

pub use process::Process;

/// Who carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Nobody: viewers connect to the executor, in plain TCP whatever the others speak.
    Direct,
    /// This project's relay, in its default configuration, by its default policy.
    Fingerpost,
    /// Another build of it, from before a change.
    Before,
    /// HAProxy in TCP mode with splicing forced and large pipes.
    HaProxy,
    /// nginx's stream module.
    Nginx,
    /// stunnel, which speaks TLS only.
    Stunnel,
    /// Zuul's own gateway.
    Fingergw,
}

/// How peers stand between a viewer and an executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// viewer → peer → executor, all in plain TCP.
    Plain,
    /// viewer → TLS 1.3 with client certificates → peer → executor.
    Tls,
    /// viewer → peer → TLS 1.3 with client certificates → peer of the other zone → executor.
    TwoHops,
}

/// A peer that serves one build's executor.
#[derive(Debug)]
pub struct Running {
    /// Who it is.
    pub peer: Peer,
    /// Where its viewers connect.
    pub place: Place,
    /// Where executors have to be for it to stand in the way that was wanted.
    pub zone: &'static str,
    /// Its programs; of two hops, the viewer's first.
    pub processes: Vec<Process>,
}

impl Peer {
    /// In the order of the table's columns.
    pub const ALL: [Self; 7] =
        [Self::Direct, Self::Fingerpost, Self::Before, Self::HaProxy, Self::Nginx, Self::Stunnel, Self::Fingergw];

    /// What it is called in the table and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Fingerpost => "Fingerpost",
            Self::Before => "before",
            Self::HaProxy => "HAProxy",
            Self::Nginx => "nginx",
            Self::Stunnel => "stunnel",
            Self::Fingergw => "zuul-fingergw",
        }
    }

    /// The far zone of its two hops. Gateways find each other by their zone, so no two programs may share one.
    pub fn far_zone(self) -> &'static str {
        match self {
            Self::Fingerpost => "there-fingerpost",
            Self::Before => "there-before",
            Self::Fingergw => "there-fingergw",
            _ => "there",
        }
    }

    /// Starts it for viewers of `build`, and waits until it serves. Those that cannot look a build up are told where
    /// its executor is.
    pub async fn start(self, site: &Site, topology: Topology, build: &Build) -> Running {
        match self {
            Self::Direct => {
                Running { peer: self, place: Place::plain(build.executor), zone: HERE, processes: Vec::new() }
            }
            Self::Fingerpost => fingerpost::start(site, topology).await,
            Self::Before => fingerpost::start_before(site, topology).await,
            Self::HaProxy => haproxy::start(site, topology, build).await,
            Self::Nginx => nginx::start(site, topology, build).await,
            Self::Stunnel => stunnel::start(site, topology, build).await,
            Self::Fingergw => fingergw::start(site, topology).await,
        }
    }

    /// Starts those of `peers` that are measured, and the build from before, one after the other.
    pub async fn start_all(peers: &[Self], site: &Site, topology: Topology, build: &Build) -> Vec<Running> {
        let mut running = Vec::new();
        let before = site.before.as_ref().map(|_| &Self::Before);
        for peer in peers.iter().filter(|peer| site.peers.contains(peer)).chain(before) {
            running.push(peer.start(site, topology, build).await);
        }
        running
    }
}

/// Where viewers connect.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The address.
    pub address: SocketAddr,
    /// Whether they speak TLS there.
    pub tls: bool,
}

impl Running {
    /// Processor time that its programs have taken so far, in user space and in the kernel.
    pub fn processor_time(&self) -> Duration {
        self.processes.iter().map(Process::processor_time).sum()
    }

    /// Memory that its programs hold now, in bytes.
    pub fn resident(&self) -> u64 {
        self.processes.iter().map(Process::resident).sum()
    }
}

impl Place {
    /// Viewers speak plain TCP there.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: false }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
