//! One stream at a time over real loopback sockets, with everything that a policy may say of it: what the viewer got,
//! what the upstream saw, and how it was counted.

use std::net::Ipv4Addr;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::*;
use crate::admission::Limits;
use crate::config;
use crate::generation::Generation;
use crate::keyring::Keyring;
use crate::listener::Listeners;
use crate::metrics::Metrics;
use crate::route::Tags;
use crate::tasks::Tasks;
use crate::upstream::Itself;

mod candidate;
mod paths;
mod table;
mod ways;

const UUID: &str = "0123456789abcdef0123456789abcdef";

/// What every stream keeps of its own while it waits for its log's next line, in bytes, besides its task and its two
/// sockets. There are thousands of them, and a future grows without a word when a phase that is over in a moment leaves
/// its box, or an `async fn` is given something by value.
const MOST_KEPT: usize = 1152;

/// Longer than any test takes. The paused clock reaches it at once where a test hangs.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What a relay's streams share, and a listener to come in by.
struct Site {
    shared: Arc<Shared>,
    listeners: Listeners,
    queue: mpsc::Receiver<Incoming>,
    tasks: Tasks,
    _dir: TempDir,
}

impl Site {
    /// A relay that knows the builds and gateways of `registry`.
    async fn knowing(registry: &str) -> Self {
        Self::deciding(registry, "", "").await
    }

    /// The same with these keys of `policy`, and a script for them.
    async fn deciding(registry: &str, policy: &str, script: &str) -> Self {
        Self::configured(registry, "", &format!("policy: {{{policy}}}"), script).await
    }

    /// The same with these keys of the listener, and these beside it.
    async fn configured(registry: &str, listener: &str, keys: &str, script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("new.lua"), script).unwrap();
        let file = dir.path().join("fingerpost.yaml");
        std::fs::write(dir.path().join("registry.yaml"), registry).unwrap();
        let listener = format!("{{name: finger, address: \"127.0.0.1:0\", request_timeout: 1h, {listener}}}");
        let text =
            format!("hostname: relay.test\nlisteners: [{listener}]\nregistry: {{file: registry.yaml}}\n{keys}\n");
        std::fs::write(&file, text).unwrap();
        let (metrics, tasks) = (Metrics::new(), Tasks::new());
        let settings = config::read_yaml(&file).usable().unwrap().settings;
        let generation = Generation::load(1, settings, &Keyring::default(), &metrics).unwrap();
        let mut listeners = Listeners::new(metrics.listeners.clone(), tasks.clone());
        let (accepted, queue) = mpsc::channel(8);
        let plan = listeners.plan(generation.listeners.clone()).unwrap();
        let _applied = listeners.apply(plan, move |arrival| accepted.try_send(arrival.on(None).unwrap()).unwrap());
        let shared = Arc::new(Shared::new(generation, metrics, &tasks));
        assert!(shared.registry.read_within(PATIENCE).await);
        Self { shared, listeners, queue, tasks, _dir: dir }
    }

    async fn new() -> Self {
        Self::knowing("{}").await
    }

    /// A relay that knows one build, whose log the returned listener has.
    async fn with_executor() -> (Self, TcpListener) {
        Self::with_candidate("", "").await
    }

    /// The same with these keys of `policy`, and a script for them.
    async fn with_candidate(policy: &str, script: &str) -> (Self, TcpListener) {
        let executor = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = executor.local_addr().unwrap().port();
        let worker = format!("{{hostname: 127.0.0.1, log_port: {port}}}");
        let registry = format!("builds: [{{uuid: {UUID}, worker: {worker}}}]");
        (Self::deciding(&registry, policy, script).await, executor)
    }

    /// The same, in a zone that has the returned listener for its gateway.
    async fn with_gateway() -> (Self, TcpListener) {
        let gateway = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = gateway.local_addr().unwrap().port();
        let build = format!("builds: [{{uuid: {UUID}, worker: {{hostname: far, log_port: 1, zone: west}}}}]");
        let gateways = format!("gateways: [{{hostname: 127.0.0.1, public_port: {port}, zone: west}}]");
        (Self::knowing(&format!("{build}\n{gateways}\n")).await, gateway)
    }

    /// A viewer's end, and the stream that serves it.
    async fn visited(&mut self) -> (TcpStream, Visit<'_>, Record) {
        let (viewer, incoming) = self.connected().await;
        let record = Record::open(Arc::clone(&self.shared.metrics), "finger", incoming.peer);
        let visit = Visit { shared: &self.shared, viewer: incoming.greet().await.unwrap() };
        (viewer, visit, record)
    }

    async fn connected(&mut self) -> (TcpStream, Incoming) {
        let SocketAddr::V4(address) = self.listeners.addresses()[0].1 else { panic!() };
        let viewer = TcpSocket::new_v4().unwrap();
        viewer.set_recv_buffer_size(4096).unwrap();
        let viewer = viewer.connect(address.into()).await.unwrap();
        (viewer, self.queue.recv().await.unwrap())
    }

    /// How often a stream ended so.
    fn ended(&self, ending: &'static str, blame: &'static str) -> u64 {
        let labels = crate::metrics::Ending { listener: "finger".to_owned(), ending, blame };
        self.shared.metrics.streams.ended.get_or_create(&labels).get()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

/// Serves a viewer of whom the policy said this.
async fn converse(visit: &mut Visit<'_>, admission: Result<Admission, Fault>, record: &mut Record) {
    let answer = visit.ask(admission, record).await;
    take(answer, visit, record).await;
}

/// Serves a viewer from its admission on.
async fn begin(visit: &mut Visit<'_>, record: &mut Record) {
    let answer = visit.answer(record).await;
    take(answer, visit, record).await;
}

async fn take(answer: Result<Answer<'_>, Fault>, visit: &mut Visit<'_>, record: &mut Record) {
    let result = match answer {
        Ok(answer) => taken(answer, visit, record).await,
        Err(fault) => Err(fault),
    };
    let (result, upstream) = match result {
        Ok((ending, upstream)) => (Ok(ending), upstream),
        Err(fault) => (Err(fault), None),
    };
    conclude(&result, &mut visit.viewer.transport, upstream, record).await;
}

async fn taken<'a>(
    answer: Answer<'a>,
    visit: &mut Visit<'_>,
    record: &mut Record,
) -> Result<(Ending, Option<Box<Log<'a>>>), Fault> {
    match answer {
        Answer::Over(ending) => Ok((ending, None)),
        Answer::Log(log) => {
            let upstream = log.follow(&mut visit.viewer.transport, record).await?;
            Ok((Ending::Complete, upstream))
        }
    }
}

