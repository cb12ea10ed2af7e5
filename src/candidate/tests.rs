//! Two real policies and a made-up clock: what viewers get, what is counted, and what outlives a reload.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::config;
use crate::keyring::Keyring;
use crate::metrics::Metrics;
use crate::names::{BuildId, Hostname, Zone};
use crate::policy::World;
use crate::registry::{Build, Snapshot, Worker};
use crate::route::{Tags, Way};

/// Decides as `local policy` says; what it does is in the place of `BODY`.
const SCRIPT: &str = "return { api = 1, route = function(request)\nBODY\nend }\n";

const ACTIVE: &str = "return relay.refuse('active')";

/// A relay's folder, its metrics, and the candidate of its last generation.
struct Relay {
    dir: TempDir,
    metrics: Arc<Metrics>,
    candidate: Option<Candidate>,
    now: Moment,
}

impl Relay {
    /// With an active policy that refuses, and a candidate of these keys and script.
    fn new(keys: &str, candidate: &str) -> Self {
        let now = Moment { wall: SystemTime::UNIX_EPOCH, tick: Instant::now() };
        let mut relay = Self { dir: tempfile::tempdir().unwrap(), metrics: Metrics::new(), candidate: None, now };
        std::fs::create_dir(relay.dir.path().join("next")).unwrap();
        relay.write("old.lua", ACTIVE);
        relay.write("next/new.lua", candidate);
        relay.reload(&beside(keys));
        relay
    }

    fn write(&self, file: &str, body: &str) {
        std::fs::write(self.dir.path().join(file), SCRIPT.replace("BODY", body)).unwrap();
    }

    /// Takes over what its folder and these keys of `policy` say now.
    fn reload(&mut self, policy: &str) {
        let file = self.dir.path().join("fingerpost.yaml");
        let text =
            format!("hostname: relay.test\nregistry: {{file: registry.yaml}}\npolicy: {{file: old.lua, {policy}}}\n");
        std::fs::write(&file, text).unwrap();
        let settings = config::read_yaml(&file).usable().unwrap_or_else(|problems| panic!("{problems}")).settings;
        let generation = Generation::load(1, settings, &Keyring::default(), &self.metrics).unwrap();
        self.candidate = Candidate::of(&generation, self.candidate.as_ref(), &self.metrics.candidate, self.now);
    }

    /// Has the build decided, and whoever decided it told that its stream ended so.
    fn serve(&self, number: usize, blame: Blame) -> Decided {
        let verdict = self.decide(number);
        self.end(&verdict, blame);
        verdict
    }

    fn end(&self, verdict: &Decided, blame: Blame) {
        let (snapshot, world) = (Arc::<Snapshot>::default(), Arc::<World>::default());
        verdict.by.ended(&ended(blame), &Known { snapshot: &snapshot, world: &world, at: self.now });
    }

    fn decide(&self, number: usize) -> Decided {
        let build = Arc::new(Build {
            uuid: BuildId::parse(&format!("{number:032x}")).unwrap(),
            zone: None,
            tenant: None,
            pipeline: None,
            state: None,
            worker: Some(Worker {
                hostname: Hostname::parse("ze.example").unwrap(),
                log_port: Some(7900),
                zone: Zone::parse("west"),
            }),
        });
        let (snapshot, world) = (Arc::<Snapshot>::default(), Arc::<World>::default());
        self.candidate.as_ref().unwrap().decide(&Request {
            query: build.uuid.as_str(),
            uuid: Some(&build.uuid),
            build: Some(&build),
            known: Known { snapshot: &snapshot, world: &world, at: self.now },
            listener: "finger",
            peer: IpAddr::V6(Ipv6Addr::LOCALHOST),
            server_name: None,
            identity: None,
            seed: 0,
        })
    }

    fn view(&self) -> View {
        self.candidate.as_ref().unwrap().view()
    }

    /// A metric by its name and labels, without the common beginning.
    fn metric(&self, name: &str) -> u64 {
        let (text, name) = (self.metrics.text(), format!("fingerpost_candidate_{name} "));
        text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |value| value.parse().unwrap())
    }
}

fn beside(keys: &str) -> String {
    format!("candidate: {{file: next/new.lua, {keys}}}")
}

