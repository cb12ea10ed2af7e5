//! The answers to rustls's questions about a peer's certificate, in both directions.
//!
//! It must never judge by itself: chains belong to `trust`, names to `host`, version 1 to `version1`.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use webpki::KeyUsage;

use super::trust::Trust;
use super::{host, version1};

/// Checks the certificates that servers show.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    trust: Trust,
    names: bool,
}

/// Checks the certificates that viewers show.
#[derive(Debug)]
pub(super) struct ViewerVerifier {
    trust: Trust,
    required: bool,
    hints: Vec<DistinguishedName>,
}

impl ServerVerifier {
    /// Trusts servers by `trust`; checks that a certificate is for the host that was dialled if `names`.
    pub(super) fn new(trust: Trust, names: bool) -> Self {
        Self { trust, names }
    }
}

impl ViewerVerifier {
    /// Trusts viewers by `trust`; lets nobody without a certificate pass if `required`.
    pub(super) fn new(trust: Trust, required: bool) -> Self {
        let hints = trust.anchors.iter().map(|ca| DistinguishedName::in_sequence(&ca.subject)).collect();
        Self { trust, required, hints }
    }
}

impl Trust {
    fn tls12(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match version1::key_of(leaf) {
            Some(key) => version1::check_tls12(message, &key, signature, &self.algorithms),
            None => verify_tls12_signature(message, leaf, signature, &self.algorithms),
        }
    }

    fn tls13(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match version1::key_of(leaf) {
            Some(key) => version1::check_tls13(message, &key, signature, &self.algorithms),
            None => verify_tls13_signature(message, leaf, signature, &self.algorithms),
        }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.trust.check(leaf, intermediates, now, KeyUsage::server_auth())?;
        if self.names {
            host::check(leaf, server)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.tls12(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.tls13(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for ViewerVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.trust.check(leaf, intermediates, now, KeyUsage::client_auth())?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.tls12(message, leaf, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.trust.tls13(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.algorithms.supported_schemes()
    }
}
