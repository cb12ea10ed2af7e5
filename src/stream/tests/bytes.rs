//! What the upstream sends is what the viewer gets.

use std::pin::Pin;

use super::*;

/// Sends `log` in pieces of the sizes that `size` gives, reads all of it, and compares.
async fn assert_exact(mut relay: Relay, peers: Peers, log: &[u8], mut size: impl FnMut() -> usize) -> Relay {
    let Peers { viewer: mut viewer_peer, upstream: mut upstream_peer } = peers;
    let send = async move {
        let mut left = log;
        while !left.is_empty() {
            let (piece, rest) = left.split_at(size().clamp(1, left.len()));
            upstream_peer.write_all(piece).await.unwrap();
            left = rest;
        }
    };
    let receive = async move {
        let mut got = Vec::new();
        viewer_peer.read_to_end(&mut got).await.unwrap();
        got
    };
    let (ended, (), got) = tokio::join!(relay.run(), send, receive);
    ended.unwrap();
    assert!(got == log, "{} bytes of {} arrived, or others did", got.len(), log.len());
    assert_eq!(relay.meter.bytes(), log.len() as u64);
    relay
}

#[tokio::test]
async fn an_empty_log_ends_at_once() {
    let (relay, peers) = Relay::new().await;
    let relay = assert_exact(relay, peers, b"", || 1).await;
    assert_eq!(relay.meter.first_byte(), None);
}

#[tokio::test]
async fn single_bytes_arrive_nul_included() {
    let (relay, peers) = Relay::new().await;
    let log: Vec<u8> = (0..2048u32).map(|n| n as u8).collect();
    let relay = assert_exact(relay, peers, &log, || 1).await;
    assert!(relay.meter.first_byte().is_some());
    assert!(!relay.meter.spliced(), "a pipe is not for single bytes");
}

#[tokio::test]
async fn chunks_of_any_size_arrive() {
    for seed in 1..=3 {
        let (relay, peers) = Relay::new().await;
        let sizes = noise(100_000, seed);
        let mut sizes = sizes.iter().map(|size| usize::from(*size)).map(|size| size * size * 3).cycle();
        assert_exact(relay, peers, &noise(5_000_000, seed), || sizes.next().unwrap()).await;
    }
}

#[tokio::test]
async fn narrow_sockets_that_take_part_of_a_write_get_all_of_it() {
    for splicing in [true, false] {
        let (relay, peers) = Relay::with_buffers(Some(5000)).await;
        let relay = if splicing { relay } else { relay.copying() };
        assert_exact(relay, peers, &noise(3_000_000, 9), || 70_000).await;
    }
}

/// The kernel may keep the last bytes until the end, so all of them have to come with it, whatever it had room for.
#[tokio::test]
async fn a_log_that_has_ended_before_it_is_read_is_whole() {
    for (len, narrow) in [(1, false), (4096, false), (60_000, false), (60_000, true)] {
        let (viewer, mut viewer_peer) = if narrow { slow_loopback().await } else { loopback().await };
        let (upstream, mut upstream_peer) = loopback().await;
        let log = noise(len, 5);
        upstream_peer.write_all(&log).await.unwrap();
        upstream_peer.shutdown().await.unwrap();
        let mut relay = relay(Transport::Plain(viewer), Transport::Plain(upstream));
        let receive = async move {
            let mut got = Vec::new();
            viewer_peer.read_to_end(&mut got).await.unwrap();
            got
        };
        let (ended, got) = tokio::join!(relay.run(), receive);
        ended.unwrap();
        assert!(got == log, "{} bytes of {len} arrived, or others did", got.len());
        assert_eq!(relay.meter.bytes(), len as u64);
    }
}

