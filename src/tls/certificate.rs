//! What a certificate says, read for people and for the checks that webpki leaves out.
//!
//! It must never decide whether a certificate is trusted.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;
use x509_parser::asn1_rs::{FromDer as _, ToDer as _};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name, X509Version};

/// The names in a certificate that can stand for hosts.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// DNS names and addresses among its alternative names.
    pub(super) alternative: Vec<String>,
    /// Whether it has alternative names that mean hosts, readable or not.
    pub(super) has_alternative: bool,
    /// The common names of its subject.
    pub(super) common: Vec<String>,
}

/// Reads one certificate with nothing behind it.
pub(super) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, String> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err("bytes follow the certificate".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether `certificate` is of X.509 version 1, which has no extensions and which webpki refuses.
pub(super) fn is_version1(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V1
}

/// A certificate's time, with a resolution of one second.
pub(super) fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = Duration::from_secs(time.timestamp().unsigned_abs());
    if time.timestamp() < 0 { UNIX_EPOCH - seconds } else { UNIX_EPOCH + seconds }
}

/// A certificate's time for comparing with rustls's clock; what is before 1970 is 1970.
pub(super) fn unix_time(time: ASN1Time) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0)))
}

/// The subject's distinguished name as RFC 4514 text.
pub(super) fn subject(certificate: &X509Certificate<'_>) -> String {
    distinguished_name(certificate.subject())
}

/// `name` as RFC 4514 text: the most specific part first.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    let parts: Vec<&RelativeDistinguishedName<'_>> = name.iter().collect();
    parts.iter().rev().map(|part| relative_name(part)).collect::<Vec<_>>().join(",")
}

impl Names {
    /// Collects the names of `certificate`.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let subject = certificate.subject();
        let common = subject.iter_common_name().filter_map(|cn| cn.as_str().ok()).map(str::to_owned).collect();
        match certificate.subject_alternative_name() {
            Ok(None) => Self { common, ..Self::default() },
            // Unreadable ones may mean hosts: the common name must not step in for them.
            Err(_) => Self { common, has_alternative: true, ..Self::default() },
            Ok(Some(names)) => Self {
                alternative: names.value.general_names.iter().filter_map(host_name).collect(),
                has_alternative: names.value.general_names.iter().any(means_host),
                common,
            },
        }
    }

    /// The names by which a server that shows this certificate can be asked for.
    pub(super) fn into_patterns(self) -> Vec<String> {
        if self.has_alternative { self.alternative } else { self.common }
    }
}

fn means_host(name: &GeneralName<'_>) -> bool {
    matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_) | GeneralName::Invalid(..))
}

fn host_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn relative_name(part: &RelativeDistinguishedName<'_>) -> String {
    part.iter().map(attribute).collect::<Vec<_>>().join("+")
}

/// One attribute: by its short name where RFC 4514 or custom has one, else as an OID with the value's DER in
/// hexadecimal.
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    match (short_name(&oid), attribute.as_str()) {
        (Some(name), Ok(value)) => format!("{name}={}", escaped(value)),
        _ => format!("{oid}=#{}", hexadecimal(attribute)),
    }
}

fn short_name(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        // Not in RFC 4514's table, but what OpenSSL calls it.
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => return None,
    })
}

/// `value` with RFC 4514's special characters escaped (section 2.4).
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (position, character) in value.chars().enumerate() {
        let edge = (character == ' ' && (position == 0 || position == last)) || (character == '#' && position == 0);
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            _ if edge => text.extend(['\\', character]),
            // A name is written into logs, one a line.
            _ if character.is_control() => text.push_str(&hex_pairs(character)),
            _ => text.push(character),
        }
    }
    text
}

fn hex_pairs(character: char) -> String {
    character.to_string().bytes().map(|byte| format!("\\{byte:02X}")).collect()
}

fn hexadecimal(attribute: &AttributeTypeAndValue<'_>) -> String {
    let mut text = String::new();
    for byte in attribute.attr_value().to_der_vec().unwrap_or_default() {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02X}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_break_the_line_it_is_logged_in() {
        assert_eq!(escaped("a\nb\u{85}c"), "a\\0Ab\\C2\\85c");
        assert_eq!(escaped(" # a #, "), "\\ # a #\\,\\ ");
        assert_eq!(escaped("#"), "\\#");
    }

    #[test]
    fn unreadable_alternative_names_still_bar_the_common_name() {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, "relay");
        // A DNS name that is not ASCII, inside a sequence of general names.
        let names = vec![0x30, 3, 0x82, 1, 0xff];
        params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], names)];
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let names = Names::of(&parse(certificate.der()).unwrap());
        assert!(names.has_alternative, "{names:?}");
        assert_eq!(names.into_patterns(), [""; 0]);
    }
}
