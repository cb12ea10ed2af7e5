//! One record a stream, whatever became of it, with every field that an operator asks for.

use serde_json::{Value, json};

use crate::site::{BUILD, Site};
use crate::support::executor::{Arrival, Executor};
use crate::support::viewer::Viewer;

const JSON: &str = "log: {format: json}\n";

#[tokio::test]
async fn a_complete_log_leaves_one_record_with_everything_known() {
    let (site, executor) = site(JSON).await;
    site.write("registry.yaml", &worker_in_zone(executor.port()));
    let relay = site.start().await;
    let mut viewer = site.watch(BUILD).await;
    let mut arrival = executor.next().await;
    arrival.send(b"all of it\n").await;
    drop(arrival);
    assert_eq!(viewer.rest().await, b"all of it\n");
    drop(viewer);

    let mut record = relay.stop().await.record();
    let (seconds, first) = (record["seconds"].take(), record["first_byte_seconds"].take());
    let (seconds, first) = (seconds.as_f64().expect("a number"), first.as_f64().expect("a number"));
    assert!(0.0 < first && first <= seconds && seconds < 30.0, "{first} {seconds}");
    let viewer = record["viewer"].take();
    assert!(viewer.as_str().is_some_and(|viewer| viewer.starts_with("127.0.0.1:")), "{viewer}");
    let target = format!("127.0.0.1:{}", executor.port());
    assert_eq!(
        record,
        json!({"message": "stream ended", "listener": "finger", "viewer": null, "build": BUILD, "generation": 1,
               "zone": "west", "target": target, "kind": "direct", "tried": 1, "bytes": 10, "seconds": null,
               "first_byte_seconds": null, "ending": "complete", "blame": "nobody"})
    );
}

#[tokio::test]
async fn records_as_text_have_the_same_fields_in_one_line() {
    let (site, executor) = site("").await;
    let relay = site.start().await;
    site.carries(&executor).await;
    let log = relay.stop().await;
    let records: Vec<_> = log.lines().into_iter().filter(|line| line.contains("fingerpost::record")).collect();
    let [record] = records.as_slice() else { panic!("{records:#?}") };
    let target = format!("target=\"127.0.0.1:{}\"", executor.port());
    for field in [
        "stream ended listener=finger viewer=127.0.0.1:",
        &format!("build=\"{BUILD}\" generation=1"),
        &target,
        "kind=\"direct\" tried=1 bytes=3 seconds=0.",
        " first_byte_seconds=0.",
        "ending=\"complete\" blame=\"nobody\"",
    ] {
        assert!(record.contains(field), "{field} in {record}");
    }
}

#[tokio::test]
async fn a_refusal_is_recorded_with_its_words() {
    let (site, _executor) = site(JSON).await;
    let relay = site.start().await;
    assert_eq!(site.watch("ffff").await.rest().await, b"Build not found");
    let record = relay.stop().await.record();
    ended(&record, "refused", "nobody", "Build not found");
    assert_eq!((&record["build"], &record["tried"], &record["target"]), (&json!("ffff"), &json!(0), &Value::Null));
}

#[tokio::test]
async fn a_request_that_is_no_uuid_is_recorded_as_it_came() {
    let (site, _executor) = site(JSON).await;
    let relay = site.start().await;
    assert_eq!(site.watch("zuul").await.rest().await, b"Build not found");
    let record = relay.stop().await.record();
    ended(&record, "refused", "nobody", "Build not found");
    assert_eq!((&record["query"], &record["build"]), (&json!("zuul"), &Value::Null));
}

#[tokio::test]
async fn a_bad_request_is_the_viewers_fault() {
    let (site, _executor) = site(JSON).await;
    let relay = site.start().await;
    assert_eq!(site.watch(&"a".repeat(2000)).await.until_end().await, b"Internal streaming error");
    let record = relay.stop().await.record();
    assert_eq!((&record["ending"], &record["blame"]), (&json!("bad_request"), &json!("viewer")), "{record}");
    assert_eq!((&record["bytes"], &record["generation"]), (&json!(0), &Value::Null));
}

#[tokio::test]
async fn a_viewer_that_left_is_recorded_as_such() {
    let (site, executor) = site(JSON).await;
    let relay = site.start().await;
    let (viewer, mut arrival) = streaming(&site, &executor).await;
    drop(viewer);
    // Bytes for a socket that is closed are answered by a reset.
    arrival.send(b"more").await;
    relay.until_metric("fingerpost_streams_open{listener=\"finger\"}", 0).await;
    let record = relay.stop().await.record();
    ended(&record, "viewer_left", "viewer", "the viewer left");
}

#[tokio::test]
async fn a_second_target_is_named_with_how_many_were_tried() {
    let (site, executor) = site(JSON).await;
    // Nobody listens where the first one should be.
    let absent = format!("{}:1", site.ip);
    let (here, port) = (site.ip, executor.port());
    site.write(
        "registry.yaml",
        &format!(
            "builds:\n  - {{uuid: {BUILD}, worker: {{hostname: {here}, log_port: 2, zone: west}}}}\ngateways:\n  \
         - {{hostname: {here}, public_port: 1, zone: west}}\n  \
         - {{hostname: 127.0.0.1, public_port: {port}, zone: west, state: paused}}\n"
        ),
    );
    let relay = site.start().await;
    site.carries(&executor).await;
    let record = relay.stop().await.record();
    assert_eq!(
        (&record["ending"], &record["tried"], &record["kind"]),
        (&json!("complete"), &json!(2), &json!("gateway"))
    );
    assert_eq!(record["target"], format!("127.0.0.1:{port}"), "and not {absent}");
    assert_eq!(record["zone"], "west");
}

