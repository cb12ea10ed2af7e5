//! Decisions as a log has them, a candidate, and what is said of their difference.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::SystemTime;

use tempfile::TempDir;

use super::*;
use crate::config::settings::Param;
use crate::names::{BuildId, Hostname};
use crate::policy::{Reads, SharedTable};
use crate::registry::{Build, Components, Gateway, State, Worker};

/// A candidate's folder.
struct Site(TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The policy whose `route` has this body.
    fn policy(&self, body: &str) -> settings::Policy {
        let file = self.0.path().join("policy.lua");
        std::fs::write(&file, format!("return {{ api = 1, route = function(request)\n{body}\nend }}")).unwrap();
        settings::Policy { file: Some(file), ..settings::Policy::default() }
    }

    fn candidate(&self, body: &str) -> Replay {
        Replay::new(Candidate { settings: self.policy(body), params_of_log: true })
    }

    /// What a candidate with this body would change of what `decisions` were.
    fn replayed(&self, body: &str, decisions: impl IntoIterator<Item = Logged>) -> Past {
        let mut replay = self.candidate(body);
        for (number, logged) in decisions.into_iter().enumerate() {
            replay.take(&PathBuf::from("log"), Logged { line: number + 1, ..logged }).unwrap();
        }
        replay.found()
    }

    /// What the policy with this body decides about `asked`, at a relay that knows `world`, as a log has it.
    fn logged(&self, body: &str, asked: Asked, world: World) -> Logged {
        let Relay { zone, hostname, params } = relay();
        let place = Place { zone, hostname };
        let settings = settings::Policy { params, ..self.policy(body) };
        let policy = Policy::load(&settings, place, metrics::Policy::default()).unwrap();
        let mut moment = Moment::now();
        let freshness = match asked.registry_age {
            None => Freshness::Never,
            Some(0.0) => Freshness::Live,
            Some(age) => {
                let since = moment.tick;
                moment.tick += Duration::from_secs_f64(age);
                Freshness::StaleSince(since)
            }
        };
        let snapshot = Snapshot { components: components(), freshness, ..Snapshot::default() };
        let build = asked.build.clone().map(Arc::new);
        let world = Arc::new(world.witnessed());
        let decided = policy.route(&Request {
            query: &asked.query,
            uuid: asked.uuid.as_ref(),
            build: build.as_ref(),
            known: Known { snapshot: &Arc::new(snapshot), world: &world, at: moment },
            listener: &asked.listener,
            peer: asked.peer,
            server_name: asked.server_name.as_deref(),
            identity: None,
            seed: asked.seed,
        });
        let reads = world.journal.as_ref().unwrap().reads();
        logged(asked, moment.wall, reads, decided.map_or_else(Outcome::Failed, Outcome::Decided))
    }
}

fn logged(asked: Asked, at: SystemTime, reads: Reads, outcome: Outcome) -> Logged {
    let policy = "mine.lua".to_owned();
    let decision = Decision { at, generation: 1, policy, candidate: true, asked, reads, outcome };
    // Through the log's own form: what it loses would be a difference.
    let text = serde_json::to_string(&decision).unwrap();
    let decision = serde_json::from_str(&text).unwrap();
    Logged { decision, relay: Arc::new(relay()), components: components(), line: 1 }
}

fn relay() -> Relay {
    let params = BTreeMap::from([("share".to_owned(), Param::Number(0.5)), ("port".to_owned(), Param::Integer(79))]);
    Relay { zone: Zone::parse("east"), hostname: Hostname::parse("relay.example").unwrap(), params }
}

/// Twenty gateways of the zone `west`, all equally good.
fn components() -> Arc<Components> {
    let gateway = |number: u16| {
        Arc::new(Gateway {
            id: format!("gw{number}").into(),
            hostname: Hostname::parse(&format!("gw{number}.example")).unwrap(),
            zone: Zone::parse("west"),
            public_port: Some(79),
            use_ssl: false,
            state: State::Running,
            version: None,
        })
    };
    Arc::new(Components { gateways: (0..20).map(gateway).collect(), ..Components::default() })
}

