//! What viewers get that are `openssl s_client`.

use fingerpost::config::settings::{ClientCertificates, ServerTls, TlsVersion};
use fingerpost::tls::Server;
use fingerpost::transport::Records;

use crate::peers::visit;
use crate::pki::{Authority, EC, RSA, Shape, path, server};

#[tokio::test]
async fn no_session_ticket_is_ever_sent() {
    let ca = Authority::new("ca");
    let server = Server::load(&server(&ca.leaf("relay", Shape::Zuul), ClientCertificates::None)).unwrap();
    for version in ["-tls1_2", "-tls1_3"] {
        for protocol in [&[version][..], &[version, "-alpn", "fingerpost/1"]] {
            let visit = visit(&server, protocol).await;
            assert!(visit.output.contains("Finished"), "{}", visit.output);
            assert!(visit.output.contains("reply"), "{}", visit.output);
            assert!(!visit.output.contains("NewSessionTicket"), "{}", visit.output);
        }
    }
}

#[tokio::test]
async fn a_viewer_gets_the_certificate_that_it_can_verify() {
    let ca = Authority::new("ca");
    let certificates = [EC, RSA].map(|key| ca.issue("/CN=relay", Shape::Zuul, key, &[])).to_vec();
    let both = server(&certificates[0], ClientCertificates::None);
    let both = Server::load(&ServerTls { certificates, ..both }).unwrap();
    for (scheme, kind) in [("rsa_pss_rsae_sha256", "RSA-PSS"), ("ecdsa_secp256r1_sha256", "ECDSA")] {
        let visit = visit(&both, &["-servername", "relay", "-sigalgs", scheme]).await;
        assert!(visit.output.contains(&format!("Peer signature type: {kind}\n")), "{}", visit.output);
    }
}

#[tokio::test]
async fn the_lowest_version_is_the_operators_choice() {
    let ca = Authority::new("ca");
    let settings = server(&ca.leaf("relay", Shape::Zuul), ClientCertificates::None);
    let modern = Server::load(&ServerTls { min_version: TlsVersion::V1_3, ..settings }).unwrap();
    assert!(visit(&modern, &["-tls1_3"]).await.output.contains("reply"));
    let refused = visit(&modern, &["-tls1_2"]).await;
    assert_eq!(refused.accepted.unwrap_err().label(), "protocol");
    assert!(refused.output.contains("alert protocol version"), "{}", refused.output);
}

#[tokio::test]
async fn only_relays_get_full_records() {
    let ca = Authority::new("ca");
    let server = Server::load(&server(&ca.leaf("relay", Shape::Zuul), ClientCertificates::None)).unwrap();
    for (options, records) in [
        (&[][..], Records::ShortTail),
        (&["-alpn", "http/1.1"], Records::ShortTail),
        (&["-alpn", "http/1.1,fingerpost/1"], Records::Full),
    ] {
        let visit = visit(&server, options).await;
        assert_eq!(visit.accepted.unwrap().stream.records(), records, "{options:?}: {}", visit.output);
    }
}

#[tokio::test]
async fn viewers_are_known_by_their_certificate() {
    let ca = Authority::new("ca");
    let relay = ca.leaf("relay", Shape::Zuul);
    let subject = "/C=DE/O=Ex\\, \"am\" \\+ ple; <x>/OU= #ü /CN=viewer";
    let viewer = ca.issue(subject, Shape::Named("DNS:a.example.org,IP:::1,URI:x:y"), RSA, &["-utf8"]);
    let server = Server::load(&server(&relay, ClientCertificates::Required(ca.trust()))).unwrap();
    let visit = visit(&server, &["-cert", path(&viewer.cert), "-key", path(&viewer.key)]).await;
    let identity = visit.accepted.unwrap().identity.unwrap();
    let format = "RFC2253,utf8,-esc_msb";
    let openssl = ca.openssl(&["x509", "-in", path(&viewer.cert), "-noout", "-subject", "-nameopt", format], "");
    assert_eq!(format!("subject={}", identity.subject), openssl.trim_end_matches('\n'));
    assert_eq!(identity.names, ["a.example.org", "::1"]);
    let openssl = ca.openssl(&["x509", "-in", path(&viewer.cert), "-noout", "-fingerprint", "-sha256"], "");
    assert!(openssl.to_lowercase().replace(':', "").contains(&identity.fingerprint), "{openssl}");
}

