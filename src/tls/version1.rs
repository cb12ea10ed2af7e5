//! Leaves of X.509 version 1, which Zuul's own tools make and webpki refuses.
//!
//! It must never loosen anything but the version: the leaf is signed directly by a CA of the configured file, with an
//! algorithm that counts elsewhere too; dates, key size and revocation are checked; the signature of the handshake is
//! verified with the leaf's key. A version 1 certificate has no extensions, so nothing in it can be overlooked.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, PeerMisbehaved};
use webpki::RawPublicKeyEntity;
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

use super::certificate::{self, unix_time};
use super::handshake::CertificateFault;
use super::signed::Signed;
use super::trust::{Revocations, refusal, rejection};

/// The leniency for one file of CAs.
#[derive(Debug)]
pub(super) struct Version1 {
    authorities: Vec<Authority>,
    algorithms: WebPkiSupportedAlgorithms,
    warned: Warned,
}

/// A CA, as far as its signatures go.
#[derive(Debug, Clone)]
pub(super) struct Authority {
    /// Its distinguished name in DER.
    pub(super) subject: Vec<u8>,
    /// Its public key.
    pub(super) key: SubjectPublicKeyInfoDer<'static>,
    /// Whether it may vouch for some names only, which a version 1 leaf cannot be held against.
    pub(super) constrained: bool,
    /// The end of its validity.
    pub(super) until: UnixTime,
}

/// The certificates that the log has named already.
#[derive(Debug, Default)]
struct Warned(Mutex<HashSet<Vec<u8>>>);

impl Version1 {
    /// The leniency for leaves that `authorities` sign.
    pub(super) fn new(authorities: Vec<Authority>, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { authorities, algorithms, warned: Warned::default() }
    }

    /// Checks `leaf`, whose content is `parsed`, at the time `now`, against what was revoked.
    pub(super) fn check(
        &self,
        leaf: &CertificateDer<'_>,
        parsed: &X509Certificate<'_>,
        now: UnixTime,
        revocations: &[Revocations],
    ) -> Result<(), rustls::Error> {
        well_formed(parsed)?;
        self.signed_directly(leaf, parsed, now)?;
        dates(parsed, now)?;
        key_size(parsed)?;
        revocation(parsed, now, revocations)?;
        if self.warned.is_first(leaf) {
            let subject = certificate::subject(parsed);
            tracing::warn!(subject, "accepted a certificate of X.509 version 1; make it anew as version 3");
        }
        Ok(())
    }

    fn signed_directly(&self, leaf: &[u8], parsed: &X509Certificate<'_>, now: UnixTime) -> Result<(), rustls::Error> {
        let issuer = parsed.issuer().as_raw();
        let mut namesakes = self.authorities.iter().filter(|ca| ca.subject == issuer && !ca.constrained).peekable();
        if namesakes.peek().is_none() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let signed = Signed::parse(leaf).ok_or(CertificateError::BadEncoding)?;
        let signers = namesakes.filter(|ca| signed.is_by(&ca.key, &self.algorithms));
        // A CA that was renewed in time with its old key is in the file twice.
        match signers.map(|ca| ca.until).max() {
            Some(until) if until < now => Err(refusal(CertificateFault::expired_ca(until))),
            Some(_) => Ok(()),
            None => Err(CertificateError::BadSignature.into()),
        }
    }
}

impl Warned {
    /// How many certificates are remembered; beyond these nothing more is said.
    const LIMIT: usize = 256;

    fn is_first(&self, leaf: &[u8]) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.len() < Self::LIMIT && seen.insert(leaf.to_vec())
    }
}

/// Version 1 knows neither extensions nor unique identifiers, and names its algorithm twice alike.
fn well_formed(parsed: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let body = &parsed.tbs_certificate;
    let bare = body.extensions().is_empty() && body.issuer_uid.is_none() && body.subject_uid.is_none();
    match bare && body.signature == parsed.signature_algorithm {
        true => Ok(()),
        false => Err(CertificateError::BadEncoding),
    }
}

fn dates(parsed: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let not_before = unix_time(parsed.validity().not_before);
    let not_after = unix_time(parsed.validity().not_after);
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before });
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after });
    }
    Ok(())
}

fn key_size(parsed: &X509Certificate<'_>) -> Result<(), rustls::Error> {
    const RSA_BITS: usize = 2048;
    const EC_BITS: usize = 256;
    let key = parsed.public_key().parsed().map_err(|_| CertificateError::BadEncoding)?;
    let enough = match &key {
        PublicKey::RSA(rsa) => rsa.key_size() >= RSA_BITS,
        PublicKey::EC(point) => point.key_size() >= EC_BITS,
        _ => false,
    };
    match enough {
        true => Ok(()),
        false => Err(refusal(CertificateFault::WeakKey { bits: key.key_size() })),
    }
}

/// Checks that no list of the issuer revokes the certificate `parsed`, and that each can still say so.
pub(super) fn revocation(
    parsed: &X509Certificate<'_>,
    now: UnixTime,
    revocations: &[Revocations],
) -> Result<(), CertificateError> {
    let issuer = parsed.issuer().as_raw();
    for revocations in revocations.iter().filter(|list| list.issuer == issuer) {
        let next_update = revocations.next_update;
        if next_update < now {
            return Err(CertificateError::ExpiredRevocationListContext { time: now, next_update });
        }
        // A list that cannot be searched must not let anybody pass.
        if !matches!(revocations.list.find_serial(parsed.raw_serial()), Ok(None)) {
            return Err(CertificateError::Revoked);
        }
    }
    Ok(())
}

/// The public key of `leaf` if that is of version 1, for which rustls's own check of the handshake does not do.
pub(super) fn key_of(leaf: &CertificateDer<'_>) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let parsed = certificate::parse(leaf).ok().filter(certificate::is_version1)?;
    Some(SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec()))
}

/// Checks the signature of a TLS 1.3 handshake by the holder of `key`.
pub(super) fn check_tls13(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    verify_tls13_signature_with_raw_key(message, key, signature, algorithms)
}

/// Checks the signature of a TLS 1.2 handshake by the holder of `key`. There a scheme names the hash, not the curve:
/// whichever of its algorithms fits the key decides.
pub(super) fn check_tls12(
    message: &[u8],
    key: &SubjectPublicKeyInfoDer<'_>,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let key = RawPublicKeyEntity::try_from(key).map_err(rejection)?;
    let offered = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let (_, candidates) = offered.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    match candidates.iter().any(|one| key.verify_signature(*one, message, signature.signature()).is_ok()) {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}
