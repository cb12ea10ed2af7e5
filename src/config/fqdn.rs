//! The machine's fully qualified name, found as Python's `socket.getfqdn` finds it, so that a relay registers under the
//! name that Zuul's own gateway would.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::names::Hostname;

/// Longest wait for the resolver. Without an answer the short name has to do, as it would for Zuul.
const PATIENCE: Duration = Duration::from_secs(5);

/// The name that the resolver gives to this machine's own address, or its short name if that has no dot.
///
/// Blocks for as long as the resolver takes, and at most 5 s.
///
/// # Errors
/// If the machine has no name at all, or one that cannot be a host's.
pub(super) fn fqdn() -> Result<Hostname, String> {
    let short = dns_lookup::get_hostname()
        .map_err(|error| format!("is not set, and the machine's own name cannot be found: {error}"))?;
    let name = resolved(&short).unwrap_or_else(|| short.clone());
    Hostname::parse(&name).ok_or_else(|| format!("is not set, and the machine's own name is no host name: {name:?}"))
}

/// What to warn of if nobody configured `name` and others are to reach the machine under it: a short name means
/// something to the machine itself only, as one from `/etc/hosts` does. There Python takes an alias with a dot over a
/// name without one, which the resolver's own answer does not have.
pub(super) fn doubt(name: &Hostname) -> Option<String> {
    let short = !name.as_str().contains('.');
    short.then(|| {
        format!(
            "is not set, and the machine's own name is {name:?}, without a domain: if other gateways and zuul-web \
             cannot resolve that, set it to the name under which they reach this relay",
            name = name.as_str()
        )
    })
}

/// The C library's resolver knows no deadline, so it is asked on a thread that can be left behind.
fn resolved(short: &str) -> Option<String> {
    let (answer, wait) = mpsc::sync_channel(1);
    let name = short.to_owned();
    let asked = thread::Builder::new().name("fqdn".to_owned()).spawn(move || {
        let _nobody_waits_any_more = answer.send(ask(&name));
    });
    asked.ok().and_then(|_detached| wait.recv_timeout(PATIENCE).ok()).flatten()
}

fn ask(short: &str) -> Option<String> {
    let address = dns_lookup::lookup_host(short).ok()?.next()?;
    dns_lookup::lookup_addr(&address).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_has_a_name() {
        assert!(!fqdn().unwrap().as_str().is_empty());
    }

    #[test]
    fn only_a_name_without_a_dot_is_doubted() {
        let doubt = |name: &str| doubt(&Hostname::parse(name).unwrap());
        assert_eq!(doubt("relay.example.org"), None);
        assert!(doubt("relay").unwrap().starts_with("is not set, and the machine's own name is \"relay\", without"));
    }
}
