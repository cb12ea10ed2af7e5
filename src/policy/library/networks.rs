//! Sets of networks, for deciding by address. Never holds what Lua does not count: a set's ranges lie in texts of Lua,
//! so that the memory limit bounds them and the collector knows their size.

use std::net::IpAddr;

use mlua::{AnyUserData, Lua, LuaString, Table, Value};

use super::call::{answer, pure, text};
use super::fault::Fault;
use crate::config::settings::Network;
use crate::policy::description::{Namespace, Type, parameter};
use crate::policy::facts::{Described, Fact, Field, quote};
use crate::policy::failure::{beginning, printable};

/// Most networks of a set.
const MAX_NETWORKS: usize = 100_000;

/// Longest text that is read as an address or a network, in bytes; the longest real one has 49.
const MAX_WRITTEN: usize = 64;

/// Where the ranges of each family are among the set's values in Lua.
const V4: usize = 1;
const V6: usize = 2;

/// The first and the last address of a range, each with its highest byte first: 4 of them, or 16.
type Range<const N: usize> = [[u8; N]; 2];

/// The library `networks`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "networks",
    about: "Ranges of addresses, such as 10.0.0.0/8.",
    constants: &[],
    functions: &[
        pure(
            "set",
            "Makes a set of networks. Make it once, outside of the functions: to look into it takes almost no time.",
            &[parameter(
                "list",
                Type::List(&Type::String),
                "a list of up to 100 000 networks and addresses, such as { \"10.0.0.0/8\", \"fd00::/8\" }",
            )],
            Type::Fact(NetworkSet::KIND),
            |lua, given| answer(lua, "networks.set", set(lua, given.at(0))),
        ),
        pure(
            "contains",
            "Whether a set of networks, or one network, holds an address. IPv4 addresses that are mapped into IPv6 count \
             as IPv4.",
            &[
                parameter(
                    "networks",
                    Type::Either(&[Type::Fact(NetworkSet::KIND), Type::String]),
                    "a set that networks.set made, or a network such as 10.0.0.0/8",
                ),
                parameter("address", Type::String, "an address, such as request.peer"),
            ],
            Type::Boolean,
            |lua, given| {
                let held = contains(given.at(0), &text(given, 1));
                answer(lua, "networks.contains", held.map(Value::Boolean))
            },
        ),
    ],
    inner: &[],
};

/// A set in Lua's hands. Its ranges, sorted and apart from each other, are values of its userdata.
pub(in crate::policy) struct NetworkSet;

impl Described for NetworkSet {
    const NAME: &'static str = "NetworkSet";
    const ABOUT: &'static str = "A set of networks; see `networks.contains`.";
    const FIELDS: &'static [Field<Self>] = &[];
}

fn set(lua: &Lua, list: &Value) -> Result<Value, Fault> {
    let (v4, v6) = list.as_table().map_or_else(|| Ok(Default::default()), ranges)?;
    let set = lua.create_userdata(Fact(NetworkSet))?;
    set.set_nth_user_value(V4, lua.create_string(v4.as_flattened().as_flattened())?)?;
    set.set_nth_user_value(V6, lua.create_string(v6.as_flattened().as_flattened())?)?;
    Ok(Value::UserData(set))
}

fn contains(networks: &Value, address: &[u8]) -> Result<bool, Fault> {
    let address = parse_address(address)?;
    match networks {
        Value::UserData(set) => within(set, address),
        Value::String(network) => Ok(parse_network(&network.as_bytes())?.contains(address)),
        _ => Ok(false),
    }
}

fn within(set: &AnyUserData, address: IpAddr) -> Result<bool, Fault> {
    Ok(match address.to_canonical() {
        IpAddr::V4(address) => covers(&set.nth_user_value::<LuaString>(V4)?.as_bytes(), address.octets()),
        IpAddr::V6(address) => covers(&set.nth_user_value::<LuaString>(V6)?.as_bytes(), address.octets()),
    })
}

