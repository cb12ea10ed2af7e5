//! A range of addresses, for deciding who is believed: whatever its values, it never holds more than they say.

use std::net::IpAddr;

/// A range of addresses in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// An address of the range; never one of IPv4 that is mapped into IPv6.
    pub address: IpAddr,
    /// How many leading bits count: at most 32 for IPv4, 128 for IPv6.
    pub prefix: u8,
}

impl Network {
    /// The bits of an IPv6 address before the IPv4 address that is mapped into it (RFC 4291).
    const MAPPED: u8 = 96;

    /// The range of all addresses that share their first `prefix` bits with `address`; all bits unless given. A range
    /// of IPv4 addresses mapped into IPv6 becomes one of IPv4, as it is for [`Self::contains`].
    ///
    /// # Errors
    /// If `prefix` is longer than the address, or so short that the range holds mapped and other addresses.
    pub fn new(address: IpAddr, prefix: Option<u8>) -> Result<Self, String> {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(format!("has a prefix longer than {longest} bits"));
        }
        let canonical = address.to_canonical();
        let mapped = canonical != address;
        let prefix = if mapped { prefix.checked_sub(Self::MAPPED) } else { Some(prefix) };
        let too_short = || format!("has a prefix shorter than {} bits, though {canonical} is mapped", Self::MAPPED);
        Ok(Self { address: canonical, prefix: prefix.ok_or_else(too_short)? })
    }

    /// Says whether `address` lies in this range. IPv4 addresses mapped into IPv6 count as IPv4.
    ///
    /// A prefix longer than the address stands for all of its bits: a mistake here may not widen whom is believed.
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(addr)) => (net.to_bits() ^ addr.to_bits()).leading_zeros() >= prefix.min(32),
            (IpAddr::V6(net), IpAddr::V6(addr)) => (net.to_bits() ^ addr.to_bits()).leading_zeros() >= prefix.min(128),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8) -> Network {
        Network { address: address.parse().unwrap(), prefix }
    }

    #[test]
    fn a_network_holds_the_addresses_that_share_its_prefix() {
        let holds = |network: Network, address: &str| network.contains(address.parse().unwrap());
        assert!(holds(network("10.1.2.3", 8), "10.255.0.1"));
        assert!(holds(network("10.1.2.3", 8), "::ffff:10.255.0.1"));
        assert!(!holds(network("10.1.2.3", 8), "11.0.0.1"));
        assert!(holds(network("0.0.0.0", 0), "192.0.2.1"));
        assert!(holds(network("fd00::", 8), "fd12::1"));
        assert!(!holds(network("fd00::1", 128), "fd00::2"));
        assert!(holds(network("::", 0), "fd00::2"));
        assert!(!holds(network("::", 0), "192.0.2.1"));
    }

    #[test]
    fn no_prefix_makes_a_network_hold_more_than_its_bits_say() {
        for prefix in 0..=u8::MAX {
            for (net, other) in [("10.9.9.9", "138.9.9.9"), ("::ffff:10.9.9.9", "138.9.9.9"), ("fd00::1", "7d00::1")] {
                let network = network(net, prefix);
                assert!(network.contains(net.parse().unwrap()), "{net}/{prefix}");
                assert_eq!(network.contains(other.parse().unwrap()), prefix == 0, "{net}/{prefix}");
            }
        }
    }

    #[test]
    fn a_mapped_network_is_one_of_ipv4() {
        let new = |address: &str, prefix| Network::new(address.parse().unwrap(), prefix);
        assert_eq!(new("::ffff:10.9.9.9", None), Ok(network("10.9.9.9", 32)));
        assert_eq!(new("::ffff:10.9.9.9", Some(104)), Ok(network("10.9.9.9", 8)));
        assert_eq!(new("::ffff:0.0.0.0", Some(96)), Ok(network("0.0.0.0", 0)));
        let mixed = "has a prefix shorter than 96 bits, though 10.9.9.9 is mapped";
        assert_eq!(new("::ffff:10.9.9.9", Some(95)), Err(mixed.to_owned()));
        assert_eq!(new("fd00::", Some(8)), Ok(network("fd00::", 8)));
        assert_eq!(new("10.0.0.0", Some(33)), Err("has a prefix longer than 32 bits".to_owned()));
        assert_eq!(new("::", Some(129)), Err("has a prefix longer than 128 bits".to_owned()));
    }
}
