//! Single values of a configuration: durations, sizes, addresses, words. Each parser takes what the file has and gives
//! the typed value, or says what it expected and what it found. None of them knows which setting it reads.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use bytesize::ByteSize;
use tracing_subscriber::EnvFilter;

use crate::config::node::Node;
use crate::config::settings::{Network, Policy};
use crate::names::{Hostname, Zone};

/// What a value parser answers: the value, or what it expected and found.
pub(super) type Parsed<T> = Result<T, String>;

/// Any text but the empty one.
pub(super) fn text(node: &Node) -> Parsed<String> {
    match node {
        Node::Text(text) if text.is_empty() => Err("is empty".to_owned()),
        Node::Text(text) => Ok(text.clone()),
        Node::Bool(_) | Node::Integer(_) | Node::Float(_) => Err(format!("expected text, found {node}; quote it")),
        _ => Err(expected("text", node)),
    }
}

/// `true` or `false`.
pub(super) fn boolean(node: &Node) -> Parsed<bool> {
    match node {
        Node::Bool(value) => Ok(*value),
        _ => Err(expected("true or false", node)),
    }
}

/// A whole number within `range`.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&Node) -> Parsed<T>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    move |node| {
        let number = match node {
            Node::Integer(number) => T::try_from(*number).ok().filter(|number| range.contains(number)),
            _ => None,
        };
        number.ok_or_else(|| expected(&format!("a whole number from {} to {}", range.start(), range.end()), node))
    }
}

/// A duration within `range`, such as `10s`, `250ms` or `1h 30m`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&Node) -> Parsed<Duration> {
    move |node| {
        let Node::Text(text) = node else { return Err(expected("a duration with its unit, such as 10s", node)) };
        let duration = humantime::parse_duration(text)
            .map_err(|error| format!("expected a duration such as 10s or 5m, found {node}: {error}"))?;
        if range.contains(&duration) {
            return Ok(duration);
        }
        let [least, most] = [range.start(), range.end()].map(|bound| humantime::format_duration(*bound));
        Err(format!("must be from {least} to {most}, is {text}"))
    }
}

/// A size in bytes, such as `16MiB` or `65536`.
pub(super) fn size(node: &Node) -> Parsed<usize> {
    let bytes = match node {
        Node::Integer(number) => usize::try_from(*number).ok(),
        Node::Text(text) => text.parse::<ByteSize>().ok().and_then(|size| usize::try_from(size.as_u64()).ok()),
        _ => None,
    };
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| expected("a size such as 16MiB", node))
}

/// One of a few words. Numbers count as words: YAML reads a bare `1.2` as one.
pub(super) fn one_of<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&Node) -> Parsed<T> {
    move |node| {
        let word = match node {
            Node::Text(text) => text.clone(),
            Node::List(_) | Node::Map(_) => return Err(expected("a word", node)),
            scalar => scalar.to_string(),
        };
        let known = words.iter().find(|(known, _)| *known == word);
        let names: Vec<_> = words.iter().map(|(known, _)| *known).collect();
        known.map(|(_, value)| *value).ok_or_else(|| unknown("value", &word, &names))
    }
}

/// An address to bind, with its port: `[::]:79`, `127.0.0.1:9090`.
pub(super) fn socket_address(node: &Node) -> Parsed<SocketAddr> {
    let address = parse_text(node, |text| text.parse().ok());
    address.ok_or_else(|| expected("an IP address with a port, such as \"[::]:79\" or \"127.0.0.1:79\"", node))
}

/// A range of addresses: `10.0.0.0/8`, `fd00::/8`, or one address.
pub(super) fn network(node: &Node) -> Parsed<Network> {
    let (address, prefix) = parse_text(node, |text| match text.split_once('/') {
        Some((address, prefix)) => Some((address.parse::<IpAddr>().ok()?, Some(prefix.parse::<u8>().ok()?))),
        None => Some((text.parse().ok()?, None)),
    })
    .ok_or_else(|| expected("a range of addresses such as 10.0.0.0/8, or one address", node))?;
    Network::new(address, prefix).map_err(|why| format!("{why}: {node}"))
}

/// One value, or a list of at least one.
pub(super) fn some<T>(parse: impl Fn(&Node) -> Parsed<T>) -> impl Fn(&Node) -> Parsed<Vec<T>> {
    move |node| match node {
        Node::List(items) if items.is_empty() => Err("is empty; give at least one, or remove the key".to_owned()),
        Node::List(items) => items.iter().map(&parse).collect(),
        one => Ok(vec![parse(one)?]),
    }
}

