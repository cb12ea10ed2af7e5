//! Fingerpost beside what could stand in its place: the same work through every peer in turn, round by round, and a
//! table of medians and ratios. Start it by `benches/run`, which installs the peers.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a measurement whose parts fail ends with the reason, and its table is what it is for"
)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod load;
mod peers;
mod rounds;
mod site;
mod table;
mod works;

use std::path::PathBuf;

use clap::Parser;

use crate::peers::Peer;
use crate::rounds::Pace;
use crate::site::Site;
use crate::works::Work;

/// Fingerpost beside its peers, work by work.
#[derive(Debug, Parser)]
struct Args {
    /// A look of a minute and a half: fewer rounds of less work, whose figures are rough.
    #[arg(long)]
    quick: bool,
    /// Rounds of every work, beside one that nobody counts.
    #[arg(long, value_name = "NUMBER")]
    rounds: Option<usize>,
    /// Only this work; may be given several times.
    #[arg(long, value_name = "WORK", value_parser = Work::ALL.map(Work::name))]
    only: Vec<String>,
    /// Only this peer beside Fingerpost and the way without a peer; may be given several times.
    #[arg(long, value_name = "PEER", value_parser = Peer::ALL.map(Peer::name))]
    peer: Vec<String>,
    /// Another build of Fingerpost, to measure a change beside what was before it.
    #[arg(long, value_name = "PROGRAM")]
    before: Option<PathBuf>,
    /// Where the table is written as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let pace = if args.quick { Pace::quick() } else { Pace::full() };
    let pace = Pace { rounds: args.rounds.unwrap_or(pace.rounds), ..pace };
    let wanted = |work: &Work| args.only.is_empty() || args.only.iter().any(|name| name == work.name());
    let always = [Peer::Direct, Peer::Fingerpost];
    let peers =
        |peer: &Peer| args.peer.is_empty() || always.contains(peer) || args.peer.iter().any(|name| name == peer.name());
    let site = Site::start(Peer::ALL.into_iter().filter(peers).collect(), args.before).await;
    let mut rows = Vec::new();
    for work in Work::ALL.into_iter().filter(wanted) {
        eprintln!("{} …", work.name());
        let measured = work.measure(&site, &pace).await;
        eprintln!("{}", table::markdown(&measured));
        rows.extend(measured);
    }
    println!("{}", table::markdown(&rows));
    if let Some(file) = args.json {
        std::fs::write(&file, table::json(&rows, &pace)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}
