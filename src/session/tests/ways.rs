//! Ways that a policy makes up itself: its own words, and hosts of its choice.

use super::*;
use crate::names::Hostname;
use crate::request::Query;
use crate::route::{Reply, Target, Way};

/// Asks for `line` and goes `way` with it, as if the policy had decided so.
async fn take(
    visit: &mut Visit<'_>,
    line: &str,
    limits: Limits,
    way: Way,
    record: &mut Record,
) -> Result<Ending, Fault> {
    let deciding = visit.shared.deciding();
    let terms = Terms::new(deciding, &limits, Expiry::after(limits.max_duration));
    let mut asked = Asked::new(visit.shared, terms, Query::parse(line).unwrap());
    let found = asked.find(way, &visit.viewer, record).await?;
    let answer = asked.answer(found, &mut visit.viewer, record).await?;
    taken(answer, visit, record).await.map(|(ending, _closed)| ending)
}

#[tokio::test]
async fn a_reply_is_all_that_the_viewer_gets_and_ends_like_a_log() {
    let mut site = Site::new().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let text = "cloud  3 builds\r\noffice  1 build\n".repeat(500);
    let way = Way::Reply(Reply::new(&text).unwrap());
    let said = async {
        let result = take(&mut visit, "zones", Limits::default(), way, &mut record).await;
        end(&result, &mut record);
        take_leave(&mut visit.viewer.transport, None, None).await
    };
    let read = async {
        let got = rest(&mut viewer).await;
        drop(viewer);
        got
    };
    let (left, got) = tokio::join!(said, read);
    left.unwrap();
    assert!(got == text, "{} bytes of {}", got.len(), text.len());
    assert_eq!(record.meter.bytes(), text.len() as u64);
    drop((record, visit));
    assert_eq!(site.ended("replied", "nobody"), 1);
}

#[tokio::test]
async fn a_reply_that_nobody_takes_is_given_up_after_the_stall_timeout() {
    let mut site = Site::new().await;
    let (_viewer, mut visit, mut record) = site.visited().await;
    socket2::SockRef::from(visit.viewer.transport.tcp()).set_send_buffer_size(4096).unwrap();
    let way = Way::Reply(Reply::new(&"x".repeat(Reply::MAX_LEN)).unwrap());
    let limits = Limits { stall_timeout: limit(0.05), ..Limits::default() };
    let ended = take(&mut visit, "zones", limits, way, &mut record).await;
    assert!(matches!(ended, Err(Fault::ViewerStalled(after)) if after == Duration::from_millis(50)), "{ended:?}");
}

#[tokio::test]
async fn a_host_of_the_policys_choice_gets_the_line_though_it_names_no_build() {
    let mut site = Site::new().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = Target::connect(Hostname::parse("127.0.0.1").unwrap(), host.local_addr().unwrap().port());
    let serve = async {
        let mut stream = accept(&host).await;
        let mut line = [0; 12];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(&line).await.unwrap();
    };
    let way = Way::Targets(vec![target]);
    let (ended, ()) = tokio::join!(take(&mut visit, "zones@west", Limits::default(), way, &mut record), serve);
    assert!(matches!(ended, Ok(Ending::Complete)), "{ended:?}");
    drop(visit);
    assert_eq!(rest(&mut viewer).await, "zones@west\r\n");
}

#[tokio::test]
async fn executors_and_gateways_are_never_asked_for_what_is_no_build() {
    let mut site = Site::new().await;
    let (_viewer, mut visit, mut record) = site.visited().await;
    let host = || Hostname::parse("127.0.0.1").unwrap();
    let (chosen, executor) = (Target::connect(host(), 1), Target::new(crate::route::TargetKind::Direct, host(), 1));
    let way = Way::Targets(vec![chosen, executor]);
    let ended = take(&mut visit, "zones@west", Limits::default(), way, &mut record).await;
    let Err(Fault::Policy(why)) = ended else { panic!("{ended:?}") };
    assert_eq!(why, "it gave the target direct 127.0.0.1:1 for a request that names no build");
}
