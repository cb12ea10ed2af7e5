//! Who a peer is, as its verified certificate says.
//!
//! It must never be asked about a certificate that was not verified.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;

use super::certificate::{self, Names};

/// A peer, as its verified certificate names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The distinguished name, as RFC 4514 text.
    pub subject: String,
    /// DNS names and addresses among the subject's alternative names.
    pub names: Vec<String>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub fingerprint: String,
}

impl Identity {
    /// Reads `der`; `None` if it is no certificate, which a verified one always is.
    pub(super) fn of(der: &CertificateDer<'_>) -> Option<Self> {
        let certificate = certificate::parse(der).ok()?;
        Some(Self {
            subject: certificate::subject(&certificate),
            names: Names::of(&certificate).alternative,
            fingerprint: fingerprint(der),
        })
    }
}

fn fingerprint(der: &[u8]) -> String {
    let mut text = String::new();
    for byte in digest(&SHA256, der).as_ref() {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
    }
    text
}
