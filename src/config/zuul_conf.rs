//! `[fingergw]` and `[zookeeper]` of Zuul's own `zuul.conf`, taken as `zuul-fingergw` takes them. All that `zuul.conf`
//! has no word for keeps Fingerpost's default.
//!
//! Facts from Zuul 14.3.0: `zuul/lib/fingergw.py`, `zuul/lib/monitoring.py`, `zuul/cmd/__init__.py`,
//! `zuul/zk/__init__.py`. Options that cannot be honoured are named in a warning; other sections belong to others.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::address;
use crate::config::ini::Ini;
use crate::config::settings::{
    ClientCertificates, ClientTls, KeyPairFiles, ListenAddress, Listener, Log, Monitoring, Policy, Process,
    Registration, Registry, ServerTls, Settings, Stream, TlsVersion, Trust, Upstream, ZooKeeper,
};
use crate::config::zuul_conf::options::{Options, Reading};
use crate::config::{Draft, Environment, fqdn};
use crate::names::{Hostname, Zone};

mod options;
#[cfg(test)]
mod tests;

/// The only variables that Zuul lets `zuul.conf` refer to.
const ENVIRONMENT_PREFIX: &str = "ZUUL_";

/// Kazoo's default, whether TLS or not.
const ZOOKEEPER_PORT: u16 = 2181;

const PORT: u16 = 79;
const COMMAND_SOCKET: &str = "/var/lib/zuul/fingergw.socket";
const MONITORING_ADDRESS: &str = "0.0.0.0";

/// The options that are honoured; any other is named in a warning.
const FINGERGW: [&str; 15] = [
    "listen_address",
    "port",
    "public_port",
    "hostname",
    "zone",
    "user",
    "tls_cert",
    "tls_key",
    "tls_ca",
    "tls_verify_hostnames",
    "tls_client_only",
    "command_socket",
    "pidfile",
    "prometheus_port",
    "prometheus_addr",
];
const ZOOKEEPER: [&str; 5] = ["hosts", "tls_cert", "tls_key", "tls_ca", "session_timeout"];

/// Where in `zuul.conf` each setting stands that it has a word for.
const PLACES: [(&str, &str, &str); 24] = [
    ("hostname", "fingergw", "hostname"),
    ("zone", "fingergw", "zone"),
    ("listeners", "fingergw", "port"),
    ("listeners[0].address", "fingergw", "listen_address"),
    ("listeners[0].tls", "fingergw", "tls_cert"),
    ("listeners[0].tls.certificates[0].cert", "fingergw", "tls_cert"),
    ("listeners[0].tls.certificates[0].key", "fingergw", "tls_key"),
    ("listeners[0].tls.client_ca", "fingergw", "tls_ca"),
    ("registration.public_port", "fingergw", "public_port"),
    ("registry", "zookeeper", "hosts"),
    ("registry.zookeeper.hosts", "zookeeper", "hosts"),
    ("registry.zookeeper.chroot", "zookeeper", "hosts"),
    ("registry.zookeeper.session_timeout", "zookeeper", "session_timeout"),
    ("registry.zookeeper.tls.cert", "zookeeper", "tls_cert"),
    ("registry.zookeeper.tls.key", "zookeeper", "tls_key"),
    ("registry.zookeeper.tls.ca", "zookeeper", "tls_ca"),
    ("upstream.tls.cert", "fingergw", "tls_cert"),
    ("upstream.tls.key", "fingergw", "tls_key"),
    ("upstream.tls.ca", "fingergw", "tls_ca"),
    ("upstream.tls.verify_hostnames", "fingergw", "tls_verify_hostnames"),
    ("monitoring.address", "fingergw", "prometheus_port"),
    ("process.user", "fingergw", "user"),
    ("process.command_socket", "fingergw", "command_socket"),
    ("process.pid_file", "fingergw", "pidfile"),
];

/// Reads the text of the file at `path`, asking `machine` for the host name if the file has none.
pub(super) fn read(
    path: &Path,
    text: &str,
    environment: &Environment,
    machine: &dyn Fn() -> Result<Hostname, String>,
) -> Draft {
    let variables = environment.iter().filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX));
    let variables = variables.map(|(name, value)| (name.clone(), value.clone()));
    let ini = match Ini::parse(text, variables) {
        Ok(ini) => ini,
        Err(faults) => return options::refused(path, faults).into(),
    };
    let reading = Reading::new(path, &ini);
    let fingergw = reading.section("fingergw", &FINGERGW);
    let zookeeper = reading.section("zookeeper", &ZOOKEEPER);
    let home = environment.get("HOME").map(Path::new);
    let settings = settings(&fingergw, &zookeeper, home, machine);
    reading.finish(settings, text, &PLACES)
}

fn settings(
    fingergw: &Options<'_>,
    zookeeper: &Options<'_>,
    home: Option<&Path>,
    machine: &dyn Fn() -> Result<Hostname, String>,
) -> Option<Settings> {
    fingergw.ignored("log_config", "has no effect: it configures Python's logging; Fingerpost logs to standard error");
    let hostname = match fingergw.get("hostname") {
        Some(name) => fingergw.check("hostname", Hostname::parse(&name).ok_or_else(|| no_host(&name))),
        None => machine_name(fingergw, machine),
    };
    let tls = tls(fingergw);
    let listener = listener(fingergw, tls.as_ref());
    let registry = registry(zookeeper);
    let registration = registration(fingergw);
    let monitoring = monitoring(fingergw);
    let settings = Settings {
        zone: zone(fingergw),
        registration,
        policy: Policy::default(),
        upstream: Upstream { tls, ..Upstream::default() },
        stream: Stream::default(),
        decisions: None,
        monitoring,
        log: Log::default(),
        process: process(fingergw, home),
        hostname: hostname?,
        listeners: vec![listener?],
        registry: registry?,
    };
    Some(settings)
}

