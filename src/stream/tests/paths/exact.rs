//! What the upstream sends is what the viewer gets, in whatever pieces, and with whatever pauses on either side.

use super::*;

#[tokio::test]
async fn a_log_arrives_in_whatever_pieces_it_is_sent_and_read() {
    let site = Site::new();
    for path in &PATHS {
        for seed in 1..=4 {
            assert_arrives(path.rig(&site).await, seed, path).await;
        }
    }
}

async fn assert_arrives(rig: Rig, seed: u64, path: &Path) {
    let Rig { mut relay, mut viewer, mut upstream } = rig;
    let (case, watch, log) = (format!("{path}, seed {seed}"), Watch::over(&relay), log(1_500_000, seed));
    let talking = async {
        let sending = send(&mut upstream, &log, Dice(seed));
        tokio::join!(sending, receive(&mut viewer, &watch, Dice(seed + 100))).1
    };
    let got = soon(complete(&mut relay, talking, &case)).await;
    assert_same(&got, &log, &case);
    assert_eq!(relay.meter.bytes(), log.len() as u64, "{case}");
    assert!(relay.meter.first_byte().is_some(), "{case}");
    assert_eq!(relay.meter.spliced(), path.splices, "{case}");
}

/// Sends `log` in pieces as they fall, and ends.
async fn send(upstream: &mut Peer, log: &[u8], mut dice: Dice) {
    let mut left = log;
    while !left.is_empty() {
        let (piece, rest) = left.split_at(dice.length().min(left.len()));
        upstream.write_all(piece).await.unwrap();
        upstream.flush().await.unwrap();
        for _turn in 0..dice.throw(4) {
            yield_now().await;
        }
        left = rest;
    }
    upstream.shutdown().await.unwrap();
}

/// Reads to the end, in pieces as they fall, and now and then only when the relay can do no more.
async fn receive(viewer: &mut Peer, watch: &Watch, mut dice: Dice) -> Vec<u8> {
    let mut got = Vec::new();
    loop {
        if dice.throw(20) == 0 {
            watch.standstill().await;
        }
        let mut some = vec![0; dice.length()];
        let bytes = viewer.read(&mut some).await.unwrap();
        if bytes == 0 {
            viewer.shutdown().await.unwrap();
            return got;
        }
        got.extend_from_slice(&some[..bytes]);
    }
}

#[tokio::test]
async fn an_empty_log_is_an_end_and_nothing_else() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.rig(&site).await;
        soon(complete(&mut relay, end(&mut upstream, &mut viewer, path), path)).await;
        assert_eq!((relay.meter.bytes(), relay.meter.first_byte()), (0, None), "{path}");
    }
}

#[tokio::test]
async fn single_bytes_arrive_one_by_one() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.rig(&site).await;
        soon(complete(&mut relay, spell(&mut upstream, &mut viewer, path), path)).await;
        assert_eq!(relay.meter.bytes(), 256, "{path}");
        assert!(!relay.meter.spliced(), "{path}");
    }
}

async fn spell(upstream: &mut Peer, viewer: &mut Peer, path: &Path) {
    for byte in 0..=255 {
        exchange(upstream, viewer, &[byte], path).await;
    }
    end(upstream, viewer, path).await;
}

#[tokio::test]
async fn a_line_of_a_hundred_megabytes_arrives() {
    let site = Site::new();
    // Of a length that no buffer has, so that bytes lost, doubled or swapped show.
    let mut part = noise(1_000_003, 7);
    part.iter_mut().filter(|byte| **byte == b'\n').for_each(|byte| *byte = 0);
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.rig(&site).await;
        soon(complete(&mut relay, exchange_line(&mut upstream, &mut viewer, &part, path), path)).await;
        assert_eq!(relay.meter.bytes(), 100 * part.len() as u64, "{path}");
        assert_eq!(relay.meter.spliced(), path.splices, "{path}");
    }
}

/// Moves a line that consists of a hundred times this part.
async fn exchange_line(upstream: &mut Peer, viewer: &mut Peer, part: &[u8], path: &Path) {
    for time in 1..=100 {
        exchange(upstream, viewer, part, format_args!("{path}, {time} MB")).await;
    }
    end(upstream, viewer, path).await;
}

#[tokio::test]
async fn bulk_and_lines_take_turns() {
    let site = Site::new();
    for path in &PATHS {
        let Rig { mut relay, mut viewer, mut upstream } = path.rig(&site).await;
        let watch = Watch::over(&relay);
        soon(complete(&mut relay, take_turns(&mut upstream, &mut viewer, &watch, path), path)).await;
    }
}

/// Moves bulk, then lines, and so on. Every time, bulk takes a pipe where the path has one, and lines give it back.
async fn take_turns(upstream: &mut Peer, viewer: &mut Peer, watch: &Watch, path: &Path) {
    let pipes = usize::from(path.splices);
    for turn in 1..=5 {
        let case = format!("{path}, turn {turn}");
        assert_eq!(watch.pipes.open(), 0, "{case}");
        exchange(upstream, viewer, &log(800_000, turn), &case).await;
        assert_eq!(watch.pipes.open(), pipes, "{case}");
        for line in [&b"one line\n"[..], b"another\n", b"\n"] {
            exchange(upstream, viewer, line, &case).await;
        }
        watch.standstill().await;
        assert_eq!(usize::from(watch.pipes.take().is_some()), pipes, "{case}");
    }
    end(upstream, viewer, path).await;
}
