//! Large logs, as fast as they go: one, four at once, over TLS towards the viewer, and through two zones.

use tokio::task::JoinSet;

use crate::load::{Sink, Source};
use crate::peers::{Peer, Running, Topology};
use crate::rounds::Pace;
use crate::site::{HERE, Site};
use crate::table::{Row, Target};

/// One way in which large logs are taken.
pub struct Case {
    work: &'static str,
    topology: Topology,
    /// Of one log, in MiB.
    mebibytes: u64,
    at_once: usize,
    peers: &'static [Peer],
    targets: &'static [Target],
}

pub const ONE: Case = Case {
    work: "one 2 GiB log, plain",
    topology: Topology::Plain,
    mebibytes: 2048,
    at_once: 1,
    peers: &[Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Nginx, Peer::Fingergw],
    targets: &[Target::Times(1.15, Peer::HaProxy), Target::Times(5.0, Peer::Fingergw)],
};

pub const FOUR: Case = Case {
    work: "four 2 GiB logs at once, plain",
    topology: Topology::Plain,
    mebibytes: 2048,
    at_once: 4,
    peers: &[Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Nginx],
    targets: &[Target::Times(1.1, Peer::HaProxy)],
};

pub const TLS: Case = Case {
    work: "one 1 GiB log, TLS towards the viewer",
    topology: Topology::Tls,
    mebibytes: 1024,
    at_once: 1,
    peers: &[Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Nginx, Peer::Stunnel, Peer::Fingergw],
    targets: &[Target::Times(1.1, Peer::HaProxy), Target::Times(1.1, Peer::Nginx)],
};

pub const TWO_HOPS: Case = Case {
    work: "one 1 GiB log, two hops, TLS between zones",
    topology: Topology::TwoHops,
    mebibytes: 1024,
    at_once: 1,
    peers: &[Peer::Direct, Peer::Fingerpost, Peer::HaProxy, Peer::Fingergw],
    targets: &[Target::Times(1.0, Peer::HaProxy), Target::Times(5.0, Peer::Fingergw)],
};

impl Case {
    /// Does it, with every peer that is wanted.
    pub async fn measure(self, site: &Site, pace: &Pace) -> Vec<Row> {
        let mebibytes = self.mebibytes / u64::from(pace.divisor);
        let source = Source::of(mebibytes << 20);
        let build = site.build(HERE, source.address).await;
        let running = Peer::start_all(self.peers, site, self.topology, &build).await;
        let mut sinks = Vec::new();
        for running in &running {
            let build = site.build(running.zone, source.address).await;
            sinks.push((running.peer, Sink::new(&build.uuid, mebibytes << 20, site.tls())));
        }
        let samples = pace
            .interleave(&running, async |running| {
                let (_, sink) = sinks.iter().find(|(peer, _)| *peer == running.peer).expect("each has one");
                self.speed(sink, running, mebibytes).await
            })
            .await;
        vec![Row { work: self.work.to_owned(), unit: "MiB/s", samples, targets: self.targets.to_vec() }]
    }

    /// MiB in a second, over all logs, until the last of them has arrived.
    async fn speed(&self, sink: &Sink, running: &Running, mebibytes: u64) -> f64 {
        let mut viewers = JoinSet::new();
        for _ in 0..self.at_once {
            let (sink, place) = (sink.clone(), running.place);
            viewers.spawn_blocking(move || sink.take(place));
        }
        let taken = viewers.join_all().await.into_iter().max().expect("at least one");
        #[expect(clippy::cast_precision_loss, reason = "thousands")]
        let moved = (mebibytes * self.at_once as u64) as f64;
        moved / taken.as_secs_f64()
    }
}
