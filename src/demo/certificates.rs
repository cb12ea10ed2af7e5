//! Certificates for the demo, made on the spot and gone with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::config::settings::{ClientTls, KeyPairFiles, Trust};

/// A certificate authority in a folder of its own.
pub(super) struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority whose files lie in `folder`.
    pub(super) fn new(folder: &Path) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Fingerpost demo CA");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        write(&folder.join("ca.pem"), &issuer.pem())?;
        Ok(Self { folder: folder.to_owned(), issuer })
    }

    /// Makes a certificate for `name` at 127.0.0.1.
    pub(super) fn certify(&self, name: &str) -> Result<KeyPairFiles> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let files = KeyPairFiles {
            cert: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key.pem")),
        };
        write(&files.cert, &certificate.pem())?;
        write(&files.key, &key.serialize_pem())?;
        Ok(files)
    }

    /// Trust in what this authority signed.
    pub(super) fn trust(&self) -> Trust {
        Trust { ca: self.folder.join("ca.pem"), crl: None, version1_certificates: false }
    }

    /// TLS as a client that this authority certified under `name`.
    pub(super) fn client(&self, name: &str) -> Result<ClientTls> {
        Ok(ClientTls { identity: Some(self.certify(name)?), trust: self.trust(), verify_hostnames: true })
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write the demo's {}", file.display()))
}
