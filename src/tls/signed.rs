//! Certificates and revocation lists as what they have in common: a body, signed (RFC 5280, section 4.1.1).
//!
//! It must never look into the body: that is for those who know what it is.

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;
use x509_parser::asn1_rs::{Any, FromDer as _, Tag};

/// A signed structure, in parts that borrow its DER.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    /// What is signed, with its header.
    body: &'a [u8],
    /// The content of the outer algorithm identifier.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes `der` apart; `None` if it is nothing signed.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let content = whole(der, Tag::Sequence)?;
        let (rest, _) = Any::from_der(content).ok()?;
        let body = content.get(..content.len().checked_sub(rest.len())?)?;
        let (rest, algorithm) = Any::from_der(rest).ok()?;
        // A bit string starts with the number of unused bits, which a signature has none of.
        let signature = whole(rest, Tag::BitString)?.strip_prefix(&[0])?;
        (algorithm.tag() == Tag::Sequence).then_some(Self { body, algorithm: algorithm.data, signature })
    }

    /// Whether the holder of `key` signed it, by an algorithm that rustls accepts in certificates.
    pub(super) fn is_by(&self, key: &SubjectPublicKeyInfoDer<'_>, algorithms: &WebPkiSupportedAlgorithms) -> bool {
        let Ok(key) = RawPublicKeyEntity::try_from(key) else {
            return false;
        };
        let candidates = algorithms.all.iter().filter(|known| known.signature_alg_id().as_ref() == self.algorithm);
        // Some identifiers stand for several algorithms, told apart by the kind of the key.
        candidates.into_iter().any(|algorithm| key.verify_signature(*algorithm, self.body, self.signature).is_ok())
    }
}

/// The content of the one element that `der` is.
fn whole(der: &[u8], tag: Tag) -> Option<&[u8]> {
    match Any::from_der(der) {
        Ok(([], element)) if element.tag() == tag => Some(element.data),
        _ => None,
    }
}
