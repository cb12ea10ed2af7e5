//! Bytes of YAML in, settings or `file:line: key: problem` out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use socket2::{Domain, Socket, TcpKeepalive, Type};

use super::*;
use crate::config::problem::Problems;
use crate::config::settings::{
    Background, Canary, Candidate, ClientCertificates, ClientTls, DryRun, HostPort, KeyPairFiles, ListenAddress,
    Network, Param, Params, Policy, Rollback, Rule, ServerTls, TlsVersion, Trust, ZooKeeper,
};
use crate::names::Zone;

mod candidate;
mod every_setting;
mod policy;

const DOCUMENTED: &str = include_str!("../../../config/fingerpost.yaml");

fn load(text: &str) -> Result<Loaded, Problems> {
    named(text, &|| Ok(Hostname::parse("machine.example.org").unwrap()))
}

/// Reads `text` on a machine that says `machine` of its name, with no overlays.
fn named(text: &str, machine: &dyn Fn() -> Result<Hostname, String>) -> Result<Loaded, Problems> {
    read(Path::new("/etc/fp/f.yaml"), text, Surroundings { machine, overlays: &|_| Ok(Vec::new()) }).usable()
}

fn settings_of(text: &str) -> Settings {
    load(text).unwrap_or_else(|problems| panic!("{problems}")).settings
}

fn problems_of(text: &str) -> Vec<String> {
    let problems = load(text).map(|loaded| loaded.settings).unwrap_err();
    problems.to_string().lines().map(|line| line.replace("/etc/fp/f.yaml:", "")).collect()
}

/// The documented file with everything turned on that is off in it.
fn all_on() -> String {
    let on = |line: &str| {
        let body = line.trim_start();
        let indent = &line[..line.len() - body.len()];
        match body.strip_prefix('#') {
            Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => format!("{indent}{setting}\n"),
            _ => format!("{line}\n"),
        }
    };
    DOCUMENTED.lines().map(on).collect()
}

/// `all_on` without the lines of the alternatives to ZooKeeper and to a folder: a configuration that can be used.
fn usable() -> String {
    let alternative = |line: &&str| {
        !["  file: registry.yaml", "  file: policy.lua", "    file: new.lua"].iter().any(|it| line.starts_with(it))
    };
    all_on().lines().filter(alternative).map(|line| format!("{line}\n")).collect()
}

const MINIMAL: &str = "registry: {zookeeper: {hosts: 'zk01.example.org:2281,zk02.example.org:2281'}}\n";

fn file(name: &str) -> PathBuf {
    PathBuf::from("/etc/fp").join(name)
}

#[test]
fn the_documented_defaults_are_those_of_the_code() {
    assert_eq!(settings_of(DOCUMENTED), settings_of(MINIMAL));
}

#[test]
fn every_key_is_documented() {
    let reports = [all_on(), usable()].map(|text| {
        let report = Report::new(Path::new("f.yaml"), &text);
        let machine = || unreachable!("the file has a hostname");
        let around = Surroundings { machine: &machine, overlays: &|_| Ok(Vec::new()) };
        let _settings = settings(report.root().unwrap(), around);
        report.into_parts()
    });
    let problems: Vec<_> = reports[0].1.iter().map(|problem| problem.text.as_str()).collect();
    assert_eq!(
        problems,
        [
            "stands beside zookeeper; remove one of the two",
            "stands beside file; remove one of the two",
            "stands beside file; remove one of the two"
        ]
    );
    let mut asked = BTreeSet::new();
    let mut documented = BTreeSet::new();
    for (setting, present) in reports[0].0.settings() {
        let setting: String = setting.split(['[', ']']).step_by(2).collect::<Vec<_>>().join("[]");
        asked.insert(setting.clone());
        documented.extend(present.then_some(setting));
    }
    assert_eq!(asked, documented);
    assert_eq!(documented.len(), 113, "{documented:#?}");
}

/// A documented value that is no example is either needed or a default: without it the settings stay the same.
#[test]
fn documented_values_are_defaults_also_where_they_are_off() {
    let text = usable();
    let whole = settings_of(&text);
    let lines: Vec<_> = text.lines().collect();
    let (mut defaults, mut needed) = (0, Vec::new());
    for (index, line) in lines.iter().enumerate() {
        let setting = line.trim_start().split_once(": ").filter(|(key, _)| !key.contains('#'));
        if setting.is_none_or(|(_, value)| value.ends_with("# example")) {
            continue;
        }
        let mut without = lines.clone();
        without.remove(index);
        match load(&without.join("\n")) {
            Ok(loaded) => {
                assert_eq!(loaded.settings, whole, "line {}: {line}", index + 1);
                defaults += 1;
            }
            Err(_) => needed.push(line.trim()),
        }
    }
    assert_eq!(needed, ["- name: finger", "address: \"[::]:79\""]);
    assert_eq!(defaults, 47);
}

