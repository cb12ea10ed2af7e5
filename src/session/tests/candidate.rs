//! Streams while a policy is on trial: whose route they take, and whose they are when they end.

use super::*;

/// How many streams ended, by who decided them and how.
fn trialled(site: &Site, policy: &'static str, result: &'static str) -> u64 {
    site.shared.metrics.candidate.streams.get_or_create(&crate::metrics::Trialled { policy, result }).get()
}

#[tokio::test]
async fn where_a_candidate_fails_the_viewer_gets_its_log_all_the_same() {
    let script = "return { api = 1, route = function(request) error('no') end }";
    let (mut site, executor) = Site::with_candidate("candidate: {file: new.lua, percent: 100}", script).await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let watch = async {
        viewer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
        asked(&executor).await.write_all(b"log").await.unwrap();
        assert_eq!(rest(&mut viewer).await, "log");
        drop(viewer);
    };
    tokio::join!(watch, begin(&mut visit, &mut record));
    drop(record);
    assert_eq!((site.ended("complete", "nobody"), trialled(&site, "active", "fine")), (1, 1));
}

/// Asks for the build as a viewer that reads to the end.
async fn got(viewer: &mut TcpStream) -> String {
    viewer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
    rest(viewer).await
}

#[tokio::test]
async fn a_candidates_route_that_leads_nowhere_is_its_failure() {
    let script = "return { api = 1, route = function() return relay.connect{ host = '127.0.0.1', port = 1 } end }";
    let (mut site, _executor) = Site::with_candidate("candidate: {file: new.lua, percent: 100}", script).await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let watch = async {
        assert_eq!(got(&mut viewer).await, "Internal streaming error");
        drop(viewer);
    };
    tokio::join!(watch, begin(&mut visit, &mut record));
    drop(record);
    assert_eq!((site.ended("unreachable", "upstream"), trialled(&site, "candidate", "failed")), (1, 1));
}

#[tokio::test]
async fn a_candidate_that_fails_when_it_is_asked_again_leaves_the_stream_to_the_active_policy() {
    let script = "local asked = 0
        return { api = 1, route = function()
            asked += 1
            if asked > 1 then error('no') end
            return relay.connect{ host = '127.0.0.1', port = 1 }
        end }";
    let (mut site, executor) = Site::with_candidate("candidate: {file: new.lua, percent: 100}", script).await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let watch = async {
        assert_eq!(got(&mut viewer).await, "log");
        drop(viewer);
    };
    let serve = async { asked(&executor).await.write_all(b"log").await.unwrap() };
    tokio::join!(watch, serve, begin(&mut visit, &mut record));
    drop(record);
    assert_eq!((site.ended("complete", "nobody"), trialled(&site, "active", "fine")), (1, 1));
}
