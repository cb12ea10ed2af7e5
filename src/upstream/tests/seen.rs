//! What is seen of targets over real connections.

use std::pin::pin;

use super::*;
use crate::stream;
use crate::upstream::connect::tests::Silent;

fn seen(dialler: &Dialler, target: &Target) -> Observed {
    dialler.seen().of(&target.host, target.port, target.tls).unwrap()
}

#[tokio::test]
async fn streams_are_open_from_the_request_to_their_end() {
    let ((_listener, target), how) = (listening().await, how());
    let dialler = Dialler::new(metrics::Upstream::default());
    let route = [target.clone()];
    let first = dialler.reach(&route, &request(), &how).await.unwrap();
    let second = dialler.clone().reach(&route, &request(), &how).await.unwrap();
    let observed = seen(&dialler, &target);
    assert_eq!((observed.open_streams, observed.consecutive_failures, observed.last_error), (2, 0, None));
    assert!(observed.round_trip.is_some_and(|took| took < Duration::from_secs(1)), "{:?}", observed.round_trip);
    assert!(observed.reached_ago.is_some());
    stream::abandon(&first.transport);
    drop(first);
    assert_eq!(seen(&dialler, &target).open_streams, 1);
    drop(second);
    assert_eq!(seen(&dialler, &target).open_streams, 0);
}

#[tokio::test]
async fn an_empty_log_is_a_success_and_no_longer_open() {
    let ((listener, target), how) = (listening().await, how());
    let dialler = Dialler::new(metrics::Upstream::default());
    let mut reached = dialler.reach(std::slice::from_ref(&target), &request(), &how).await.unwrap();
    let mut peer = BufReader::new(listener.accept().await.unwrap().0);
    peer.read_line(&mut String::new()).await.unwrap();
    drop(peer);
    let end = end(&mut reached).await;
    dialler.after_silence(reached, end, &request(), &how).await.unwrap();
    let observed = seen(&dialler, &target);
    assert_eq!((observed.open_streams, observed.consecutive_failures), (0, 0));
}

#[tokio::test]
async fn a_target_that_refuses_is_seen_failing_until_it_takes_a_stream() {
    let ((held, target), how) = (refusing(), how());
    let dialler = Dialler::new(metrics::Upstream::default());
    let route = [target.clone()];
    for failures in 1..=2 {
        dialler.reach(&route, &request(), &how).await.unwrap_err();
        let observed = seen(&dialler, &target);
        assert_eq!((observed.open_streams, observed.consecutive_failures), (0, failures));
        assert_eq!((observed.last_error.as_deref(), observed.round_trip), (Some("connect"), None));
        assert!(observed.failed_ago.is_some() && observed.reached_ago.is_none());
    }
    let _listener = held.listen(8).unwrap();
    let _reached = dialler.reach(&route, &request(), &how).await.unwrap();
    let observed = seen(&dialler, &target);
    assert_eq!((observed.open_streams, observed.consecutive_failures), (1, 0));
    assert_eq!(observed.last_error.as_deref(), Some("connect"));
}

#[tokio::test]
async fn a_target_that_never_takes_the_request_fails_in_a_row_although_it_connects() {
    let ((listener, rude), how) = (listening().await, how());
    let dialler = Dialler::new(metrics::Upstream::default());
    for failures in 1..=2 {
        let mut reached = dialler.reach(std::slice::from_ref(&rude), &request(), &how).await.unwrap();
        drop(listener.accept().await.unwrap());
        let end = end(&mut reached).await;
        dialler.after_silence(reached, end, &request(), &how).await.unwrap_err();
        let observed = seen(&dialler, &rude);
        assert_eq!((observed.open_streams, observed.consecutive_failures), (0, failures));
        assert_eq!(observed.last_error.as_deref(), Some("closed"));
    }
}

#[tokio::test]
async fn a_stream_is_closed_at_a_rude_target_before_the_next_one_is_dialled() {
    let ((listener, rude), silent) = (listening().await, Silent::at("127.0.0.1"));
    let (dialler, how, request) = (Dialler::new(metrics::Upstream::default()), how(), request());
    let mut reached = dialler.reach(&[rude.clone(), to(silent.address())], &request, &how).await.unwrap();
    drop(listener.accept().await.unwrap());
    let end = end(&mut reached).await;
    let mut next = pin!(dialler.after_silence(reached, end, &request, &how));
    let pending = std::future::poll_fn(|cx| std::task::Poll::Ready(next.as_mut().poll(cx).is_pending())).await;
    assert_eq!((pending, seen(&dialler, &rude).open_streams), (true, 0));
}

#[tokio::test]
async fn what_was_not_dialled_was_not_seen() {
    let (_listener, plain) = listening().await;
    let dialler = Dialler::new(metrics::Upstream::default());
    let target = Target { tls: true, ..plain };
    dialler.reach(std::slice::from_ref(&target), &request(), &how()).await.unwrap_err();
    assert_eq!(dialler.seen().of(&target.host, target.port, true), None);
}