#[tokio::test]
async fn a_target_that_nobody_answers_at_is_the_upstreams_fault() {
    let site = Site::new().and(JSON);
    site.write(
        "registry.yaml",
        &format!("builds:\n  - {{uuid: {BUILD}, worker: {{hostname: {}, log_port: 1}}}}\n", site.ip),
    );
    let relay = site.start().await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"Internal streaming error");
    let record = relay.stop().await.record();
    assert_eq!((&record["ending"], &record["blame"]), (&json!("unreachable"), &json!("upstream")));
    assert_eq!(record["tried"], 1);
    let why = record["why"].as_str().expect("a reason");
    assert!(why.contains(&format!("{}:1", site.ip)) && why.contains("refused"), "{why}");
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_blamed_and_its_bytes_are_counted() {
    let (site, executor) = site(JSON).await;
    let relay = site.start().await;
    let (mut viewer, arrival) = streaming(&site, &executor).await;
    arrival.reset();
    assert_eq!(viewer.rest().await, b"Internal streaming error");
    drop(viewer);
    let record = relay.stop().await.record();
    assert_eq!((&record["ending"], &record["blame"]), (&json!("upstream_broke"), &json!("upstream")));
    assert_eq!(record["bytes"], 6);
}

#[tokio::test]
async fn streams_that_a_second_signal_cuts_are_the_relays_own_doing() {
    let (site, executor) = site(JSON).await;
    let relay = site.start().await;
    let (mut viewer, _arrival) = streaming(&site, &executor).await;
    relay.signal("TERM").await;
    relay.until_logged("waiting for streams to end").await;
    let log = relay.stop().await;
    let _cut = viewer.until_end().await;
    let record = log.record();
    ended(&record, "stopping", "relay", "the relay is stopping");
    assert_eq!(record["bytes"], 6);
}

#[tokio::test]
async fn a_viewer_that_is_slow_to_close_makes_its_stream_no_longer() {
    let (site, executor) = site(JSON).await;
    let relay = site.start().await;
    let (mut viewer, arrival) = streaming(&site, &executor).await;
    drop(arrival);
    assert!(viewer.rest().await.is_empty());
    // It keeps its side open, until the relay closes without it.
    let record = relay.stop().await.record();
    assert_eq!((&record["ending"], &record["blame"]), (&json!("complete"), &json!("nobody")));
    assert!(record["seconds"].as_f64().is_some_and(|seconds| seconds < 5.0), "{record}");
}

#[tokio::test]
async fn every_stream_has_its_own_record_and_every_line_is_json() {
    let (site, executor) = site(JSON).await;
    let relay = site.start().await;
    for _ in 0..5 {
        site.carries(&executor).await;
        assert_eq!(site.watch("ffff").await.rest().await, b"Build not found");
    }
    let log = relay.stop().await;
    assert_eq!(log.records().len(), 10);
    for event in log.events() {
        assert!(event["timestamp"].is_string() && event["level"].is_string() && event["fields"]["message"].is_string());
    }
}

#[tokio::test]
async fn records_can_be_switched_off_alone() {
    let (site, executor) = site("log: {records: false}\n").await;
    let relay = site.start().await;
    site.carries(&executor).await;
    let log = relay.stop().await;
    let text = log.text();
    assert!(!text.contains("stream ended") && text.contains("serving"), "{text}");
}

#[tokio::test]
async fn records_are_written_at_any_level() {
    let (site, _executor) = site("log: {level: error}\n").await;
    let relay = site.start().await;
    assert_eq!(site.watch("ffff").await.rest().await, b"Build not found");
    let lines = relay.stop().await.lines();
    assert!(lines.len() == 1 && lines[0].contains("stream ended"), "{lines:#?}");
}

async fn site(more: &str) -> (Site, Executor) {
    let executor = Executor::new().await;
    (Site::with_executor(executor.port()).and(more), executor)
}

/// A stream on which something has arrived already.
async fn streaming(site: &Site, executor: &Executor) -> (Viewer, Arrival) {
    let mut viewer = site.watch(BUILD).await;
    let mut arrival = executor.next().await;
    arrival.send(b"begun\n").await;
    viewer.expect(b"begun\n").await;
    (viewer, arrival)
}

fn worker_in_zone(port: u16) -> String {
    format!("builds:\n  - {{uuid: {BUILD}, worker: {{hostname: 127.0.0.1, log_port: {port}, zone: west}}}}\n")
}

fn ended(record: &Value, ending: &str, blame: &str, why: &str) {
    assert_eq!((&record["ending"], &record["blame"], &record["why"]), (&json!(ending), &json!(blame), &json!(why)));
}
