//! `HOST[:PORT]` and ZooKeeper's list of them, as people and Zuul write them. Nothing is resolved here.

use std::net::Ipv6Addr;

use crate::config::settings::HostPort;
use crate::names::Hostname;

/// Reads `host`, `host:port`, `[address]` or `[address]:port`.
///
/// # Errors
/// What is wrong with `text`, which is quoted.
pub fn host_port(text: &str, default_port: u16) -> Result<HostPort, String> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or_else(|| format!("{text:?} lacks the closing bracket"))?;
        address.parse::<Ipv6Addr>().map_err(|_| format!("{text:?} has no IPv6 address between its brackets"))?;
        (address, port)
    } else {
        text.find(':').map_or((text, ""), |colon| text.split_at(colon))
    };
    if port.matches(':').count() > 1 {
        return Err(format!("{text:?} is ambiguous; write an IPv6 address in brackets, as in [::1]:79"));
    }
    if Hostname::parse(host).is_none() || host.contains(['[', ']']) {
        return Err(format!("{text:?} has no host name or address"));
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => default_port,
        None => return Err(format!("{text:?} has something between its address and its port")),
        Some(port) => number(port).ok_or_else(|| format!("{text:?} has no port from 1 to 65535 after its colon"))?,
    };
    Ok(HostPort { host: host.to_owned(), port })
}

/// Reads ZooKeeper's connection string: hosts with commas between them, and perhaps a chroot after the last, as in
/// `zk01:2281,zk02:2281/ci`. The chroot comes without a trailing slash, and empty for none.
///
/// # Errors
/// What is wrong with the first host that is wrong, or with the chroot.
pub(super) fn zookeeper(text: &str, default_port: u16) -> Result<(Vec<HostPort>, String), String> {
    // Kazoo takes everything after the first slash for the chroot.
    let (hosts, path) = text.find('/').map_or((text, ""), |slash| text.split_at(slash));
    let hosts = hosts.split(',').map(|host| host_port(host.trim(), default_port)).collect::<Result<_, _>>()?;
    Ok((hosts, chroot(path)?))
}

/// Reads a chroot: an absolute path of ZooKeeper. A trailing slash goes.
///
/// # Errors
/// Why ZooKeeper would not take `path`, which is quoted.
pub(super) fn chroot(path: &str) -> Result<String, String> {
    let chroot = path.trim_end_matches('/');
    let mut parts = chroot.split('/');
    let absolute = parts.next() == Some("");
    if !absolute || parts.any(|part| matches!(part, "" | "." | "..") || part.contains(char::is_control)) {
        return Err(format!("{path:?} is no absolute path of ZooKeeper, such as /ci"));
    }
    Ok(chroot.to_owned())
}

fn number(port: &str) -> Option<u16> {
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|port| digits && *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        host_port(text, 79).map(|address| address.to_string())
    }

    #[test]
    fn the_port_may_be_left_out() {
        for (text, address) in [
            ("host", "host:79"),
            ("host:7900", "host:7900"),
            ("127.0.0.1", "127.0.0.1:79"),
            ("[::1]", "[::1]:79"),
            ("[fd00::1]:7900", "[fd00::1]:7900"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(address));
        }
    }

    #[test]
    fn what_is_no_address_is_quoted() {
        let bad = ["", ":79", "host:", "host:0", "host:+1", "host:65536", "::1", "::1:79", "[::1", "[host]:79"];
        let worse = ["[::1]79", "a b", "a/b", "host:79:80", "]:79"];
        for text in bad.into_iter().chain(worse) {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(&format!("{text:?}")), "{problem}");
        }
    }

    #[test]
    fn a_connection_string_has_hosts_and_perhaps_a_chroot() {
        let read = |text| zookeeper(text, 2181).map(|(hosts, chroot)| (hosts.len(), hosts[0].to_string(), chroot));
        assert_eq!(read("zk:2281"), Ok((1, "zk:2281".to_owned(), String::new())));
        assert_eq!(read("zk01,zk02:2281/ci/"), Ok((2, "zk01:2181".to_owned(), "/ci".to_owned())));
        assert_eq!(read("[::1]:2281,\nzk/a/b"), Ok((2, "[::1]:2281".to_owned(), "/a/b".to_owned())));
        assert_eq!(read("zk/"), Ok((1, "zk:2181".to_owned(), String::new())));
        for bad in ["", "zk,", ",zk", "zk//a", "zk/a//b", "zk/..", "/ci"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
