//! A private certificate authority as sites have it: made by OpenSSL in the shape of Zuul's `zk-ca.sh`. RSA 2048,
//! X.509 version 3, a common name and no alternative names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A certificate authority with its own folder.
#[derive(Debug)]
pub struct Authority {
    dir: tempfile::TempDir,
}

/// A leaf certificate with its key, both PEM files.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The certificate.
    pub cert: PathBuf,
    /// The key, PKCS#8.
    pub key: PathBuf,
}

impl Authority {
    /// Makes the authority's own certificate.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let request = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /O=Zuul/CN=ca -keyout ca.key -out ca.pem";
        openssl(dir.path(), request);
        Self { dir }
    }

    /// The authority's certificate, PEM.
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Signs a certificate for `name`, good for both ends of a connection.
    pub fn issue(&self, name: &str) -> Leaf {
        fs::write(self.dir.path().join("leaf.cnf"), "basicConstraints = CA:FALSE\n").expect("extensions written");
        self.sign(name, "-extfile leaf.cnf")
    }

    /// Signs a certificate of X.509 version 1: what OpenSSL makes when nobody asks for extensions.
    pub fn issue_version1(&self, name: &str) -> Leaf {
        self.sign(name, "")
    }

    fn sign(&self, name: &str, extensions: &str) -> Leaf {
        let dir = self.dir.path();
        openssl(
            dir,
            &format!("req -newkey rsa:2048 -nodes -subj /O=Zuul/CN={name} -keyout {name}.key -out {name}.csr"),
        );
        let sign =
            format!("x509 -req -days 30 -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out {name}.pem");
        openssl(dir, &format!("{sign} {extensions}"));
        Leaf { cert: dir.join(format!("{name}.pem")), key: dir.join(format!("{name}.key")) }
    }
}

impl Leaf {
    /// Writes key and certificate as one file, the way Java wants a PEM key store.
    pub fn key_store(&self, file: &Path) {
        let pem = [&self.key, &self.cert].map(|part| fs::read_to_string(part).expect("a PEM file"));
        fs::write(file, pem.concat()).expect("the key store written");
    }
}

fn openssl(dir: &Path, args: &str) {
    let output = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
}