/// A request for build number `number`, which runs in the zone `west`.
fn asked(number: u64) -> Asked {
    let uuid = BuildId::parse(&format!("{number:032x}")).unwrap();
    let worker = Worker {
        hostname: Hostname::parse(&format!("ze{number}.example")).unwrap(),
        log_port: Some(7900),
        zone: Zone::parse("west"),
    };
    Asked {
        query: uuid.to_string(),
        uuid: Some(uuid.clone()),
        build: Some(Build { uuid, zone: None, tenant: None, pipeline: None, state: None, worker: Some(worker) }),
        listener: "finger".to_owned(),
        peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        server_name: None,
        identity: None,
        seed: number.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        registry_age: Some(0.0),
    }
}

/// Looks at everything that a decision may depend on.
const CURIOUS: &str = "local keys = relay.shared.keys('d/')
local said = string.format('%s %s %s %s %s %s', relay.zone, relay.params.share, request.listener, request.peer,
  tostring(relay.shared.get('d/flag')), #keys)
if #keys > 0 then return relay.refuse(said .. relay.now()) end
return relay.via(relay.gateways('west'), { tags = { port = tostring(relay.params.port) }, connect_timeout = 0.3 })";

const DIRECT: &str = "return relay.direct(request.build.worker)";
const VIA: &str = "return relay.via(relay.gateways('west'))";

fn world(shared: &[(&str, f64)]) -> World {
    let entries = shared.iter().map(|(key, value)| crate::policy::shared::Entry {
        key: (*key).to_owned(),
        value: (*value).into(),
        expires_in: None,
    });
    World { shared: SharedTable::from_entries(entries, Instant::now()).unwrap(), ..World::default() }
}

#[test]
fn the_policy_of_the_past_decides_as_it_did() {
    let site = Site::new();
    let mut past: Vec<_> = (0..20).map(|number| site.logged(CURIOUS, asked(number), World::default())).collect();
    past.push(site.logged(CURIOUS, asked(51), world(&[("d/flag", 7.0), ("other", 1.0)])));
    past.push(site.logged(CURIOUS, Asked { registry_age: None, ..asked(52) }, World::default()));
    past.push(site.logged(CURIOUS, Asked { registry_age: Some(1e6), build: None, ..asked(53) }, World::default()));
    past.push(site.logged("error('x')", asked(54), World::default()));
    let found = site.replayed(CURIOUS, past.drain(..past.len() - 1));
    assert_eq!(found.to_string(), "23 decisions compared: no difference");
    let found = site.replayed("error('another word')", past);
    assert_eq!(found.to_string(), "1 decision compared: no difference", "the viewer would be told the same");
}

#[test]
fn equal_changes_are_shown_as_one_with_an_example() {
    let site = Site::new();
    let past = [1, 2, 3].map(|number| site.logged(DIRECT, asked(number), World::default()));
    let refused = site.logged("return relay.refuse('no')", asked(4), World::default());
    let body = "if request.uuid:sub(-1) == '2' then return relay.refuse('closed') end
return relay.connect({ host = 'edge.example', port = 80 })";
    let found = site.replayed(body, past.into_iter().chain([refused]));
    assert_eq!(
        found.to_string(),
        "unroutable  east: 1 decision, such as log:2
    was   direct
    then  refused \"closed\"
rerouted    east: 2 decisions, such as log:1
    was   direct
    then  connect edge.example:80
answered    east: 1 decision, such as log:4
    was   refused \"no\"
    then  connect edge.example:80
4 decisions compared: 1 unroutable, 2 rerouted, 1 answered"
    );
}

#[test]
fn what_differs_only_in_its_details_is_shown_with_them() {
    let site = Site::new();
    let past = || site.logged(DIRECT, asked(1), World::default());
    let tagged = "return relay.direct(request.build.worker, { tags = { a = 'b' }, connect_timeout = 1.5 })";
    let found = site.replayed(tagged, [past()]);
    assert_eq!(
        found.to_string(),
        "rerouted    east: 1 decision, such as log:1
    was   direct ze1.example:7900
    then  direct ze1.example:7900, connected within 1s 500ms; tags a=b
1 decision compared: 1 rerouted"
    );
    let said = |text: &str| site.logged(&format!("return relay.reply('{text}')"), asked(1), World::default());
    let found = site.replayed("return relay.reply('new')", [said("old")]).to_string();
    assert!(found.contains("was   replied \"old\"\n    then  replied \"new\"\n"), "{found}");
}

#[test]
fn what_the_policy_of_the_past_did_not_look_at_is_not_guessed() {
    let site = Site::new();
    let past = [1, 2].map(|number| site.logged(VIA, asked(number), world(&[("d/flag", 1.0)])));
    let body = "if relay.shared.get('d/flag') then return relay.refuse('drained') end return relay.direct(request.build.worker)";
    let found = site.replayed(body, past);
    assert_eq!((found.decisions, found.unjudged.count), (0, 2));
    assert_eq!(
        found.to_string(),
        "no decision compared
2 decisions could not be judged, because the policy read what the log does not hold: log:1: \
         relay.shared.get(\"d/flag\")"
    );
}

#[test]
fn params_are_those_of_the_log_unless_a_configuration_has_others() {
    let site = Site::new();
    let body = "return relay.refuse(tostring(relay.params.port))";
    let past = || site.logged(body, asked(1), World::default());
    assert_eq!(site.replayed(body, [past()]).changed, 0);
    let mut replay = Replay::new(Candidate { settings: site.policy(body), params_of_log: false });
    replay.take(&PathBuf::from("log"), past()).unwrap();
    let found = replay.found().to_string();
    assert!(found.contains("was   refused \"79\"\n    then  refused \"nil\"\n"), "{found}");
}

#[test]
fn a_candidate_stands_where_the_relay_stood() {
    let site = Site::new();
    let body = "return relay.refuse((relay.zone or 'none') .. relay.hostname)";
    let past = site.logged(body, asked(1), World::default());
    let elsewhere = Relay { zone: None, ..relay() };
    let moved = Logged { relay: Arc::new(elsewhere), ..past.clone() };
    let found = site.replayed(body, [past, moved]).to_string();
    assert!(found.contains("no zone: 1 decision, such as log:2\n    was   refused \"eastrelay.example\"\n"), "{found}");
    assert!(found.ends_with("2 decisions compared: 1 answered"), "{found}");
}

#[test]
fn a_candidate_that_is_stopped_again_and_again_is_not_asked_for_ever() {
    let site = Site::new();
    let past = site.logged(DIRECT, asked(1), World::default());
    let settings = settings::Policy { time_limit: Duration::from_millis(1), ..site.policy("while true do end") };
    let mut replay = Replay::new(Candidate { settings, params_of_log: true });
    for _ in 0..MAX_FAILURES + 5 {
        replay.take(&PathBuf::from("log"), past.clone()).unwrap();
    }
    let found = replay.found();
    assert_eq!((found.decisions, found.changed, found.left_out), (MAX_FAILURES, MAX_FAILURES, 5));
    assert!(found.to_string().ends_with("\n5 decisions left out: the policy was stopped by its limits too often"));
}

#[test]
fn a_failing_candidate_is_asked_on_and_told_by_its_line() {
    let site = Site::new();
    let past = site.logged(DIRECT, asked(1), World::default());
    let found = site.replayed("error('x')", (0..2 * MAX_FAILURES).map(|_| past.clone()));
    assert_eq!((found.decisions, found.left_out), (2 * MAX_FAILURES, 0));
    assert!(found.to_string().contains("policy.lua:2: x"), "{found}");
}

#[test]
fn what_cannot_be_read_is_counted_with_its_first_line() {
    let site = Site::new();
    let mut replay = site.candidate(DIRECT);
    for line in [7, 9] {
        replay.pass_over(&PathBuf::from("log"), &Unread { line, why: "is odd".to_owned() });
    }
    let found = replay.found().to_string();
    assert_eq!(found, "no decision compared\n2 lines could not be read: log:7 is odd");
}

#[test]
fn changes_of_many_kinds_are_counted_and_the_most_frequent_shown() {
    let site = Site::new();
    let past = site.logged(DIRECT, asked(0), World::default());
    let past = (0..MAX_GROUPS as u64 + 10).map(|number| {
        let decision = Decision { asked: asked(number), ..past.decision.clone() };
        Logged { decision, ..past.clone() }
    });
    let found = site.replayed("return relay.refuse(request.uuid)", past);
    assert_eq!((found.changed, found.groups.len()), (MAX_GROUPS + 10, MAX_GROUPS));
    let text = found.to_string();
    assert!(
        text.contains(&format!("\nand {} changed decisions more, in other ways\n", MAX_GROUPS + 10 - 40)),
        "{text}"
    );
}
