//! What is said of files that cannot be used, and of those that should be changed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fingerpost::config::settings::{ClientCertificates, ClientTls, KeyPairFiles, ServerTls, Trust};
use fingerpost::tls::{Client, LoadError, Server};

use crate::peers::meet;
use crate::pki::{Authority, EC, Shape, client, path, server};

#[test]
fn every_problem_of_a_server_is_told_at_once() {
    let ca = Authority::new("ca");
    let (good, other) = (ca.leaf("good", Shape::Zuul), ca.leaf("other", Shape::Zuul));
    let missing = KeyPairFiles { cert: ca.file("missing.pem"), key: ca.file("missing.key") };
    let mixed = KeyPairFiles { cert: good.cert.clone(), key: other.key };
    let swapped = KeyPairFiles { cert: good.key.clone(), key: good.cert.clone() };
    let expired = ca.expired("expired", Shape::Zuul);
    let trust = Trust { crl: Some(good.cert.clone()), ..ca.trust() };
    let settings = ServerTls {
        certificates: vec![missing.clone(), mixed.clone(), swapped.clone(), expired.clone()],
        ..server(&good, ClientCertificates::Required(trust))
    };
    let problems = Server::load(&settings).unwrap_err();
    let expected = [
        (missing.cert, "cannot be read: No such file or directory (os error 2); check its path and who may read it"),
        (missing.key, "cannot be read: No such file or directory (os error 2); check its path and who may read it"),
        (mixed.key, &format!("this key does not belong to the certificate in {}; name its own", path(&good.cert))),
        (swapped.cert, "holds no certificate in PEM; convert it, or name another file"),
        (swapped.key, "holds no key in PEM (PKCS#8, PKCS#1 or SEC1); convert it with `openssl pkey`"),
        (expired.cert, "the certificate CN=expired expired on 2020-02-01T00:00:00Z; replace it"),
        (good.cert, "holds no revocation list in PEM; convert it, or name another file"),
    ];
    assert_eq!(problems, expected.map(|(file, reason)| LoadError { file, reason: reason.to_owned() }));
}

#[test]
fn a_certificate_from_the_future_is_refused() {
    let ca = Authority::new("ca");
    let dates = ["-startdate", "20990101000000Z", "-enddate", "21000101000000Z"];
    let early = ca.issue("/CN=early", Shape::Zuul, EC, &dates);
    let reason = "the certificate CN=early is valid only from 2099-01-01T00:00:00Z on; check the clock";
    assert_eq!(reasons(&client(ca.trust(), Some(&early))), [reason]);
}

