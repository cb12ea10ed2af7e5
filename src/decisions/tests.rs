//! Decisions in, files out, and the same decisions read back from them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use super::entry::VERSION;
use super::*;
use crate::config;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::names::{BuildId, Hostname, Zone};
use crate::policy::{Failure, FailureKind, Moment, World};
use crate::registry::{Build, Freshness, Gateway, Snapshot, State, Worker};
use crate::route::{Route, Target, Way};
use crate::tls::Identity;

const PATIENCE: Duration = Duration::from_secs(60);

const UUID: &str = "0123456789abcdef0123456789abcdef";

/// Reads one shared value, and goes by the gateways of the build's zone.
const SCRIPT: &str = "return { api = 1, route = function(request)
if relay.shared.get('drained') then error('drained') end
return relay.via(relay.gateways(request.build.worker.zone), { tags = { kind = 'x' } }) end }";

/// A folder with a configuration, and what follows from it.
struct Site {
    folder: TempDir,
    metrics: Arc<Metrics>,
    world: Arc<World>,
}

impl Site {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), metrics: Metrics::new(), world: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A generation that keeps its decisions in `log`, where there is one.
    fn generation(&self, number: u64, log: Option<&str>) -> Arc<Generation> {
        fs::write(self.path("policy.lua"), SCRIPT).unwrap();
        let decisions = log.map(|log| format!("decisions: {{file: {log}}}\n")).unwrap_or_default();
        let policy = "policy: {file: policy.lua, params: {limit: 1, share: 0.5, names: [a, {b: true}]}}\n";
        let text = format!("hostname: relay.example\nzone: east\nregistry: {{file: r.yaml}}\n{policy}{decisions}");
        fs::write(self.path("fingerpost.yaml"), text).unwrap();
        let settings = config::read_yaml(&self.path("fingerpost.yaml")).usable().unwrap().settings;
        Arc::new(Generation::load(number, settings, &Keyring::default(), &self.metrics).unwrap())
    }

    /// Has `generation` decide about `query`, as a stream would.
    fn decide(&self, log: &Log, generation: &Arc<Generation>, query: &str) -> Result<Route, Failure> {
        let decide = |request: &Request<'_>| Decided::undisputed(&generation.policy, request);
        self.asking(query, |request| log.witness(generation, request, decide)).route
    }

    /// A decision that waits to be written.
    fn offer(&self, generation: &Arc<Generation>, query: &str) -> Offer {
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        self.asking(query, |request| {
            let decided = Decided::undisputed(&generation.policy, request);
            let decision = Decision::of(request, generation.number, &decided);
            let components = Arc::clone(&request.known.snapshot.components);
            Offer { decision, generation: Arc::clone(generation), components, _room: room }
        })
    }

    fn asking<T>(&self, query: &str, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let (uuid, snapshot, build) = (BuildId::parse(UUID).unwrap(), Arc::new(snapshot()), Arc::new(build()));
        let identity = Arc::new(Identity {
            subject: "CN=viewer".to_owned(),
            names: vec!["viewer.example".to_owned()],
            fingerprint: "ab".repeat(32),
        });
        ask(&Request {
            query,
            uuid: Some(&uuid),
            build: Some(&build),
            known: Known { snapshot: &snapshot, world: &self.world, at: Moment::now() },
            listener: "finger",
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
            server_name: Some("logs.example"),
            identity: Some(&identity),
            seed: u64::MAX,
        })
    }

    fn lost(&self, reason: &'static str) -> u64 {
        self.metrics.decisions.lost.get_or_create(&ByReason { reason }).get()
    }
}

fn build() -> Build {
    Build {
        uuid: BuildId::parse(UUID).unwrap(),
        zone: None,
        tenant: Some("acme".to_owned()),
        pipeline: Some("gate".to_owned()),
        state: Some("running".to_owned()),
        worker: Some(Worker {
            hostname: Hostname::parse("ze1.example").unwrap(),
            log_port: Some(7900),
            zone: Zone::parse("west"),
        }),
    }
}

