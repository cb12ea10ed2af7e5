//! TLS as it was configured, either side. Files are named here, never read.

use std::path::{Path, PathBuf};

/// TLS as a server speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// At least one; the first answers when the viewer names no server or an unknown one.
    pub certificates: Vec<KeyPairFiles>,
    /// Refuse viewers that name a server for which no certificate is configured.
    pub require_known_server_name: bool,
    /// Whether viewers must show a certificate.
    pub client_certificates: ClientCertificates,
    /// The lowest version spoken.
    pub min_version: TlsVersion,
}

/// What is asked of viewers before they may speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    None,
    /// A certificate is checked if shown.
    Optional(Trust),
    /// No stream without a valid certificate.
    Required(Trust),
}

/// Whom a TLS peer's certificate must come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// PEM bundle of CA certificates.
    pub ca: PathBuf,
    /// PEM bundle of revocation lists; an expired list is an error at load and a refusal later.
    pub crl: Option<PathBuf>,
    /// Accept a leaf of X.509 version 1 that a CA of `ca` signed directly. Zuul's own tools make such.
    pub version1_certificates: bool,
}

/// A certificate chain with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPairFiles {
    /// PEM, leaf first.
    pub cert: PathBuf,
    /// PEM: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// TLS as a client speaks it: towards executors, other gateways and ZooKeeper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// Shown when the server asks for a certificate.
    pub identity: Option<KeyPairFiles>,
    /// Whom the server's certificate must come from.
    pub trust: Trust,
    /// Check the server's name: against its alternative names, or its common name where it has none.
    pub verify_hostnames: bool,
}

/// The lowest TLS version of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

impl ServerTls {
    /// Every file this names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let trust = match &self.client_certificates {
            ClientCertificates::None => None,
            ClientCertificates::Optional(trust) | ClientCertificates::Required(trust) => Some(trust),
        };
        self.certificates.iter().flat_map(KeyPairFiles::files).chain(trust.into_iter().flat_map(Trust::files))
    }
}

impl ClientTls {
    /// Every file this names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.identity.iter().flat_map(KeyPairFiles::files).chain(self.trust.files())
    }
}

impl Trust {
    fn files(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.ca.as_path()).chain(self.crl.as_deref())
    }
}

impl KeyPairFiles {
    fn files(&self) -> [&Path; 2] {
        [&self.cert, &self.key]
    }
}