#[test]
fn the_examples_are_usable() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let examples: Vec<_> = names.filter(|name| name.starts_with("example-")).collect();
    for name in &examples {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let loaded = load(&text).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        assert_eq!(loaded.warnings, [], "{name}");
    }
    assert_eq!(examples.len(), 2);
}

#[test]
fn every_key_reaches_its_setting() {
    let settings = settings_of(include_str!("tests/every_key.yaml"));
    assert_eq!(settings, every_setting::every_setting());
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line() {
    let expected: Vec<_> = include_str!("tests/all_wrong.txt").lines().collect();
    assert_eq!(problems_of(include_str!("tests/all_wrong.yaml")), expected);
    assert_eq!(expected.len(), 43);
}

#[test]
fn a_decision_log_has_a_file_and_room_in_it() {
    let decisions = |inner: &str| load(&format!("{MINIMAL}decisions: {{{inner}}}")).map(|it| it.settings.decisions);
    let defaults = Decisions { file: file("d"), max_size: 64 << 20, keep: 7 };
    assert_eq!(decisions("file: d").unwrap(), Some(defaults));
    let problems = decisions("max_size: 10, keep: 2000").unwrap_err().to_string().replace("/etc/fp/f.yaml:2: ", "");
    let problems: Vec<_> = problems.lines().collect();
    assert_eq!(
        problems,
        [
            "decisions.file: is missing; it has no default",
            "decisions.max_size: expected a size of at least 64KiB, found 10",
            "decisions.keep: expected a whole number from 0 to 1000, found 2000",
        ]
    );
}

#[test]
fn what_is_not_yaml_is_told_with_its_line() {
    assert_eq!(problems_of("zone: a\nlog: [\n").len(), 1);
    assert!(problems_of("zone: a\nlog: [\n")[0].starts_with("3: is not valid YAML: "));
    assert_eq!(problems_of("[]"), ["1: expected keys and values, found a list"]);
    assert_eq!(problems_of(""), ["1: registry: is missing; give it zookeeper, or a file"]);
}

#[test]
fn the_machine_is_asked_for_its_name_only_if_the_file_has_none() {
    assert_eq!(settings_of(MINIMAL).hostname.as_str(), "machine.example.org");
    let nameless = || Err("is not set, and the machine has no name".to_owned());
    let load = |text: &str| named(text, &nameless);
    assert_eq!(
        load(MINIMAL).unwrap_err().to_string(),
        "/etc/fp/f.yaml:1: hostname: is not set, and the machine has no name"
    );
    assert!(load(&format!("hostname: here\n{MINIMAL}")).is_ok());
}

#[test]
fn a_name_without_a_dot_is_doubted_where_others_need_it_and_nobody_chose_it() {
    let short = || Ok(Hostname::parse("relay").unwrap());
    let warnings = |text: &str| named(text, &short).unwrap().warnings;
    let doubted = warnings(MINIMAL);
    assert_eq!((doubted.len(), doubted[0].key.as_str()), (1, "hostname"));
    assert!(doubted[0].text.contains("\"relay\", without a domain"), "{}", doubted[0]);
    assert_eq!(warnings(&format!("hostname: relay\n{MINIMAL}")), []);
    assert_eq!(warnings(&format!("registration: {{enabled: false}}\n{MINIMAL}")), []);
    assert_eq!(warnings("registry: {file: r.yaml}\n"), []);
}

#[test]
fn without_zookeeper_nothing_is_registered() {
    let off = |text: &str| load(text).map(|loaded| (loaded.settings.registration.enabled, loaded.warnings)).unwrap();
    assert_eq!(off("registry: {file: r.yaml}"), (false, vec![]));
    let (enabled, warnings) = off("registry: {file: r.yaml}\nregistration:\n  enabled: true\n");
    assert!(!enabled);
    let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    let why = "has no effect: without ZooKeeper there is nowhere to register";
    assert_eq!(texts, [format!("/etc/fp/f.yaml:3: registration.enabled: {why}")]);
}

#[test]
fn one_address_may_have_all_connections_unless_the_file_says_less() {
    let limits = |lines: &str| {
        let text = format!("listeners: [{{name: a, address: '[::]:79'{lines}}}]\n{MINIMAL}");
        let listener = settings_of(&text).listeners.remove(0);
        (listener.max_connections, listener.max_connections_per_address)
    };
    assert_eq!(limits(""), (10_000, 10_000));
    assert_eq!(limits(", max_connections: 20000"), (20_000, 20_000));
    assert_eq!(limits(", max_connections_per_address: 50"), (10_000, 50));
}

#[test]
fn a_tls_section_without_content_is_not_taken_for_plain_tcp() {
    let text = "\
listeners:
  - name: a
    address: '[::]:79'
    tls:
registry:
  zookeeper:
    hosts: zk
    tls:
      # ca: ca.pem
upstream:
  tls: ~
";
    let client = "is empty; remove the key for plain TCP, or give ca";
    let expected = [
        "4: listeners[0].tls: is empty; remove the key for plain TCP, or give certificates".to_owned(),
        format!("8: registry.zookeeper.tls: {client}"),
        format!("11: upstream.tls: {client}"),
    ];
    assert_eq!(problems_of(text), expected);
    assert_eq!(
        problems_of(&format!("{MINIMAL}upstream: {{tls: {{}}}}")),
        ["2: upstream.tls.ca: is missing; it has no default"]
    );
}

#[test]
fn what_the_kernel_cannot_count_is_refused_with_the_range() {
    let stream = |lines: &str| load(&format!("{MINIMAL}stream: {{{lines}}}")).map(|loaded| loaded.settings.stream);
    let refused = |lines: &str| stream(lines).unwrap_err().to_string().replace("/etc/fp/f.yaml:2: stream.", "");
    for key in ["keepalive_idle", "keepalive_interval"] {
        assert_eq!(refused(&format!("{key}: 10h")), format!("{key}: must be from 1s to 9h 6m 7s, is 10h"));
    }
    assert_eq!(refused("drain_timeout: 25d"), "drain_timeout: must be from 0s to 24days, is 25d");
    assert_eq!(refused("viewer_stall_timeout: 9y"), "viewer_stall_timeout: must be from 1ms to 24days, is 9y");
    let together = "makes keepalive_idle and all probes take longer than 24days; have fewer, or more often";
    let most = "keepalive_idle: 32767s, keepalive_interval: 32767s, keepalive_probes";
    assert_eq!(refused(&format!("{most}: 127")), format!("keepalive_probes: {together}"));
    assert!(stream(&format!("{most}: 62")).is_ok());
}

/// The bounds are the kernel's: it takes what is just within them, and nothing beyond.
#[test]
fn the_kernel_takes_every_keepalive_that_the_file_may_ask_for() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let second = Duration::from_secs(1);
    let (least, most) = KEEPALIVE.into_inner();
    for (time, taken) in [(least, true), (most, true), (most + second, false)] {
        assert_eq!(socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time)).is_ok(), taken, "{time:?}");
        assert_eq!(socket.set_tcp_keepalive(&TcpKeepalive::new().with_interval(time)).is_ok(), taken, "{time:?}");
    }
    for (probes, taken) in [(*PROBES.start(), true), (*PROBES.end(), true), (PROBES.end() + 1, false)] {
        assert_eq!(socket.set_tcp_keepalive(&TcpKeepalive::new().with_retries(probes)).is_ok(), taken, "{probes}");
    }
    socket.set_tcp_user_timeout(Some(LONGEST)).unwrap();
    assert!(socket.set_tcp_user_timeout(Some(LONGEST + 24 * 60 * 60 * second)).is_err());
}

