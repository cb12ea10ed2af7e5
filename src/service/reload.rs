//! What a reload may change. Keys that only a restart can change keep the value they run with, and are named.

use crate::config::settings::{Registry, Settings};

/// Gives `wanted` the running value of every key that cannot change, and names those that wanted to.
pub(super) fn keep_fixed(wanted: &mut Settings, running: &Settings) -> Vec<&'static str> {
    let mut fixed = Vec::new();
    keep(&mut wanted.hostname, &running.hostname, "hostname", &mut fixed);
    keep(&mut wanted.zone, &running.zone, "zone", &mut fixed);
    let (registered, registers) = (&running.registration.enabled, &mut wanted.registration.enabled);
    keep(registers, registered, "registration.enabled", &mut fixed);
    keep_registry(wanted, running, &mut fixed);
    keep(&mut wanted.log.format, &running.log.format, "log.format", &mut fixed);
    keep(&mut wanted.process, &running.process, "process", &mut fixed);
    fixed
}

fn keep<T: Clone + PartialEq>(wanted: &mut T, running: &T, key: &'static str, fixed: &mut Vec<&'static str>) {
    if wanted != running {
        wanted.clone_from(running);
        fixed.push(key);
    }
}

/// Where the registry is read from is fixed; the certificates shown to it are not.
fn keep_registry(wanted: &mut Settings, running: &Settings, fixed: &mut Vec<&'static str>) {
    let mut allowed = running.registry.clone();
    if let (Registry::ZooKeeper(allowed), Registry::ZooKeeper(wanted)) = (&mut allowed, &wanted.registry) {
        // Between plain TCP and TLS there is no change without a new session.
        if allowed.tls.is_some() && wanted.tls.is_some() {
            allowed.tls.clone_from(&wanted.tls);
        }
    }
    if wanted.registry != allowed {
        wanted.registry.clone_from(&running.registry);
        fixed.push("registry");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;
    use crate::config::settings::{
        ClientTls, HostPort, Listener, Log, Policy, Process, Registration, Stream, Trust, Upstream, ZooKeeper,
    };
    use crate::names::{Hostname, Zone};

    fn running() -> Settings {
        Settings {
            hostname: Hostname::parse("relay.example").unwrap(),
            zone: Zone::parse("a"),
            listeners: vec![Listener::plain("finger", SocketAddr::from(([127, 0, 0, 1], 79)))],
            registration: Registration::default(),
            registry: Registry::ZooKeeper(ZooKeeper {
                hosts: vec![HostPort { host: "zk".to_owned(), port: 2281 }],
                chroot: String::new(),
                tls: Some(tls("old.pem")),
                session_timeout: Duration::from_secs(40),
                request_timeout: Duration::from_secs(5),
            }),
            policy: Policy::default(),
            upstream: Upstream::default(),
            stream: Stream::default(),
            decisions: None,
            monitoring: None,
            log: Log::default(),
            process: Process { user: None, command_socket: None, pid_file: None, workers: None },
        }
    }

    fn tls(ca: &str) -> ClientTls {
        let trust = Trust { ca: PathBuf::from(ca), crl: None, version1_certificates: false };
        ClientTls { identity: None, trust, verify_hostnames: false }
    }

    #[test]
    fn what_needs_a_restart_is_kept_and_named() {
        let mut wanted = running();
        wanted.zone = Zone::parse("b");
        wanted.process.workers = Some(7);
        wanted.policy.time_limit = Duration::from_millis(1);
        assert_eq!(keep_fixed(&mut wanted, &running()), ["zone", "process"]);
        assert_eq!(wanted.zone, Zone::parse("a"));
        assert_eq!(wanted.policy.time_limit, Duration::from_millis(1));
    }

    #[test]
    fn zookeeper_certificates_may_change_but_not_its_hosts() {
        let mut wanted = running();
        let Registry::ZooKeeper(zookeeper) = &mut wanted.registry else { panic!("built above") };
        zookeeper.tls = Some(tls("new.pem"));
        let before = wanted.clone();
        assert!(keep_fixed(&mut wanted, &running()).is_empty());
        assert_eq!(wanted, before);

        let Registry::ZooKeeper(zookeeper) = &mut wanted.registry else { panic!("built above") };
        zookeeper.chroot = "/elsewhere".to_owned();
        assert_eq!(keep_fixed(&mut wanted, &running()), ["registry"]);
        assert_eq!(wanted, running());
    }
}
