//! A registry's file in, a snapshot or `file:line: problem` out, and the way back.

use std::sync::Arc;

use super::*;
use crate::metrics;
use crate::names::{BuildId, Hostname, Zone};
use crate::registry::Registry;
use crate::registry::model::{Build, Components, Executor, Freshness, Gateway, State, Worker};

fn parsed(text: &str) -> Result<Snapshot, Vec<String>> {
    parse(Path::new("r.yaml"), text).map_err(|problems| problems.0.iter().map(ToString::to_string).collect())
}

fn id(uuid: &str) -> BuildId {
    BuildId::parse(uuid).unwrap()
}

#[test]
fn builds_gateways_and_executors_are_read() {
    let snapshot = parsed(
        "builds:
  - uuid: abc123
    zone: east
    tenant: example
    worker: {hostname: executor.example, log_port: 7900, zone: west}
gateways:
  - {hostname: old.example, public_port: 79, zone: west, state: stopped}
  - {hostname: new.example, public_port: 7979, zone: west, use_ssl: true}
executors:
  - {hostname: two.example, zone: west}
  - {hostname: one.example, zone: west, state: paused}
zones: [north]
",
    )
    .unwrap();
    let build = snapshot.builds.get(&id("abc123")).unwrap();
    assert_eq!(build.worker.as_ref().unwrap().log_port, Some(7900));
    let west = Zone::parse("west").unwrap();
    let gateways: Vec<_> = snapshot.components.gateways_of(&west).map(|gateway| &*gateway.id).collect();
    assert_eq!(gateways, ["new.example:7979", "old.example:79"], "running ones come first");
    let executors: Vec<_> = snapshot.components.executors_of(Some(&west)).map(|at| (&*at.id, at.state)).collect();
    assert_eq!(executors, [("one.example", State::Paused), ("two.example", State::Running)]);
    assert_eq!(snapshot.zones.iter().map(Zone::as_str).collect::<Vec<_>>(), ["east", "north"]);
    assert_eq!(snapshot.freshness, Freshness::Live);
}

#[test]
fn the_documented_file_has_every_key() {
    let snapshot = parsed(include_str!("../../../config/registry.yaml")).unwrap();
    let written = serde_json::to_value(&snapshot).unwrap();
    let mut pairs: Vec<_> = written.as_object().unwrap().iter().collect();
    let mut keys = 0;
    while let Some((key, value)) = pairs.pop() {
        keys += 1;
        assert!(!value.is_null(), "{key} is not in it");
        let inner = value.as_array().and_then(|list| list.first()).unwrap_or(value);
        pairs.extend(inner.as_object().into_iter().flatten());
    }
    // Five at the top, six of a build, three of its worker, seven of a gateway, four of an executor.
    assert_eq!(keys, 5 + 6 + 3 + 7 + 4, "{written}");
}

#[test]
fn a_uuid_of_digits_alone_needs_no_quotes() {
    for uuid in ["12345678901234567890123456789012", "00000000000000000000000000000001", "1e10", "0x1"] {
        let read = parsed(&format!("builds: [{{uuid: {uuid}}}]"));
        assert_eq!(read.is_ok_and(|read| read.builds.contains(&id(uuid))), uuid != "0x1", "{uuid}");
    }
}

#[test]
fn an_empty_file_knows_nothing_and_says_so_truthfully() {
    let snapshot = parsed("{}").unwrap();
    assert!(snapshot.builds.is_empty());
    assert_eq!(snapshot.freshness, Freshness::Live);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, complaint) in [
        ("builds: [{uuid: ../x}]", r#"r.yaml:1: builds[0].uuid: invalid value: string "../x", expected a uuid of"#),
        (
            "gateways: [{hostname: h, public_port: 79, zone: a/b}]",
            r#"gateways[0].zone: invalid value: string "a/b", expected a zone's name"#,
        ),
        ("gateways: [{hostname: h, public_port: 79, state: asleep}]", "gateways[0].state: unknown variant `asleep`"),
        ("gateways: [{hostname: h, prot: 79}]", "gateways[0]: unknown field `prot`"),
        ("gateways: [{hostname: h}]", "gateways[0]: missing field `public_port`"),
        ("builds: [{uuid: aa, worker: {hostname: h}}]", "builds[0].worker: missing field `log_port`"),
        ("executors: [{hostname: a b}]", "executors[0].hostname: invalid value: string"),
        ("zones: [a/b]", "zones[0]: invalid value: string"),
        ("builds: [", "r.yaml:2: did not find expected node content"),
        ("buidls: []", "unknown field `buidls`"),
        ("builds: []\nbuilds: []", "duplicate field `builds`"),
    ] {
        let problems = parsed(text).unwrap_err();
        assert!(problems[0].contains(complaint) && problems.len() == 1, "{text}: {problems:?}");
    }
}