#[tokio::test]
async fn a_hundred_megabytes_are_spliced() {
    let (mut relay, peers) = Relay::new().await;
    let Peers { viewer: mut viewer_peer, upstream: mut upstream_peer } = peers;
    // Of a length that no buffer has, so that bytes lost, doubled or swapped show.
    let block = noise(1_000_003, 7);
    let send = async {
        for _ in 0..100 {
            upstream_peer.write_all(&block).await.unwrap();
        }
        drop(upstream_peer);
    };
    let receive = async {
        let mut got = vec![0; block.len()];
        for _ in 0..100 {
            viewer_peer.read_exact(&mut got).await.unwrap();
            assert!(got == block);
        }
        assert_eq!(viewer_peer.read(&mut got).await.unwrap(), 0);
        drop(viewer_peer);
    };
    let (ended, (), ()) = tokio::join!(relay.run(), send, receive);
    ended.unwrap();
    assert_eq!(relay.meter.bytes(), 100 * block.len() as u64);
    assert!(relay.meter.spliced());
    assert!(relay.pipes.open() <= 1, "one stream never takes a second pipe");
    assert!(relay.pipes.take().is_some_and(|pipe| pipe.is_empty()));
}

#[tokio::test]
async fn without_a_pipe_bulk_is_copied() {
    let (relay, peers) = Relay::new().await;
    let relay = assert_exact(relay.copying(), peers, &noise(20_000_000, 4), || 1 << 20).await;
    assert!(!relay.meter.spliced());
}

#[tokio::test]
async fn a_line_after_bulk_is_not_kept_in_the_pipe() {
    let (mut relay, mut peers) = Relay::new().await;
    let bulk = noise(8 << 20, 3);
    let watch = async {
        let mut got = vec![0; bulk.len()];
        let (sent, received) = tokio::join!(peers.upstream.write_all(&bulk), peers.viewer.read_exact(&mut got));
        sent.unwrap();
        received.unwrap();
        assert!(got == bulk);
        for line in [&b"one line\n"[..], b"another\n", b"\n"] {
            peers.exchange(line).await;
        }
        drop(peers);
    };
    let (ended, ()) = tokio::join!(relay.run(), watch);
    ended.unwrap();
    assert!(relay.meter.spliced());
}

#[tokio::test]
async fn what_the_viewer_sends_is_thrown_away() {
    // A word; and more than is ever read of it, so that the rest waits in the kernel until the close.
    for (junk, bulk) in [(100, 30_000), (100, 30_000_000), (5 << 20, 30_000), (5 << 20, 30_000_000)] {
        let (relay, peers) = Relay::new().await;
        chat(relay, peers, noise(junk, 6), noise(bulk, 5)).await;
    }
}

/// Carries `log` while the viewer sends `junk`, then closes.
async fn chat(mut relay: Relay, peers: Peers, junk: Vec<u8>, log: Vec<u8>) {
    let Peers { viewer, upstream: mut upstream_peer } = peers;
    let (mut reads, mut writes) = viewer.into_split();
    let send = async {
        upstream_peer.write_all(&log).await.unwrap();
        upstream_peer.shutdown().await.unwrap();
        let mut heard = Vec::new();
        upstream_peer.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let converse = async {
        let mut got = Vec::new();
        let (read, written) = tokio::join!(reads.read_to_end(&mut got), writes.write_all(&junk));
        read.unwrap();
        written.unwrap();
        drop(writes);
        got
    };
    let relaying = async {
        relay.run().await.unwrap();
        drop(relay);
    };
    let ((), got, heard) = tokio::join!(relaying, converse, send);
    assert!(got == log);
    assert!(heard.is_empty(), "the upstream heard {} bytes", heard.len());
}

#[tokio::test]
async fn a_busy_stream_lets_others_have_their_turn() {
    for splicing in [false, true] {
        let (relay, mut peers) = Relay::new().await;
        let mut relay = if splicing { relay } else { relay.copying() };
        let mut flood = pin!(endings::flood(&mut peers.upstream));
        let mut read = pin!(discard(&mut peers.viewer));
        let Relay { viewer, upstream, settings, pipes, meter } = &mut relay;
        let mut carrying = pin!(carry(viewer, upstream, settings, pipes, meter));
        while meter.bytes() < 64 << 20 {
            let before = meter.bytes();
            assert!(once(flood.as_mut()).await.is_pending());
            assert!(once(carrying.as_mut()).await.is_pending());
            assert!(once(read.as_mut()).await.is_pending());
            let moved = meter.bytes() - before;
            assert!(moved <= 5 << 20, "{moved} bytes in one turn");
            tokio::task::yield_now().await;
        }
    }
}

async fn discard(viewer: &mut TcpStream) {
    let mut some = vec![0; 1 << 20];
    while viewer.read(&mut some).await.unwrap() > 0 {}
}

async fn once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
