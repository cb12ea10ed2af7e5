//! What a policy says in the place of a log.

use super::*;

#[tokio::test]
async fn a_reply_arrives_exactly_and_is_counted() {
    let (viewer, mut peer) = loopback().await;
    let (mut viewer, meter) = (Transport::Plain(viewer), Meter::new());
    let text = "zöne\r\n\n".repeat(8000);
    let said = async {
        reply(&mut viewer, &text, &meter, Duration::from_secs(10)).await.unwrap();
        finish(&mut viewer, Duration::from_secs(10), ()).await.unwrap();
    };
    let mut got = String::new();
    let heard = async {
        peer.read_to_string(&mut got).await.unwrap();
        drop(peer);
    };
    tokio::join!(said, heard);
    assert!(got == text, "{} bytes of {}", got.len(), text.len());
    assert_eq!(meter.bytes(), text.len() as u64);
    assert!(meter.first_byte().is_some());
}

#[tokio::test]
async fn a_reply_that_nobody_takes_ends_by_its_deadline() {
    let (viewer, _peer) = sized_loopback(Some(4096)).await;
    let (mut viewer, meter) = (Transport::Plain(viewer), Meter::new());
    let deadline = Duration::from_millis(50);
    let text = "x".repeat(1 << 20);
    let said = reply(&mut viewer, &text, &meter, deadline).await;
    assert!(matches!(said, Err(Fault::ViewerStalled(after)) if after == deadline), "{said:?}");
    assert!(meter.bytes() > 0 && meter.bytes() < 1 << 20);
}

#[tokio::test]
async fn a_reply_to_a_viewer_that_is_gone_says_so() {
    let (viewer, peer) = loopback().await;
    let (mut viewer, meter) = (Transport::Plain(viewer), Meter::new());
    reset(peer);
    viewer.tcp().readable().await.unwrap();
    let said = reply(&mut viewer, "text", &meter, Duration::from_secs(10)).await;
    assert!(matches!(said, Err(Fault::ViewerLeft)), "{said:?}");
}