fn allowed(limits: Limits) -> Result<Admission, Fault> {
    Ok(Admission::Allow { limits, tags: Tags::default() })
}

fn limit(seconds: f64) -> Option<Limit> {
    Some(Limit::seconds(seconds).unwrap())
}

fn lasting(seconds: f64) -> Limits {
    Limits { max_duration: limit(seconds), ..Limits::default() }
}

/// All that comes, until the relay ends its side in order.
async fn rest(viewer: &mut TcpStream) -> String {
    let mut got = String::new();
    timeout(PATIENCE, viewer.read_to_string(&mut got)).await.unwrap().unwrap();
    got
}

async fn accept(upstream: &TcpListener) -> TcpStream {
    timeout(PATIENCE, upstream.accept()).await.unwrap().unwrap().0
}

/// Accepts a stream and takes its request.
async fn asked(upstream: &TcpListener) -> TcpStream {
    let mut stream = accept(upstream).await;
    let mut line = vec![0; UUID.len() + 1];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(line, format!("{UUID}\n").as_bytes());
    stream
}

#[tokio::test]
async fn a_refused_connection_is_told_why_before_it_asks() {
    let mut site = Site::new().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let tags = Tags::new([("reason", "night")]).unwrap();
    let admission = Ok(Admission::Refuse { text: "Come back at nine".to_owned(), tags });
    let read = async {
        let got = rest(&mut viewer).await;
        drop(viewer);
        got
    };
    let (got, ()) = tokio::join!(read, converse(&mut visit, admission, &mut record));
    assert_eq!(got, "Come back at nine");
    drop(record);
    assert_eq!(site.ended("refused", "nobody"), 1);
    let tagged = "fingerpost_streams_tagged_total{tag=\"reason\",value=\"night\"} 1\n";
    assert!(site.shared.metrics.text().contains(tagged));
}

#[tokio::test]
async fn a_policy_that_fails_to_admit_is_blamed_and_lets_nobody_in() {
    let mut site = Site::new().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let read = async {
        let got = rest(&mut viewer).await;
        drop(viewer);
        got
    };
    let admission = Err(Fault::Policy("no such key".to_owned()));
    let (got, ()) = tokio::join!(read, converse(&mut visit, admission, &mut record));
    assert_eq!(got, "Internal streaming error");
    drop(record);
    assert_eq!(site.ended("policy", "policy"), 1);
}

#[tokio::test]
async fn without_a_word_of_the_policy_a_stream_is_as_configured() {
    let (mut site, executor) = Site::with_executor().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let watch = async {
        viewer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
        asked(&executor).await.write_all(b"log").await.unwrap();
        assert_eq!(rest(&mut viewer).await, "log");
        drop(viewer);
    };
    tokio::join!(watch, begin(&mut visit, &mut record));
    drop(record);
    assert_eq!(site.ended("complete", "nobody"), 1);
}

