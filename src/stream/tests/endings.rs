//! How a stream ends other than by the end of its log.

use std::io;

use super::*;

const SHORT: Duration = Duration::from_millis(50);

/// Sends without end; the relay decides when it is over.
pub(super) async fn flood(upstream: &mut (impl tokio::io::AsyncWrite + Unpin)) {
    let block = noise(256 << 10, 2);
    while upstream.write_all(&block).await.is_ok() {}
}

async fn both_ways() -> [(Relay, Peers, bool); 2] {
    let (spliced, spliced_peers) = Relay::new().await;
    let (copied, copied_peers) = Relay::new().await;
    [(spliced, spliced_peers, true), (copied.copying(), copied_peers, false)]
}

#[tokio::test]
async fn a_viewer_that_stops_reading_is_cut() {
    for (relay, mut peers, splicing) in both_ways().await {
        let mut relay = relay.stalling_after(SHORT);
        let ended = tokio::select! {
            ended = relay.carry() => ended,
            () = flood(&mut peers.upstream) => unreachable!("the relay holds its end open"),
        };
        assert!(matches!(ended, Err(Fault::ViewerStalled(SHORT))), "{ended:?}");
        assert_eq!(relay.meter.spliced(), splicing);
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_reads_slowly_is_never_cut() {
    for (mut relay, peers, splicing) in both_ways().await {
        let Peers { mut viewer, mut upstream } = peers;
        let log = noise(6 << 20, 8);
        let _held = HeldClock::new();
        let send = async {
            upstream.write_all(&log).await.unwrap();
            drop(upstream);
        };
        let (ended, (), got) = tokio::join!(relay.carry_and_drop(), send, read_slowly(&mut viewer));
        ended.unwrap();
        assert!(got == log);
        assert_eq!(relay.meter.spliced(), splicing);
    }
}

/// Reads half a MiB every four minutes, where five minutes without a byte taken are the end.
async fn read_slowly(viewer: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    while read_some(viewer, 512 << 10, &mut got).await {
        tokio::time::advance(Duration::from_secs(240)).await;
    }
    got
}

/// Reads at least `bytes` more; false at the end.
async fn read_some(viewer: &mut TcpStream, bytes: usize, got: &mut Vec<u8>) -> bool {
    let enough = got.len() + bytes;
    while got.len() < enough {
        if viewer.read_buf(got).await.unwrap() == 0 {
            return false;
        }
    }
    true
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_breaks_off_is_noticed_at_once_on_an_idle_stream() {
    let (mut relay, mut peers) = Relay::new().await;
    let before = Instant::now();
    let leave = async {
        peers.exchange(b"line\n").await;
        reset(peers.viewer);
        peers.upstream
    };
    let (ended, _upstream_peer) = tokio::join!(relay.carry(), leave);
    assert!(matches!(ended, Err(Fault::ViewerLeft)), "{ended:?}");
    assert_eq!(before.elapsed(), Duration::ZERO, "no timer had to pass");
    assert_eq!(relay.meter.bytes(), 5);
}

#[tokio::test]
async fn a_viewer_that_breaks_off_while_bytes_wait_for_it_is_noticed() {
    for (mut relay, peers, splicing) in both_ways().await {
        let Peers { viewer: mut viewer_peer, upstream: mut upstream_peer } = peers;
        let leave = async {
            let mut some = vec![0; 4 << 20];
            viewer_peer.read_exact(&mut some).await.unwrap();
            reset(viewer_peer);
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = relay.carry() => ended,
            ((), ()) = async { tokio::join!(leave, flood(&mut upstream_peer)) } => unreachable!("the relay holds its end open"),
        };
        assert!(matches!(ended, Err(Fault::ViewerLeft)), "{ended:?}");
        assert_eq!(relay.meter.spliced(), splicing);
        assert_eq!(relay.pipes.open(), 0, "a pipe that a stream broke off with is closed");
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_told_from_one_that_ends() {
    let (mut relay, mut peers) = Relay::new().await;
    let break_off = async {
        peers.exchange(b"the first half\n").await;
        reset(peers.upstream);
        peers.viewer
    };
    let (ended, mut viewer_peer) = tokio::join!(relay.carry(), break_off);
    assert!(matches!(ended, Err(Fault::UpstreamBroke(_))), "{ended:?}");
    let reply = Fault::UpstreamBroke(io::ErrorKind::ConnectionReset.into()).reply().unwrap();
    let say_it = async {
        say(&mut relay.viewer, reply, Duration::from_secs(10)).await.unwrap();
        finish(&mut relay.viewer, Duration::from_secs(10), ()).await
    };
    let read_it = async move {
        let mut got = String::new();
        viewer_peer.read_to_string(&mut got).await.unwrap();
        got
    };
    let (closed, got) = tokio::join!(say_it, read_it);
    closed.unwrap();
    assert_eq!(got, "Internal streaming error");
}

#[tokio::test]
async fn what_an_upstream_sent_before_it_broke_off_arrives() {
    for (mut relay, peers, splicing) in both_ways().await {
        let Peers { viewer: mut viewer_peer, upstream: mut upstream_peer } = peers;
        let log = noise(40 << 20, 8);
        let mut got = vec![0; log.len()];
        let break_off = async {
            let (sent, received) = tokio::join!(upstream_peer.write_all(&log), viewer_peer.read_exact(&mut got));
            sent.unwrap();
            received.unwrap();
            reset(upstream_peer);
        };
        let (ended, ()) = tokio::join!(relay.carry(), break_off);
        assert!(matches!(ended, Err(Fault::UpstreamBroke(_))), "{ended:?}");
        assert!(got == log);
        assert_eq!(relay.meter.bytes(), log.len() as u64);
        assert_eq!(relay.meter.spliced(), splicing);
    }
}

#[tokio::test]
async fn a_cancelled_stream_leaves_a_right_meter_and_no_bytes_in_a_pipe() {
    for (mut relay, peers, splicing) in both_ways().await {
        let Peers { viewer: mut viewer_peer, upstream: mut upstream_peer } = peers;
        let mut got = vec![0; 4 << 20];
        let watch_a_while = async {
            tokio::select! {
                read = viewer_peer.read_exact(&mut got) => drop(read.unwrap()),
                () = flood(&mut upstream_peer) => {}
            }
        };
        tokio::select! {
            ended = relay.carry() => panic!("{ended:?}"),
            () = watch_a_while => {}
        }
        assert_eq!(relay.meter.spliced(), splicing);
        assert_eq!(relay.pipes.open(), 0);
        drop(relay.viewer);
        viewer_peer.read_to_end(&mut got).await.unwrap();
        assert_eq!(relay.meter.bytes(), got.len() as u64);
        let sent = noise(256 << 10, 2);
        assert!(got.iter().eq(sent.iter().cycle().take(got.len())));
    }
}

#[tokio::test]
async fn a_close_destroys_nothing_though_the_viewer_said_more_than_it_was_asked() {
    let (server, mut client) = loopback().await;
    let mut viewer = Transport::Plain(server);
    let log = noise(2 << 20, 1);
    client.write_all(b"0123456789abcdef\nmore text after the line").await.unwrap();
    let serve = async {
        viewer.write_all(&log).await.unwrap();
        finish(&mut viewer, Duration::from_secs(10), ()).await.unwrap();
        drop(viewer);
    };
    let receive = async move {
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        got
    };
    let ((), got) = tokio::join!(serve, receive);
    assert!(got == log);
}

#[tokio::test]
async fn a_viewer_that_does_not_close_is_waited_for_only_so_long() {
    let (server, _client) = loopback().await;
    let closed = finish(&mut Transport::Plain(server), SHORT, ()).await;
    assert!(matches!(closed, Err(Fault::ViewerStalled(SHORT))), "{closed:?}");
}

#[tokio::test]
async fn a_reply_to_a_viewer_that_is_gone_is_its_own_fault() {
    let (mut server, client) = loopback().await;
    reset(client);
    assert!(server.read(&mut [0]).await.is_err());
    let said = say(&mut Transport::Plain(server), "Build not found", SHORT).await;
    assert!(matches!(said, Err(Fault::ViewerLeft)), "{said:?}");
}

const TIMEOUT: Duration = Duration::from_secs(300);

/// Reads again and again, each time more than fits into the viewer's own buffer, so that its kernel must have
/// acknowledged bytes since the time before; and less than ours wants free before it takes more.
pub(super) async fn read_steadily(viewer: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut some = vec![0; 16 << 10];
    for _ in 0..60 {
        viewer.read_exact(&mut some).await.unwrap();
        tokio::time::advance(TIMEOUT * 9 / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_reads_steadily_but_little_is_never_cut() {
    for splicing in [true, false] {
        let (viewer, mut viewer_peer) = slow_loopback().await;
        let (upstream, mut upstream_peer) = loopback().await;
        let mut relay = relay(Transport::Plain(viewer), Transport::Plain(upstream)).stalling_after(TIMEOUT);
        relay = if splicing { relay } else { relay.copying() };
        let _held = HeldClock::new();
        tokio::select! {
            ended = relay.carry() => panic!("{ended:?} after {} bytes", relay.meter.bytes()),
            () = flood(&mut upstream_peer) => unreachable!("the relay holds its end open"),
            () = read_steadily(&mut viewer_peer) => {}
        }
        assert_eq!(relay.meter.spliced(), splicing);
    }
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_leaves_the_last_bytes_with_the_kernel_is_cut() {
    let (viewer, _viewer_peer) = slow_loopback().await;
    let (upstream, mut upstream_peer) = loopback().await;
    let mut relay = relay(Transport::Plain(viewer), Transport::Plain(upstream)).stalling_after(TIMEOUT);
    // More than the viewer's kernel takes, less than ours.
    upstream_peer.write_all(&noise(100 << 10, 1)).await.unwrap();
    let started = Instant::now();
    let ended = relay.carry().await;
    assert!(matches!(ended, Err(Fault::ViewerStalled(TIMEOUT))), "{ended:?}");
    assert_eq!(relay.meter.bytes(), 100 << 10, "all was handed over");
    assert!(started.elapsed() <= 2 * TIMEOUT);
}

/// Notes, when it is dropped, whether its peer had told of the end by then.
struct Witness<'a> {
    peer: std::net::TcpStream,
    told: &'a mut bool,
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        *self.told = io::Read::read(&mut self.peer, &mut [0]).is_ok_and(|bytes| bytes == 0);
    }
}

#[tokio::test]
async fn a_viewer_is_told_of_the_end_before_anything_else_is_closed_and_not_waited_for() {
    let (viewer, peer) = loopback().await;
    let mut told = false;
    let peer = peer.into_std().unwrap();
    peer.set_nonblocking(false).unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let witness = Witness { peer, told: &mut told };
    let deadline = Duration::from_secs(10);
    // The witness was the viewer's other end: dropped, it closes.
    finish(&mut Transport::Plain(viewer), deadline, witness).await.unwrap();
    assert!(told);
}
