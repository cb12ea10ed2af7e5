//! Targets with wishes of their own: another line than a build's, other deadlines than the configuration's.

use super::*;
use crate::upstream::connect::tests::Silent;

#[tokio::test]
async fn a_line_that_names_no_build_arrives_as_the_viewer_wrote_it() {
    let (listener, reached_by_name) = listening().await;
    let line = Query::parse(" zones@west \t").unwrap().forwarded().unwrap();
    let target = Target::connect(reached_by_name.host, reached_by_name.port);
    let metrics = Metrics::new().upstream.clone();
    let reached = Dialler::new(metrics.clone()).reach(&[target], &line, &how()).await.unwrap();
    drop(reached);
    let mut heard = String::new();
    listener.accept().await.unwrap().0.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, " zones@west\r\n");
    assert_eq!(metrics.dialled.get_or_create(&Dialled { kind: "connect", result: "connected" }).get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_target_has_its_own_time_to_connect() {
    let (hurried, patient) = (Silent::at("127.0.0.1"), Silent::at("127.0.0.1"));
    let mut how = how();
    how.settings.connect_timeout = Duration::from_secs(4);
    let route = [
        Target { connect_timeout: Some(Limit::seconds(0.5).unwrap()), ..to(hurried.address()) },
        Target { connect_timeout: Some(Limit::seconds(60.0).unwrap()), ..to(patient.address()) },
    ];
    let start = Instant::now();
    let unreached = Dialler::new(metrics::Upstream::default()).reach(&route, &request(), &how).await.unwrap_err();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(60_500) && took < Duration::from_millis(60_600), "{took:?}");
    let said: Vec<_> = unreached.attempts.iter().map(ToString::to_string).collect();
    assert!(said[0].contains("no connection within 500ms"), "{said:?}");
    assert!(said[1].contains("no connection within 1m"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn no_target_may_take_longer_than_the_whole_route() {
    let silent = Silent::at("127.0.0.1");
    let mut how = how();
    how.settings.timeout = Duration::from_secs(10);
    let route = [Target { connect_timeout: Some(Limit::seconds(60.0).unwrap()), ..to(silent.address()) }];
    let start = Instant::now();
    assert!(Dialler::new(metrics::Upstream::default()).reach(&route, &request(), &how).await.is_err());
    assert!(start.elapsed() < Duration::from_millis(10_100), "{:?}", start.elapsed());
}
