//! The `listeners` of the configuration: each with a name and an address of its own.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::config::section::Section;
use crate::config::settings::{ListenAddress, Listener};
use crate::config::value::{duration, network, socket_address, text, whole};
use crate::config::yaml::{WAIT, tls};

/// What is listened on unless the file says otherwise: the finger port, plain, IPv6 and IPv4.
const DEFAULT_NAME: &str = "finger";
const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 79);

/// Reads `listeners`, and says whether these are all: those that make no sense are left out and reported.
pub(super) fn listeners(root: &mut Section<'_>) -> (Vec<Listener>, bool) {
    let asked = root.has("listeners");
    let sections = root.sections("listeners");
    let Some(sections) = sections.filter(|_| asked) else {
        return (vec![Listener::plain(DEFAULT_NAME, DEFAULT_ADDRESS)], true);
    };
    if sections.is_empty() {
        root.problem("listeners", "is empty; a relay needs a listener");
    }
    let (mut listeners, asked): (Vec<Listener>, _) = (Vec::new(), sections.len());
    for section in sections {
        if let Some(listener) = listener(section, &listeners) {
            listeners.push(listener);
        }
    }
    let all = listeners.len() == asked;
    (listeners, all)
}

fn listener(mut section: Section<'_>, earlier: &[Listener]) -> Option<Listener> {
    let name = section.required("name", text);
    let address = address(&mut section);
    let default = Listener::plain("", DEFAULT_ADDRESS);
    let limit = || whole(1..=1_000_000);
    let max_connections = section.value("max_connections", limit()).unwrap_or(default.max_connections);
    let listener = Listener {
        tls: section.filled_section("tls", tls::EMPTY_SERVER).and_then(tls::server),
        handshake_timeout: section.value("handshake_timeout", duration(WAIT)).unwrap_or(default.handshake_timeout),
        request_timeout: section.value("request_timeout", duration(WAIT)).unwrap_or(default.request_timeout),
        max_connections,
        // All of another zone's viewers come from one address: its gateway's.
        max_connections_per_address: section.value("max_connections_per_address", limit()).unwrap_or(max_connections),
        proxy_protocol_from: section.list("proxy_protocol_from", network).unwrap_or_default(),
        name: name?,
        address: address?,
    };
    differs(&section, &listener, earlier);
    Some(listener)
}

/// Reads `address` or `systemd`: exactly one of them.
fn address(section: &mut Section<'_>) -> Option<ListenAddress> {
    let both = section.has("address") && section.has("systemd");
    let neither = !section.has("address") && !section.has("systemd");
    let bind = section.value("address", socket_address).map(ListenAddress::Bind);
    let systemd = section.value("systemd", text).map(ListenAddress::Systemd);
    if both {
        section.problem("systemd", "stands beside address; a socket has one origin: remove one of the two");
    }
    if neither {
        section.problem("address", "is missing; give an address such as \"[::]:79\", or systemd with a socket's name");
    }
    bind.or(systemd)
}

fn differs(section: &Section<'_>, listener: &Listener, earlier: &[Listener]) {
    if earlier.iter().any(|other| other.name == listener.name) {
        section.problem("name", format!("is taken: another listener is called {:?} already", listener.name));
    }
    // Port 0 is another port each time.
    let any_port = matches!(listener.address, ListenAddress::Bind(address) if address.port() == 0);
    let same = earlier.iter().find(|other| other.address == listener.address && !any_port);
    if let Some(other) = same {
        let key = if section.has("address") { "address" } else { "systemd" };
        section.problem(key, format!("is taken: listener {:?} has the same already", other.name));
    }
}