#[test]
fn every_wrong_entry_is_told_at_once_in_the_order_of_the_file() {
    let text = "builds:
  - uuid: aa
  - uuid: ../x
  - uuid: bb
    wroker: {}
gateways:
  - {hostname: h, public_port: 79}
  - {hostname: h, public_port: 70000}
executors:
  - {hostname: a b}
exekutors: []
";
    let problems = parsed(text).unwrap_err();
    for (problem, start) in problems.iter().zip([
        "r.yaml:3: builds[1].uuid: ",
        "r.yaml:5: builds[2]: unknown field `wroker`",
        "r.yaml:8: gateways[1].public_port: ",
        "r.yaml:10: executors[0].hostname: ",
    ]) {
        assert!(problem.starts_with(start), "{start}: {problems:#?}");
    }
    assert_eq!(problems.len(), 4);
    let many = "builds:\n".to_owned() + &"- uuid: x\n".repeat(1000);
    assert_eq!(parsed(&many).unwrap_err().len(), 20);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let Problems(problems) = load(Path::new("/nowhere/r.yaml")).unwrap_err();
    assert!(problems[0].to_string().starts_with("/nowhere/r.yaml: cannot be read: No such file"), "{problems:?}");
}

/// Everything that a snapshot can hold, known and unknown, with words that YAML could take for something else.
fn everything() -> Snapshot {
    let zone = |name| Zone::parse(name);
    let worker = |log_port, zone| Worker { hostname: Hostname::parse("::1").unwrap(), log_port, zone };
    let build = |uuid, tenant: Option<&str>, worker| Build {
        uuid: id(uuid),
        zone: zone("no"),
        tenant: tenant.map(str::to_owned),
        pipeline: tenant.map(str::to_owned),
        state: Some("null".to_owned()),
        worker,
    };
    let builds = [
        build("1e10", Some("12"), Some(worker(Some(7900), zone("~")))),
        build("00", Some("a: [b"), Some(worker(None, None))),
        build("ff", None, None),
    ];
    let gateway = |name: &str, public_port, zone: Option<Zone>, state| {
        let hostname = Hostname::parse(name).unwrap();
        let version = zone.as_ref().map(|_| "14.3.0".to_owned());
        Arc::new(Gateway { id: "gw0000000001".into(), hostname, zone, public_port, use_ssl: true, state, version })
    };
    let executor = Executor {
        id: "ze0000000001".into(),
        hostname: Hostname::parse("ze").unwrap(),
        zone: None,
        state: State::Initializing,
    };
    let components = Components {
        gateways: vec![gateway("a", Some(79), zone("east"), State::Running), gateway("b", None, None, State::Unknown)],
        executors: vec![Arc::new(executor)],
        model_api: Some(38),
    };
    Snapshot {
        builds: builds.into_iter().map(Arc::new).collect(),
        components: Arc::new(components),
        zones: Arc::new(vec![Zone::parse("empty").unwrap(), Zone::parse("no").unwrap()]),
        freshness: Freshness::Live,
        revision: 7,
    }
}

#[test]
fn what_is_written_is_read_again_in_yaml_and_in_json() {
    let snapshot = everything();
    let mut yaml = Vec::new();
    write(&snapshot, &mut yaml).unwrap();
    let yaml = String::from_utf8(yaml).unwrap();
    let json = serde_json::to_string(&snapshot).unwrap();
    for read in [parsed(&yaml).unwrap(), serde_json::from_str(&json).unwrap()] {
        assert_eq!(read.builds, snapshot.builds, "{yaml}");
        assert_eq!((&read.components, &read.zones), (&snapshot.components, &snapshot.zones), "{yaml}");
        assert_eq!((read.freshness, read.revision), (Freshness::Live, 0));
    }
    let json = serde_json::to_string(&*snapshot.components).unwrap();
    assert_eq!(serde_json::from_str::<Components>(&json).unwrap(), *snapshot.components);
}

#[test]
fn values_of_the_registry_are_plain_json_and_checked_on_the_way_in() {
    let snapshot = everything();
    let build = snapshot.builds.get(&id("00")).unwrap();
    let json = serde_json::to_value(&**build).unwrap();
    let expected = serde_json::json!({"uuid": "00", "zone": "no", "tenant": "a: [b", "pipeline": "a: [b", "state": "null",
        "worker": {"hostname": "::1", "log_port": null, "zone": null}});
    assert_eq!(json, expected);
    for (key, bad) in [("uuid", "../x"), ("zone", "a/b"), ("worker", "h"), ("stat", "running")] {
        let mut json = json.clone();
        json[key] = bad.into();
        assert!(serde_json::from_value::<Build>(json).is_err(), "{key}: {bad}");
    }
}

#[tokio::test]
async fn a_changed_file_is_published_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registry.yaml");
    fs::write(&file, "builds: [{uuid: aa}]").unwrap();
    let (metrics, tasks) = (metrics::Registry::default(), Tasks::new());
    let registry = Registry::file(&file, metrics.clone(), &tasks);
    let mut changes = registry.changes();
    let (aa, bb) = (BuildId::parse("aa").unwrap(), BuildId::parse("bb").unwrap());

    changes.wait_for(|_| registry.snapshot().builds.contains(&aa)).await.unwrap();
    fs::write(&file, "builds: [").unwrap();
    let refused = ByReason { reason: "file" };
    while metrics.malformed.get_or_create(&refused).get() == 0 {
        tokio::task::yield_now().await;
    }
    assert!(registry.find(&aa).await.unwrap().is_some(), "the last good one goes on");
    fs::write(&file, "builds: [{uuid: bb}]").unwrap();
    changes.wait_for(|_| registry.snapshot().builds.contains(&bb)).await.unwrap();
    assert!(registry.find(&aa).await.unwrap().is_none());
    tasks.stop();
}
