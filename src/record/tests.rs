//! What is known of a stream once it is over, and who learns of it.

use std::io;
use std::sync::Mutex;

use serde_json::Value;

use super::*;
use crate::metrics::ByListener;

const UUID: &str = "0123456789abcdef0123456789abcdef";

/// Everything that was told, a line each.
type Told = Arc<Mutex<Vec<String>>>;

fn open() -> (Record, Arc<Metrics>) {
    let metrics = Metrics::new();
    (Record::open(Arc::clone(&metrics), "finger", "192.0.2.7:4711".parse().unwrap()), metrics)
}

fn tags(key: &str, value: &str) -> Tags {
    Tags::new([(key, value)]).unwrap()
}

fn listen(record: &mut Record, name: &'static str, told: &Told) {
    let told = Arc::clone(told);
    record.tell(move |ended| told.lock().unwrap().push(format!("{name}: {} {}", ended.ending, ended.blame)));
}

fn lines(told: &Told) -> Vec<String> {
    told.lock().unwrap().clone()
}

#[tokio::test]
async fn the_end_is_told_once_to_whoever_decided_last() {
    let (told, (mut record, _metrics)) = (Told::default(), open());
    listen(&mut record, "accept", &told);
    listen(&mut record, "route", &told);
    record.ended(&Ok(Ending::Replied));
    assert!(lines(&told).is_empty(), "the viewer has still to close");
    drop(record);
    assert_eq!(lines(&told), ["route: replied nobody"]);
}

#[tokio::test]
async fn a_stream_that_a_stop_cuts_is_told() {
    let (told, (mut record, _metrics)) = (Told::default(), open());
    listen(&mut record, "accept", &told);
    drop(record);
    assert_eq!(lines(&told), ["accept: stopping relay"]);
}

#[tokio::test]
async fn a_stream_that_a_panic_ends_is_told() {
    let (told, (mut record, metrics)) = (Told::default(), open());
    listen(&mut record, "accept", &told);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _record = record;
        panic!("in the middle of a stream");
    }));
    assert!(panicked.is_err());
    assert_eq!(lines(&told), ["accept: stopping relay"]);
    let by = ByListener { listener: "finger".to_owned() };
    assert_eq!(metrics.streams.open.get_or_create(&by).get(), 0);
}

#[tokio::test]
async fn a_stream_that_nobody_was_to_be_told_of_is_recorded_all_the_same() {
    let (record, metrics) = open();
    drop(record);
    assert!(metrics.text().contains(r#"ending="stopping",blame="relay"} 1"#), "{}", metrics.text());
}

#[tokio::test]
async fn what_is_told_is_what_is_known() {
    let (mut record, _metrics) = open();
    record.greeted("192.0.2.8:4712".parse().unwrap(), Some("logs.example"), Some("CN=web"));
    record.admitted(Tags::new([("from", "office"), ("team", "a")]).unwrap());
    record.asked(&Query::parse(UUID).unwrap(), 7);
    record.found(Some(&Arc::new(Build {
        uuid: BuildId::parse(UUID).unwrap(),
        zone: None,
        tenant: Some("acme".to_owned()),
        pipeline: None,
        state: None,
        worker: Some(crate::registry::Worker {
            hostname: Hostname::parse("executor1").unwrap(),
            log_port: None,
            zone: Zone::parse("west"),
        }),
    })));
    record.routed(&tags("team", "b"));
    let told = Told::default();
    let telling = Arc::clone(&told);
    record.tell(move |ended| {
        let who = format!("{} {} {:?} {:?}", ended.listener, ended.peer, ended.server_name, ended.identity);
        let what = format!("{:?} {:?} {:?}", ended.uuid.map(BuildId::as_str), ended.tenant, ended.zone);
        let way = format!("{:?} {:?} {} {}", ended.target, ended.kind, ended.tried, ended.bytes);
        telling.lock().unwrap().extend([who, what, way, ended.tags.json()]);
    });
    record.ended(&Err(Fault::Expired(Duration::from_secs(60))));
    drop(record);
    assert_eq!(
        lines(&told),
        [
            "finger 192.0.2.8 Some(\"logs.example\") Some(\"CN=web\")".to_owned(),
            format!("Some({UUID:?}) Some(\"acme\") Some(Zone(\"west\"))"),
            "None None 0 0".to_owned(),
            r#"{"from":"office","team":"b"}"#.to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_stream_is_counted_under_the_tags_of_both_decisions() {
    let (mut record, metrics) = open();
    record.admitted(tags("from", "office"));
    record.routed(&tags("team", "b"));
    drop(record);
    let text = metrics.text();
    for line in [r#"{tag="from",value="office"} 1"#, r#"{tag="team",value="b"} 1"#] {
        assert!(text.contains(&format!("fingerpost_streams_tagged_total{line}\n")), "{line} in {text}");
    }
}

#[tokio::test]
async fn tags_are_a_json_object_in_the_records_of_both_formats() {
    let value = r#"say "hi" \o/"#;
    let text = written(|log| tracing_subscriber::fmt().with_ansi(false).with_writer(log).finish().into(), value);
    assert!(text.contains(r#" tags={"team":"say \"hi\" \\o/"}"#), "{text}");
    let json = written(|log| tracing_subscriber::fmt().json().with_writer(log).finish().into(), value);
    let record: Value = serde_json::from_str(&json).unwrap();
    let tags: Value = serde_json::from_str(record["fields"]["tags"].as_str().unwrap()).unwrap();
    assert_eq!(tags, serde_json::json!({ "team": value }));
}

#[tokio::test]
async fn a_stream_without_tags_has_no_such_field() {
    let json = written(|log| tracing_subscriber::fmt().json().with_writer(log).finish().into(), "");
    let record: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&record["fields"]["ending"], &record["fields"]["tags"]), (&Value::from("complete"), &Value::Null));
}

#[test]
fn addresses_are_spelled_as_the_standard_library_does() {
    for address in ["0.0.0.0:0", "192.0.2.7:4711", "255.255.255.255:65535", "[::1]:79", "[fe80::1%3]:79"] {
        let address: SocketAddr = address.parse().unwrap();
        assert_eq!(Spelled(address).to_string(), address.to_string());
    }
}

/// The log of one stream, tagged if there is a `value`.
fn written(logging: impl FnOnce(Log) -> tracing::Dispatch, value: &str) -> String {
    let log = Log::default();
    tracing::dispatcher::with_default(&logging(log.clone()), || {
        let (mut record, _metrics) = open();
        if !value.is_empty() {
            record.routed(&tags("team", value));
        }
        record.ended(&Ok(Ending::Complete));
    });
    String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