#[tokio::test(start_paused = true)]
async fn the_policys_request_timeout_holds_in_the_place_of_the_listeners() {
    let mut site = Site::new().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let start = Instant::now();
    let limits = Limits { request_timeout: limit(2.0), ..Limits::default() };
    let read = async {
        assert_eq!(rest(&mut viewer).await, "Internal streaming error");
        drop(viewer);
        start.elapsed()
    };
    let (took, ()) = tokio::join!(read, converse(&mut visit, allowed(limits), &mut record));
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    drop(record);
    assert_eq!(site.ended("request_timeout", "viewer"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_time_is_over_ends_in_order_with_what_came() {
    let (mut site, executor) = Site::with_executor().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let start = Instant::now();
    let watch = async {
        viewer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
        let mut upstream = asked(&executor).await;
        upstream.write_all(b"begun\n").await.unwrap();
        assert_eq!(rest(&mut viewer).await, "begun\n");
        let took = start.elapsed();
        drop(viewer);
        assert_eq!(upstream.read(&mut [0; 16]).await.unwrap(), 0, "Zuul's executors want an orderly close");
        took
    };
    let (took, ()) = tokio::join!(watch, converse(&mut visit, allowed(lasting(60.0)), &mut record));
    assert!(took >= Duration::from_secs(60) && took < Duration::from_secs(61), "{took:?}");
    drop(record);
    assert_eq!(site.ended("expired", "nobody"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_gateway_learns_at_once_that_the_time_is_over() {
    let (mut site, gateway) = Site::with_gateway().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let watch = async {
        viewer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
        let mut upstream = asked(&gateway).await;
        assert_eq!(rest(&mut viewer).await, "");
        drop(viewer);
        upstream.read(&mut [0; 16]).await.unwrap_err().kind()
    };
    let (seen, ()) = tokio::join!(watch, converse(&mut visit, allowed(lasting(60.0)), &mut record));
    assert_eq!(seen, std::io::ErrorKind::ConnectionReset);
    drop(record);
    assert_eq!(site.ended("expired", "nobody"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_viewer_that_never_asks_may_not_stay_longer_than_a_stream() {
    let mut site = Site::new().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let read = async {
        let got = rest(&mut viewer).await;
        drop(viewer);
        got
    };
    let (got, ()) = tokio::join!(read, converse(&mut visit, allowed(lasting(2.0)), &mut record));
    assert_eq!(got, "");
    drop(record);
    assert_eq!(site.ended("expired", "nobody"), 1);
}

#[tokio::test]
async fn the_policys_stall_timeout_holds_in_the_place_of_the_configurations() {
    let (mut site, executor) = Site::with_executor().await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let limits = Limits { stall_timeout: limit(0.05), ..Limits::default() };
    let flood = async {
        viewer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
        let mut upstream = asked(&executor).await;
        while upstream.write_all(&[b'x'; 64 << 10]).await.is_ok() {}
    };
    tokio::join!(flood, converse(&mut visit, allowed(limits), &mut record));
    drop(record);
    assert_eq!(site.ended("viewer_stalled", "viewer"), 1, "the configuration allows five minutes");
}

#[tokio::test]
async fn what_decided_a_stream_that_lives_on_keeps_no_engine_after_a_reload() {
    let ended = "ended = function() relay.shared.add('ended', 1) end";
    let script = format!("return {{ api = 1, route = function() return relay.refuse('no') end, {ended} }}");
    let policy = "file: new.lua, candidate: {file: new.lua}";
    let mut site = Site::deciding(&format!("builds: [{{uuid: {UUID}}}]"), policy, &script).await;
    let (mut viewer, mut visit, mut record) = site.visited().await;
    let ask = async {
        viewer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
        assert_eq!(rest(&mut viewer).await, "no");
        drop(viewer);
    };
    tokio::join!(ask, begin(&mut visit, &mut record));
    // The stream goes on as long as its record.
    let first = site.shared.generation();
    let engines = |of: &Generation| (of.policy.engines(), of.candidate.as_ref().unwrap().engines());
    assert_eq!(engines(&first), (1, 1));
    let reload = |number| {
        let settings = first.settings.clone();
        let next = Generation::load(number, settings, &Keyring::default(), &site.shared.metrics).unwrap();
        site.shared.publish(Arc::new(next), Itself::default());
    };
    reload(2);
    assert_eq!(engines(&first), (0, 0));
    drop(record);
    let told = site.shared.world.shared.get("ended", std::time::Instant::now());
    assert_eq!((told, engines(&first)), (Some(1.0.into()), (1, 0)));
    reload(3);
    assert_eq!(engines(&first), (0, 0));
}

#[tokio::test]
async fn a_stream_that_waits_for_the_next_line_keeps_little() {
    let mut site = Site::new().await;
    let SocketAddr::V4(address) = site.listeners.addresses()[0].1 else { panic!() };
    let _viewer = TcpSocket::new_v4().unwrap().connect(address.into()).await.unwrap();
    let serving = serve(Arc::clone(&site.shared), site.queue.recv().await.unwrap());
    let kept = size_of_val(&serving) + size_of::<Log<'_>>();
    assert!(kept <= MOST_KEPT, "{kept}");
}
