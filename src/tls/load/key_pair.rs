//! A certificate chain with its key, as this relay shows it.
//!
//! It must never refuse a certificate for being of X.509 version 1: peers that take it decide that.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::certificate::X509Certificate;

use super::Loader;
use crate::config::settings::KeyPairFiles;
use crate::tls::certificate::{self, Names};
use crate::tls::provider;

/// A certificate chain that fits its key.
#[derive(Debug)]
pub(in crate::tls) struct KeyPair {
    /// The chain and the key, as rustls takes them.
    pub(in crate::tls) certified: Arc<CertifiedKey>,
    /// The server names that the leaf is for; may hold wildcards.
    pub(in crate::tls) names: Vec<String>,
}

impl Loader<'_> {
    /// Reads a chain and its key. `None` if anything is wrong, which [`Loader::finish`] tells.
    pub(in crate::tls) fn key_pair(&mut self, files: &KeyPairFiles) -> Option<KeyPair> {
        let chain: Option<Vec<CertificateDer<'static>>> = self.sections(&files.cert, "certificate");
        let key = self.key(&files.key);
        let chain = chain?;
        let names = self.leaf(files, chain.first()?, key.as_deref())?;
        for (position, issuer) in chain.iter().enumerate().skip(1) {
            self.intermediate(&files.cert, position, issuer);
        }
        Some(KeyPair { certified: Arc::new(CertifiedKey::new(chain, key?)), names })
    }

    fn key(&mut self, file: &Path) -> Option<Arc<dyn SigningKey>> {
        let content = self.content(file)?;
        let Ok(key) = PrivateKeyDer::from_pem_slice(&content) else {
            self.problem(file, no_key(&content));
            return None;
        };
        match provider().key_provider.load_private_key(key) {
            Ok(key) => Some(key),
            Err(error) => {
                self.problem(file, format!("holds a key that cannot be used ({error}); make one with RSA or ECDSA"));
                None
            }
        }
    }

    fn leaf(
        &mut self,
        files: &KeyPairFiles,
        der: &CertificateDer<'_>,
        key: Option<&dyn SigningKey>,
    ) -> Option<Vec<String>> {
        let leaf = match certificate::parse(der) {
            Ok(leaf) => leaf,
            Err(error) => {
                self.problem(&files.cert, format!("its first certificate cannot be parsed: {error}"));
                return None;
            }
        };
        let subject = certificate::subject(&leaf);
        match self.timely(&leaf) {
            Ok(until) => self.expires(&files.cert, &format!("the certificate {subject}"), until),
            Err(untimely) => {
                let advice = untimely.advice();
                self.problem(&files.cert, format!("the certificate {subject} {untimely}; {advice}"));
            }
        }
        if key.is_some_and(|key| !belongs(key, &leaf)) {
            let cert = files.cert.display();
            self.problem(&files.key, format!("this key does not belong to the certificate in {cert}; name its own"));
        }
        if certificate::is_version1(&leaf) {
            let reason = format!("the certificate {subject} is of X.509 version 1, which many refuse; make it anew");
            self.warn(&files.cert, reason);
        }
        Some(Names::of(&leaf).into_patterns())
    }

    /// An intermediate that is of no use is sent nonetheless, and does no harm: peers look for another way.
    fn intermediate(&mut self, file: &Path, position: usize, der: &CertificateDer<'_>) {
        match certificate::parse(der) {
            Ok(parsed) => match self.timely(&parsed) {
                Ok(until) => self.expires(file, &format!("the CA {}", certificate::subject(&parsed)), until),
                Err(untimely) => {
                    let (subject, advice) = (certificate::subject(&parsed), untimely.advice());
                    self.warn(file, format!("the CA {subject} {untimely}; {advice}"));
                }
            },
            Err(error) => self.warn(file, format!("certificate {} cannot be parsed: {error}", position + 1)),
        }
    }
}

/// rustls compares through webpki, which takes no version 1.
fn belongs(key: &dyn SigningKey, leaf: &X509Certificate<'_>) -> bool {
    key.public_key().is_none_or(|public| public.as_ref() == leaf.public_key().raw)
}

fn no_key(content: &[u8]) -> &'static str {
    const ENCRYPTED: &[u8] = b"ENCRYPTED";
    match content.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
        true => "its key is encrypted; write it out with `openssl pkey`, and guard the file by its permissions",
        false => "holds no key in PEM (PKCS#8, PKCS#1 or SEC1); convert it with `openssl pkey`",
    }
}
