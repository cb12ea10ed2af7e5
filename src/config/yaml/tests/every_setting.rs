//! What `every_key.yaml` comes to: a setting for every key, none of them the default.

use super::*;

fn pair(name: &str) -> KeyPairFiles {
    KeyPairFiles { cert: file(&format!("{name}.crt")), key: PathBuf::from(format!("/{name}.key")) }
}

fn trust(name: &str) -> Trust {
    Trust { ca: file(&format!("{name}-ca.pem")), crl: Some(file(&format!("{name}.crl"))), version1_certificates: true }
}

fn client(name: &str, verify_hostnames: bool) -> ClientTls {
    ClientTls { identity: Some(pair(name)), trust: trust(name), verify_hostnames }
}

pub(super) fn every_setting() -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        hostname: Hostname::parse("relay.example.org").unwrap(),
        zone: Zone::parse("eu"),
        listeners: every_listener(),
        registration: Registration { enabled: false, listener: Some("plain".to_owned()), public_port: Some(5) },
        registry: every_registry(),
        policy: every_policy(),
        decisions: Some(Decisions { file: file("decisions.jsonl"), max_size: 1 << 20, keep: 25 }),
        upstream: Upstream {
            timeout: seconds(23),
            connect_timeout: seconds(11),
            handshake_timeout: seconds(12),
            retry_failed_after: seconds(13),
            happy_eyeballs_delay: Duration::from_millis(14),
            tls: Some(client("up", false)),
        },
        stream: Stream {
            viewer_stall_timeout: seconds(15),
            half_close_grace: seconds(16),
            keepalive_idle: seconds(17),
            keepalive_interval: seconds(18),
            keepalive_probes: 19,
            drain_timeout: seconds(20),
        },
        monitoring: Some(Monitoring { address: "127.0.0.1:21".parse().unwrap() }),
        log: Log { level: "debug".to_owned(), format: LogFormat::Json, records: false },
        process: Process {
            user: Some("nobody".to_owned()),
            command_socket: Some(file("c.socket")),
            pid_file: Some(PathBuf::from("/run/p.pid")),
            workers: Some(22),
        },
    }
}

fn every_policy() -> Policy {
    let rule = |listener: &[&str], zones: &[&str], tenant: &[&str], policy: &str| Rule {
        listener: listener.iter().map(|name| (*name).to_owned()).collect(),
        zone: zones.iter().map(|name| Zone::parse(name).unwrap()).collect(),
        tenant: tenant.iter().map(|name| (*name).to_owned()).collect(),
        policy: policy.to_owned(),
    };
    let list = vec![Param::Integer(1), Param::Number(2.5), Param::Text("x".to_owned()), Param::Bool(true)];
    let map = Params::from([("b".to_owned(), Param::List(list))]);
    let both = Params::from_iter(map.clone().into_iter().chain([("c".to_owned(), Param::Integer(2))]));
    let policy = Policy {
        file: None,
        folder: Some(file("policies")),
        overlays: Some(file("policies.d")),
        default: Some("mine".to_owned()),
        rules: vec![rule(&["tls"], &[], &[], "one"), rule(&[], &["eu", "us"], &["t"], "two")],
        params: Params::from([("a".to_owned(), Param::Map(map))]),
        time_limit: Duration::from_millis(9),
        memory_limit: 10 << 20,
        recursion_limit: 23,
        shared_limit: 24 << 10,
        background: Background {
            time_limit: Duration::from_millis(25),
            deadline: Duration::from_secs(26),
            memory_limit: 27 << 20,
        },
        dry_run: DryRun::Errors,
        tests: false,
        candidate: None,
    };
    let candidate = Policy {
        folder: Some(file("policies.new")),
        overlays: Some(file("policies.new.d")),
        default: Some("new".to_owned()),
        rules: vec![rule(&["plain"], &[], &[], "three")],
        params: Params::from([("a".to_owned(), Param::Map(both))]),
        ..policy.clone()
    };
    let canary = Canary {
        percent: 1,
        steps: vec![24, 100],
        step_every: Duration::from_secs(25),
        rollback: Rollback { errors: 26, failures: 27, min_streams: 28 },
    };
    Policy { candidate: Some(Candidate { policy: Box::new(candidate), canary }), ..policy }
}

fn every_listener() -> Vec<Listener> {
    let tls = ServerTls {
        certificates: vec![pair("one"), pair("two")],
        require_known_server_name: true,
        client_certificates: ClientCertificates::Optional(trust("viewer")),
        min_version: TlsVersion::V1_3,
    };
    let first = Listener {
        name: "tls".to_owned(),
        address: ListenAddress::Bind("127.0.0.1:7979".parse().unwrap()),
        tls: Some(tls),
        handshake_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(2),
        max_connections: 3,
        max_connections_per_address: 4,
        proxy_protocol_from: vec![
            Network { address: "10.0.0.0".parse().unwrap(), prefix: 8 },
            Network { address: "fd00::1".parse().unwrap(), prefix: 128 },
        ],
    };
    let second = Listener {
        address: ListenAddress::Systemd("fp.socket".to_owned()),
        ..Listener::plain("plain", "127.0.0.1:0".parse().unwrap())
    };
    vec![first, second]
}

fn every_registry() -> Registry {
    let host = |host: &str, port| HostPort { host: host.to_owned(), port };
    Registry::ZooKeeper(ZooKeeper {
        hosts: vec![host("zk01", 2281), host("::1", 6)],
        chroot: "/ci".to_owned(),
        tls: Some(client("zk", true)),
        session_timeout: Duration::from_secs(7),
        request_timeout: Duration::from_secs(8),
    })
}
