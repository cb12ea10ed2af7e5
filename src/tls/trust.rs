//! Whom a peer's certificate must come from: the CAs, their revocation lists, and the check of a chain against both.
//!
//! It must never look at host names, and never read a file.

use std::cell::Cell;
use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use rustls::{CertificateError, OtherError};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptionsBuilder, UnknownStatusPolicy,
    VerifiedPath,
};

use super::certificate;
use super::handshake::CertificateFault;
use super::version1::Version1;

/// The CAs of one file, with what was revoked.
#[derive(Debug)]
pub(super) struct Trust {
    /// What chains must end in.
    pub(super) anchors: Vec<TrustAnchor<'static>>,
    /// When each of these expires, in the same order: webpki does not look at it.
    pub(super) until: Vec<UnixTime>,
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
        let expired = Cell::new(None);
        let in_time = |path: &VerifiedPath<'_>| match self.expiry(path.anchor()) {
            Some(until) if until < now => {
                expired.set(Some(until));
                Err(webpki::Error::UnknownIssuer)
            }
            _ => Ok(()),
        };
        leaf.verify_for_usage(self.algorithms.all, &self.anchors, intermediates, now, usage, revocation, Some(&in_time))
            .map(|_path| ())
            .map_err(|error| match expired.get() {
                Some(until) => refusal(CertificateFault::expired_ca(until)),
                None => rejection(error),
            })
    }

    /// The end of one of our own anchors. By its place, not by its content: a CA may be renewed with its old key.
    fn expiry(&self, anchor: &TrustAnchor<'_>) -> Option<UnixTime> {
        let mut dated = self.anchors.iter().zip(&self.until);
        dated.find(|(own, _)| std::ptr::eq(*own, anchor)).map(|(_, until)| *until)
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use rcgen::{CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, date_time_ymd};

    use super::*;
    use crate::config::settings;
    use crate::tls::load::Loader;
    use crate::tls::version1;

    const YEAR_2089: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(3_755_376_000));
    const YEAR_2091: UnixTime = UnixTime::since_unix_epoch(Duration::from_secs(3_818_448_000));

    #[test]
    fn a_list_that_ran_out_refuses_everybody() {
        let (trust, leaf) = with_list_until_2090();
        let usage = KeyUsage::server_auth;
        trust.check(&leaf, &[], YEAR_2089, usage()).unwrap();
        let refused = trust.check(&leaf, &[], YEAR_2091, usage()).unwrap_err();
        assert!(is_expired_list(&refused), "{refused:?}");
        let parsed = certificate::parse(&leaf).unwrap();
        version1::revocation(&parsed, YEAR_2089, &trust.revocations).unwrap();
        let refused = version1::revocation(&parsed, YEAR_2091, &trust.revocations).unwrap_err();
        assert!(is_expired_list(&refused.into()));
    }

    #[test]
    fn a_ca_that_expires_while_it_is_in_use_vouches_for_nobody() {
        let key = KeyPair::generate().unwrap();
        let old = Issuer::new(authority(2090), &key);
        let leaf = CertificateParams::default().signed_by(&KeyPair::generate().unwrap(), &old).unwrap();
        let pem = |year| authority(year).self_signed(&key).unwrap().pem();
        for (file, expires) in [(pem(2090), true), (pem(2090) + &pem(2100), false), (pem(2100) + &pem(2090), false)] {
            let trust = trusting(&file);
            let parsed = certificate::parse(leaf.der()).unwrap();
            for now in [YEAR_2089, YEAR_2091] {
                let chain = trust.check(leaf.der(), &[], now, KeyUsage::server_auth());
                // It has no extension, and would be one of version 1 but for its number.
                let direct = trust.version1.as_ref().unwrap().check(leaf.der(), &parsed, now, &[]);
                let refused = expires && now == YEAR_2091;
                assert_eq!([chain, direct].map(|outcome| is_refused_for_its_ca(&outcome)), [refused; 2]);
            }
        }
    }

    /// It is refused for nothing else.
    fn is_refused_for_its_ca(outcome: &Result<(), rustls::Error>) -> bool {
        let Err(error) = outcome else { return false };
        assert!(error.to_string().contains("ExpiredCa"), "{error}");
        true
    }

    fn is_expired_list(error: &rustls::Error) -> bool {
        let expired = |reason: &_| matches!(reason, CertificateError::ExpiredRevocationListContext { .. });
        matches!(error, rustls::Error::InvalidCertificate(reason) if expired(reason))
    }

    fn authority(until: i32) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_after = date_time_ymd(until, 1, 1);
        params
    }

    fn trusting(ca: &str) -> Trust {
        let read = |_: &Path| Ok(ca.as_bytes().to_vec());
        let mut loader = Loader::new(&read);
        let trust = loader.trust(&settings::Trust { ca: PathBuf::from("ca"), crl: None, version1_certificates: true });
        loader.finish(trust).unwrap().0
    }

    fn with_list_until_2090() -> (Trust, CertificateDer<'static>) {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: rcgen::SerialNumber::from_slice(&[1]),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&issuer).unwrap().pem().unwrap();
        let leaf = CertificateParams::default().signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap();
        let read = |file: &Path| -> io::Result<Vec<u8>> {
            Ok(if file == Path::new("crl") { list.clone().into_bytes() } else { ca.pem().into_bytes() })
        };
        let files =
            settings::Trust { ca: PathBuf::from("ca"), crl: Some(PathBuf::from("crl")), version1_certificates: false };
        let mut loader = Loader::new(&read);
        let trust = loader.trust(&files);
        (loader.finish(trust).unwrap().0, leaf.der().clone())
    }
}
