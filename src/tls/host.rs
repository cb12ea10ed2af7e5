//! Host names against the names that a certificate carries.
//!
//! It must never let a common name count beside alternative names.

use std::net::IpAddr;

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::certificate::{self, Names};
use super::trust::rejection;

/// Checks that the certificate `leaf` is for `host`: by its alternative names, or by its common names where it has no
/// alternative name of a host. OpenSSL, and so Zuul, accepts the latter; what `zk-ca.sh` makes has nothing else.
pub(super) fn check(leaf: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), rustls::Error> {
    let certificate = certificate::parse(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let names = Names::of(&certificate);
    if names.has_alternative {
        let leaf = EndEntityCert::try_from(leaf).map_err(rejection)?;
        return leaf.verify_is_valid_for_subject_name(host).map_err(|_| wrong(host, names.alternative));
    }
    let text = host.to_str();
    match names.common.iter().any(|common| matches(common, &text)) {
        true => Ok(()),
        false => Err(wrong(host, names.common)),
    }
}

/// Whether `host`, a DNS name or an address, is what `pattern` stands for: letter case and a trailing dot aside, and
/// with `*` for exactly one label, the leftmost, above at least two others.
pub(super) fn matches(pattern: &str, host: &str) -> bool {
    if let (Ok(pattern), Ok(host)) = (pattern.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        return pattern == host;
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
    let Some(parent) = pattern.strip_prefix("*.") else {
        return !pattern.is_empty() && pattern.eq_ignore_ascii_case(host);
    };
    let below = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, below)| below);
    parent.contains('.')
        && host.parse::<IpAddr>().is_err()
        && below.is_some_and(|below| parent.eq_ignore_ascii_case(below))
}

fn wrong(host: &ServerName<'_>, presented: Vec<String>) -> rustls::Error {
    CertificateError::NotValidForNameContext { expected: host.to_owned(), presented }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label_above_two() {
        for (pattern, host) in [
            ("a.example.org", "a.example.org"),
            ("A.Example.ORG", "a.example.org."),
            ("*.example.org", "a.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("executor", "executor"),
        ] {
            assert!(matches(pattern, host), "{pattern} {host}");
        }
        for (pattern, host) in [
            ("a.example.org", "b.example.org"),
            ("*.example.org", "example.org"),
            ("*.example.org", "a.b.example.org"),
            ("*.example.org", ".example.org"),
            ("*.org", "example.org"),
            ("*", "executor"),
            ("a*.example.org", "ab.example.org"),
            ("*.0.0.1", "127.0.0.1"),
            ("", ""),
        ] {
            assert!(!matches(pattern, host), "{pattern} {host}");
        }
    }
}