#[test]
fn hosts_of_zookeeper_have_the_port_of_their_kind_and_perhaps_a_chroot() {
    let zookeeper = |inner: &str| match settings_of(&format!("registry: {{zookeeper: {{{inner}}}}}")).registry {
        Registry::ZooKeeper(zookeeper) => zookeeper,
        Registry::File(file) => panic!("{}", file.display()),
    };
    assert_eq!(zookeeper("hosts: a").hosts[0].port, 2181);
    assert_eq!(zookeeper("hosts: a, tls: {ca: ca.pem}").hosts[0].port, 2281);
    assert_eq!(zookeeper("hosts: 'a,b/ci'").chroot, "/ci");
    assert_eq!(zookeeper("hosts: [a, b/ci]").chroot, "/ci");
    assert!(!zookeeper("hosts: a, tls: {ca: ca.pem}").tls.unwrap().verify_hostnames);
}

#[test]
fn later_stages_can_point_at_a_setting() {
    let text = "listeners:\n  - name: a\n    address: '[::]:79'\n    tls:\n      certificates:\n        - {cert: c,\n           key: k}\nregistry: {file: r}\n";
    let sources = load(text).unwrap().sources;
    let at = |setting: &str| sources.problem(setting, "x").to_string();
    let key = "listeners[0].tls.certificates[0].key";
    assert_eq!(at(key), format!("/etc/fp/f.yaml:7: {key}: x"));
    assert_eq!(at("listeners[0].tls.client_crl"), "/etc/fp/f.yaml:4: listeners[0].tls: x");
    assert_eq!(at("policy.file"), "/etc/fp/f.yaml: policy.file: x");
}
