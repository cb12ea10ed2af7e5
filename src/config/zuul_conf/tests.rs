//! Bytes of `zuul.conf` in, settings or `file:line: [section] option: problem` out.

use std::time::Duration;

use super::*;
use crate::config::Loaded;
use crate::config::problem::{Problem, Problems};
use crate::config::settings::HostPort;

const ZOOKEEPER_PART: &str = "[zookeeper]\nhosts=zk:2281\ntls_cert=c.pem\ntls_key=k.pem\ntls_ca=ca.pem\n";

fn load(text: &str) -> Result<Loaded, Problems> {
    let environment = [("ZUUL_ZONE", "from-env"), ("HOME", "/home/zuul"), ("OTHER", "hidden")];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    read(Path::new("zuul.conf"), text, &environment, &|| Ok(Hostname::parse("machine.example.org").unwrap())).usable()
}

/// The settings for these lines of `[fingergw]`, beside a ZooKeeper that is as it should be.
fn fingergw(lines: &str) -> Loaded {
    load(&format!("{ZOOKEEPER_PART}[fingergw]\n{lines}\n")).unwrap_or_else(|problems| panic!("{problems}"))
}

fn zookeeper(lines: &str) -> ZooKeeper {
    match load(&format!("[zookeeper]\n{lines}\n")).unwrap_or_else(|problems| panic!("{problems}")).settings.registry {
        Registry::ZooKeeper(zookeeper) => zookeeper,
        Registry::File(file) => panic!("{}", file.display()),
    }
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn pair(name: &str) -> KeyPairFiles {
    KeyPairFiles { cert: format!("{name}.pem").into(), key: format!("{name}.key").into() }
}

fn trust(ca: &str) -> Trust {
    Trust { ca: ca.into(), crl: None, version1_certificates: true }
}

#[test]
fn a_site_without_a_section_of_its_own_has_zuuls_defaults() {
    let loaded = load(ZOOKEEPER_PART).unwrap();
    let listener = Listener::plain("finger", "[::]:79".parse().unwrap());
    let expected = Settings {
        hostname: Hostname::parse("machine.example.org").unwrap(),
        zone: None,
        listeners: vec![listener],
        registration: Registration::default(),
        registry: Registry::ZooKeeper(ZooKeeper {
            hosts: vec![HostPort { host: "zk".to_owned(), port: 2281 }],
            chroot: String::new(),
            tls: Some(ClientTls {
                identity: Some(KeyPairFiles { cert: "c.pem".into(), key: "k.pem".into() }),
                trust: trust("ca.pem"),
                verify_hostnames: false,
            }),
            session_timeout: Duration::from_secs(120),
            request_timeout: ZooKeeper::REQUEST_TIMEOUT,
        }),
        policy: Policy::default(),
        upstream: Upstream::default(),
        stream: Stream::default(),
        decisions: None,
        monitoring: None,
        log: Log::default(),
        process: Process { command_socket: Some(COMMAND_SOCKET.into()), ..Process::default() },
    };
    assert_eq!(loaded.settings, expected);
    assert_eq!(lines(&loaded.warnings), [""; 0]);
}

#[test]
fn a_name_without_a_dot_is_doubted_unless_it_was_chosen() {
    let short = || Ok(Hostname::parse("gw").unwrap());
    let warnings =
        |text: &str| read(Path::new("zuul.conf"), text, &Environment::new(), &short).usable().unwrap().warnings;
    let doubted = lines(&warnings(ZOOKEEPER_PART));
    assert_eq!(doubted.len(), 1);
    assert!(doubted[0].starts_with("zuul.conf: [fingergw] hostname: is not set, and the machine's own"), "{doubted:?}");
    assert_eq!(lines(&warnings(&format!("{ZOOKEEPER_PART}[fingergw]\nhostname=gw\n"))), [""; 0]);
}

#[test]
fn every_option_reaches_its_setting() {
    let loaded = load(include_str!("tests/every_option.conf")).unwrap_or_else(|problems| panic!("{problems}"));
    let tls = ClientTls { identity: Some(pair("gw")), trust: trust("gw-ca.pem"), verify_hostnames: false };
    let address = "127.0.0.1:7979".parse().unwrap();
    let expected = Settings {
        hostname: Hostname::parse("gw.example.org").unwrap(),
        zone: Zone::parse("eu").unwrap().into(),
        listeners: vec![Listener {
            tls: Some(ServerTls {
                certificates: vec![pair("gw")],
                require_known_server_name: false,
                client_certificates: ClientCertificates::Required(trust("gw-ca.pem")),
                min_version: TlsVersion::V1_2,
            }),
            ..Listener::plain("finger", address)
        }],
        registration: Registration { enabled: true, listener: None, public_port: Some(17979) },
        registry: Registry::ZooKeeper(ZooKeeper {
            hosts: vec![
                HostPort { host: "zk01".to_owned(), port: 2281 },
                HostPort { host: "::1".to_owned(), port: 2181 },
            ],
            chroot: "/ci".to_owned(),
            tls: Some(ClientTls { identity: Some(pair("zk")), trust: trust("zk-ca.pem"), verify_hostnames: false }),
            session_timeout: Duration::from_millis(40_500),
            request_timeout: ZooKeeper::REQUEST_TIMEOUT,
        }),
        policy: Policy::default(),
        upstream: Upstream { tls: Some(tls), ..Upstream::default() },
        stream: Stream::default(),
        monitoring: Some(Monitoring { address: "127.0.0.1:9091".parse().unwrap() }),
        decisions: None,
        log: Log::default(),
        process: Process {
            user: Some("zuul".to_owned()),
            command_socket: Some("/run/zuul/fingergw.socket".into()),
            pid_file: Some("/home/zuul/fingergw.pid".into()),
            workers: None,
        },
    };
    assert_eq!(loaded.settings, expected);
    assert_eq!(
        lines(&loaded.warnings),
        ["zuul.conf:18: [fingergw] log_config: has no effect: it configures Python's logging; Fingerpost logs to \
          standard error"]
    );
}

#[test]
fn tls_client_only_leaves_the_port_plain() {
    let files = "tls_cert=c\ntls_key=k\ntls_ca=ca\n";
    for (option, listens) in [("", true), ("tls_client_only=Yes", false), ("tls_client_only=0", true)] {
        let settings = fingergw(&format!("{files}{option}")).settings;
        assert_eq!(settings.listeners[0].tls.is_some(), listens, "{option}");
        assert!(settings.upstream.tls.unwrap().verify_hostnames);
    }
}

#[test]
fn tls_needs_all_three_files() {
    let loaded = fingergw("tls_cert=c\ntls_key=\ntls_ca=ca");
    assert_eq!((&loaded.settings.listeners[0].tls, &loaded.settings.upstream.tls), (&None, &None));
    let why = "has no effect: TLS needs all of tls_cert, tls_key and tls_ca";
    assert_eq!(lines(&loaded.warnings), [format!("zuul.conf:7: [fingergw] tls_cert: {why}")]);
}

#[test]
fn the_public_port_is_the_bound_one_unless_it_is_another() {
    let port = |lines: &str| fingergw(lines).settings.registration.public_port;
    assert_eq!(port("port=7979"), None);
    assert_eq!(port("port=7979\npublic_port=0"), None);
    assert_eq!(port("port=7979\npublic_port=79"), Some(79));
    let listener = fingergw("port=0").settings.listeners.remove(0);
    assert_eq!(listener.address, ListenAddress::Bind("[::]:0".parse().unwrap()));
}

#[test]
fn addresses_may_be_names() {
    let settings = fingergw("listen_address=localhost\nprometheus_port=0\nprometheus_addr=localhost").settings;
    let ListenAddress::Bind(address) = settings.listeners[0].address else { panic!("not bound") };
    assert!(address.ip().is_loopback());
    assert!(settings.monitoring.unwrap().address.ip().is_loopback());
    let all = fingergw("prometheus_port=9091").settings.monitoring.unwrap();
    assert_eq!(all.address, "0.0.0.0:9091".parse().unwrap());
}

#[test]
fn empty_values_count_as_python_counts_them() {
    let loaded = fingergw("zone=\nuser=\ncommand_socket=\npidfile=\n");
    assert_eq!(loaded.settings.process, Process::default());
    assert_eq!(loaded.settings.zone, None);
    assert_eq!(lines(&loaded.warnings), ["zuul.conf:7: [fingergw] zone: is empty, and counts as none"]);
}

#[test]
fn only_zuuls_own_variables_can_be_referred_to() {
    assert_eq!(fingergw("zone=%(ZUUL_ZONE)s").settings.zone.unwrap().as_str(), "from-env");
    let problems = load(&format!("{ZOOKEEPER_PART}[fingergw]\nzone=%(OTHER)s\n")).unwrap_err();
    let why = "refers to %(OTHER)s, which is set nowhere";
    assert_eq!(lines(&problems.0), [format!("zuul.conf:7: [fingergw] zone: {why}")]);
}

#[test]
fn defaults_of_the_file_show_through_both_sections() {
    let text = "[DEFAULT]\ntls_cert=c\ntls_key=k\ntls_ca=ca\n[zookeeper]\nhosts=zk\n[fingergw]\nunrelated_default=1\n";
    let settings = load(text).unwrap().settings;
    assert!(settings.listeners[0].tls.is_some());
    assert!(matches!(settings.registry, Registry::ZooKeeper(ZooKeeper { tls: Some(_), .. })));
}

#[test]
fn hosts_may_span_lines() {
    let tls = "tls_cert=c\ntls_key=k\ntls_ca=ca\n";
    let hosts = |value: &str| {
        let zookeeper = zookeeper(&format!("{tls}hosts={value}"));
        let hosts: Vec<_> = zookeeper.hosts.iter().map(ToString::to_string).collect();
        (hosts.join(" "), zookeeper.chroot)
    };
    assert_eq!(hosts("a:1,\n  b:2,\n  c"), ("a:1 b:2 c:2181".to_owned(), String::new()));
    assert_eq!(hosts("a:1,[::1]:2/x/y"), ("a:1 [::1]:2".to_owned(), "/x/y".to_owned()));
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_line() {
    let problems = load(include_str!("tests/all_wrong.conf")).unwrap_err();
    let expected: Vec<_> = include_str!("tests/all_wrong.txt").lines().collect();
    assert_eq!(lines(&problems.0), expected);
    assert_eq!(expected.len(), 16);
}

#[test]
fn what_zuul_requires_is_required() {
    let missing = |text: &str| load(text).unwrap_err().0.len();
    assert_eq!(missing(""), 4);
    assert_eq!(missing("[zookeeper]\nhosts=zk\n"), 3);
    assert_eq!(missing("[zookeeper]\nhosts=\ntls_cert=c\ntls_key=k\ntls_ca=\n"), 2);
}

#[test]
fn what_python_refuses_is_told_with_its_line() {
    let problems = load("port = 79\n[fingergw]\nport = 79\nport = 80\n").unwrap_err();
    assert_eq!(
        lines(&problems.0),
        [
            "zuul.conf:1: \"port = 79\" stands before the first [section]",
            "zuul.conf:4: option \"port\" is here a second time"
        ]
    );
}

#[test]
fn options_that_mean_nothing_here_are_named() {
    let warnings = fingergw("tls_verify_hostname=false\ncolour=red").warnings;
    assert_eq!(warnings.len(), 2);
    assert_eq!(
        warnings[0].to_string(),
        "zuul.conf:7: [fingergw] tls_verify_hostname: has no effect: unknown option \"tls_verify_hostname\"; did you \
         mean \"tls_verify_hostnames\"?"
    );
    assert!(warnings[1].to_string().starts_with("zuul.conf:8: [fingergw] colour: has no effect: unknown option"));
}

#[test]
fn later_stages_can_point_at_an_option() {
    let sources = fingergw("tls_cert=c\ntls_key=k\ntls_ca=ca").sources;
    let at = |setting: &str| sources.problem(setting, "x").to_string();
    assert_eq!(at("listeners[0].tls.certificates[0].key"), "zuul.conf:8: [fingergw] tls_key: x");
    assert_eq!(at("upstream.tls.ca"), "zuul.conf:9: [fingergw] tls_ca: x");
    assert_eq!(at("registry.zookeeper.tls.ca"), "zuul.conf:5: [zookeeper] tls_ca: x");
    assert_eq!(at("listeners[0].tls.client_crl"), "zuul.conf:7: [fingergw] tls_cert: x");
}
