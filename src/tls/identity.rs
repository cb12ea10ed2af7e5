//! Who a peer is, as its verified certificate says.
//!
//! It must never be asked about a peer's certificate that was not verified.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use super::certificate::{self, Names};
use super::load::{self, Loader};
use super::{LoadError, digest};

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
    /// Reads the first certificate in `file`, PEM, as if somebody had proved to be its owner. For questions of the form
    /// "what if": nothing is verified.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn supposed(file: &Path) -> Result<Self, Vec<LoadError>> {
        let mut loader = Loader::new(&load::from_disk);
        let identity = loader.first_certificate(file, Self::of);
        loader.finish(identity).map(|(identity, _)| identity)
    }

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