/// A registry whose source is away, with one gateway of the zone `west`.
fn snapshot() -> Snapshot {
    let gateway = Gateway {
        id: "gw0000000001".into(),
        hostname: Hostname::parse("gw.example").unwrap(),
        zone: Zone::parse("west"),
        public_port: Some(79),
        use_ssl: true,
        state: State::Running,
        version: Some("14.3.0".to_owned()),
    };
    let components = Arc::new(Components { gateways: vec![Arc::new(gateway)], ..Components::default() });
    let freshness = Freshness::StaleSince(Instant::now());
    Snapshot { components, freshness, ..Snapshot::default() }
}

fn read(file: &Path) -> Vec<Logged> {
    Reader::open(file).unwrap().map(|line| line.unwrap()).collect()
}

fn queries(file: &Path) -> Vec<String> {
    read(file).into_iter().map(|logged| logged.decision.asked.query).collect()
}

fn lines_with(file: &Path, kind: &str) -> usize {
    fs::read_to_string(file).unwrap().lines().filter(|line| line.starts_with(&format!("{{\"{kind}\":"))).count()
}

#[tokio::test]
async fn what_was_decided_is_read_back_whole() {
    let (site, tasks) = (Site::new(), Tasks::new());
    let generation = site.generation(7, Some("log"));
    let log = Log::new(site.metrics.decisions.clone(), &tasks);
    log.follow(generation.settings.decisions.as_ref());
    let before = SystemTime::now();
    let route = site.decide(&log, &generation, UUID).unwrap();
    site.world.shared.set("drained", true.into(), None, Instant::now()).unwrap();
    let failure = site.decide(&log, &generation, "/W zuul").unwrap_err();
    tasks.stop();
    assert!(tasks.ended_within(PATIENCE).await, "what waits is written, and then it ends");
    assert_eq!(site.metrics.decisions.logged.get(), 2);

    let found = read(&site.path("log"));
    let [first, second] = found.as_slice() else { panic!("{found:#?}") };
    let Decision { at, generation: number, asked, outcome, .. } = &first.decision;
    assert!((before..=SystemTime::now()).contains(at));
    assert_eq!((*number, asked.seed, asked.peer), (7, u64::MAX, IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert_eq!((asked.query.as_str(), asked.listener.as_str()), (UUID, "finger"));
    assert_eq!((asked.build.as_ref(), asked.server_name.as_deref()), (Some(&build()), Some("logs.example")));
    assert_eq!(asked.identity.as_ref().unwrap().names, ["viewer.example"]);
    assert!(asked.registry_age.is_some_and(|age| age > 0.0));
    assert_eq!(*outcome, Outcome::Decided(route));
    assert!(first.decision.policy.ends_with("/policy.lua") && !first.decision.candidate, "{:?}", first.decision);
    assert_eq!(second.decision.outcome, Outcome::Failed(failure));
    assert_eq!(second.decision.asked.query, "/W zuul");
    for logged in &found {
        assert_eq!(logged.relay.zone, Zone::parse("east"));
        assert_eq!(logged.relay.params, generation.settings.policy.params);
        assert_eq!(*logged.components, *snapshot().components);
    }
}

#[tokio::test]
async fn a_generation_that_keeps_no_decisions_keeps_none() {
    let (site, tasks) = (Site::new(), Tasks::new());
    let log = Log::new(site.metrics.decisions.clone(), &tasks);
    log.follow(site.generation(1, Some("log")).settings.decisions.as_ref());
    site.decide(&log, &site.generation(2, None), UUID).unwrap();
    tasks.stop();
    assert!(tasks.ended_within(PATIENCE).await);
    assert_eq!(fs::read_to_string(site.path("log")).unwrap(), "");
}

/// On one thread the task that writes has no turn before the test waits for something.
#[tokio::test]
async fn what_finds_no_room_is_counted_and_decided_all_the_same() {
    let (site, tasks) = (Site::new(), Tasks::new());
    let generation = site.generation(1, Some("log"));
    let log = Log::new(site.metrics.decisions.clone(), &tasks);
    log.follow(generation.settings.decisions.as_ref());
    let long = "x".repeat(1 << 20);
    for _ in 0..20 {
        site.decide(&log, &generation, &long).unwrap();
    }
    let waiting = MAX_BYTES as u64 / ((1 << 20) + 1);
    assert_eq!(site.lost("queue_full"), 20 - waiting);
    tasks.stop();
    assert!(tasks.ended_within(PATIENCE).await);
    assert_eq!(site.metrics.decisions.logged.get(), waiting);
    site.decide(&log, &generation, UUID).unwrap();
    assert_eq!(site.lost("stopping"), 1);
}

#[tokio::test]
async fn no_more_decisions_wait_than_may() {
    let (site, tasks) = (Site::new(), Tasks::new());
    let generation = site.generation(1, Some("log"));
    let log = Log::new(site.metrics.decisions.clone(), &tasks);
    for _ in 0..MAX_WAITING + 3 {
        let Offer { decision, components, .. } = site.offer(&generation, UUID);
        log.offer(decision, &generation, &components);
    }
    assert_eq!(site.lost("queue_full"), 3);
    tasks.stop();
    assert!(tasks.ended_within(PATIENCE).await);
}

#[test]
fn what_decisions_have_in_common_is_written_once_a_file() {
    let site = Site::new();
    let generation = site.generation(1, Some("log"));
    let mut writer = Writer::new(site.metrics.decisions.clone());
    writer.follow(generation.settings.decisions.clone());
    // Other components each time, of the same content.
    (0..3).for_each(|_| writer.take(&site.offer(&generation, UUID)));
    writer.take(&site.offer(&site.generation(2, Some("log")), UUID));
    let log = site.path("log");
    let counts = ["log", "relay", "components", "decision"].map(|kind| lines_with(&log, kind));
    assert_eq!(counts, [1, 1, 1, 4]);
    assert_eq!(read(&log).last().unwrap().decision.generation, 2);
}

#[test]
fn each_of_the_files_can_be_read_alone() {
    let site = Site::new();
    let generation = site.generation(1, Some("log"));
    let mut writer = Writer::new(site.metrics.decisions.clone());
    writer.follow(Some(settings::Decisions { file: site.path("log"), max_size: 4096, keep: 2 }));
    let all: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    all.iter().for_each(|query| writer.take(&site.offer(&generation, query)));
    let files = ["log.2", "log.1", "log"].map(|name| site.path(name));
    assert!(files.iter().all(|file| fs::metadata(file).unwrap().len() <= 4096));
    let kept: Vec<String> = files.iter().flat_map(|file| queries(file)).collect();
    assert!(kept.len() > 5 && all.ends_with(&kept), "{kept:?}");
    assert_eq!(fs::read_dir(site.folder.path()).unwrap().count(), files.len() + 2, "the rest is gone");
}

#[test]
fn two_processes_may_write_while_one_takes_over_from_the_other() {
    let site = Site::new();
    let generation = site.generation(1, Some("log"));
    let mut writers = [(); 2].map(|()| Writer::new(site.metrics.decisions.clone()));
    for round in 0..10 {
        for writer in &mut writers {
            writer.follow(Some(settings::Decisions { file: site.path("log"), max_size: 8192, keep: 20 }));
            writer.take(&site.offer(&generation, &round.to_string()));
        }
    }
    let files: Vec<PathBuf> = fs::read_dir(site.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let logs: Vec<_> =
        files.iter().filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with("log")).collect();
    assert!(logs.len() > 1 && logs.iter().all(|file| fs::metadata(file).unwrap().len() <= 8192), "{logs:?}");
    let mut kept: Vec<String> = logs.iter().flat_map(|file| queries(file)).collect();
    kept.sort();
    let expected: Vec<String> = (0..10).flat_map(|round| [round.to_string(), round.to_string()]).collect();
    assert_eq!(kept, expected);
}

#[test]
fn what_cannot_be_written_is_counted_until_it_can() {
    let site = Site::new();
    let generation = site.generation(1, Some("missing/log"));
    let mut writer = Writer::new(site.metrics.decisions.clone());
    writer.follow(generation.settings.decisions.clone());
    (0..2).for_each(|_| writer.take(&site.offer(&generation, "lost")));
    assert_eq!((site.lost("unwritable"), site.metrics.decisions.logged.get()), (2, 0));
    fs::create_dir(site.path("missing")).unwrap();
    writer.take(&site.offer(&generation, "kept"));
    assert_eq!((site.lost("unwritable"), site.metrics.decisions.logged.get()), (2, 1));
    assert_eq!(queries(&site.path("missing/log")), ["kept"]);
}

#[test]
fn a_reload_moves_the_log_and_switches_it_off() {
    let site = Site::new();
    let generation = site.generation(1, Some("log"));
    let mut writer = Writer::new(site.metrics.decisions.clone());
    let elsewhere = settings::Decisions { file: site.path("other"), max_size: 1 << 20, keep: 0 };
    for (wanted, query) in [(generation.settings.decisions.clone(), "1"), (Some(elsewhere), "2"), (None, "3")] {
        writer.follow(wanted);
        writer.take(&site.offer(&generation, query));
    }
    assert_eq!(queries(&site.path("log")), ["1"]);
    assert_eq!(queries(&site.path("other")), ["2"], "with all that it names");
    assert_eq!((site.lost("unwritable"), site.metrics.decisions.logged.get()), (0, 2), "what nobody wants is not lost");
}

#[test]
fn lines_that_cannot_be_read_are_told_and_passed_over() {
    let site = Site::new();
    let generation = site.generation(1, Some("log"));
    let mut writer = Writer::new(site.metrics.decisions.clone());
    writer.follow(generation.settings.decisions.clone());
    writer.take(&site.offer(&generation, "good"));
    let text = fs::read_to_string(site.path("log")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (decision, cut) = (lines[3], &lines[3][..40]);
    let later = format!("{{\"log\":{{\"version\":{},\"program\":\"9\"}}}}", VERSION + 1);
    let first = "{\"log\":{\"version\":1,\"program\":\"0\"}}";
    let named = lines[..3].join("\n");
    let text = [decision, "", &named, cut, decision, "[]", &later, decision, first, decision].join("\n");
    let found: Vec<_> = Reader::new(text.as_bytes()).collect();
    let told = |found: &Result<Logged, Unread>| match found {
        Ok(logged) => (logged.line, logged.decision.asked.query.clone()),
        Err(Unread { line, why }) => (*line, why.clone()),
    };
    let told: Vec<_> = found.iter().map(told).collect();
    let told: Vec<_> = told.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(
        told,
        [
            (1, "names a relay that no line before it has"),
            (6, "is no line of a decision log: EOF while parsing a value"),
            (7, "good"),
            (8, "is no line of a decision log: expected value"),
            (10, "is of version 2 of the log, and this program reads version 1"),
            (12, "good"),
        ]
    );
}

#[test]
fn a_log_that_is_not_there_is_named() {
    let error = Reader::open(Path::new("/nonexistent/log")).err().unwrap().to_string();
    assert!(error.starts_with("cannot read the decision log /nonexistent/log: No such file"), "{error}");
}

#[test]
fn an_outcome_says_what_kind_of_failure_it_was() {
    let message = "m".to_owned();
    let failure = Failure { kind: FailureKind::BadRoute, file: "p.lua".to_owned(), line: None, message, excerpt: None };
    let text = serde_json::to_string(&Outcome::Failed(failure.clone())).unwrap();
    assert_eq!(text, r#"{"failed":{"kind":"bad_route","file":"p.lua","line":null,"message":"m"}}"#);
    assert_eq!(serde_json::from_str::<Outcome>(&text).unwrap(), Outcome::Failed(failure));
}

#[test]
fn a_decision_weighs_what_its_targets_take() {
    let site = Site::new();
    let Offer { mut decision, .. } = site.offer(&site.generation(1, None), UUID);
    let Outcome::Decided(route) = &decision.outcome else { panic!("{:?}", decision.outcome) };
    let Way::Targets(targets) = &route.way else { panic!("{route:?}") };
    let (one, many) = (targets[0].clone(), 64);
    let before = decision.weight() - targets.len() * size_of::<Target>();
    decision.outcome = Outcome::Decided(Way::Targets(vec![one; many]).into());
    assert!(decision.weight() >= before + many * size_of::<Target>());
}
