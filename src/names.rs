//! The names that travel through the whole relay: builds, zones, hosts. Each can hold only a valid value.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A build's uuid: hexadecimal, so that it may stand in a ZooKeeper path and in a request line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BuildId(Arc<str>);

impl BuildId {
    /// Longest accepted uuid, in characters. Zuul's have 32.
    pub const MAX_LEN: usize = 64;

    /// Takes `text` if it is 1 to [`Self::MAX_LEN`] hexadecimal digits. Zuul compares uuids letter by letter, so
    /// upper case is kept.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        (hex && !text.is_empty() && text.len() <= Self::MAX_LEN).then(|| Self(text.into()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for BuildId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A zone's name: never empty, no slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Zone(Arc<str>);

impl Zone {
    /// Takes `text` if it may stand as one part of a ZooKeeper path.
    pub fn parse(text: &str) -> Option<Self> {
        let bad = text.is_empty() || text == "." || text == ".." || text.contains(['/', '\0']);
        (!bad).then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a machine, as DNS or an address: never empty, no slash, no white space.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hostname(Arc<str>);

impl Hostname {
    /// Takes `text` if it can be a host's name. IPv6 addresses stand without brackets.
    pub fn parse(text: &str) -> Option<Self> {
        let bad = text.is_empty() || text.contains(|c: char| c == '/' || c.is_whitespace() || c.is_control());
        (!bad).then(|| Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_are_hex_and_nothing_else() {
        assert!(BuildId::parse("0123456789abcdefABCDEF").is_some());
        for bad in ["", "..", "a/b", "g", "a b", "a\0", "é", &"a".repeat(65)] {
            assert!(BuildId::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn zones_cannot_leave_their_path() {
        assert!(Zone::parse("eu-west.1").is_some());
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(Zone::parse(bad).is_none(), "{bad:?}");
        }
    }
}