fn kinds(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

/// What the viewer is told.
fn said(verdict: &Decided) -> &str {
    match verdict.route.as_ref().map(|route| &route.way) {
        Ok(Way::Refuse(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn ended(blame: Blame) -> Ended<'static> {
    static NONE: std::sync::LazyLock<Tags> = std::sync::LazyLock::new(Tags::default);
    Ended {
        listener: "finger",
        peer: IpAddr::V6(Ipv6Addr::LOCALHOST),
        server_name: None,
        identity: None,
        uuid: None,
        tenant: None,
        zone: None,
        target: None,
        kind: None,
        tried: 0,
        bytes: 0,
        lasted: Duration::ZERO,
        ending: "complete",
        blame: blame.as_str(),
        tags: &NONE,
    }
}

#[test]
fn a_shadow_changes_nothing_and_what_it_would_have_changed_is_kept() {
    let relay = Relay::new("percent: 0", "return relay.direct(request.build.worker)");
    for number in 0..30 {
        assert_eq!(said(&relay.serve(number, Blame::Nobody)), "active");
    }
    let view = relay.view();
    assert_eq!((view.compared, &view.different), (30, &kinds(&[("answered", 30)])));
    assert_eq!((view.percent, view.taken, view.fell_back, view.is_clean()), (0, 0, 0, false));
    let [shown] = &view.differences[..] else { panic!("{view:#?}") };
    assert_eq!((shown.now.as_str(), shown.then.as_str(), shown.count), ("refused \"active\"", "direct", 30));
    assert_eq!((shown.zone.as_ref(), shown.example.as_str()), (Zone::parse("west").as_ref(), &*format!("{:032x}", 29)));
    let text = view.to_string();
    assert!(text.contains("state      shadow: decides nothing, since 1970-01-01T00:00:00Z"), "{text}");
    assert!(text.contains("answered    west: 30 requests, the last for 0000"), "{text}");
    assert!(text.ends_with("30 decisions compared: 30 answered"), "{text}");
    assert_eq!(relay.metric("compared_total{reason=\"answered\"}"), 30);
    assert_eq!(relay.metric("decisions_total{reason=\"routed\"}"), 30);
    assert_eq!(relay.metric("streams_total{policy=\"active\",result=\"fine\"}"), 30);
    assert_eq!(relay.metrics.policy.decisions.get_or_create(&metrics::ByReason { reason: "routed" }).get(), 0);
}

#[test]
fn a_candidate_that_decides_alike_is_clean() {
    let relay = Relay::new("percent: 100", ACTIVE);
    assert_eq!(said(&relay.serve(0, Blame::Nobody)), "active");
    let view = relay.view();
    assert!(view.is_clean() && view.to_string().ends_with("1 decisions compared: no difference"), "{view}");
    assert!(view.to_string().contains("state      decides all requests, since "), "{view}");
    assert_eq!((relay.metric("compared_total{reason=\"same\"}"), view.taken), (1, 1));
}

#[test]
fn a_greater_share_adds_builds_and_gives_none_back() {
    let taken = |percent: u8| {
        let relay = Relay::new(&format!("percent: {percent}, rollback: {{errors: 100}}"), "return relay.refuse('new')");
        (0..200).filter(|number| said(&relay.decide(*number)) == "new").collect::<Vec<_>>()
    };
    let (few, many, all) = (taken(10), taken(50), taken(100));
    assert!((10..30).contains(&few.len()) && (80..120).contains(&many.len()), "{few:?} {many:?}");
    assert_eq!(all.len(), 200);
    assert!(few.iter().all(|number| many.contains(number)));
    assert_eq!(few, taken(10), "the same builds at every relay");
}

#[test]
fn where_the_candidate_fails_the_active_policy_decides_in_the_same_request() {
    let relay = Relay::new("percent: 100", "error('no')");
    assert_eq!(said(&relay.serve(0, Blame::Nobody)), "active");
    assert_eq!((relay.view().fell_back, relay.metric("requests_total{reason=\"fell_back\"}")), (1, 1));
    assert_eq!(
        relay.metric("streams_total{policy=\"active\",result=\"fine\"}"),
        1,
        "the stream is the active policy's"
    );
    assert_eq!(relay.metric("failures_total{reason=\"error\"}"), 1);
    let view = relay.view();
    assert_eq!(view.different, kinds(&[("fails", 1)]));
    assert!(view.differences[0].then.contains("new.lua:2: no"), "{view:#?}");
}

#[test]
fn a_route_against_the_candidates_own_invariant_is_not_taken() {
    let relay = Relay::new("percent: 100, rollback: {min_streams: 3}", "return relay.refuse('new')");
    let script = "return { api = 1, route = function() return relay.refuse('new') end,
        invariant = function() return 'nobody is refused' end }";
    std::fs::write(relay.dir.path().join("next/new.lua"), script).unwrap();
    let mut relay = relay;
    relay.reload(&beside("percent: 100, rollback: {min_streams: 3}"));
    (0..3).for_each(|number| assert_eq!(said(&relay.serve(number, Blame::Nobody)), "active"));
    let view = relay.view();
    assert_eq!((view.fell_back, &view.different), (2, &kinds(&[("broken", 3)])), "the third cost its share");
    assert!(view.differences[0].then.contains("nobody is refused") && view.rolled_back.is_some(), "{view}");
}

#[test]
fn errors_roll_back_at_once_and_no_reload_of_other_things_undoes_it() {
    let mut relay = Relay::new("percent: 100", "if request.uuid then error('no') end");
    (0..19).for_each(|number| drop(relay.decide(number)));
    assert_eq!(relay.metric("percent"), 100);
    drop(relay.decide(19));
    assert_eq!((relay.metric("percent"), relay.metric("rolled_back")), (0, 1));
    let why = relay.view().rolled_back.unwrap();
    assert!(why.starts_with("from 100 %: 20 of 20 of its decisions were errors"), "{why}");

    relay.reload(&format!("dry_run: off, {}", beside("percent: 50, steps: [100]")));
    assert!(relay.view().rolled_back.is_some(), "other terms");
    relay.write("old.lua", "return relay.refuse('other')");
    relay.reload(&beside("percent: 100"));
    assert_eq!(said(&relay.serve(0, Blame::Nobody)), "other");
    assert!(relay.view().rolled_back.is_some(), "another active policy");
    assert_eq!(
        (relay.view().compared, relay.metric("rolled_back")),
        (1, 1),
        "beside which nothing was compared before"
    );

    relay.write("next/new.lua", "return relay.refuse('mended')");
    relay.reload(&beside("percent: 100"));
    assert_eq!(said(&relay.serve(0, Blame::Nobody)), "mended");
    assert_eq!((relay.view().rolled_back, relay.metric("rolled_back")), (None, 0));
}

#[test]
fn what_was_learnt_goes_on_over_a_reload_and_ends_with_the_candidate() {
    let mut relay = Relay::new("percent: 100", "return relay.refuse('new')");
    (0..5).for_each(|number| drop(relay.serve(number, Blame::Nobody)));
    relay.reload(&beside("percent: 100"));
    assert_eq!((relay.view().compared, relay.view().taken), (5, 5));
    relay.reload("params: {}");
    assert!(relay.candidate.is_none());
    assert_eq!(relay.metric("percent"), 0);
    relay.reload(&beside("percent: 100"));
    assert_eq!(relay.view().compared, 0);
    assert_eq!(relay.metric("requests_total{reason=\"taken\"}"), 5, "counters live as long as the process");
}

#[test]
fn streams_of_a_candidate_that_is_gone_say_nothing_of_the_next() {
    let mut relay = Relay::new("percent: 100, rollback: {min_streams: 3}", "return relay.refuse('new')");
    let running: Vec<_> = (0..3).map(|number| relay.decide(number)).collect();
    relay.write("next/new.lua", "return relay.refuse('mended')");
    relay.reload(&beside("percent: 100, rollback: {min_streams: 3}"));
    running.iter().for_each(|decided| relay.end(decided, Blame::Upstream));
    assert_eq!((relay.metric("percent"), relay.metric("rolled_back")), (100, 0));
    assert_eq!(said(&relay.serve(3, Blame::Nobody)), "mended");
    assert_eq!(relay.metric("streams_total{policy=\"candidate\",result=\"failed\"}"), 3);
}

#[test]
fn streams_that_fail_roll_back_and_those_that_fail_alike_do_not() {
    for (blame, back) in [(Blame::Upstream, true), (Blame::Policy, true), (Blame::Viewer, false), (Blame::Relay, false)]
    {
        let relay = Relay::new("percent: 50", "return relay.direct(request.build.worker)");
        for number in 0..100 {
            let verdict = relay.decide(number);
            let by_candidate = matches!(verdict.route.as_ref().unwrap().way, Way::Targets(_));
            relay.end(&verdict, if by_candidate { blame } else { Blame::Nobody });
        }
        assert_eq!(relay.view().rolled_back.is_some(), back, "{blame:?}");
    }
    let relay = Relay::new("percent: 50", "return relay.direct(request.build.worker)");
    (0..100).for_each(|number| drop(relay.serve(number, Blame::Upstream)));
    let why = relay.view().rolled_back;
    assert!(why.is_none(), "{why:?}");
}

#[test]
fn a_build_that_loses_its_way_is_an_error_where_the_dry_run_is_strict() {
    for (rule, back) in [("strict", true), ("errors", false), ("off", false)] {
        let mut relay = Relay::new("percent: 100", "return relay.refuse('closed')");
        relay.write("old.lua", "return relay.direct(request.build.worker)");
        relay.reload(&format!("dry_run: {rule}, {}", beside("percent: 100")));
        (0..20).for_each(|number| drop(relay.decide(number)));
        assert_eq!(relay.view().different, kinds(&[("unroutable", 20)]));
        assert_eq!(relay.view().rolled_back.is_some(), back, "{rule}");
    }
}

#[test]
fn a_candidate_grows_when_its_time_has_come() {
    let mut relay = Relay::new("steps: [100], rollback: {min_streams: 3}", "return relay.refuse('new')");
    (0..3).for_each(|number| drop(relay.serve(number, Blame::Nobody)));
    let text = relay.view().to_string();
    assert!(text.contains("next       100 %, not before 1970-01-01T00:10:00Z\n"), "{text}");
    relay.now.tick += Duration::from_secs(600);
    assert_eq!(said(&relay.serve(3, Blame::Nobody)), "active");
    assert_eq!(said(&relay.serve(4, Blame::Nobody)), "new");
    assert_eq!((relay.metric("percent"), relay.view().next), (100, None));
}

#[test]
fn a_candidate_that_runs_away_is_left_alone_for_a_while() {
    let mut relay = Relay::new("percent: 100", "while true do end");
    assert_eq!(said(&relay.serve(0, Blame::Nobody)), "active");
    assert_eq!(said(&relay.serve(1, Blame::Nobody)), "active");
    let view = relay.view();
    assert_eq!((view.compared, view.unasked, view.fell_back), (1, 1, 2));
    assert!(view.to_string().ends_with("; not asked 1 times, after it had hit a limit"), "{view}");
    assert_eq!(relay.metric("compared_total{reason=\"unasked\"}"), 1);
    relay.now.tick += Duration::from_secs(3600);
    drop(relay.serve(2, Blame::Nobody));
    assert_eq!(relay.view().compared, 2);
}

#[test]
fn nothing_is_lost_or_counted_twice_where_threads_decide_at_once() {
    let relay = Relay::new("percent: 50, rollback: {errors: 100, failures: 100}", "return relay.refuse('new')");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let relay = &relay;
            scope.spawn(move || (0..500).for_each(|number| drop(relay.serve(thread * 500 + number, Blame::Nobody))));
        }
    });
    let (view, streams) = (relay.view(), ["active", "candidate"]);
    assert_eq!((view.compared, &view.different), (2000, &kinds(&[("answered", 2000)])));
    let streams = streams.map(|policy| relay.metric(&format!("streams_total{{policy=\"{policy}\",result=\"fine\"}}")));
    assert_eq!((streams[0] + streams[1], streams[1]), (2000, view.taken));
}