/// Looks for the last range that begins no later than `address`; no other can hold it.
fn covers<const N: usize>(ranges: &[u8], address: [u8; N]) -> bool {
    let ranges: &[Range<N>] = ranges.as_chunks().0.as_chunks().0;
    let behind = ranges.partition_point(|[first, _]| *first <= address);
    behind.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|[_, last]| *last >= address)
}

fn ranges(list: &Table) -> Result<(Vec<Range<4>>, Vec<Range<16>>), Fault> {
    let length = list.raw_len();
    if length > MAX_NETWORKS {
        return Err(format!("list has {length} networks, and may have {MAX_NETWORKS}").into());
    }
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for position in 1..=length {
        let value: Value = list.raw_get(position)?;
        let network = listed(&value).map_err(|problem| format!("number {position} of the list: {problem}"))?;
        match network.address {
            IpAddr::V4(address) => v4.push(range4(address.to_bits(), network.prefix)),
            IpAddr::V6(address) => v6.push(range6(address.to_bits(), network.prefix)),
        }
    }
    Ok((apart(v4), apart(v6)))
}

fn listed(value: &Value) -> Result<Network, String> {
    match value.as_string() {
        Some(text) => parse_network(&text.as_bytes()),
        None => Err(format!("a network is a text such as \"10.0.0.0/8\", not {}", quote(value))),
    }
}

fn range4(address: u32, prefix: u8) -> Range<4> {
    let rest = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
    [(address & !rest).to_be_bytes(), (address | rest).to_be_bytes()]
}

fn range6(address: u128, prefix: u8) -> Range<16> {
    let rest = u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
    [(address & !rest).to_be_bytes(), (address | rest).to_be_bytes()]
}

/// Sorts, and makes one range of those that overlap.
fn apart<const N: usize>(mut ranges: Vec<Range<N>>) -> Vec<Range<N>> {
    ranges.sort_unstable();
    ranges.dedup_by(|[first, last], [_, kept]| {
        let overlap = *first <= *kept;
        if overlap {
            *kept = (*kept).max(*last);
        }
        overlap
    });
    ranges
}

fn parse_network(text: &[u8]) -> Result<Network, String> {
    let no_network = || format!("\"{}\" is no network such as 10.0.0.0/8, and no address", shown(text));
    let written = written(text).ok_or_else(no_network)?;
    let (address, prefix) = match written.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().map_err(|_| no_network())?)),
        None => (written, None),
    };
    let address = address.parse().map_err(|_| no_network())?;
    Network::new(address, prefix).map_err(|problem| format!("\"{written}\" {problem}"))
}

fn parse_address(text: &[u8]) -> Result<IpAddr, String> {
    let address = written(text).and_then(|text| text.parse().ok());
    address.ok_or_else(|| format!("\"{}\" is no address such as 192.0.2.1 or 2001:db8::1", shown(text)))
}

fn written(text: &[u8]) -> Option<&str> {
    if text.len() <= MAX_WRITTEN { std::str::from_utf8(text).ok() } else { None }
}

