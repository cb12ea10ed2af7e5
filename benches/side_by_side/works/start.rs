//! A relay that starts beside a hundred thousand running builds: when it serves, when it knows them all, and what
//! memory it holds then. The first viewer is there before the relay is, and is answered by a read past the mirror.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::load::Source;
use crate::peers::{Peer, Process};
use crate::rounds::Pace;
use crate::site::{Build, HERE, Site};
use crate::support::gateway::{Conf, Gateway, Kind};
use crate::support::world::World;
use crate::table::{Row, Target};

/// Running builds that nobody asks for.
const BUILDS: usize = 100_000;
/// All builds that Zuul has: these, the one that they are copies of, and the viewer's.
const ALL: u64 = BUILDS as u64 + 2;
/// What the viewer's build has logged; its first byte is no letter, as that of every refusal is.
const LOG: u64 = 4096;
/// How long a viewer waits before it tries again.
const PAUSE: Duration = Duration::from_millis(5);
/// Longest wait for a first byte.
const PATIENCE: Duration = Duration::from_secs(30);

/// One relay's start.
struct Start {
    /// From the start of its process to a viewer's first byte.
    first_byte: Duration,
    /// From the start of its process until it shows every build.
    whole: Duration,
    /// What it holds then, in bytes.
    resident: u64,
}

pub(super) async fn measure(_site: &Site, pace: &Pace) -> Vec<Row> {
    // Of its own: the builds of all other works are fewer.
    let site = Site { world: World::alone().await, peers: Vec::new(), before: None };
    site.populate(BUILDS).await;
    let build = site.build(HERE, Source::of(LOG).address).await;
    let mut starts = Vec::new();
    for _round in 0..=pace.rounds {
        starts.push(Start::observe(&site, &build).await);
    }
    // The first one found the program on the disk.
    starts.remove(0);
    let row = |work: &str, unit, limit, figure: fn(&Start) -> f64| Row {
        work: format!("start beside {BUILDS} builds: {work}"),
        unit,
        samples: vec![(Peer::Fingerpost, starts.iter().map(figure).collect())],
        targets: vec![Target::AtMost(limit)],
    };
    vec![
        row("first byte of a log, by direct read", "ms", 300.0, |start| start.first_byte.as_secs_f64() * 1000.0),
        row("serving with the whole mirror", "s", 5.0, |start| start.whole.as_secs_f64()),
        row("resident memory with the whole mirror", "MiB", 120.0, |start| start.resident as f64 / f64::from(1 << 20)),
    ]
}

impl Start {
    /// Starts a relay and ends it again.
    async fn observe(site: &Site, build: &Build) -> Self {
        let conf = Conf::plain(&site.world, HERE);
        let begun = Instant::now();
        let gateway = Gateway::launch(Kind::Fingerpost, &site.world, conf).await;
        let watched = timeout(PATIENCE, first_byte(&gateway, build)).await;
        assert!(watched.is_ok(), "no log within {PATIENCE:?}");
        let first_byte = begun.elapsed();
        let read = gateway.metric("fingerpost_registry_direct_reads_total{reason=\"found\"}").await;
        assert_eq!(read, 1, "the mirror knew the build before its viewer had asked");
        // The mirror is published whole, or not at all.
        gateway.until_metric("fingerpost_registry_builds", ALL).await;
        let whole = begun.elapsed();
        let resident = Process::gateway(gateway).resident();
        Self { first_byte, whole, resident }
    }
}

/// Waits as a viewer who tries until there is a log. A relay that has not reached ZooKeeper yet says that it cannot
/// tell.
async fn first_byte(gateway: &Gateway, build: &Build) {
    let mut tries = interval(PAUSE);
    tries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tries.tick().await;
        match answer(gateway, build).await {
            Ok(first) if first.is_ascii_digit() => return,
            Ok(refusal) => assert_ne!(refusal, b'B', "Build not found, of a build that is there"),
            Err(_nobody_yet) => {}
        }
    }
}

/// The first byte that is answered to one connection.
async fn answer(gateway: &Gateway, build: &Build) -> io::Result<u8> {
    let mut tcp = TcpStream::connect(gateway.conf.address).await?;
    tcp.write_all(format!("{}\n", build.uuid).as_bytes()).await?;
    tcp.read_u8().await
}
