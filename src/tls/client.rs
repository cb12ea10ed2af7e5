//! TLS towards executors, gateways and ZooKeeper.
//!
//! It must never dial: the caller brings the socket and the deadline.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::handshake::HandshakeError;
use super::load::{LoadError, LoadWarning, Loader, ReadFile, Report, from_disk};
use super::stream::Stream;
use super::verify::ServerVerifier;
use super::{ALPN, BUFFER_LIMIT, provider};
use crate::config::settings::{ClientTls, Trust};
use crate::transport::Records;

/// Where systems keep the CAs they trust: Debian and Alpine, Fedora and its kin, openSUSE, and what OpenSSL itself
/// names.
pub const SYSTEM_CAS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The first of [`SYSTEM_CAS`] that exists; the first of all if none does. Blocks on the file system.
pub fn system_ca() -> &'static Path {
    let [first, ..] = SYSTEM_CAS;
    let existing = SYSTEM_CAS.into_iter().find(|bundle| Path::new(bundle).is_file());
    Path::new(existing.unwrap_or(first))
}

/// TLS towards others, ready to connect.
#[derive(Debug, Clone)]
pub struct Client {
    config: Arc<ClientConfig>,
    report: Arc<Report>,
}

impl Client {
    /// Reads and checks every file that `settings` names. Blocks on the file system.
    pub fn load(settings: &ClientTls) -> Result<Self, Vec<LoadError>> {
        Self::load_from(settings, &from_disk)
    }

    /// Trusts the CAs that the system trusts, by the first of [`SYSTEM_CAS`] that exists, and shows no certificate.
    /// Blocks on the file system.
    pub fn of_the_system() -> Result<Self, Vec<LoadError>> {
        let trust = Trust { ca: system_ca().to_owned(), crl: None, version1_certificates: false };
        Self::load(&ClientTls { identity: None, trust, verify_hostnames: true })
    }

    /// Does what [`Client::load`] does, with `read` in place of the file system.
    pub fn load_from(settings: &ClientTls, read: &ReadFile<'_>) -> Result<Self, Vec<LoadError>> {
        let mut loader = Loader::new(read);
        let identity = settings.identity.as_ref().map(|files| loader.key_pair(files));
        let trust = loader.trust(&settings.trust);
        let (trust, report) = loader.finish(trust)?;
        let verifier = ServerVerifier::new(trust, settings.verify_hostnames);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(|error| vec![LoadError::new(&settings.trust.ca, error.to_string())])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match identity.flatten() {
            Some(pair) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair.certified))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { config: Arc::new(config), report: Arc::new(report) })
    }

    /// What is allowed but should not stay so, as an operator must read it.
    pub fn warnings(&self) -> &[LoadWarning] {
        &self.report.warnings
    }

    /// When each file's first certificate or revocation list expires.
    pub fn expiries(&self) -> &[(PathBuf, SystemTime)] {
        &self.report.expiries
    }

    /// Shakes hands over `tcp` with the server called `host`. The caller sets the deadline.
    ///
    /// The server's name is sent only if `host` is a DNS name. In TLS 1.3 this side is done before the server has
    /// looked at the certificate that was shown: its refusal is the first thing that is read from the stream.
    pub async fn connect(&self, host: &str, tcp: TcpStream) -> Result<Stream, HandshakeError> {
        self.connect_for(ALPN, host, tcp).await
    }

    /// Does what [`Client::connect`] does, for another application protocol: servers may refuse who offers only ones
    /// that they do not know (RFC 7301, section 3.2).
    pub async fn connect_for(&self, protocol: &[u8], host: &str, tcp: TcpStream) -> Result<Stream, HandshakeError> {
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| HandshakeError::BadHost { host: host.to_owned() })?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let connector = connector.with_alpn(vec![protocol.to_vec()]);
        let stream = connector.connect_with(name, tcp, |tls| tls.set_buffer_limit(Some(BUFFER_LIMIT))).await?;
        Ok(Stream::new(TlsStream::Client(stream), Records::Full))
    }
}
