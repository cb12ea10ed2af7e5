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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_supposed_is_read_as_whoever_proved_it() {
        let mut params = rcgen::CertificateParams::new(["alice.example".to_owned()]).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, "alice");
        let certificate = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alice.pem");
        std::fs::write(&file, certificate.pem()).unwrap();
        assert_eq!(Identity::supposed(&file).ok(), Identity::of(certificate.der()));
        assert_eq!(Identity::supposed(&file).unwrap().names, ["alice.example"]);
    }

    #[test]
    fn what_is_no_certificate_is_said_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("alice.pem");
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, words) in
            [("", "holds no certificate in PEM"), (no_certificate, "its first certificate cannot be parsed")]
        {
            std::fs::write(&file, text).unwrap();
            let [error] = Identity::supposed(&file).unwrap_err().try_into().unwrap();
            assert!(error.file == file && error.reason.starts_with(words), "{error}");
        }
    }
}
