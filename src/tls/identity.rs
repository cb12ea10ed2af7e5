//! Who a peer is, as its verified certificate says.
//!
//! It must never be asked about a certificate that was not verified.

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::certificate::{self, Names};
use super::digest;

/// A peer, as its verified certificate names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
            fingerprint: digest::sha256(der),
        })
    }
}