#[test]
fn a_candidate_that_cannot_be_loaded_is_said_to_be_one() {
    let relay = Relay::new("percent: 0", ACTIVE);
    std::fs::write(relay.dir.path().join("next/new.lua"), "return {").unwrap();
    let settings = config::read_yaml(&relay.dir.path().join("fingerpost.yaml")).usable().unwrap().settings;
    let error = Generation::load(2, settings, &Keyring::default(), &relay.metrics).unwrap_err().to_string();
    assert!(error.starts_with("policy.candidate: ") && error.contains("new.lua:1: "), "{error}");
}

#[test]
fn what_a_viewer_sends_moves_no_cursor() {
    let relay = Relay::new("percent: 0", "return relay.refuse('new')");
    let mut view = relay.view();
    relay.decide(0);
    view.differences = relay.view().differences;
    view.differences[0].example = "\u{1b}[2J".to_owned();
    assert!(view.to_string().contains("the last for \\u{1b}[2J at "), "{view}");
}

#[test]
fn a_view_survives_its_way_through_the_socket() {
    let relay = Relay::new("percent: 1, steps: [2]", "return relay.refuse('new')");
    relay.decide(0);
    let view = relay.view();
    assert_eq!(serde_json::from_str::<View>(&serde_json::to_string(&view).unwrap()).unwrap(), view);
}
