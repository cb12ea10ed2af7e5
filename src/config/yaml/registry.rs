//! The `registry` of the configuration: ZooKeeper, or a file instead of it.

use std::time::Duration;

use crate::config::address;
use crate::config::node::Node;
use crate::config::section::Section;
use crate::config::settings::{HostPort, Registry, ZooKeeper};
use crate::config::value::{Parsed, duration, expected, text};
use crate::config::yaml::{LONGEST, WAIT, tls};

/// A session must outlast a few pings.
const SHORTEST_SESSION: Duration = Duration::from_secs(1);

/// The ports that ZooKeeper's own documentation uses.
const TLS_PORT: u16 = 2281;
const PLAIN_PORT: u16 = 2181;

/// Reads `registry`, which has no default.
pub(super) fn registry(root: &mut Section<'_>) -> Option<Registry> {
    if !root.has("registry") {
        root.problem("registry", "is missing; give it zookeeper, or a file");
    }
    let mut section = root.section("registry")?;
    let (both, neither) =
        (section.has("zookeeper") && section.has("file"), !section.has("zookeeper") && !section.has("file"));
    let file = section.path_value("file").map(Registry::File);
    let zookeeper = section.section("zookeeper").and_then(zookeeper).map(Registry::ZooKeeper);
    if both {
        section.problem("file", "stands beside zookeeper; remove one of the two");
    }
    if neither {
        section.problem("", "has neither zookeeper nor file; give it one");
    }
    file.or(zookeeper)
}

fn zookeeper(mut section: Section<'_>) -> Option<ZooKeeper> {
    let port = if section.has("tls") { TLS_PORT } else { PLAIN_PORT };
    let hosts = section.required("hosts", |node| hosts(node, port));
    let chroot = section.value("chroot", |node| address::chroot(&text(node)?));
    let secure = section.has("tls");
    let tls = section
        .filled_section("tls", tls::EMPTY_CLIENT)
        .and_then(|section| tls::client(section, tls::HostNames::Ignored));
    let session =
        section.value("session_timeout", duration(SHORTEST_SESSION..=LONGEST)).unwrap_or(ZooKeeper::SESSION_TIMEOUT);
    let request = section.value("request_timeout", duration(WAIT)).unwrap_or(ZooKeeper::REQUEST_TIMEOUT);
    let (hosts, suffix) = hosts?;
    if chroot.is_some() && !suffix.is_empty() {
        section.problem("chroot", format!("is given twice; hosts ends in {suffix:?} already"));
    }
    if secure && tls.is_none() {
        return None;
    }
    let chroot = chroot.unwrap_or(suffix);
    Some(ZooKeeper { hosts, chroot, tls, session_timeout: session, request_timeout: request })
}

/// Reads ZooKeeper's connection string, or a list of hosts.
fn hosts(node: &Node, port: u16) -> Parsed<(Vec<HostPort>, String)> {
    match node {
        Node::List(items) if !items.is_empty() => {
            let items = items.iter().map(text).collect::<Parsed<Vec<_>>>()?;
            address::zookeeper(&items.join(","), port)
        }
        Node::Text(line) if !line.is_empty() => address::zookeeper(line, port),
        _ => Err(expected("hosts such as zk01:2281,zk02:2281, or a list of them", node)),
    }
}
