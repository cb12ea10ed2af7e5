//! Ends and breaks while bytes are on their way: with the viewer, within the relay, and before it.

use super::*;

/// Gives the relay more than it can pass on, of which the viewer then has the returned part. Some is within the relay
/// (in a pipe where the path has one), some is still to be read by it.
async fn hold(viewer: &mut Peer, upstream: &mut Peer, watch: &Watch, log: &[u8]) -> Vec<u8> {
    let (first, then) = log.split_at(BULK);
    arrive(upstream, first).await;
    // More than is copied before bulk is taken for bulk.
    let mut got = vec![0; 140 << 10];
    viewer.read_exact(&mut got).await.unwrap();
    arrive(upstream, then).await;
    watch.standstill().await;
    assert!(watch.unread() > 0);
    assert!(watch.meter.bytes() > 0 && watch.meter.bytes() < log.len() as u64);
    got
}

/// What is left to be held.
fn held_log() -> Vec<u8> {
    log(BULK + (100 << 10), 5)
}

/// Reads what there is until the end; also says whether that was in order, which only TLS tells.
async fn rest(viewer: &mut Peer, got: &mut Vec<u8>) -> bool {
    match viewer.read_to_end(got).await {
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => false,
        Err(error) => panic!("{error}"),
    }
}

/// What is counted is with the viewer's kernel or ours. TLS may hold some of it, which goes down with the stream.
fn assert_counted(path: &Path, got: &[u8], counted: usize) {
    let exact = path.viewer == Side::Plain;
    let right = if exact { got.len() == counted } else { got.len() <= counted };
    assert!(right, "{path}: {counted} bytes are counted, {} arrived", got.len());
}

/// Carries to the end, and goes without a word.
async fn carry_and_go(mut relay: Relay) -> (Result<(), Fault>, Arc<Meter>) {
    let ended = relay.carry().await;
    (ended, relay.meter)
}

#[tokio::test]
async fn what_came_before_an_upstream_broke_is_delivered_and_counted_and_the_end_is_not_in_order() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { relay, mut viewer, mut upstream } = path.narrow(&site).await;
        let (log, watch) = (held_log(), Watch::over(&relay));
        let breaking = async {
            let mut got = soon(hold(&mut viewer, &mut upstream, &watch, &log)).await;
            drop(watch);
            reset_peer(upstream);
            (rest(&mut viewer, &mut got).await, got)
        };
        let ((ended, meter), (in_order, got)) = tokio::join!(carry_and_go(relay), breaking);
        assert!(matches!(ended, Err(Fault::UpstreamBroke(_))), "{path}: {ended:?}");
        assert_same(&got, &log, path);
        assert_eq!(in_order, path.viewer == Side::Plain, "{path}");
        assert_eq!(meter.bytes(), log.len() as u64, "{path}");
        assert_eq!(meter.spliced(), path.splices, "{path}");
    }
}

#[tokio::test]
async fn what_came_before_a_broken_record_is_delivered_and_counted() {
    let site = Site::new();
    for path in PATHS.iter().filter(|path| path.upstream != Side::Plain) {
        for bytes in [1, 1000, BULK] {
            let case = format!("{path}, {bytes} bytes");
            let Rig { relay, mut viewer, mut upstream } = path.rig(&site).await;
            let log = log(bytes, 6);
            arrive(&mut upstream, &log).await;
            // What is no TLS record, right behind those that are.
            assert_eq!(upstream.tcp().try_write(&[23, 3, 3, 255, 255, 0, 0]).unwrap(), 7);
            let mut got = Vec::new();
            let ((ended, meter), _in_order) = tokio::join!(carry_and_go(relay), rest(&mut viewer, &mut got));
            assert!(matches!(ended, Err(Fault::UpstreamBroke(_))), "{case}: {ended:?}");
            assert_same(&got, &log, &case);
            assert_eq!(meter.bytes(), log.len() as u64, "{case}");
        }
    }
}

#[tokio::test]
async fn an_end_while_bytes_are_on_their_way_is_in_order_after_all_of_them() {
    let site = Site::new();
    for path in &PATHS {
        for close_notify in [true, false] {
            assert_ends_in_order(path.narrow(&site).await, close_notify, path).await;
        }
    }
}

