//! The parts of a stream's way that profiles show to matter, each alone and under criterion: reading the request,
//! looking the build up, deciding, carrying the log. Whether a whole stream is fast is not said here.

#![expect(clippy::expect_used, reason = "a part that does not work ends the benchmark, which has nobody to tell")]

mod carrying;
#[path = "../site/mod.rs"]
mod site;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use fingerpost::config::settings;
use fingerpost::request::{self, Query};
use tokio::runtime::{Builder, Runtime};

use carrying::{Carrying, Way};
use site::{Site, default_policy};

/// A log that is bulk, in bytes.
const BULK: usize = 16 << 20;

/// Most logs of the field, in bytes.
const SHORT: usize = 4 << 10;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let site = Site::new().expect("a relay's view");
    requests(&mut criterion, &site);
    lookups(&mut criterion, &site);
    decisions(&mut criterion, &site);
    logs(&mut criterion);
    criterion.final_summary();
}

/// From bytes to a query.
fn requests(criterion: &mut Criterion, site: &Site) {
    let id = site.own.first().expect("builds").as_str();
    let line = format!("{id}\r\n");
    let patience = Duration::from_secs(10);
    let mut group = criterion.benchmark_group("request");
    group.bench_function("parse a line", |bencher| bencher.iter(|| Query::parse(black_box(id))));
    group.bench_function("read from memory", |bencher| {
        let read = || async { request::read(Vec::new(), &mut black_box(line.as_bytes()), patience).await };
        bencher.to_async(runtime()).iter(read);
    });
    group.finish();
}

/// From a uuid to the build, among all that run.
fn lookups(criterion: &mut Criterion, site: &Site) {
    let mut group = criterion.benchmark_group("registry");
    for (case, ids) in [("known build", &site.own), ("unknown build", &site.unknown)] {
        let mut ids = ids.iter().cycle();
        let mut next = || ids.next().expect("builds");
        group.bench_function(case, |bencher| {
            bencher.iter_batched(&mut next, |id| site.find(id), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// From a uuid to the route: `cargo bench --bench decision` tells more about it.
fn decisions(criterion: &mut Criterion, site: &Site) {
    let policy = default_policy(settings::Policy::default().time_limit).expect("the default policy");
    let mut group = criterion.benchmark_group("decision");
    for (case, ids) in [("own zone", &site.own), ("other zone", &site.foreign), ("unknown build", &site.unknown)] {
        let mut requests = (0..).zip(ids.iter().cycle());
        let mut next = || requests.next().expect("builds");
        group.bench_function(case, |bencher| {
            bencher.iter_batched(&mut next, |(seed, id)| site.decide(&policy, id, seed), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// From an upstream's socket to a viewer's, on every path that a byte can take.
fn logs(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("carry");
    group.sample_size(20);
    for (case, way, bytes) in [
        ("short, copied", Way::Copy, SHORT),
        ("short, TLS", Way::Tls, SHORT),
        ("bulk, copied", Way::Copy, BULK),
        ("bulk, spliced", Way::Splice, BULK),
        ("bulk, TLS", Way::Tls, BULK),
    ] {
        let carrying = Carrying::new(way, bytes);
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(case, |bencher| {
            bencher.to_async(runtime()).iter_custom(|logs| carrying.timed(logs));
        });
    }
    group.finish();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}
