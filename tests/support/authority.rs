//! A private certificate authority as sites have it: made by OpenSSL in the shape of Zuul's `zk-ca.sh`. RSA 2048,
//! X.509 version 3, a common name and no alternative names.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

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
        self.issue_with(name, Some("basicConstraints = CA:FALSE\n"))
    }

    /// The same with an address among its alternative names, as those sites have it that verify addresses.
    pub fn issue_for_address(&self, address: IpAddr) -> Leaf {
        let extensions = format!("basicConstraints = CA:FALSE\nsubjectAltName = IP:{address}\n");
        self.issue_with(&address.to_string(), Some(&extensions))
    }

    /// The same in X.509 version 1, which is what OpenSSL makes when no extension is asked for.
    pub fn issue_version1(&self, name: &str) -> Leaf {
        self.issue_with(name, None)
    }

    fn issue_with(&self, name: &str, extensions: Option<&str>) -> Leaf {
        static ISSUED: AtomicU32 = AtomicU32::new(0);
        let dir = self.dir.path();
        let file = format!("{name}-{}", ISSUED.fetch_add(1, Ordering::Relaxed));
        openssl(
            dir,
            &format!("req -newkey rsa:2048 -nodes -subj /O=Zuul/CN={name} -keyout {file}.key -out {file}.csr"),
        );
        // Serial numbers by chance: tests that share an authority would race for OpenSSL's file of them.
        let mut sign = format!("x509 -req -days 30 -in {file}.csr -CA ca.pem -CAkey ca.key -out {file}.pem");
        if let Some(extensions) = extensions {
            fs::write(dir.join(format!("{file}.cnf")), extensions).expect("extensions written");
            sign += &format!(" -extfile {file}.cnf");
        }
        openssl(dir, &sign);
        Leaf { cert: dir.join(format!("{file}.pem")), key: dir.join(format!("{file}.key")) }
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