async fn assert_ends_in_order(rig: Rig, close_notify: bool, path: &Path) {
    let Rig { mut relay, mut viewer, mut upstream } = rig;
    let (log, watch) = (held_log(), Watch::over(&relay));
    let ending = async {
        let mut got = soon(hold(&mut viewer, &mut upstream, &watch, &log)).await;
        if close_notify {
            upstream.shutdown().await.unwrap();
        } else {
            // As Zuul ends every log.
            SockRef::from(upstream.tcp()).shutdown(std::net::Shutdown::Write).unwrap();
        }
        assert!(rest(&mut viewer, &mut got).await, "{path}");
        viewer.shutdown().await.unwrap();
        got
    };
    let got = soon(complete(&mut relay, ending, path)).await;
    assert_same(&got, &log, path);
    assert_eq!(relay.meter.bytes(), log.len() as u64, "{path}");
    assert_eq!(relay.meter.spliced(), path.splices, "{path}");
}

#[tokio::test]
async fn a_viewer_that_resets_while_bytes_wait_for_it_has_left_with_what_it_took() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.narrow(&site).await;
        let (log, watch) = (held_log(), Watch::over(&relay));
        let leaving = async {
            let got = soon(hold(&mut viewer, &mut upstream, &watch, &log)).await;
            let taken = watch.meter.bytes();
            reset_peer(viewer);
            (got, taken)
        };
        let (ended, (got, taken)) = tokio::join!(relay.carry(), leaving);
        assert!(matches!(ended, Err(Fault::ViewerLeft)), "{path}: {ended:?}");
        assert_same(&got, &log[..got.len()], path);
        assert_eq!(relay.meter.bytes(), taken, "{path}: nothing is counted that nobody takes");
        assert_eq!(relay.meter.spliced(), path.splices, "{path}");
        assert_eq!(relay.pipes.open(), 0, "{path}: a pipe with bytes in it is closed");
    }
}

#[tokio::test]
async fn a_viewer_that_resets_in_the_flow_of_bulk_has_left() {
    let site = Site::new();
    for path in &PATHS {
        for seed in 1..=2 {
            assert_leaves(path.rig(&site).await, seed, path).await;
        }
    }
}

async fn assert_leaves(rig: Rig, seed: u64, path: &Path) {
    let Rig { mut relay, mut viewer, mut upstream } = rig;
    let (case, mut got) = (format!("{path}, seed {seed}"), vec![0; 1_000_000 + Dice(seed).throw(1_000_000)]);
    let leaving = async {
        viewer.read_exact(&mut got).await.unwrap();
        reset_peer(viewer);
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = relay.carry() => ended,
        () = endings::flood(&mut upstream) => unreachable!("the relay holds its end open"),
        () = leaving => unreachable!("it only leaves"),
    };
    assert!(matches!(ended, Err(Fault::ViewerLeft)), "{case}: {ended:?}");
    assert!(relay.meter.bytes() >= got.len() as u64, "{case}");
    assert_eq!(relay.meter.spliced(), path.splices, "{case}");
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_takes_nothing_is_cut_and_gets_no_end_in_order() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.narrow(&site).await;
        let (log, watch, mut held) = (held_log(), Watch::over(&relay), HeldClock::new());
        let timeout = relay.settings.viewer_stall_timeout;
        let pausing = async {
            let got = soon(hold(&mut viewer, &mut upstream, &watch, &log)).await;
            held.release();
            (got, Instant::now())
        };
        let (ended, (mut got, since)) = tokio::join!(relay.carry(), pausing);
        assert!(matches!(ended, Err(Fault::ViewerStalled(_))), "{path}: {ended:?}");
        assert!(since.elapsed() >= timeout && since.elapsed() <= timeout * 5 / 4, "{path}: {:?}", since.elapsed());
        assert_eq!(relay.pipes.open(), 0, "{path}: a pipe with bytes in it is closed");
        let counted = relay.meter.bytes() as usize;
        drop((relay, watch));
        assert_eq!(rest(&mut viewer, &mut got).await, path.viewer == Side::Plain, "{path}");
        assert_same(&got, &log[..got.len()], path);
        assert_counted(path, &got, counted);
    }
}

#[tokio::test]
async fn a_cancelled_stream_is_counted_right_and_gets_no_end_in_order() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.narrow(&site).await;
        let (log, watch) = (held_log(), Watch::over(&relay));
        let mut got = tokio::select! {
            ended = relay.carry() => panic!("{path}: {ended:?}"),
            got = soon(hold(&mut viewer, &mut upstream, &watch, &log)) => got,
        };
        assert_eq!(relay.pipes.open(), 0, "{path}: a pipe with bytes in it is closed");
        let counted = relay.meter.bytes() as usize;
        drop((relay, watch));
        assert_eq!(rest(&mut viewer, &mut got).await, path.viewer == Side::Plain, "{path}");
        assert_same(&got, &log[..got.len()], path);
        assert_counted(path, &got, counted);
    }
}
