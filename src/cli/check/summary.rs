//! What a relay with a configuration that is fine would be, in a few lines for the person who checks it.

use std::io::{self, Write};

use bytesize::ByteSize;

use crate::config::Loaded;
use crate::config::settings::{Candidate, ClientCertificates, Decisions, ListenAddress, Listener, Registry, Settings};

/// Writes the summary; so many of the policy's tests were run, and passed.
pub(super) fn write(out: &mut dyn Write, loaded: &Loaded, tests_passed: usize) -> io::Result<()> {
    let settings = &loaded.settings;
    writeln!(out, "{}: ok", loaded.sources.file().display())?;
    writeln!(out, "  relay     {}, {}", settings.hostname, zone(settings))?;
    for listener in &settings.listeners {
        writeln!(out, "  listener  {}", listening(listener))?;
    }
    writeln!(out, "  registry  {}", registry(settings))?;
    writeln!(out, "  policy    {}", policy(settings, tests_passed))?;
    if let Some(Decisions { file, max_size, keep }) = &settings.decisions {
        let most = ByteSize::b(max_size.saturating_mul(u64::from(*keep) + 1));
        writeln!(out, "  decisions {}, at most {most} in all", file.display())?;
    }
    writeln!(out, "  upstream  {}", upstream(settings))
}

fn zone(settings: &Settings) -> String {
    settings.zone.as_ref().map_or_else(|| "in no zone".to_owned(), |zone| format!("zone {zone}"))
}

fn listening(listener: &Listener) -> String {
    let address = match &listener.address {
        ListenAddress::Bind(address) => address.to_string(),
        ListenAddress::Systemd(name) => format!("systemd's {name}"),
    };
    let clients = listener.tls.as_ref().map(|tls| &tls.client_certificates);
    let tls = match clients {
        None => "plain",
        Some(ClientCertificates::None) => "TLS",
        Some(ClientCertificates::Optional(_)) => "TLS, client certificates optional",
        Some(ClientCertificates::Required(_)) => "TLS, client certificates required",
    };
    format!("{}: {address}, {tls}", listener.name)
}

fn registry(settings: &Settings) -> String {
    match &settings.registry {
        Registry::File(file) => file.display().to_string(),
        Registry::ZooKeeper(zookeeper) => {
            let hosts: Vec<_> = zookeeper.hosts.iter().map(ToString::to_string).collect();
            let tls = if zookeeper.tls.is_some() { "TLS" } else { "plain" };
            let registered = if settings.registration.enabled { "registered" } else { "not registered" };
            format!("ZooKeeper at {}{}, {tls}, {registered}", hosts.join(","), zookeeper.chroot)
        }
    }
}

fn policy(settings: &Settings, tests_passed: usize) -> String {
    let policy = &settings.policy;
    let scripts = policy.file.as_ref().or(policy.folder.as_ref());
    let mut parts = vec![scripts.map_or_else(|| "built-in".to_owned(), |path| path.display().to_string())];
    parts.extend(policy.overlays.as_ref().map(|folder| format!("overlays {}", folder.display())));
    parts.extend(policy.default.as_ref().map(|name| format!("default {name}")));
    match policy.rules.len() {
        0 => {}
        1 => parts.push("1 rule".to_owned()),
        rules => parts.push(format!("{rules} rules")),
    }
    match tests_passed {
        0 => {}
        1 => parts.push("1 test passed".to_owned()),
        tests => parts.push(format!("{tests} tests passed")),
    }
    parts.extend(policy.candidate.as_ref().map(on_trial));
    parts.join(", ")
}

fn on_trial(candidate: &Candidate) -> String {
    format!("a candidate with {} % of requests", candidate.canary.percent)
}

fn upstream(settings: &Settings) -> &'static str {
    match &settings.upstream.tls {
        None => "plain only: gateways that use TLS cannot be reached",
        Some(tls) if tls.verify_hostnames => "plain, or TLS with host names verified",
        Some(_) => "plain, or TLS with host names not verified",
    }
}