#[test]
fn broken_files_are_told_from_empty_ones() {
    let ca = Authority::new("ca");
    let good = ca.leaf("good", Shape::Zuul);
    let text = std::fs::read_to_string(&good.cert).unwrap();
    let half = ca.write("half.pem", text.strip_suffix("-----END CERTIFICATE-----\n").unwrap());
    let noise = ca.write("noise.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let empty = ca.write("empty.pem", "");
    for (cert, reason) in [
        (half, "is broken PEM: missing section end marker"),
        (noise, "its first certificate cannot be parsed: "),
        (empty, "holds no certificate in PEM"),
    ] {
        let [told] = &reasons(&client(ca.trust(), Some(&KeyPairFiles { cert, ..good.clone() })))[..] else {
            panic!("one problem: {reason}");
        };
        assert!(told.starts_with(reason), "{told}");
    }
}

#[test]
fn an_encrypted_key_is_called_so() {
    let ca = Authority::new("ca");
    let good = ca.leaf("good", Shape::Zuul);
    let key = ca.file("encrypted.key");
    ca.openssl(&["pkey", "-aes128", "-passout", "pass:secret", "-in", path(&good.key), "-out", path(&key)], "");
    let reason = "its key is encrypted; write it out with `openssl pkey`, and guard the file by its permissions";
    assert_eq!(reasons(&client(ca.trust(), Some(&KeyPairFiles { key, ..good }))), [reason]);
}

#[test]
fn a_bundle_outlives_some_of_its_cas_but_not_all() {
    let ca = Authority::new("ca");
    let expired = ca.expired("expired", Shape::Authority);
    let leaf = ca.leaf("leaf", Shape::Zuul);
    let read = |file: &Path| std::fs::read_to_string(file).unwrap();
    let some = ca.write("some.pem", [read(&expired.cert), read(&leaf.cert), read(&ca.ca)].concat());
    let loaded = Client::load(&client(Trust { ca: some, ..ca.trust() }, None)).unwrap();
    let warnings: Vec<&str> = loaded.warnings().iter().map(|warning| warning.reason.as_str()).collect();
    let dead = "the CA CN=expired expired on 2020-02-01T00:00:00Z and is not used; replace it";
    let none = "CN=leaf says of itself that it is no CA, and is not used; take it out";
    assert_eq!(warnings, [dead, none]);
    let all = ca.write("all.pem", [read(&expired.cert), read(&leaf.cert)].concat());
    let reason = "holds no CA that can be used; name the file of the CA that signed the peers";
    assert_eq!(reasons(&client(Trust { ca: all, ..ca.trust() }, None)), [dead, none, reason]);
}

#[test]
fn a_ca_is_what_openssl_takes_for_one() {
    let ca = Authority::new("ca");
    for (extensions, own, said) in [
        ("basicConstraints=CA:TRUE", false, None),
        ("basicConstraints=CA:TRUE\nkeyUsage=keyCertSign,cRLSign", false, None),
        ("keyUsage=keyCertSign", false, None),
        ("", true, None),
        ("", false, Some("is of X.509 version 1 and no root")),
        ("subjectKeyIdentifier=hash", true, Some("does not say that it is a CA")),
        ("subjectAltName=DNS:sub", false, Some("does not say that it is a CA")),
        ("keyUsage=digitalSignature", false, Some("may sign no certificates by its key usage")),
        (
            "basicConstraints=CA:TRUE\nkeyUsage=digitalSignature",
            true,
            Some("may sign no certificates by its key usage"),
        ),
        ("basicConstraints=CA:FALSE\nkeyUsage=keyCertSign", true, Some("says of itself that it is no CA")),
    ] {
        let sub = Authority::of(&ca.extended("sub", extensions, own));
        let leaf = sub.leaf("leaf", Shape::Zuul);
        let verdict = sub.verdict(&leaf);
        assert_eq!(verdict.contains("invalid CA certificate"), said.is_some(), "{extensions}: {verdict}");
        assert_eq!(verdict.ends_with(": OK\n"), said.is_none(), "{extensions}: {verdict}");
        match (Client::load(&client(sub.trust(), None)), said) {
            (Ok(loaded), None) => assert_eq!(loaded.warnings(), []),
            (Err(problems), Some(said)) => {
                assert_eq!(problems[0].reason, format!("CN=sub {said}, and is not used; take it out"));
                assert!(problems[1].reason.starts_with("holds no CA that can be used"), "{}", problems[1]);
                assert_eq!(problems.len(), 2);
            }
            (loaded, _) => panic!("{extensions}: {loaded:?}"),
        }
    }
}

#[test]
fn revocation_lists_are_checked_when_they_are_loaded() {
    let (ca, namesake, other) = (Authority::new("ca"), Authority::new("ca"), Authority::new("other"));
    let expired = ca.crl_with(&["-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z"]);
    let noise = ca.write("noise.pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
    for (crl, reason) in [
        (expired, "the list of CN=ca expired on 2020-02-01T00:00:00Z; fetch the new one"),
        (namesake.crl(), "the list of CN=ca is not signed by that CA; fetch it again"),
        (noise, "holds a revocation list that is malformed or of a kind that cannot be used"),
    ] {
        assert_eq!(reasons(&client(Trust { crl: Some(crl), ..ca.trust() }, None)), [reason]);
    }
    let foreign = client(Trust { crl: Some(other.crl()), ..ca.trust() }, None);
    let loaded = Client::load(&foreign).unwrap();
    let reason = "the list is of CN=other, which is no CA of the configured file";
    assert!(loaded.warnings().iter().any(|warning| warning.reason == reason), "{:?}", loaded.warnings());
}

#[test]
fn version_1_is_warned_of_where_it_is_used() {
    let ca = Authority::new("ca");
    let old = ca.leaf("old", Shape::Version1);
    let loaded = Client::load(&client(ca.trust_version1(), Some(&old))).unwrap();
    let shown = "the certificate CN=old is of X.509 version 1, which many refuse; make it anew";
    let believed = "its CAs may sign certificates of X.509 version 1; make those anew, and forbid it";
    for (file, reason) in [(&old.cert, shown), (&ca.ca, believed)] {
        let told = loaded.warnings().iter().any(|warning| warning.file == *file && warning.reason == reason);
        assert!(told, "{reason}: {:?}", loaded.warnings());
    }
}

#[test]
fn what_expires_soon_is_warned_of_and_all_is_dated() {
    let ca = Authority::new("ca");
    let soon = ca.issue("/CN=soon", Shape::Zuul, EC, &["-days", "29"]);
    let later = ca.issue("/CN=later", Shape::Zuul, EC, &["-days", "31"]);
    let settings =
        ServerTls { certificates: vec![soon.clone(), later.clone()], ..server(&later, ClientCertificates::None) };
    let loaded = Server::load(&settings).unwrap();
    let [warning] = loaded.warnings() else {
        panic!("one certificate expires soon: {:?}", loaded.warnings());
    };
    assert_eq!(warning.file, soon.cert);
    assert!(warning.reason.starts_with("the certificate CN=soon expires on "), "{warning}");
    let day = Duration::from_secs(24 * 60 * 60);
    let [(first, at), (second, then)] = loaded.expiries() else {
        panic!("two files: {:?}", loaded.expiries());
    };
    assert_eq!((first, second), (&soon.cert, &later.cert));
    assert_eq!(then.duration_since(*at).unwrap().as_secs() / day.as_secs(), 2);
    let left = at.duration_since(SystemTime::now()).unwrap();
    assert!(left > day * 28 && left <= day * 29, "{left:?}");
}

#[tokio::test]
async fn files_may_be_made_in_memory() {
    let mut params = rcgen::CertificateParams::new(vec!["relay.example.org".to_owned()]).unwrap();
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature, rcgen::KeyUsagePurpose::KeyCertSign];
    let key = rcgen::KeyPair::generate().unwrap();
    let files = HashMap::from([
        (PathBuf::from("cert"), params.self_signed(&key).unwrap().pem().into_bytes()),
        (PathBuf::from("key"), key.serialize_pem().into_bytes()),
    ]);
    let read = |file: &Path| files.get(file).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound));
    let pair = KeyPairFiles { cert: PathBuf::from("cert"), key: PathBuf::from("key") };
    let trust = Trust { ca: PathBuf::from("cert"), crl: None, version1_certificates: false };
    let server = Server::load_from(&server(&pair, ClientCertificates::Required(trust.clone())), &read).unwrap();
    let client = Client::load_from(&client(trust, Some(&pair)), &read).unwrap();
    let (ours, theirs) = meet(&client, "relay.example.org", &server).await;
    assert_eq!(theirs.unwrap().identity.unwrap().names, ["relay.example.org"]);
    ours.unwrap();
}

fn reasons(settings: &ClientTls) -> Vec<String> {
    Client::load(settings).unwrap_err().into_iter().map(|problem| problem.reason).collect()
}
