//! The deadline of a whole route, with targets that never answer. The clock is paused: it jumps where all are silent.

use super::*;
use crate::upstream::connect::tests::Silent;

const CONNECT: Duration = Duration::from_secs(4);

fn how_within(timeout: Duration) -> How {
    let mut how = how();
    how.settings = settings::Upstream { timeout, connect_timeout: CONNECT, ..how.settings };
    how
}

/// Targets that never take a connection, and what makes them so.
fn silent<const N: usize>() -> ([Silent; N], [Target; N]) {
    let peers = std::array::from_fn(|_| Silent::at("127.0.0.1"));
    let targets = peers.each_ref().map(|peer| to(peer.address()));
    (peers, targets)
}

#[tokio::test(start_paused = true)]
async fn silent_targets_together_take_no_longer_than_the_route_may() {
    let (_peers, route) = silent::<4>();
    let (counted, how) = (Counted::new(), how_within(Duration::from_secs(10)));
    let start = Instant::now();
    let unreached = counted.dialler.reach(&route, &request(), &how).await.unwrap_err();
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(10) && took < Duration::from_millis(10_100), "{took:?}");
    assert_eq!((counted.times("connect_timeout"), counted.times("out_of_time")), (3, 1));
    let said = unreached.to_string();
    let last = format!("; {}: not dialled, the targets before it took all of upstream.timeout, 10s", route[3]);
    assert!(said.ends_with(&last), "{said}");
    assert!(matches!(Fault::from(unreached), Fault::Unreachable(_)));
}

#[tokio::test(start_paused = true)]
async fn who_had_little_or_no_time_does_not_count_as_failed() {
    let ((_peers, [first, second, cut]), (_alive, alive)) = (silent(), listening().await);
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), how_within(Duration::from_secs(10)));
    let route = [first, second, cut.clone(), alive.clone()];
    let unreached = dialler.reach(&route, &request(), &how).await.unwrap_err();
    assert_eq!(unreached.attempts.len(), 4);
    let reached = dialler.reach(&route, &request(), &how).await.unwrap();
    assert_eq!(reached.failed().iter().map(|failed| &failed.target).collect::<Vec<_>>(), [&cut]);
    assert_eq!(reached.target, alive);
}

#[tokio::test(start_paused = true)]
async fn a_route_shorter_than_one_connection_still_finds_its_dead_target_out() {
    let ((_peers, [dead]), (_alive, alive)) = (silent(), listening().await);
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), how_within(CONNECT / 2));
    let route = [dead, alive.clone()];
    assert!(dialler.reach(&route, &request(), &how).await.is_err());
    assert_eq!(dialler.reach(&route, &request(), &how).await.unwrap().target, alive);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_closes_leaves_the_rest_what_was_not_used() {
    let ((_peers, [first, last]), (listener, rude)) = (silent(), listening().await);
    let (_alive, alive) = listening().await;
    let (counted, how) = (Counted::new(), how_within(Duration::from_secs(6)));
    let mut reached = counted.dialler.reach(&[first, rude, last, alive], &request(), &how).await.unwrap();
    drop(listener.accept().await.unwrap());
    let end = end(&mut reached).await;
    let start = Instant::now();
    let unreached = counted.dialler.after_silence(reached, end, &request(), &how).await.unwrap_err();
    let took = start.elapsed();
    assert!(took > Duration::from_millis(1900) && took < Duration::from_millis(2100), "{took:?}");
    assert_eq!((unreached.attempts.len(), counted.times("closed"), counted.times("out_of_time")), (4, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_silence_of_a_target_that_was_reached_uses_no_time() {
    let ((listener, rude), (_next, next)) = (listening().await, listening().await);
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), how_within(Duration::from_secs(6)));
    let mut reached = dialler.reach(&[rude, next.clone()], &request(), &how).await.unwrap();
    tokio::time::advance(LONG).await;
    drop(listener.accept().await.unwrap());
    let end = end(&mut reached).await;
    let silence = dialler.after_silence(reached, end, &request(), &how).await.unwrap();
    assert!(matches!(silence, Silence::Instead(reached) if reached.target == next));
}

#[tokio::test(start_paused = true)]
async fn this_relay_is_recognized_also_when_the_time_is_over() {
    let ((_peers, [dead]), itself) = (silent(), target("relay.test", 79));
    let mut how = how_within(CONNECT);
    how.itself.names = vec![(itself.host.clone(), itself.port)];
    let counted = Counted::new();
    assert!(counted.dialler.reach(&[dead, itself], &request(), &how).await.is_err());
    assert_eq!((counted.times("connect_timeout"), counted.times("itself")), (1, 1));
}
