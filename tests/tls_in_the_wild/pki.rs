//! Certificates as sites have them: made by the `openssl` program, in the shapes that Zuul's tools leave behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use fingerpost::config::settings::{ClientCertificates, ClientTls, KeyPairFiles, ServerTls, TlsVersion, Trust};
use tempfile::TempDir;

/// How a leaf is made.
#[derive(Clone, Copy)]
pub(crate) enum Shape<'a> {
    /// X.509 version 3 with a common name only, as Zuul's `tools/zk-ca.sh` makes them.
    Zuul,
    /// X.509 version 1: no extensions at all.
    Version1,
    /// Version 3 with these alternative names, in OpenSSL's notation.
    Named(&'a str),
    /// Version 3 with this extended key usage.
    For(&'a str),
    /// Version 3, a CA itself.
    Authority,
    /// Version 3, a CA for names below example.org only.
    Constrained,
}

/// The key that a certificate is made with, as `openssl req` takes it.
pub(crate) const RSA: &[&str] = &["-newkey", "rsa:2048"];
/// A key that is made in no time.
pub(crate) const EC: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A certificate authority in a directory of its own.
pub(crate) struct Authority {
    dir: TempDir,
    /// Its own certificate.
    pub(crate) ca: PathBuf,
}

impl Authority {
    /// A new authority whose subject is `/CN=name`.
    pub(crate) fn new(name: &str) -> Self {
        let authority = Self::without_certificate();
        let subject = format!("/CN={name}");
        let mut args = vec!["req", "-new", "-x509", "-nodes", "-days", "90", "-extensions", "authority"];
        args.extend(["-subj", &subject, "-keyout", "ca.key", "-out", "ca.pem"]);
        args.extend(EC);
        authority.openssl(&args, "");
        authority
    }

    /// A new authority that signs with the key and certificate of `pair`.
    pub(crate) fn of(pair: &KeyPairFiles) -> Self {
        let authority = Self::without_certificate();
        fs::copy(&pair.cert, &authority.ca).unwrap();
        fs::copy(&pair.key, authority.dir.path().join("ca.key")).unwrap();
        authority
    }

    fn without_certificate() -> Self {
        let dir = TempDir::new().unwrap();
        for (file, content) in [("index.txt", ""), ("serial", "8F01\n"), ("crlnumber", "01\n"), ("ca.cnf", CONFIG)] {
            fs::write(dir.path().join(file), content).unwrap();
        }
        let ca = dir.path().join("ca.pem");
        Self { dir, ca }
    }

    /// A leaf for `/CN=name`, valid now, with a key that is made in no time.
    pub(crate) fn leaf(&self, name: &str, shape: Shape<'_>) -> KeyPairFiles {
        self.issue(&format!("/CN={name}"), shape, EC, &[])
    }

    /// A leaf that expired in February 2020.
    pub(crate) fn expired(&self, name: &str, shape: Shape<'_>) -> KeyPairFiles {
        let dates = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
        self.issue(&format!("/CN={name}"), shape, EC, &dates)
    }

    /// A leaf for `subject`, with more options for `openssl ca`.
    pub(crate) fn issue(&self, subject: &str, shape: Shape<'_>, key: &[&str], options: &[&str]) -> KeyPairFiles {
        let number = fs::read_dir(self.dir.path()).unwrap().count();
        let [cert, key_file, request] = ["pem", "key", "csr"].map(|kind| format!("leaf{number}.{kind}"));
        let mut args = vec!["req", "-new", "-nodes", "-subj", subject, "-keyout", &key_file, "-out", &request];
        args.extend(key);
        self.openssl(&args, "");
        let (section, value) = match shape {
            Shape::Version1 => (None, ""),
            Shape::Zuul => (Some("plain"), ""),
            Shape::Named(names) => (Some("named"), names),
            Shape::For(usage) => (Some("used"), usage),
            Shape::Authority => (Some("authority"), ""),
            Shape::Constrained => (Some("constrained"), ""),
        };
        let mut args = vec!["ca", "-batch", "-preserveDN", "-in", &request, "-out", &cert];
        args.extend(section.iter().flat_map(|section| ["-extensions", section]));
        args.extend(options);
        self.openssl(&args, value);
        KeyPairFiles { cert: self.dir.path().join(cert), key: self.dir.path().join(key_file) }
    }

    /// A certificate with these extensions, of version 1 without any; signed by itself if `own`.
    pub(crate) fn extended(&self, name: &str, extensions: &str, own: bool) -> KeyPairFiles {
        let pair = self.leaf(name, Shape::Version1);
        let request = pair.key.with_extension("csr");
        let sign = ["x509", "-req", "-days", "60", "-in", path(&request), "-out", path(&pair.cert)];
        let signer: &[&str] = match own {
            true => &["-signkey", path(&pair.key)],
            false => &["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
        };
        let file = self.write("extensions", extensions);
        let with: &[&str] = if extensions.is_empty() { &[] } else { &["-extfile", path(&file)] };
        self.openssl(&[&sign, signer, with].concat(), "");
        pair
    }

    /// What `openssl verify` says of `leaf` when this authority alone is trusted, root or not.
    pub(crate) fn verdict(&self, leaf: &KeyPairFiles) -> String {
        let options = ["verify", "-partial_chain", "-CAfile", "ca.pem", path(&leaf.cert)];
        let output = Command::new("openssl").args(options).current_dir(self.dir.path()).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    /// Revokes the certificate of `pair`.
    pub(crate) fn revoke(&self, pair: &KeyPairFiles) {
        self.openssl(&["ca", "-revoke", path(&pair.cert)], "");
    }

    /// The list of what was revoked until now.
    pub(crate) fn crl(&self) -> PathBuf {
        self.crl_with(&[])
    }

    /// A list, with more options for `openssl ca`.
    pub(crate) fn crl_with(&self, options: &[&str]) -> PathBuf {
        self.openssl(&[&["ca", "-gencrl", "-out", "crl.pem"], options].concat(), "");
        self.file("crl.pem")
    }

    /// The path of `name` in the authority's directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes `content` to a file of that name.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.file(name), content).unwrap();
        self.file(name)
    }

    /// Trust in this authority alone.
    pub(crate) fn trust(&self) -> Trust {
        Trust { ca: self.ca.clone(), crl: None, version1_certificates: false }
    }

    /// Trust in this authority alone, its leaves of version 1 included.
    pub(crate) fn trust_version1(&self) -> Trust {
        Trust { version1_certificates: true, ..self.trust() }
    }

    /// Runs `openssl` in the authority's directory; `value` is what an extension says.
    pub(crate) fn openssl(&self, args: &[&str], value: &str) -> String {
        let (command, options) = args.split_first().unwrap();
        let config: &[&str] = if ["req", "ca"].contains(command) { &["-config", "ca.cnf"] } else { &[] };
        let output = Command::new("openssl")
            .arg(command)
            .args(config)
            .args(options)
            .current_dir(self.dir.path())
            .env("VALUE", value)
            .output()
            .unwrap();
        assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A client that shows `identity` and checks names.
pub(crate) fn client(trust: Trust, identity: Option<&KeyPairFiles>) -> ClientTls {
    ClientTls { identity: identity.cloned(), trust, verify_hostnames: true }
}

/// A server with one certificate.
pub(crate) fn server(certificate: &KeyPairFiles, client_certificates: ClientCertificates) -> ServerTls {
    ServerTls {
        certificates: vec![certificate.clone()],
        require_known_server_name: false,
        client_certificates,
        min_version: TlsVersion::V1_2,
    }
}

/// `file` as an argument.
pub(crate) fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// `openssl ca` writes version 1 unless extensions are asked for.
const CONFIG: &str = "
VALUE = none
[ca]
default_ca = this
[this]
database = index.txt
new_certs_dir = .
serial = serial
crlnumber = crlnumber
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 60
default_crl_days = 60
policy = anything
unique_subject = no
[anything]
commonName = supplied
[req]
distinguished_name = nothing
[nothing]
[authority]
basicConstraints = critical,CA:true
[constrained]
basicConstraints = critical,CA:true
nameConstraints = critical,permitted;DNS:example.org
[plain]
basicConstraints = CA:FALSE
nsComment = OpenSSL Generated Certificate
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
[named]
basicConstraints = CA:FALSE
subjectAltName = $ENV::VALUE
[used]
basicConstraints = CA:FALSE
extendedKeyUsage = $ENV::VALUE
";
