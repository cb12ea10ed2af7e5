//! The names that travel through the whole relay: builds, zones, hosts. Each can hold only a valid value.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

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

impl Serialize for BuildId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BuildId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Written { parse: Self::parse, wanted: "a uuid of hexadecimal digits" })
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

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Written { parse: Self::parse, wanted: "a zone's name" })
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

impl Serialize for Hostname {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Hostname {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Written { parse: Self::parse, wanted: "a host name or an address" })
    }
}

/// Reads a name that somebody has written down: no more to be trusted than one that comes over the network.
struct Written<T> {
    parse: fn(&str) -> Option<T>,
    wanted: &'static str,
}

impl<T> Visitor<'_> for Written<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
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

    #[test]
    fn names_are_plain_text_as_data_and_checked_on_the_way_in() {
        let zone = Zone::parse("eu-west.1").unwrap();
        assert_eq!(serde_json::to_string(&zone).unwrap(), r#""eu-west.1""#);
        assert_eq!(serde_json::from_str::<Zone>(r#""eu-west.1""#).unwrap(), zone);
        let uuid = serde_json::from_str::<BuildId>(r#""../x""#).unwrap_err().to_string();
        assert!(uuid.starts_with(r#"invalid value: string "../x", expected a uuid of hexadecimal digits"#), "{uuid}");
        let zone = serde_json::from_str::<Zone>(r#""a/b""#).unwrap_err().to_string();
        assert!(zone.starts_with(r#"invalid value: string "a/b", expected a zone's name"#), "{zone}");
        let hostname = serde_json::from_str::<Hostname>("7").unwrap_err().to_string();
        assert!(hostname.starts_with("invalid type: integer `7`, expected a host name or an address"), "{hostname}");
    }
}
