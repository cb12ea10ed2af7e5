//! What scripts may know of the registry, and of what the relay has seen of its targets.

use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use super::*;
use crate::registry::{Executor, Freshness};
use crate::upstream::{Observed, Seen};

/// Builds of a tenant, of which every second runs in `there`.
fn builds(tenant: &str, count: u32) -> impl Iterator<Item = Arc<Build>> {
    let worker = Worker { hostname: host("executor1"), log_port: Some(7900), zone: Some(in_zone("there")) };
    (0..count).map(move |number| {
        Arc::new(Build {
            uuid: BuildId::parse(&format!("{tenant}{number:06x}")).unwrap(),
            tenant: Some(tenant.to_owned()),
            worker: (number % 2 == 1).then(|| worker.clone()),
            ..build(None)
        })
    })
}

fn executor(id: &str, zone: Option<&str>) -> Arc<Executor> {
    let hostname = host(&format!("{id}.example"));
    Arc::new(Executor { id: id.into(), hostname, zone: zone.map(in_zone), state: State::Paused })
}

/// Tenant `aa` with 4 builds, `bb` with 1500; 752 of them run in `there`, and executors stand in `there` and nowhere.
fn scene() -> Scene {
    let executors = vec![executor("a1", Some("there")), executor("b2", None), executor("c3", Some("there"))];
    let gateways = vec![Arc::new(gateway("gw", "beyond", State::Running))];
    let snapshot = Snapshot {
        builds: builds("bb", 1500).chain(builds("aa", 4)).collect(),
        components: Arc::new(Components { gateways, executors, model_api: None }),
        ..Snapshot::default()
    };
    Scene {
        snapshot: Arc::new(snapshot),
        ..Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)])
    }
}

fn having_seen(observed: Observed) -> Scene {
    let peers = [("gw", 7979, true), ("executor1", 7900, false), ("edge.example", 443, true)];
    let seen = peers.map(|(name, port, tls)| ((host(name), port, tls), observed.clone()));
    let world = World { seen: Seen::of_observations(seen), ..World::default() };
    let scene = Scene::running_in(Some("there")).with(vec![gateway("gw", "there", State::Running)]);
    Scene { world: Arc::new(world), ..scene }
}

fn fresh(freshness: Freshness) -> Scene {
    let scene = scene();
    Scene { snapshot: Arc::new(Snapshot { freshness, ..(*scene.snapshot).clone() }), ..scene }
}

fn is(expression: &str, value: &str, scene: &Scene) {
    assert_eq!(value_of(expression, scene), value, "{expression}");
}

fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

#[test]
fn zones_and_tenants_are_told_by_name_in_order() {
    let scene = scene();
    is("table.concat(relay.zones(), ' ')", "beyond there", &scene);
    is("table.concat(relay.tenants(), ' ')", "aa bb", &scene);
    is("#relay.zones() + #relay.tenants()", "0", &Scene::without_build());
}

#[test]
fn executors_are_told_by_zone_and_those_without_one_too() {
    let scene = scene();
    is("#relay.executors('there')", "2", &scene);
    is("relay.executors('there')[2].hostname", "c3.example", &scene);
    is("relay.executors('there')[1].id .. relay.executors('there')[1].zone", "a1there", &scene);
    is("#relay.executors()", "1", &scene);
    is("relay.executors(nil)[1].hostname .. ' ' .. tostring(relay.executors()[1].zone)", "b2.example nil", &scene);
    is("relay.executors()[1].state", "paused", &scene);
    for nowhere in ["'beyond'", "'a/b'", "''", "'\\xff'"] {
        is(&format!("#relay.executors({nowhere}) + relay.running_count({nowhere})"), "0", &scene);
    }
}

#[test]
fn builds_are_found_by_uuid() {
    let scene = scene();
    is("relay.build('aa000001').worker.hostname", "executor1", &scene);
    is("relay.build('aa000000').tenant", "aa", &scene);
    for unknown in ["'aa000009'", "'no uuid'", "''", "'\\xff'", "string.rep('a', 1e6)"] {
        is(&format!("relay.build({unknown})"), "nil", &scene);
    }
}

#[test]
fn a_tenants_builds_are_told_by_uuid_and_no_more_than_a_thousand() {
    let scene = scene();
    is("#relay.builds('aa') .. relay.builds('aa')[3].uuid", "4aa000002", &scene);
    is("#relay.builds('bb') .. relay.builds('bb')[1000].uuid", "1000bb0003e7", &scene);
    is("#relay.builds('nobody') + relay.build_count('nobody')", "0", &scene);
}

