//! A peer that shows a certificate whose key it does not have. OpenSSL's programs refuse to be one; rustls does not.

use std::sync::Arc;

use fingerpost::config::settings::KeyPairFiles;
use fingerpost::tls::{Client, HandshakeError, Server};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_supported_type};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme, SupportedProtocolVersion};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::peers::{dial, listen};

/// What `client` says to an impostor's server.
pub(crate) async fn serves(
    mixed: &KeyPairFiles,
    version: &'static SupportedProtocolVersion,
    client: &Client,
) -> HandshakeError {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown(mixed)));
    let listener = listen().await;
    let tcp = dial(listener.local_addr().unwrap()).await;
    let (accepted, _) = listener.accept().await.unwrap();
    let impostor = TlsAcceptor::from(Arc::new(config)).accept(accepted);
    let (connected, _told) = tokio::join!(client.connect("stolen", tcp), impostor);
    connected.unwrap_err()
}

/// What `server` says to an impostor that is a viewer.
pub(crate) async fn views(
    mixed: &KeyPairFiles,
    version: &'static SupportedProtocolVersion,
    server: &Server,
) -> HandshakeError {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Gullible))
        .with_client_cert_resolver(Arc::new(shown(mixed)));
    let listener = listen().await;
    let tcp = dial(listener.local_addr().unwrap()).await;
    let (accepted, _) = listener.accept().await.unwrap();
    let impostor = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("relay").unwrap(), tcp);
    let (accepted, _told) = tokio::join!(server.accept(accepted), impostor);
    accepted.unwrap_err()
}

fn shown(mixed: &KeyPairFiles) -> SingleCertAndKey {
    let certificate = CertificateDer::from_pem_file(&mixed.cert).unwrap();
    let key = any_supported_type(&PrivateKeyDer::from_pem_file(&mixed.key).unwrap()).unwrap();
    SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key))
}

/// Believes every server.
#[derive(Debug)]
struct Gullible;

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _leaf: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}
