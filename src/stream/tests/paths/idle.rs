//! Streams on which nothing moves any more: kept for hours for a viewer that is there, ended for one that is not.

use super::*;

const HOURS: Duration = Duration::from_secs(6 * 3600);

/// Moves bulk and then a line, so that the stream has used all that it may use.
async fn settle(viewer: &mut Peer, upstream: &mut Peer, watch: &Watch, path: &Path) {
    exchange(upstream, viewer, &log(500_000, 9), path).await;
    exchange(upstream, viewer, b"line\n", path).await;
    watch.standstill().await;
    assert_eq!(watch.meter.spliced(), path.splices, "{path}");
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_lasts_for_hours_and_holds_no_pipe() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.rig(&site).await;
        let (watch, _held) = (Watch::over(&relay), HeldClock::new());
        complete(&mut relay, talk_for_hours(&mut viewer, &mut upstream, &watch, path), path).await;
    }
}

async fn talk_for_hours(viewer: &mut Peer, upstream: &mut Peer, watch: &Watch, path: &Path) {
    settle(viewer, upstream, watch, path).await;
    for line in [&b"after bulk\n"[..], b"hours later\n", b"at last\n"] {
        exchange(upstream, viewer, line, path).await;
        watch.standstill().await;
        let pipe = watch.pipes.take();
        assert_eq!(pipe.is_some(), path.splices, "{path}: the pipe is free");
        pipe.into_iter().for_each(|pipe| watch.pipes.put_back(pipe));
        watch.pass(HOURS).await;
    }
    end(upstream, viewer, path).await;
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_leaves_an_idle_stream_is_noticed() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.rig(&site).await;
        let (watch, held) = (Watch::over(&relay), HeldClock::new());
        let leaving = async {
            settle(&mut viewer, &mut upstream, &watch, path).await;
            watch.pass(Duration::from_secs(60)).await;
            // As a process ends that is killed: TLS has no time to say anything.
            drop(viewer);
            drop(held);
            Instant::now()
        };
        let (ended, since) = tokio::join!(relay.carry(), leaving);
        assert!(matches!(ended, Err(Fault::ViewerLeft)), "{path}: {ended:?}");
        let longest = relay.settings.half_close_grace + Duration::from_secs(1);
        assert!(since.elapsed() <= longest, "{path}: {:?}", since.elapsed());
        assert_eq!(relay.meter.bytes(), 500_005, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_resets_an_idle_stream_is_noticed_without_a_timer() {
    let site = Site::new();
    for path in &PATHS {
        for half_closed in [false, true] {
            assert_reset_is_noticed(path.rig(&site).await, half_closed, path).await;
        }
    }
}

async fn assert_reset_is_noticed(rig: Rig, half_closed: bool, path: &Path) {
    let Rig { mut relay, mut viewer, mut upstream } = rig;
    let (watch, _held) = (Watch::over(&relay), HeldClock::new());
    if half_closed {
        viewer.shutdown().await.unwrap();
    }
    let leaving = async {
        settle(&mut viewer, &mut upstream, &watch, path).await;
        reset_peer(viewer);
    };
    let (ended, ()) = tokio::join!(relay.carry(), leaving);
    assert!(matches!(ended, Err(Fault::ViewerLeft)), "{path}: {ended:?}");
    assert_eq!(relay.meter.bytes(), 500_005, "{path}");
}

#[tokio::test(start_paused = true)]
async fn half_close_keeps_the_stream_whenever_it_comes() {
    let site = Site::new();
    for path in &PATHS {
        for late in [false, true] {
            assert_kept_after_half_close(path.rig(&site).await, late, path).await;
        }
    }
}

async fn assert_kept_after_half_close(rig: Rig, late: bool, path: &Path) {
    let Rig { mut relay, mut viewer, mut upstream } = rig;
    let (watch, _held) = (Watch::over(&relay), HeldClock::new());
    if !late {
        viewer.shutdown().await.unwrap();
    }
    let watching = async {
        settle(&mut viewer, &mut upstream, &watch, path).await;
        if late {
            viewer.shutdown().await.unwrap();
        }
        for _ in 0..20 {
            exchange(&mut upstream, &mut viewer, b"line\n", path).await;
            watch.pass(Duration::from_secs(2)).await;
        }
        watch.pass(HOURS).await;
        exchange(&mut upstream, &mut viewer, &log(500_000, 3), path).await;
        let heard = upstream.tcp().try_read(&mut [0]);
        assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{path}: it is passed on");
        upstream.shutdown().await.unwrap();
        assert_eq!(viewer.read(&mut [0]).await.unwrap(), 0, "{path}");
    };
    complete(&mut relay, watching, path).await;
    assert_eq!(relay.meter.bytes(), 1_000_105, "{path}");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_reads_little_by_little_is_never_cut() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.over(slow_loopback().await, &site).await;
        let _held = HeldClock::new();
        tokio::select! {
            ended = relay.carry() => panic!("{path}: {ended:?} after {} bytes", relay.meter.bytes()),
            () = endings::flood(&mut upstream) => unreachable!("the relay holds its end open"),
            () = endings::read_steadily(&mut viewer) => {}
        }
        assert_eq!(relay.meter.spliced(), path.splices, "{path}");
    }
}
