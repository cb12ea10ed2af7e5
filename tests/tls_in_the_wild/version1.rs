//! Certificates of X.509 version 1, from both sides.

use std::fs;
use std::io;
use std::sync::{Arc, Mutex};

use fingerpost::config::settings::{ClientCertificates, KeyPairFiles, Trust};
use fingerpost::tls::{Client, Server};
use tracing_subscriber::fmt::MakeWriter;

use crate::impostor;
use crate::peers::{Failure, call, meet, visit};
use crate::pki::{Authority, EC, RSA, Shape, client, path, server};

#[tokio::test]
async fn version_1_is_shown_and_believed_in_both_directions() {
    let ca = Authority::new("ca");
    for key in [RSA, EC] {
        let relay = ca.issue("/CN=relay", Shape::Version1, key, &[]);
        let text = ca.openssl(&["x509", "-in", path(&relay.cert), "-noout", "-text"], "");
        assert!(text.contains("Version: 1 (0x0)"), "{text}");
        let lenient = Client::load(&client(ca.trust_version1(), Some(&relay))).unwrap();
        let settings = server(&relay, ClientCertificates::Required(ca.trust_version1()));
        let server = Server::load(&settings).unwrap();
        for version in ["-tls1_2", "-tls1_3"] {
            let options = [version, "-Verify", "2", "-verify_return_error", "-CAfile", path(&ca.ca)];
            assert_eq!(call(&lenient, "relay", &relay, &options).await.unwrap(), "request", "{version}");
            let shown = [version, "-cert", path(&relay.cert), "-key", path(&relay.key), "-CAfile", path(&ca.ca)];
            let visit = visit(&server, &[&shown[..], &["-verify_return_error"]].concat()).await;
            assert_eq!(visit.accepted.unwrap().identity.unwrap().subject, "CN=relay");
            assert!(visit.output.contains("reply"), "{}", visit.output);
        }
        let (ours, theirs) = meet(&lenient, "relay", &server).await;
        assert_eq!(theirs.unwrap().identity.unwrap().names, [""; 0]);
        ours.unwrap();
    }
}

#[tokio::test]
async fn version_1_loosens_nothing_else() {
    let (ca, other, namesake) = (Authority::new("ca"), Authority::new("other"), Authority::new("ca"));
    let intermediate = Authority::of(&ca.leaf("intermediate", Shape::Authority));
    let constrained = Authority::of(&ca.leaf("constrained", Shape::Constrained));
    for (leaf, fault) in [
        (ca.leaf("other.example.org", Shape::Version1), "certificate_wrong_name"),
        (other.leaf("relay", Shape::Version1), "certificate_unknown_issuer"),
        (namesake.leaf("relay", Shape::Version1), "certificate_bad_signature"),
        (chained(intermediate.leaf("relay", Shape::Version1), &intermediate), "certificate_unknown_issuer"),
        (ca.expired("relay", Shape::Version1), "certificate_expired"),
        (ca.issue("/CN=relay", Shape::Version1, &["-newkey", "rsa:1024"], &[]), "certificate_unfit"),
        (ca.issue("/CN=relay", Shape::Version1, EC, &["-md", "sha1"]), "certificate_bad_signature"),
        (ca.issue("/CN=relay", Shape::Version1, EC, &["-startdate", "20990101000000Z"]), "certificate_expired"),
    ] {
        let error = refusal(ca.trust_version1(), &leaf).await;
        assert_eq!(error.label(), fault, "{error}");
    }
    let error = refusal(constrained.trust_version1(), &constrained.leaf("relay", Shape::Version1)).await;
    assert_eq!(error.label(), "certificate_unknown_issuer", "{error}");
}

