//! Fingerpost's own configuration: which keys there are, what each defaults to, and what fits together.
//!
//! Every key stands in `config/fingerpost.yaml` with its default; a test holds this file and that one together.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::node::Node;
use crate::config::section::{Report, Section};
use crate::config::settings::{
    Decisions, Listener, Log, LogFormat, Monitoring, Process, Registration, Registry, Settings, Stream, Upstream,
};
use crate::config::value::{
    Parsed, boolean, duration, expected, hostname, log_filter, one_of, size, socket_address, text, whole, zone,
};
use crate::config::{Draft, Loaded, fqdn};
use crate::names::Hostname;

mod listeners;
mod params;
mod policy;
mod registry;
#[cfg(test)]
mod tests;
mod tls;

/// The longest wait of all: the kernel and ZooKeeper count milliseconds with 31 bits.
const LONGEST: Duration = Duration::from_secs(24 * 24 * 60 * 60);

/// Any wait, and none.
const ANY: RangeInclusive<Duration> = Duration::ZERO..=LONGEST;

/// A wait for somebody else. Shorter ones are surely a slip: no answer comes in less than a millisecond.
const WAIT: RangeInclusive<Duration> = Duration::from_millis(1)..=LONGEST;

/// The kernel counts keepalive in whole seconds with 15 bits, and probes with 7 (`MAX_TCP_KEEPIDLE`,
/// `MAX_TCP_KEEPINTVL`, `MAX_TCP_KEEPCNT` in Linux's `tcp.h`).
const KEEPALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(32_767);
const PROBES: RangeInclusive<u32> = 1..=127;

/// Files of decisions that are kept, each of them renamed when one is full.
const KEPT: RangeInclusive<u32> = 0..=1000;

/// The components of a large site alone take tens of KiB, and every file begins with them.
const SMALLEST_LOG: u64 = 64 << 10;

/// What a configuration depends on beside its own text.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    /// The machine's own name.
    pub(super) machine: &'a dyn Fn() -> Result<Hostname, String>,
    /// The files with settings in a folder of overlays, in the order in which they apply.
    pub(super) overlays: &'a dyn Fn(&Path) -> Result<Vec<Overlay>, String>,
}

/// A file of a folder of overlays, and its text, or why there is none.
pub(super) type Overlay = (PathBuf, Result<String, String>);

/// Reads the text of the file at `path`, asking the surroundings for what the text leaves to them.
pub(super) fn read(path: &Path, text: &str, around: Surroundings<'_>) -> Draft {
    let report = Report::new(path, text);
    let settings = report.root().and_then(|root| settings(root, around));
    let (sources, problems, warnings) = report.into_parts();
    Draft { problems, loaded: settings.map(|settings| Loaded { settings, warnings, sources }) }
}

fn settings(mut root: Section<'_>, around: Surroundings<'_>) -> Option<Settings> {
    let hostname = machine_name(&mut root, around.machine);
    let zone = root.value("zone", zone);
    let (listeners, all_listeners) = listeners::listeners(&mut root);
    let registry = registry::registry(&mut root);
    let registration = registration(&mut root, &listeners, registry.as_ref());
    if registration.enabled && !root.has("hostname") {
        let doubt = hostname.as_ref().and_then(fqdn::doubt);
        doubt.into_iter().for_each(|text| root.warn("hostname", text));
    }
    let settings = Settings {
        policy: policy::policy(&mut root, &listeners, around),
        decisions: decisions(&mut root),
        upstream: upstream(&mut root),
        stream: stream(&mut root),
        monitoring: monitoring(&mut root),
        log: log(&mut root),
        process: process(&mut root),
        hostname: hostname?,
        zone,
        listeners,
        registration,
        registry: registry?,
    };
    // Findings about a listener name it by its number.
    Some(settings).filter(|_| all_listeners)
}

fn machine_name(root: &mut Section<'_>, machine: &dyn Fn() -> Result<Hostname, String>) -> Option<Hostname> {
    let given = root.value("hostname", hostname);
    if root.has("hostname") {
        return given;
    }
    machine().map_err(|text| root.problem("hostname", text)).ok()
}

/// Reads `registration`, and holds it against the listeners and the registry that it needs.
fn registration(root: &mut Section<'_>, listeners: &[Listener], registry: Option<&Registry>) -> Registration {
    let default = Registration::default();
    let possible = !matches!(registry, Some(Registry::File(_)));
    let Some(mut section) = root.section("registration") else { return Registration { enabled: possible, ..default } };
    let asked = section.value("enabled", boolean);
    if asked == Some(true) && !possible {
        section.warn("enabled", "has no effect: without ZooKeeper there is nowhere to register");
    }
    let listener = section.value("listener", text);
    if let Some(name) = &listener {
        exists(&section, name, listeners);
    }
    Registration {
        enabled: possible && asked.unwrap_or(default.enabled),
        listener,
        public_port: section.value("public_port", whole(1..=u16::MAX)),
    }
}

