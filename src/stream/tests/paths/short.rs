//! Viewers that take less than they are given. That they do is measured.

use super::*;

#[tokio::test]
async fn writes_that_are_taken_in_part_lose_and_double_nothing() {
    let site = Site::new();
    for path in &PATHS {
        for seed in 1..=2 {
            assert_arrives_in_sips(path.narrow(&site).await, seed, path).await;
        }
    }
}

async fn assert_arrives_in_sips(rig: Rig, seed: u64, path: &Path) {
    let Rig { mut relay, mut viewer, mut upstream } = rig;
    let (case, watch, log) = (format!("{path}, seed {seed}"), Watch::over(&relay), log(BULK, seed));
    let mut got = vec![0; log.len()];
    let talking = async {
        arrive(&mut upstream, &log).await;
        let short = sip(path, &mut viewer, &watch, &mut Dice(seed), &mut got).await;
        end(&mut upstream, &mut viewer, &case).await;
        short
    };
    let short = soon(complete(&mut relay, talking, &case)).await;
    assert_same(&got, &log, &case);
    assert!(short >= 3, "{case}: only {short} writes are known to have been taken in part");
    assert_eq!(relay.meter.bytes(), log.len() as u64, "{case}");
    assert_eq!(relay.meter.spliced(), path.splices, "{case}");
}

/// Fills `got`, a few bytes at a time, and each time only when the relay can do no more. Says how often more went out
/// by this very path than the relay's kernel holds, though the relay read nothing new: as often, a write had been taken
/// in part.
async fn sip(path: &Path, viewer: &mut Peer, watch: &Watch, dice: &mut Dice, got: &mut [u8]) -> usize {
    let room = 2 * SockRef::from(&watch.viewer).send_buffer_size().unwrap() as u64;
    let (mut unread, mut delivered, mut short, mut at) = (watch.unread(), watch.delivered(), 0, 0);
    while at < got.len() {
        watch.standstill().await;
        if watch.unread() != unread || watch.meter.spliced() != path.splices {
            (unread, delivered) = (watch.unread(), watch.delivered());
        } else if watch.delivered() > delivered + room {
            (delivered, short) = (watch.delivered(), short + 1);
        }
        let most = [1, 50, 5000][dice.throw(3)];
        let end = got.len().min(at + 1 + dice.throw(most));
        let bytes = viewer.read(&mut got[at..end]).await.unwrap();
        assert_ne!(bytes, 0, "{path}: it ends after {at} bytes");
        at += bytes;
    }
    short
}