#[tokio::test]
async fn a_version_1_certificate_is_nothing_without_its_key() {
    let ca = Authority::new("ca");
    let lenient = Client::load(&client(ca.trust_version1(), None)).unwrap();
    let settings = server(&ca.leaf("relay", Shape::Zuul), ClientCertificates::Required(ca.trust_version1()));
    let server = Server::load(&settings).unwrap();
    for key in [RSA, EC] {
        let [stolen, own] = ["stolen", "own"].map(|name| ca.issue(&format!("/CN={name}"), Shape::Version1, key, &[]));
        let mixed = KeyPairFiles { cert: stolen.cert, key: own.key };
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let error = impostor::serves(&mixed, version, &lenient).await;
            assert_eq!(error.label(), "certificate_bad_signature", "{error}");
            let error = impostor::views(&mixed, version, &server).await;
            assert_eq!(error.label(), "certificate_bad_signature", "{error}");
        }
    }
}

#[tokio::test]
async fn a_revoked_version_1_certificate_is_refused() {
    let ca = Authority::new("ca");
    let (good, revoked) = (ca.leaf("relay", Shape::Version1), ca.leaf("relay", Shape::Version1));
    ca.revoke(&revoked);
    let trust = Trust { crl: Some(ca.crl()), ..ca.trust_version1() };
    let lenient = Client::load(&client(trust.clone(), None)).unwrap();
    assert_eq!(call(&lenient, "relay", &good, &[]).await.unwrap(), "request");
    assert_eq!(refusal(trust, &revoked).await.label(), "certificate_revoked");
}

#[tokio::test]
async fn the_log_names_each_version_1_certificate_once() {
    let ca = Authority::new("ca");
    let log = Log::default();
    // For the whole process: what a scoped one sees depends on which test comes by the log line first.
    tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).init();
    let lenient = Client::load(&client(ca.trust_version1(), None)).unwrap();
    let names = ["logged-once.example.org", "logged-too.example.org"];
    let leaves = names.map(|name| (name, ca.leaf(name, Shape::Version1)));
    for (name, leaf) in leaves.iter().chain(&leaves) {
        call(&lenient, name, leaf, &[]).await.unwrap();
    }
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for name in names {
        let lines = text.lines().filter(|line| line.contains("WARN") && line.contains(name)).count();
        assert_eq!(lines, 1, "{name}: {text}");
    }
}

#[tokio::test]
async fn a_root_may_be_of_version_1() {
    let ca = Authority::new("ca");
    let root = Authority::of(&self_signed(&ca));
    let trusting = Client::load(&client(root.trust_version1(), None)).unwrap();
    for shape in [Shape::Zuul, Shape::Version1] {
        assert_eq!(call(&trusting, "relay", &root.leaf("relay", shape), &[]).await.unwrap(), "request");
    }
}

/// A root of version 1, as `openssl x509 -req -signkey` makes it.
fn self_signed(ca: &Authority) -> KeyPairFiles {
    let pair = ca.leaf("root", Shape::Zuul);
    let request = pair.key.with_extension("csr");
    let sign = ["x509", "-req", "-days", "30", "-in", path(&request), "-signkey", path(&pair.key)];
    ca.openssl(&[&sign[..], &["-out", path(&pair.cert)]].concat(), "");
    let text = ca.openssl(&["x509", "-in", path(&pair.cert), "-noout", "-text"], "");
    assert!(text.contains("Version: 1 (0x0)"), "{text}");
    pair
}

/// `leaf` with its CA's certificate behind it.
fn chained(leaf: KeyPairFiles, ca: &Authority) -> KeyPairFiles {
    let chain = [fs::read(&leaf.cert).unwrap(), fs::read(&ca.ca).unwrap()].concat();
    fs::write(&leaf.cert, chain).unwrap();
    leaf
}

async fn refusal(trust: Trust, leaf: &KeyPairFiles) -> fingerpost::tls::HandshakeError {
    let lenient = Client::load(&client(trust, None)).unwrap();
    let options = ["-cert_chain", path(&leaf.cert), "-cipher", "DEFAULT@SECLEVEL=0"];
    match call(&lenient, "relay", leaf, &options).await {
        Err(Failure::Handshake(error)) => error,
        other => panic!("it is not to be believed: {other:?}"),
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