/// A policy's name, which is its file's without `.lua`.
pub(super) fn policy_name(node: &Node) -> Parsed<String> {
    let name = text(node)?;
    if Policy::is_name(&name) { Ok(name) } else { Err(expected("a policy's name: letters, digits, _ and -", node)) }
}

/// A zone's name.
pub(super) fn zone(node: &Node) -> Parsed<Zone> {
    Zone::parse(&text(node)?).ok_or_else(|| expected("a zone's name, which has no slash", node))
}

/// A machine's name.
pub(super) fn hostname(node: &Node) -> Parsed<Hostname> {
    Hostname::parse(&text(node)?).ok_or_else(|| expected("a host name, which has no blank and no slash", node))
}

/// A log filter, such as `info` or `info,fingerpost::registry=debug`.
pub(super) fn log_filter(node: &Node) -> Parsed<String> {
    let filter = text(node)?;
    let _checked = filter.parse::<EnvFilter>().map_err(|error| format!("is no log filter: {filter:?}: {error}"))?;
    Ok(filter)
}

/// Says that `word` is not among `known`, and which of them is probably meant.
pub(super) fn unknown(what: &str, word: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|candidate| strsim::damerau_levenshtein(candidate, word));
    match nearest {
        // A third of the letters wrong is still a slip of the finger; more is another word.
        Some(near) if strsim::damerau_levenshtein(near, word) * 3 <= word.chars().count().max(3) => {
            format!("unknown {what} {word:?}; did you mean {near:?}?")
        }
        _ => format!("unknown {what} {word:?}; known here: {}", known.join(", ")),
    }
}

/// Says what should stand where `node` stands.
pub(super) fn expected(what: &str, node: &Node) -> String {
    format!("expected {what}, found {node}")
}

fn parse_text<T>(node: &Node, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    match node {
        Node::Text(text) => parse(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::Text(text.to_owned())
    }

    #[test]
    fn durations_carry_their_unit() {
        let parse = duration(Duration::from_millis(1)..=Duration::from_secs(90));
        assert_eq!(parse(&node("1m 30s")), Ok(Duration::from_secs(90)));
        assert_eq!(parse(&node("250ms")), Ok(Duration::from_millis(250)));
        let bare = parse(&Node::Integer(10)).unwrap_err();
        assert_eq!(bare, "expected a duration with its unit, such as 10s, found 10");
        assert_eq!(parse(&node("0s")).unwrap_err(), "must be from 1ms to 1m 30s, is 0s");
        assert_eq!(parse(&node("91s")).unwrap_err(), "must be from 1ms to 1m 30s, is 91s");
        assert!(parse(&node("soon")).unwrap_err().starts_with("expected a duration such as 10s or 5m, found \"soon\""));
    }

    #[test]
    fn sizes_are_bytes_or_have_a_unit() {
        assert_eq!(size(&node("16MiB")), Ok(16 << 20));
        assert_eq!(size(&Node::Integer(4096)), Ok(4096));
        for bad in [node("big"), Node::Integer(-1), Node::Integer(0), Node::Bool(true)] {
            assert_eq!(size(&bad), Err(format!("expected a size such as 16MiB, found {bad}")));
        }
    }

    #[test]
    fn networks_are_cidr_or_one_address() {
        let parsed = |text| network(&node(text)).map(|network| (network.address.to_string(), network.prefix));
        assert_eq!(parsed("10.0.0.0/8"), Ok(("10.0.0.0".to_owned(), 8)));
        assert_eq!(parsed("::1"), Ok(("::1".to_owned(), 128)));
        assert_eq!(parsed("::ffff:10.9.9.9"), Ok(("10.9.9.9".to_owned(), 32)));
        assert_eq!(parsed("10.0.0.0/33"), Err("has a prefix longer than 32 bits: \"10.0.0.0/33\"".to_owned()));
        for bad in ["10.0.0.0/", "10.0.0/8", "host/8", "fd00::/129", "fd00::/300", "::ffff:10.0.0.0/8"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_recognized_and_another_word_is_not() {
        let known = ["listeners", "zone"];
        assert_eq!(unknown("key", "listner", &known), r#"unknown key "listner"; did you mean "listeners"?"#);
        assert_eq!(unknown("key", "colour", &known), r#"unknown key "colour"; known here: listeners, zone"#);
    }

    #[test]
    fn numbers_stay_in_their_range() {
        let port = whole(1..=u16::MAX);
        assert_eq!(port(&Node::Integer(79)), Ok(79));
        for bad in [Node::Integer(0), Node::Integer(65_536), Node::Integer(-1), Node::Float(7.9), node("79")] {
            assert_eq!(port(&bad), Err(format!("expected a whole number from 1 to 65535, found {bad}")));
        }
    }
}