fn machine_name(fingergw: &Options<'_>, machine: &dyn Fn() -> Result<Hostname, String>) -> Option<Hostname> {
    let name = fingergw.check("hostname", machine())?;
    fqdn::doubt(&name).into_iter().for_each(|text| fingergw.warn("hostname", text));
    Some(name)
}

fn no_host(name: &str) -> String {
    format!("is no host name: {name:?}")
}

fn zone(fingergw: &Options<'_>) -> Option<Zone> {
    let name = fingergw.get("zone")?;
    if name.is_empty() {
        fingergw.warn("zone", "is empty, and counts as none");
        return None;
    }
    fingergw.check("zone", Zone::parse(&name).ok_or_else(|| format!("is no zone's name: {name:?}")))
}

/// What the three `tls_*` mean towards other gateways; Zuul takes them all or not at all.
fn tls(fingergw: &Options<'_>) -> Option<ClientTls> {
    let verify_hostnames = fingergw.boolean("tls_verify_hostnames").unwrap_or(true);
    let given = |option: &&&str| fingergw.text(option).is_some();
    let all = ["tls_cert", "tls_key", "tls_ca"];
    let present: Vec<_> = all.iter().filter(given).collect();
    if let (Some(first), true) = (present.first(), present.len() < all.len()) {
        fingergw.warn(first, "has no effect: TLS needs all of tls_cert, tls_key and tls_ca");
    }
    client_tls(fingergw, verify_hostnames)
}

/// The three `tls_*` of a section; `None` unless all are there.
fn client_tls(section: &Options<'_>, verify_hostnames: bool) -> Option<ClientTls> {
    let file = |option| section.text(option).map(PathBuf::from);
    let identity = KeyPairFiles { cert: file("tls_cert")?, key: file("tls_key")? };
    // OpenSSL, which Zuul uses, takes certificates of X.509 version 1.
    let trust = Trust { ca: file("tls_ca")?, crl: None, version1_certificates: true };
    Some(ClientTls { identity: Some(identity), trust, verify_hostnames })
}

fn listener(fingergw: &Options<'_>, tls: Option<&ClientTls>) -> Option<Listener> {
    let client_only = fingergw.boolean("tls_client_only").unwrap_or(false);
    let port = fingergw.number("port").unwrap_or(PORT);
    let host = fingergw.get("listen_address").unwrap_or_else(|| "::".to_owned());
    // Zuul takes an IPv6 address before others.
    let address = fingergw.check("listen_address", options::resolve(&host, port, SocketAddr::is_ipv6))?;
    let tls = tls.filter(|_| !client_only).and_then(server_tls);
    Some(Listener { address: ListenAddress::Bind(address), tls, ..Listener::plain("finger", address) })
}

/// The same three files, used towards viewers: Zuul demands a certificate of them.
fn server_tls(tls: &ClientTls) -> Option<ServerTls> {
    Some(ServerTls {
        certificates: vec![tls.identity.clone()?],
        require_known_server_name: false,
        client_certificates: ClientCertificates::Required(tls.trust.clone()),
        min_version: TlsVersion::V1_2,
    })
}

fn registration(fingergw: &Options<'_>) -> Registration {
    // Zuul, too, takes 0 for "whichever port was bound"; it is the default in effect.
    let public_port = fingergw.number("public_port").filter(|port| *port != 0);
    Registration { public_port, ..Registration::default() }
}

fn registry(zookeeper: &Options<'_>) -> Option<Registry> {
    let session_timeout = zookeeper.seconds("session_timeout").unwrap_or(ZooKeeper::SESSION_TIMEOUT);
    let hosts = zookeeper.required("hosts", "is missing; Zuul's ZooKeeper is needed, as in zk01:2281,zk02:2281");
    for option in ["tls_cert", "tls_key", "tls_ca"] {
        let _seen = zookeeper.required(option, "is missing; Zuul's ZooKeeper is reached by TLS only");
    }
    let parsed = address::zookeeper(&hosts?, ZOOKEEPER_PORT);
    let (hosts, chroot) = zookeeper.check("hosts", parsed)?;
    Some(Registry::ZooKeeper(ZooKeeper {
        hosts,
        chroot,
        // Kazoo checks the CA and never the name.
        tls: Some(client_tls(zookeeper, false)?),
        session_timeout,
        request_timeout: ZooKeeper::REQUEST_TIMEOUT,
    }))
}

fn monitoring(fingergw: &Options<'_>) -> Option<Monitoring> {
    fingergw.get("prometheus_port")?;
    let port = fingergw.number("prometheus_port")?;
    let host = fingergw.get("prometheus_addr").unwrap_or_else(|| MONITORING_ADDRESS.to_owned());
    let address = fingergw.check("prometheus_addr", options::resolve(&host, port, |_| true))?;
    Some(Monitoring { address })
}

fn process(fingergw: &Options<'_>, home: Option<&Path>) -> Process {
    let command_socket = fingergw.get("command_socket").unwrap_or_else(|| COMMAND_SOCKET.to_owned());
    let pid_file = fingergw.text("pidfile").and_then(|path| {
        // Zuul has a default, too, but writes no file unless it goes to the background, as Fingerpost never does.
        fingergw.check("pidfile", options::expand_user(&path, home))
    });
    Process {
        user: fingergw.text("user"),
        command_socket: Some(command_socket).filter(|path| !path.is_empty()).map(PathBuf::from),
        pid_file,
        workers: None,
    }
}
