//! Whom a peer's certificate must come from: the CAs, their revocation lists, and the check of a chain against both.
//!
//! It must never look at host names, and never read a file.

use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::{CertificateError, OtherError};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptionsBuilder, UnknownStatusPolicy,
};

use super::certificate;
use super::handshake::CertificateFault;
use super::version1::Version1;

/// The CAs of one file, with what was revoked.
#[derive(Debug)]
pub(super) struct Trust {
    /// What chains must end in.
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// What these CAs revoked.
    pub(super) revocations: Vec<Revocations>,
    /// The leniency for version 1, if the operator named it.
    pub(super) version1: Option<Version1>,
    /// The signatures that count.
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

/// A revocation list. webpki checks its signature with each use, and loading it did so once.
#[derive(Debug)]
pub(super) struct Revocations {
    /// The distinguished name of the CA that signed it, in DER.
    pub(super) issuer: Vec<u8>,
    /// When it has to be replaced.
    pub(super) next_update: UnixTime,
    /// The list.
    pub(super) list: CertRevocationList<'static>,
}

impl Trust {
    /// Checks that `leaf` may be used for `usage` at the time `now`, by a chain of `intermediates` to one of the CAs.
    pub(super) fn check(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: KeyUsage,
    ) -> Result<(), rustls::Error> {
        let parsed = certificate::parse(leaf).map_err(|_| CertificateError::BadEncoding)?;
        if certificate::is_version1(&parsed) {
            return match &self.version1 {
                Some(lenient) => lenient.check(leaf, &parsed, now, &self.revocations),
                None => Err(refusal(CertificateFault::Version1 { subject: certificate::subject(&parsed) })),
            };
        }
        let leaf = EndEntityCert::try_from(leaf).map_err(rejection)?;
        let lists: Vec<&CertRevocationList<'_>> = self.revocations.iter().map(|known| &known.list).collect();
        // A CA without a list revokes nothing; a list that ran out says nothing any more.
        let revocation = RevocationOptionsBuilder::new(&lists).ok().map(|options| {
            options
                .with_status_policy(UnknownStatusPolicy::Allow)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        leaf.verify_for_usage(self.algorithms.all, &self.anchors, intermediates, now, usage, revocation, None)
            .map(|_path| ())
            .map_err(rejection)
    }
}

/// Our own reason, inside rustls's error. The peer sees the alert `certificate_unknown`.
pub(super) fn refusal(fault: CertificateFault) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(fault))).into()
}

/// webpki's reason as rustls's, which decides the alert that the peer sees.
pub(super) fn rejection(error: webpki::Error) -> rustls::Error {
    use webpki::Error as Webpki;
    match error {
        Webpki::BadDer | Webpki::BadDerTime | Webpki::TrailingData(_) => CertificateError::BadEncoding,
        Webpki::CertNotValidYet { time, not_before } => CertificateError::NotValidYetContext { time, not_before },
        Webpki::CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
        Webpki::InvalidCertValidity => CertificateError::Expired,
        Webpki::UnknownIssuer => CertificateError::UnknownIssuer,
        Webpki::CertRevoked => CertificateError::Revoked,
        Webpki::CrlExpired { time, next_update } => {
            CertificateError::ExpiredRevocationListContext { time, next_update }
        }
        Webpki::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        Webpki::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
    .into()
}
