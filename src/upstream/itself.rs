//! How a relay recognizes itself among targets, so that a request never runs in a circle through it. It sends
//! nothing to find out.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::names::Hostname;
use crate::registry::OwnNames;
use crate::route::Target;

/// Everything by which this relay can be dialled, as far as it knows.
#[derive(Debug, Clone, Default)]
pub struct Itself {
    /// What its own entries in the registry are called.
    pub entries: OwnNames,
    /// Its host name with its public port and with each listener's.
    pub names: Vec<(Hostname, u16)>,
    /// Where its listeners are bound.
    pub listening: Vec<SocketAddr>,
}

/// By what a target was recognized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It is the relay's own entry in the registry.
    Gateway,
    /// It has the relay's own host name and port.
    Name,
    /// It resolves to this address, on which the relay listens.
    Address(SocketAddr),
}

impl Itself {
    /// Says whether `target` is this relay, by its id or its name.
    pub(super) fn named_by(&self, target: &Target) -> Option<Sign> {
        if target.gateway.as_deref().is_some_and(|id| self.entries.contain(id)) {
            return Some(Sign::Gateway);
        }
        let own = self.names.iter().any(|(host, port)| *port == target.port && same_host(host, &target.host));
        own.then_some(Sign::Name)
    }

    /// Says whether one of `addresses` is this relay's. One is enough: the host's other addresses are then other
    /// ways to this relay (NAT, another family), or to a neighbour that would find this relay among its targets.
    pub(super) fn listens_at(&self, addresses: &[SocketAddr]) -> Option<Sign> {
        let own = addresses.iter().find(|address| self.listening.iter().any(|bound| reaches(**address, *bound)));
        own.copied().map(Sign::Address)
    }
}

fn same_host(a: &Hostname, b: &Hostname) -> bool {
    let [a, b] = [a, b].map(|host| host.as_str().strip_suffix('.').unwrap_or(host.as_str()));
    a.eq_ignore_ascii_case(b)
}

/// Whether a connection to `address` would be accepted by a listener bound to `bound`.
fn reaches(address: SocketAddr, bound: SocketAddr) -> bool {
    if address.port() != bound.port() {
        return false;
    }
    let (to, at) = (destination(address.ip()), bound.ip().to_canonical());
    match at {
        _ if to == at => true,
        // `[::]` serves IPv4 too, `0.0.0.0` serves nothing else.
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => is_local(to),
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => to.is_ipv4() && is_local(to),
        _ => false,
    }
}

/// Where a packet to `ip` goes: the kernel takes the unspecified address for loopback.
fn destination(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// Whether `ip` belongs to this machine. An address for which there is no route doesn't.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || source_towards(ip).is_ok_and(|source| source == ip)
}

/// The address this machine would send from: its own ones are reached from themselves. Connecting a UDP socket asks
/// the routing table and sends no packet.
fn source_towards(ip: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Any port will do, except zero.
    socket.connect((ip, 9))?;
    Ok(socket.local_addr()?.ip())
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("it is this relay's own entry in the registry"),
            Self::Name => f.write_str("it has this relay's own host name and port"),
            Self::Address(address) => write!(f, "this relay itself listens at {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::TargetKind;

    fn target(host: &str, port: u16) -> Target {
        Target::new(TargetKind::Gateway, Hostname::parse(host).unwrap(), port)
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn listening(bound: &str) -> Itself {
        Itself { listening: vec![address(bound)], ..Itself::default() }
    }

    #[test]
    fn a_relay_knows_its_own_entry_in_the_registry() {
        let itself = Itself { entries: OwnNames::always("gw0000000007"), ..Itself::default() };
        let own = Target { gateway: Some("gw0000000007".into()), ..target("elsewhere", 79) };
        assert_eq!(itself.named_by(&own), Some(Sign::Gateway));
        let other = Target { gateway: Some("gw0000000008".into()), ..target("elsewhere", 79) };
        assert_eq!(itself.named_by(&other), None);
        assert_eq!(Itself::default().named_by(&target("elsewhere", 79)), None);
    }

    #[test]
    fn a_relay_knows_its_name_in_any_case_but_only_with_its_port() {
        let itself = Itself { names: vec![(Hostname::parse("gw.example").unwrap(), 79)], ..Itself::default() };
        assert_eq!(itself.named_by(&target("GW.Example", 79)), Some(Sign::Name));
        assert_eq!(itself.named_by(&target("gw.example.", 79)), Some(Sign::Name));
        assert_eq!(itself.named_by(&target("gw.example", 7900)), None);
        assert_eq!(itself.named_by(&target("gw2.example", 79)), None);
    }

    #[test]
    fn a_bound_listener_is_reached_by_its_address_and_port_alone() {
        let itself = listening("127.0.0.1:79");
        let sign = Some(Sign::Address(address("127.0.0.1:79")));
        assert_eq!(itself.listens_at(&[address("203.0.113.1:79"), address("127.0.0.1:79")]), sign);
        assert!(itself.listens_at(&[address("[::ffff:127.0.0.1]:79")]).is_some());
        assert!(itself.listens_at(&[address("0.0.0.0:79")]).is_some());
        assert_eq!(itself.listens_at(&[address("127.0.0.1:7900"), address("127.0.0.2:79"), address("[::1]:79")]), None);
    }

    #[test]
    fn a_wildcard_listener_is_reached_by_every_address_of_the_machine() {
        let own = source_towards(address("127.0.0.1:79").ip()).unwrap();
        assert!(is_local(own));
        for local in ["127.0.0.1:79", "127.8.8.8:79", "0.0.0.0:79"] {
            assert!(listening("0.0.0.0:79").listens_at(&[address(local)]).is_some(), "{local}");
            assert!(listening("[::]:79").listens_at(&[address(local)]).is_some(), "{local}");
        }
        assert!(listening("[::]:79").listens_at(&[address("[::1]:79")]).is_some());
        assert_eq!(listening("0.0.0.0:79").listens_at(&[address("[::1]:79")]), None);
    }

    #[test]
    fn a_wildcard_listener_is_not_reached_elsewhere() {
        // Documentation ranges (RFC 5737, RFC 3849).
        for elsewhere in ["203.0.113.1:79", "[2001:db8::1]:79", "127.0.0.1:80"] {
            assert_eq!(listening("[::]:79").listens_at(&[address(elsewhere)]), None, "{elsewhere}");
        }
    }

    #[test]
    fn an_address_of_an_interface_is_local() {
        // Whatever this machine would send from towards another network is one of its own addresses.
        let Ok(own) = source_towards(address("203.0.113.1:79").ip()) else { return };
        assert!(is_local(own), "{own}");
    }
}
