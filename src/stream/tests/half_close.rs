//! A viewer that stops talking and one that leaves send the same FIN.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Wake;

use super::*;
use crate::transport::TcpInfo;

const HOURS: Duration = Duration::from_secs(6 * 3600);

#[tokio::test(start_paused = true)]
async fn half_close_from_viewer_keeps_the_stream() {
    let (mut relay, mut peers) = Relay::new().await;
    let _held = HeldClock::new();
    peers.viewer.shutdown().await.unwrap();
    let watch = async {
        peers.exchange(b"first\n").await;
        tokio::time::advance(HOURS).await;
        peers.exchange(b"hours later\n").await;
        tokio::time::advance(HOURS).await;
        peers.upstream.shutdown().await.unwrap();
        peers
    };
    let (ended, _peers) = tokio::join!(relay.carry(), watch);
    ended.unwrap();
    assert!(is_probed_more_often(&relay));
}

/// A viewer on the same machine: within two minutes, where others that are silent have five at least.
fn is_probed_more_often(relay: &Relay) -> bool {
    let idle = SockRef::from(relay.viewer.tcp()).tcp_keepalive_time().unwrap();
    (Duration::from_secs(60)..=Duration::from_secs(120)).contains(&idle)
}

/// Takes the viewer's request, and returns when that is `age` old by the kernel's own clock.
async fn take_request(viewer: &mut Transport, age: Duration) {
    viewer.read_exact(&mut [0; 5]).await.unwrap();
    while TcpInfo::of(viewer.tcp()).unwrap().silent_for() < age {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn half_close_with_the_request_keeps_the_stream_however_long_the_dial_took() {
    let (mut relay, mut peers) = Relay::new().await;
    relay.settings.half_close_grace = Duration::from_millis(500);
    peers.viewer.write_all(b"uuid\n").await.unwrap();
    peers.viewer.shutdown().await.unwrap();
    take_request(&mut relay.viewer, Duration::from_millis(150)).await;
    peers.upstream.write_all(b"line\n").await.unwrap();
    peers.upstream.shutdown().await.unwrap();
    relay.carry().await.unwrap();
    assert!(is_probed_more_often(&relay), "it is trusted");
}

#[tokio::test]
async fn a_viewer_that_leaves_during_a_long_dial_is_noticed() {
    let (mut relay, mut peers) = Relay::new().await;
    relay.settings.half_close_grace = Duration::from_millis(50);
    peers.viewer.write_all(b"uuid\n").await.unwrap();
    take_request(&mut relay.viewer, Duration::from_millis(50)).await;
    drop(peers.viewer);
    let ended = relay.carry().await;
    assert!(matches!(ended, Err(Fault::ViewerLeft)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn half_close_is_not_passed_on() {
    let (mut relay, mut peers) = Relay::new().await;
    peers.viewer.shutdown().await.unwrap();
    let watch = async {
        peers.exchange(b"line\n").await;
        // The viewer's end was seen before the line was sent on; a passed-on FIN would have arrived as well.
        let heard = peers.upstream.try_read(&mut [0]);
        assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
        peers.upstream.shutdown().await.unwrap();
        peers
    };
    let (ended, _peers) = tokio::join!(relay.carry(), watch);
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_leaves_an_idle_stream_is_noticed() {
    let (mut relay, mut peers) = Relay::new().await;
    let leave = async {
        peers.exchange(b"line\n").await;
        tokio::time::advance(Duration::from_secs(60)).await;
        drop(peers.viewer);
        peers.upstream
    };
    let started = Instant::now();
    let (ended, _upstream_peer) = tokio::join!(relay.carry(), leave);
    assert!(matches!(ended, Err(Fault::ViewerLeft)), "{ended:?}");
    let waited = started.elapsed() - Duration::from_secs(60);
    assert!(waited <= relay.settings.half_close_grace + Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_leaves_a_running_stream_is_noticed_by_the_next_bytes() {
    let (mut relay, mut peers) = Relay::new().await;
    let _held = HeldClock::new();
    peers.viewer.shutdown().await.unwrap();
    let leave = async {
        peers.exchange(b"line\n").await;
        drop(peers.viewer);
        // Answered with RST, which is the only sign there is; the stream is idle when it comes.
        peers.upstream.write_all(b"another line\n").await.unwrap();
        peers.upstream
    };
    let (ended, _upstream_peer) = tokio::join!(relay.carry(), leave);
    assert!(matches!(ended, Err(Fault::ViewerLeft)), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_late_half_close_of_a_viewer_that_goes_on_reading_keeps_the_stream() {
    let (mut relay, mut peers) = Relay::new().await;
    let _held = HeldClock::new();
    let watch = async {
        peers.exchange(b"first\n").await;
        tokio::time::advance(Duration::from_secs(60)).await;
        peers.viewer.shutdown().await.unwrap();
        for _ in 0..20 {
            peers.exchange(b"line\n").await;
            tokio::time::advance(Duration::from_secs(2)).await;
        }
        tokio::time::advance(HOURS).await;
        peers.exchange(b"hours later\n").await;
        peers.upstream.shutdown().await.unwrap();
        peers
    };
    let (ended, _peers) = tokio::join!(relay.carry(), watch);
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_half_close_of_a_viewer_that_pauses_with_bytes_waiting_keeps_the_stream() {
    for copying in [false, true] {
        let (relay, mut peers) = Relay::new().await;
        let mut relay = if copying { relay.copying() } else { relay };
        let mut held = HeldClock::new();
        let log = noise(24 << 20, 3);
        let watch = async {
            peers.exchange(b"first\n").await;
            tokio::time::advance(Duration::from_secs(60)).await;
            peers.viewer.shutdown().await.unwrap();
            let mut got = vec![0; log.len()];
            let (sent, ()) = tokio::join!(peers.upstream.write_all(&log), pause_then_read(&mut peers.viewer, &mut got));
            sent.unwrap();
            assert!(got == log);
            held.release();
            peers.upstream.shutdown().await.unwrap();
            peers
        };
        let (ended, _peers) = tokio::join!(relay.carry(), watch);
        ended.unwrap();
    }
}

/// Pauses for three times the grace, which is still within the stall timeout.
async fn pause_then_read(viewer: &mut TcpStream, got: &mut [u8]) {
    for _ in 0..15 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    viewer.read_exact(got).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_sets_no_timer_once_everything_is_acknowledged() {
    struct Rung(AtomicBool);
    impl Wake for Rung {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }
    let (mut relay, mut peers) = Relay::new().await;
    let _held = HeldClock::new();
    let Relay { viewer, upstream, settings, pipes, meter } = &mut relay;
    let mut carrying = pin!(carry(viewer, upstream, settings, pipes, meter));
    tokio::select! {
        ended = &mut carrying => panic!("{ended:?}"),
        () = peers.exchange(b"line\n") => {}
    }
    let rung = Arc::new(Rung(AtomicBool::new(false)));
    let waker = Arc::clone(&rung).into();
    let mut cx = Context::from_waker(&waker);
    for expected in [true, false] {
        assert!(carrying.as_mut().poll(&mut cx).is_pending());
        rung.0.store(false, Relaxed);
        tokio::time::advance(HOURS).await;
        assert_eq!(rung.0.load(Relaxed), expected);
    }
}

#[tokio::test]
async fn an_idle_stream_costs_less_than_a_kibibyte() {
    let (mut relay, _peers) = Relay::new().await;
    let Relay { viewer, upstream, settings, pipes, meter } = &mut relay;
    let size = size_of_val(&carry(viewer, upstream, settings, pipes, meter));
    assert!(size < 1024, "{size} bytes");
    assert_eq!(pipes.open(), 0);
}
