//! A file of CAs and one of revocation lists, as what peers are checked against.
//!
//! It must never trust a CA that OpenSSL would not: one that expired, or that nothing says to be one.

use std::path::Path;

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, SubjectPublicKeyInfoDer, TrustAnchor};
use webpki::{CertRevocationList, OwnedCertRevocationList, anchor_from_trusted_cert};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::certificate::X509Certificate;
use x509_parser::revocation_list::CertificateRevocationList;

use super::{LoadWarning, Loader, day};
use crate::config::settings;
use crate::tls::certificate::{self, distinguished_name, system_time, unix_time};
use crate::tls::provider;
use crate::tls::signed::Signed;
use crate::tls::trust::{Revocations, Trust};
use crate::tls::version1::{Authority, Version1};

impl Loader<'_> {
    /// Reads the CAs and what they revoked. `None` if anything is wrong, which [`Loader::finish`] tells.
    pub(in crate::tls) fn trust(&mut self, settings: &settings::Trust) -> Option<Trust> {
        let authorities = self.authorities(&settings.ca);
        let known = authorities.as_deref().unwrap_or_default();
        let revocations = match &settings.crl {
            Some(file) => self.revocations(file, known),
            None => Some(Vec::new()),
        };
        let (authorities, revocations) = (authorities?, revocations?);
        let algorithms = provider().signature_verification_algorithms;
        if settings.version1_certificates {
            self.warn(&settings.ca, "its CAs may sign certificates of X.509 version 1; make those anew, and forbid it");
        }
        Some(Trust {
            anchors: authorities.iter().map(|(anchor, _)| anchor.clone()).collect(),
            until: authorities.iter().map(|(_, authority)| authority.until).collect(),
            version1: settings.version1_certificates.then(|| {
                let authorities = authorities.into_iter().map(|(_, authority)| authority).collect();
                Version1::new(authorities, algorithms)
            }),
            revocations,
            algorithms,
        })
    }

    fn authorities(&mut self, file: &Path) -> Option<Vec<(TrustAnchor<'static>, Authority)>> {
        let ders: Vec<CertificateDer<'static>> = self.sections(file, "certificate")?;
        let (problems, warnings) = (self.problems.len(), self.report.warnings.len());
        let usable: Vec<_> = ders.iter().enumerate().filter_map(|(at, der)| self.authority(file, at, der)).collect();
        if usable.is_empty() && self.problems.len() == problems {
            // Why each was left out is no warning any more.
            for LoadWarning { file, reason } in self.report.warnings.split_off(warnings) {
                self.problem(&file, reason);
            }
            self.problem(file, "holds no CA that can be used; name the file of the CA that signed the peers");
        }
        (!usable.is_empty()).then_some(usable)
    }

    /// One CA; one that cannot be used is warned of and left out, as bundles outlive some of their CAs.
    fn authority(
        &mut self,
        file: &Path,
        at: usize,
        der: &CertificateDer<'_>,
    ) -> Option<(TrustAnchor<'static>, Authority)> {
        let (Ok(parsed), Ok(anchor)) = (certificate::parse(der), anchor_from_trusted_cert(der)) else {
            self.problem(file, format!("certificate {} cannot be parsed; take it out or make it anew", at + 1));
            return None;
        };
        let subject = certificate::subject(&parsed);
        if let Some(reason) = unfit(&parsed) {
            self.warn(file, format!("{subject} {reason}, and is not used; take it out"));
            return None;
        }
        match self.timely(&parsed) {
            Ok(until) => self.expires(file, &format!("the CA {subject}"), until),
            Err(untimely) => {
                self.warn(file, format!("the CA {subject} {untimely} and is not used; {}", untimely.advice()));
                return None;
            }
        }
        let authority = Authority {
            subject: parsed.subject().as_raw().to_vec(),
            key: SubjectPublicKeyInfoDer::from(parsed.public_key().raw.to_vec()),
            constrained: anchor.name_constraints.is_some(),
            until: unix_time(parsed.validity().not_after),
        };
        Some((anchor.to_owned(), authority))
    }

    fn revocations(
        &mut self,
        file: &Path,
        authorities: &[(TrustAnchor<'static>, Authority)],
    ) -> Option<Vec<Revocations>> {
        let ders: Vec<CertificateRevocationListDer<'static>> = self.sections(file, "revocation list")?;
        let problems = self.problems.len();
        let lists = ders.iter().filter_map(|der| self.list(file, der, authorities)).collect();
        (self.problems.len() == problems).then_some(lists)
    }

    fn list(
        &mut self,
        file: &Path,
        der: &CertificateRevocationListDer<'_>,
        authorities: &[(TrustAnchor<'static>, Authority)],
    ) -> Option<Revocations> {
        let (Ok(([], parsed)), Ok(list)) =
            (CertificateRevocationList::from_der(der), OwnedCertRevocationList::from_der(der))
        else {
            self.problem(file, "holds a revocation list that is malformed or of a kind that cannot be used");
            return None;
        };
        let issuer = distinguished_name(parsed.issuer());
        // webpki took it, and webpki takes none without a next update.
        let next_update = parsed.next_update()?;
        let until = system_time(next_update);
        if until < self.now {
            self.problem(file, format!("the list of {issuer} expired on {}; fetch the new one", day(until)));
            return None;
        }
        self.expires(file, &format!("the list of {issuer}"), until);
        self.signed(file, &parsed, authorities, &issuer).then(|| Revocations {
            issuer: parsed.issuer().as_raw().to_vec(),
            next_update: unix_time(next_update),
            list: CertRevocationList::from(list),
        })
    }

    fn signed(
        &mut self,
        file: &Path,
        list: &CertificateRevocationList<'_>,
        authorities: &[(TrustAnchor<'static>, Authority)],
        issuer: &str,
    ) -> bool {
        let name = list.issuer().as_raw();
        let mut signers = authorities.iter().filter(|(_, ca)| ca.subject == name).peekable();
        if signers.peek().is_none() {
            self.warn(file, format!("the list is of {issuer}, which is no CA of the configured file"));
            return true;
        }
        let algorithms = provider().signature_verification_algorithms;
        let signed = Signed::parse(list.as_raw());
        let sound = signers.any(|(_, ca)| signed.as_ref().is_some_and(|signed| signed.is_by(&ca.key, &algorithms)));
        if !sound {
            self.problem(file, format!("the list of {issuer} is not signed by that CA; fetch it again"));
        }
        sound
    }
}

/// Why `certificate` is no CA, if it is none: OpenSSL's rules (`check_ca` in `crypto/x509/v3_purp.c` of 3.0), less the
/// one for Netscape's certificate types.
fn unfit(certificate: &X509Certificate<'_>) -> Option<&'static str> {
    let (Ok(usage), Ok(constraints)) = (certificate.key_usage(), certificate.basic_constraints()) else {
        return Some("has a key usage or basic constraints that cannot be read");
    };
    let own_issuer = certificate.issuer().as_raw() == certificate.subject().as_raw();
    match (usage, constraints) {
        (Some(usage), _) if !usage.value.key_cert_sign() => Some("may sign no certificates by its key usage"),
        (_, Some(constraints)) if !constraints.value.ca => Some("says of itself that it is no CA"),
        (Some(_), _) | (_, Some(_)) => None,
        (None, None) if !certificate::is_version1(certificate) => Some("does not say that it is a CA"),
        (None, None) => (!own_issuer).then_some("is of X.509 version 1 and no root"),
    }
}