#[test]
fn a_loop_over_very_many_builds_is_stopped_in_time() {
    let text = "if request.query == 'all' then while true do for _, tenant in relay.tenants() do
        for _, build in relay.builds(tenant) do local _ = build.worker end end end end return relay.refuse('x')";
    let policy = try_load(&script(text), short_limits()).unwrap();
    let tenants = (0..20).map(|number| format!("{number:02}"));
    let snapshot = Snapshot {
        builds: tenants.flat_map(|tenant| builds(&tenant, 1000).collect::<Vec<_>>()).collect(),
        ..Snapshot::default()
    };
    let scene = Scene { snapshot: Arc::new(snapshot), ..Scene::without_build() };
    let began = thread_time();
    let failure = Scene { query: Query::parse("all").unwrap(), ..scene }.ask(&policy).unwrap_err();
    let took = thread_time() - began;
    assert_eq!(failure.kind, FailureKind::Time, "{failure}");
    assert!(took < short_limits().time_limit + Duration::from_millis(100), "{took:?}");
    assert_eq!(hosts(&Scene::without_build().ask(&policy).unwrap()), ["refused: x"]);
}

#[test]
fn builds_are_counted_by_tenant_and_by_zone_where_they_run() {
    let scene = scene();
    is("relay.build_count('aa') .. ' ' .. relay.build_count('bb')", "4 1500", &scene);
    is("relay.running_count('there')", "752", &scene);
    is("relay.running_count('asked') + relay.running_count(nil)", "0", &scene);
}

#[test]
fn the_registry_says_how_old_it_is() {
    is("relay.age()", "nil", &fresh(Freshness::Never));
    is("relay.age()", "0", &fresh(Freshness::Live));
    let since = Instant::now();
    let scene = fresh(Freshness::StaleSince(since));
    let at = Moment { tick: since + Duration::from_millis(2500), ..scene.at };
    is("relay.age()", "2.5", &Scene { at, ..scene });
}

#[test]
fn nothing_is_known_while_a_file_is_loaded() {
    let calls = [
        "zones()",
        "executors()",
        "build('a')",
        "builds('a')",
        "tenants()",
        "build_count('a')",
        "running_count('a')",
        "age()",
        "seen{ host = 'a', port = 1 }",
    ];
    for call in calls {
        let error = try_load(&format!("local x = relay.{call}"), settings::Policy::default()).unwrap_err();
        let name = call.split(['(', '{']).next().unwrap();
        assert_eq!(error.message, format!("relay.{name} cannot be called while the file is loaded"));
    }
}

#[test]
fn what_was_seen_of_a_target_is_found_by_whatever_names_it() {
    let scene = having_seen(Observed { open_streams: 3, ..Observed::default() });
    for target in [
        "relay.gateways('there')[1]",
        "request.build.worker",
        "relay.direct(request.build.worker).targets[1]",
        "{ host = 'gw', port = 7979, tls = true }",
        "{ host = 'EXECUTOR1', port = 7900 }",
    ] {
        is(&format!("relay.seen({target}).open_streams"), "3", &scene);
    }
    for other in [
        "{ host = 'gw', port = 7979 }",
        "{ host = 'gw', port = 7979, tls = true, server_name = 'other' }",
        "{ host = 'executor1', port = 79 }",
    ] {
        is(&format!("relay.seen({other})"), "nil", &scene);
    }
    let mute = Gateway { public_port: None, ..gateway("gw", "there", State::Running) };
    is("relay.seen(relay.gateways('there')[1])", "nil", &scene.with(vec![mute]));
}

#[test]
fn what_was_seen_is_told_in_seconds_and_words() {
    let scene = having_seen(Observed {
        open_streams: 1,
        consecutive_failures: 2,
        last_error: Some("connect_timeout".into()),
        failed_ago: Some(Duration::from_millis(1500)),
        reached_ago: Some(Duration::from_secs(60)),
        round_trip: Some(Duration::from_millis(250)),
    });
    let all = "local s = relay.seen(request.build.worker) return relay.refuse(table.concat({ s.open_streams, \
               s.consecutive_failures, s.last_error, s.failed_ago, s.reached_ago, s.round_trip }, ' '))";
    let told = scene.ask(&routing(all)).unwrap();
    assert_eq!(hosts(&told), ["refused: 1 2 connect_timeout 1.5 60 0.25"]);
    let scene = having_seen(Observed::default());
    for none in ["last_error", "failed_ago", "reached_ago", "round_trip"] {
        is(&format!("relay.seen(request.build.worker).{none}"), "nil", &scene);
    }
}

#[test]
fn a_wrong_target_is_an_error_that_says_so() {
    for (target, words) in [
        ("'gw'", "target must be a gateway, a worker, a target of a route, or a table with host and port, not \"gw\""),
        ("{ host = 'gw', prot = 1 }", "there is no option \"prot\"; did you mean \"port\"?"),
        ("{ host = 'a b', port = 1 }", "relay.seen: host is no host name or address: \"a b\""),
        ("{ host = 'gw', port = 0 }", "relay.seen: port must be a whole number from 1 to 65535, not 0"),
    ] {
        let failure = scene().ask(&routing(&format!("return relay.seen({target})"))).unwrap_err();
        assert!(failure.message.contains(words), "{target}: {failure}");
    }
}
