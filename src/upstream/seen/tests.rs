//! What is remembered of peers, for how long, and in which order they are tried, on a paused clock.

use std::cell::Cell;

use super::*;
use crate::route::TargetKind;

const RETRY: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn host(name: &str) -> Hostname {
    Hostname::parse(name).unwrap()
}

fn target(name: &str) -> Target {
    Target::new(TargetKind::Gateway, host(name), 79)
}

fn hosts(targets: &[Target]) -> Vec<&str> {
    targets.iter().map(|target| target.host.as_str()).collect()
}

/// Peers, and what policies see of them.
fn peers() -> (Arc<Peers>, Seen) {
    let peers = Arc::<Peers>::default();
    (Arc::clone(&peers), Seen::live(peers))
}

fn of(seen: &Seen, name: &str) -> Option<Observed> {
    seen.of(&host(name), 79, false)
}

/// As many peers as are remembered, one a millisecond: `host0` is the oldest.
async fn fill(peers: &Peers) {
    for n in 0..Peers::MAX {
        peers.failed(&target(&format!("host{n}")), "connect");
        tokio::time::advance(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_failed_lately_comes_last_and_returns_to_its_place() {
    let (peers, _) = peers();
    let route = [target("a"), target("b"), target("c")];
    peers.failed(&target("A"), "connect");
    assert_eq!(hosts(&peers.order(&route, RETRY)), ["b", "c", "a"]);
    tokio::time::advance(RETRY).await;
    assert_eq!(hosts(&peers.order(&route, RETRY)), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn when_all_failed_the_order_is_as_given() {
    let (peers, _) = peers();
    let route = [target("a"), target("b")];
    peers.failed(&target("b"), "connect");
    tokio::time::advance(SECOND).await;
    peers.failed(&target("a"), "connect");
    assert_eq!(hosts(&peers.order(&route, RETRY)), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_success_clears_a_failure_of_the_same_protocol_only() {
    let (peers, _) = peers();
    let route = [target("a"), target("b")];
    peers.failed(&target("a"), "connect");
    drop(peers.reached(&Target { tls: true, ..target("a") }, || None));
    assert_eq!(hosts(&peers.order(&route, RETRY)), ["b", "a"]);
    drop(peers.reached(&target("a"), || None));
    assert_eq!(hosts(&peers.order(&route, RETRY)), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_are_counted_until_a_success_and_the_last_is_remembered() {
    let (peers, seen) = peers();
    assert_eq!(of(&seen, "a"), None);
    peers.failed(&target("a"), "resolve");
    peers.failed(&target("A"), "connect_timeout");
    tokio::time::advance(SECOND).await;
    let failed = Observed {
        consecutive_failures: 2,
        last_error: Some("connect_timeout".into()),
        failed_ago: Some(SECOND),
        ..Observed::default()
    };
    assert_eq!(of(&seen, "a"), Some(failed.clone()));
    assert_eq!(of(&seen, "A"), Some(failed.clone()));
    let _open = peers.reached(&target("a"), || None);
    let reached = Observed { open_streams: 1, consecutive_failures: 0, reached_ago: Some(Duration::ZERO), ..failed };
    assert_eq!(of(&seen, "a"), Some(reached));
}

#[tokio::test(start_paused = true)]
async fn who_takes_connections_but_no_request_goes_on_failing() {
    let (peers, seen) = peers();
    for round in 1..=3 {
        let open = peers.reached(&target("a"), || None);
        assert_eq!(of(&seen, "a").unwrap().consecutive_failures, 0);
        open.failed("closed");
        let observed = of(&seen, "a").unwrap();
        assert_eq!((observed.consecutive_failures, observed.open_streams), (round, 0));
    }
    drop(peers.reached(&target("a"), || None));
    peers.reached(&target("a"), || None).failed("closed");
    assert_eq!(of(&seen, "a").unwrap().consecutive_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn streams_that_fail_together_are_all_counted() {
    let (peers, seen) = peers();
    let [first, second] = [peers.reached(&target("a"), || None), peers.reached(&target("a"), || None)];
    first.failed("closed");
    second.failed("closed");
    assert_eq!(of(&seen, "a").unwrap().consecutive_failures, 2);
}

#[tokio::test(start_paused = true)]
async fn each_round_trip_weighs_an_eighth_and_none_is_no_news() {
    let (peers, seen) = peers();
    for (micros, smoothed) in [(None, None), (Some(800), Some(800)), (Some(1600), Some(900)), (None, Some(900))] {
        drop(peers.reached(&target("a"), || micros.map(Duration::from_micros)));
        assert_eq!(of(&seen, "a").unwrap().round_trip, smoothed.map(Duration::from_micros));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_round_trip_is_measured_again_after_a_second_and_no_sooner() {
    let (peers, _seen) = peers();
    let measured = Cell::new(0);
    let reach = || {
        drop(peers.reached(&target("a"), || {
            measured.set(measured.get() + 1);
            Some(Duration::from_micros(800))
        }));
    };
    reach();
    reach();
    tokio::time::advance(Duration::from_millis(999)).await;
    reach();
    assert_eq!(measured.get(), 1);
    tokio::time::advance(Duration::from_millis(1)).await;
    reach();
    assert_eq!(measured.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn memory_is_bounded_and_who_was_idle_longest_is_forgotten_first() {
    let (peers, seen) = peers();
    fill(&peers).await;
    peers.failed(&target("another"), "connect");
    assert_eq!(peers.len(), Peers::MAX);
    assert_eq!((of(&seen, "host0"), of(&seen, "host1").is_some()), (None, true));
    assert_eq!(of(&seen, "another").unwrap().consecutive_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn no_peer_with_open_streams_is_forgotten_and_a_closed_one_is_not_idle_for_long() {
    let (peers, seen) = peers();
    fill(&peers).await;
    let busy: Vec<String> = (0..Peers::MAX - 2).map(|n| format!("host{n}")).collect();
    let mut open: Vec<Open> = busy.iter().map(|name| peers.reached(&target(name), || None)).collect();
    for n in 0..8 {
        tokio::time::advance(SECOND).await;
        peers.failed(&target(&format!("new{n}")), "connect");
    }
    let streams = |name: &String| of(&seen, name).map(|observed| observed.open_streams);
    assert!(busy.iter().all(|name| streams(name) == Some(1)));
    assert_eq!((peers.len(), of(&seen, "new5"), of(&seen, "new6").is_some()), (Peers::MAX, None, true));
    tokio::time::advance(SECOND).await;
    drop(open.remove(0));
    peers.failed(&target("another"), "connect");
    assert_eq!((streams(&busy[0]), of(&seen, "new6"), of(&seen, "new7").is_some()), (Some(0), None, true));
}

#[tokio::test(start_paused = true)]
async fn when_every_peer_has_open_streams_a_new_one_is_not_remembered() {
    let (peers, seen) = peers();
    let open: Vec<Open> = (0..Peers::MAX).map(|n| peers.reached(&target(&format!("host{n}")), || None)).collect();
    let unseen = peers.reached(&target("another"), || None);
    peers.failed(&target("third"), "connect");
    assert_eq!((peers.len(), of(&seen, "another")), (Peers::MAX, None));
    drop((open, unseen));
    peers.failed(&target("another"), "connect");
    assert_eq!((peers.len(), of(&seen, "another").unwrap().consecutive_failures), (Peers::MAX, 1));
}

#[test]
fn streams_of_many_threads_are_all_counted() {
    let (peers, seen) = peers();
    let kept = std::thread::scope(|threads| {
        let streams = || (0..1000).map(|_| peers.reached(&target("a"), || None)).next_back();
        let workers = [(); 4].map(|()| threads.spawn(streams));
        workers.map(|worker| worker.join().unwrap())
    });
    assert_eq!(of(&seen, "a").unwrap().open_streams, 4);
    drop(kept);
    assert_eq!(of(&seen, "a").unwrap().open_streams, 0);
}

#[test]
fn a_reader_waits_for_no_writer() {
    let (peers, seen) = peers();
    peers.failed(&target("a"), "connect");
    let _writing = peers.turn();
    assert_eq!(of(&seen, "a").unwrap().consecutive_failures, 1);
    assert_eq!(hosts(&peers.order(&[target("a"), target("b")], RETRY)), ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn given_observations_are_told_as_they_are() {
    let given = Observed {
        open_streams: 7,
        last_error: Some("closed".to_owned().into()),
        failed_ago: Some(SECOND),
        ..Observed::default()
    };
    let seen = Seen::of_observations([((host("Gate.test"), 79, true), given.clone())]);
    tokio::time::advance(SECOND).await;
    assert_eq!(seen.clone().of(&host("gate.TEST"), 79, true), Some(given));
    assert_eq!(seen.of(&host("gate.test"), 79, false), None);
    assert_eq!(seen.of(&host("gate.test"), 80, true), None);
}

#[tokio::test(start_paused = true)]
async fn one_address_under_two_server_names_is_two_peers() {
    let peers = Peers::default();
    let tls = Target { tls: true, ..target("edge") };
    let named = |name: &str| Target { server_name: Hostname::parse(name), ..tls.clone() };
    let route = [named("west"), named("east")];
    peers.failed(&named("WEST"), "connect");
    assert_eq!(peers.order(&route, RETRY), [route[1].clone(), route[0].clone()]);
}

#[tokio::test(start_paused = true)]
async fn who_answers_under_another_server_name_is_somebody_else() {
    let (peers, seen) = peers();
    let plain = Target { tls: true, ..target("edge") };
    let named = Target { server_name: Some(host("inner")), ..plain.clone() };
    peers.failed(&named, "connect");
    assert_eq!(seen.of_target(&named).unwrap().consecutive_failures, 1);
    assert_eq!((seen.of_target(&plain), of(&seen, "edge")), (None, None));
    assert_eq!(seen.of_target(&Target { server_name: Some(host("INNER")), ..plain }), seen.of_target(&named));
}