#[tokio::test]
async fn viewers_with_the_wrong_certificate_are_told_why() {
    let (ca, other, namesake) = (Authority::new("ca"), Authority::new("other"), Authority::new("ca"));
    let relay = ca.leaf("relay", Shape::Zuul);
    let required = Server::load(&server(&relay, ClientCertificates::Required(ca.trust()))).unwrap();
    for (viewer, label, alert) in [
        (None, "no_certificate", "alert number 116"),
        (Some(other.leaf("viewer", Shape::Zuul)), "certificate_unknown_issuer", "alert unknown ca"),
        (Some(namesake.leaf("viewer", Shape::Zuul)), "certificate_bad_signature", "alert decrypt error"),
        (Some(ca.expired("viewer", Shape::Zuul)), "certificate_expired", "alert certificate expired"),
        (Some(ca.leaf("viewer", Shape::For("serverAuth"))), "certificate_unfit", "alert unsupported certificate"),
        (Some(ca.leaf("viewer", Shape::Version1)), "certificate_version1", "alert certificate unknown"),
    ] {
        let mut options = vec!["-tls1_3"];
        options.extend(viewer.iter().flat_map(|pair| ["-cert", path(&pair.cert), "-key", path(&pair.key)]));
        let visit = visit(&required, &options).await;
        let error = visit.accepted.unwrap_err();
        assert_eq!(error.label(), label, "{error}");
        assert!(visit.output.contains(alert), "{alert}: {}", visit.output);
    }
}

#[tokio::test]
async fn a_certificate_that_is_optional_is_still_checked() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let relay = ca.leaf("relay", Shape::Zuul);
    let server = Server::load(&server(&relay, ClientCertificates::Optional(ca.trust()))).unwrap();
    assert_eq!(visit(&server, &[]).await.accepted.unwrap().identity, None);
    let known = ca.leaf("viewer", Shape::Zuul);
    let visited = visit(&server, &["-cert", path(&known.cert), "-key", path(&known.key)]).await;
    assert_eq!(visited.accepted.unwrap().identity.unwrap().subject, "CN=viewer");
    let unknown = other.leaf("viewer", Shape::Zuul);
    let visited = visit(&server, &["-cert", path(&unknown.cert), "-key", path(&unknown.key)]).await;
    assert_eq!(visited.accepted.unwrap_err().label(), "certificate_unknown_issuer");
}

#[tokio::test]
async fn the_server_name_chooses_the_certificate() {
    let ca = Authority::new("ca");
    let settings = ServerTls {
        certificates: vec![
            ca.leaf("default.example.org", Shape::Zuul),
            ca.leaf("ignored.example.org", Shape::Named("DNS:named.example.org,DNS:*.wild.example.org")),
        ],
        ..server(&ca.leaf("unused", Shape::Zuul), ClientCertificates::None)
    };
    let relaxed = Server::load(&settings).unwrap();
    let strict = Server::load(&ServerTls { require_known_server_name: true, ..settings }).unwrap();
    for (name, subject, known) in [
        ("default.example.org", "CN = default.example.org", true),
        ("NAMED.example.org", "CN = ignored.example.org", true),
        ("a.wild.example.org", "CN = ignored.example.org", true),
        ("ignored.example.org", "CN = default.example.org", false),
        ("a.b.wild.example.org", "CN = default.example.org", false),
    ] {
        let visited = visit(&relaxed, &["-servername", name]).await;
        assert!(visited.output.contains(&format!("subject={subject}\n")), "{name}: {}", visited.output);
        assert_eq!(visited.accepted.unwrap().server_name, Some(name.to_ascii_lowercase()));
        let visited = visit(&strict, &["-servername", name]).await;
        match visited.accepted {
            Ok(_) => assert!(known, "{name}"),
            Err(error) => {
                assert!(!known, "{name}: {error}");
                assert_eq!(error.label(), "unknown_server_name");
                assert!(visited.output.contains("unrecognized name"), "{}", visited.output);
            }
        }
    }
    assert_eq!(visit(&strict, &["-servername", "127.0.0.1"]).await.accepted.unwrap().server_name, None);
    assert_eq!(visit(&strict, &["-noservername"]).await.accepted.unwrap().server_name, None);
}