fn shown(text: &[u8]) -> String {
    printable(&beginning(text, MAX_WRITTEN), MAX_WRITTEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lua_set(lua: &Lua, networks: &[String]) -> Result<Value, Fault> {
        set(lua, &Value::Table(lua.create_sequence_from(networks.iter().map(String::as_str)).unwrap()))
    }

    fn set_holds(set: &Value, address: &str) -> bool {
        within(set.as_userdata().unwrap(), address.parse().unwrap()).unwrap()
    }

    fn owned(networks: &[&str]) -> Vec<String> {
        networks.iter().map(|&network| network.to_owned()).collect()
    }

    #[test]
    fn a_set_holds_what_one_of_its_networks_holds() {
        let lua = Lua::new();
        // Nested, touching, equal, not aligned, the widest and the narrowest.
        let networks = owned(&[
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.0.0/16",
            "11.0.0.0/9",
            "192.0.2.7",
            "192.0.2.129/25",
            "255.255.255.255",
            "0.0.0.0/32",
            "::ffff:172.16.0.0/108",
            "fd00::/8",
            "2001:db8::1",
            "2001:db8:1::/48",
            "::/128",
        ]);
        let set = lua_set(&lua, &networks).unwrap();
        let parsed: Vec<Network> = networks.iter().map(|text| parse_network(text.as_bytes()).unwrap()).collect();
        let mut held = 0;
        for network in &parsed {
            for step in [-1, 0, 1, 255, 1 << 20] {
                let address = match network.address {
                    IpAddr::V4(address) => IpAddr::V4(address.to_bits().wrapping_add_signed(step).into()),
                    IpAddr::V6(address) => IpAddr::V6(address.to_bits().wrapping_add_signed(step.into()).into()),
                };
                let expected = parsed.iter().any(|network| network.contains(address));
                assert_eq!(set_holds(&set, &address.to_string()), expected, "{address}");
                held += usize::from(expected);
            }
        }
        assert!((20..60).contains(&held), "{held}");
    }

    #[test]
    fn the_families_stay_apart() {
        let lua = Lua::new();
        let all4 = lua_set(&lua, &owned(&["0.0.0.0/0"])).unwrap();
        let all6 = lua_set(&lua, &owned(&["::/0"])).unwrap();
        for (address, is4) in [("192.0.2.1", true), ("::ffff:192.0.2.1", true), ("::1", false), ("fd00::", false)] {
            assert_eq!(set_holds(&all4, address), is4, "{address}");
            assert_eq!(set_holds(&all6, address), !is4, "{address}");
        }
        assert!(!set_holds(&lua_set(&lua, &[]).unwrap(), "192.0.2.1"));
    }

    #[test]
    fn a_set_of_many_networks_finds_each_of_them() {
        let lua = Lua::new();
        let networks: Vec<String> =
            (0..MAX_NETWORKS).map(|n| format!("{}.{}.{}.0/25", 1 + n / 65536, n / 256 % 256, n % 256)).collect();
        let set = lua_set(&lua, &networks).unwrap();
        for n in (0..MAX_NETWORKS).step_by(997) {
            let start = format!("{}.{}.{}", 1 + n / 65536, n / 256 % 256, n % 256);
            assert!(set_holds(&set, &format!("{start}.0")) && set_holds(&set, &format!("{start}.127")));
            assert!(!set_holds(&set, &format!("{start}.128")));
        }
        let one_more = [networks, owned(&["::1"])].concat();
        assert!(lua_set(&lua, &one_more).is_err());
    }

    #[test]
    fn mistakes_are_named() {
        let lua = Lua::new();
        for (network, problem) in [
            ("10.0.0.0/33", "longer than 32 bits"),
            ("10.0.0/8", "\"10.0.0/8\" is no network"),
            ("10.0.0.0/", "is no network"),
            ("example", "is no network"),
            ("", "is no network"),
        ] {
            match lua_set(&lua, &owned(&["::1", network])) {
                Err(Fault::Words(words)) => assert!(words.contains("number 2") && words.contains(problem), "{words}"),
                other => panic!("{network}: {other:?}"),
            }
        }
        let one = |network: &[u8], address: &[u8]| {
            contains(&Value::String(lua.create_string(network).unwrap()), address).map_err(|fault| format!("{fault:?}"))
        };
        assert_eq!(one(b"10.0.0.0/8", b"10.1.2.3"), Ok(true));
        assert_eq!(one(b"10.0.0.0/8", b"11.1.2.3"), Ok(false));
        assert_eq!(one(b"10.0.0.0/8", b"::ffff:10.1.2.3"), Ok(true));
        assert!(one(b"10.0.0.0/8", b"10.1.2.3/32").unwrap_err().contains("10.1.2.3/32\\\" is no address"));
        assert!(one(b"10.0.0.0/8", &[b'1'; 1 << 20]).is_err());
        assert!(one(b"\xff", b"::1").is_err());
    }
}