fn exists(section: &Section<'_>, name: &str, listeners: &[Listener]) {
    let known: Vec<_> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    if !known.contains(&name) {
        section.problem("listener", format!("no listener is called {name:?}; there are: {}", known.join(", ")));
    }
}

fn decisions(root: &mut Section<'_>) -> Option<Decisions> {
    let mut section = root.section("decisions")?;
    let file = section.required_path("file");
    let max_size = section.value("max_size", log_size).unwrap_or(Decisions::MAX_SIZE);
    let keep = section.value("keep", whole(KEPT)).unwrap_or(Decisions::KEEP);
    Some(Decisions { file: file?, max_size, keep })
}

fn log_size(node: &Node) -> Parsed<u64> {
    let bytes = u64::try_from(size(node)?).unwrap_or(u64::MAX);
    if bytes >= SMALLEST_LOG { Ok(bytes) } else { Err(expected("a size of at least 64KiB", node)) }
}

fn upstream(root: &mut Section<'_>) -> Upstream {
    let default = Upstream::default();
    let Some(mut section) = root.section("upstream") else { return default };
    Upstream {
        timeout: section.value("timeout", duration(WAIT)).unwrap_or(default.timeout),
        connect_timeout: section.value("connect_timeout", duration(WAIT)).unwrap_or(default.connect_timeout),
        handshake_timeout: section.value("handshake_timeout", duration(WAIT)).unwrap_or(default.handshake_timeout),
        retry_failed_after: section.value("retry_failed_after", duration(ANY)).unwrap_or(default.retry_failed_after),
        happy_eyeballs_delay: section
            .value("happy_eyeballs_delay", duration(ANY))
            .unwrap_or(default.happy_eyeballs_delay),
        tls: section
            .filled_section("tls", tls::EMPTY_CLIENT)
            .and_then(|section| tls::client(section, tls::HostNames::Verified)),
    }
}

fn stream(root: &mut Section<'_>) -> Stream {
    let default = Stream::default();
    let Some(mut section) = root.section("stream") else { return default };
    let stream = Stream {
        viewer_stall_timeout: section
            .value("viewer_stall_timeout", duration(WAIT))
            .unwrap_or(default.viewer_stall_timeout),
        half_close_grace: section.value("half_close_grace", duration(ANY)).unwrap_or(default.half_close_grace),
        keepalive_idle: section.value("keepalive_idle", duration(KEEPALIVE)).unwrap_or(default.keepalive_idle),
        keepalive_interval: section
            .value("keepalive_interval", duration(KEEPALIVE))
            .unwrap_or(default.keepalive_interval),
        keepalive_probes: section.value("keepalive_probes", whole(PROBES)).unwrap_or(default.keepalive_probes),
        drain_timeout: section.value("drain_timeout", duration(ANY)).unwrap_or(default.drain_timeout),
    };
    probed(&section, &stream);
    stream
}

/// All probes together are one wait, which the kernel counts as such.
fn probed(section: &Section<'_>, stream: &Stream) {
    let all = stream.keepalive_interval.saturating_mul(stream.keepalive_probes).saturating_add(stream.keepalive_idle);
    if all > LONGEST {
        let longest = humantime::format_duration(LONGEST);
        let text = format!("makes keepalive_idle and all probes take longer than {longest}; have fewer, or more often");
        section.problem("keepalive_probes", text);
    }
}

fn monitoring(root: &mut Section<'_>) -> Option<Monitoring> {
    let mut section = root.section("monitoring")?;
    Some(Monitoring { address: section.required("address", socket_address)? })
}

fn log(root: &mut Section<'_>) -> Log {
    let default = Log::default();
    let Some(mut section) = root.section("log") else { return default };
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    Log {
        level: section.value("level", log_filter).unwrap_or(default.level),
        format: section.value("format", one_of(&formats)).unwrap_or(default.format),
        records: section.value("records", boolean).unwrap_or(default.records),
    }
}

fn process(root: &mut Section<'_>) -> Process {
    let Some(mut section) = root.section("process") else { return Process::default() };
    Process {
        user: section.value("user", text),
        command_socket: section.path_value("command_socket"),
        pid_file: section.path_value("pid_file"),
        workers: section.value("workers", whole(1..=1024)),
    }
}
