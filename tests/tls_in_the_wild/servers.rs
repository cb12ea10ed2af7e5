//! What the client makes of servers that are `openssl s_server`.

use fingerpost::config::settings::{ClientTls, KeyPairFiles};
use fingerpost::tls::{Client, HandshakeError};

use crate::peers::{Failure, call};
use crate::pki::{Authority, EC, RSA, Shape, client, path};

#[tokio::test]
async fn a_common_name_counts_only_without_alternative_names() {
    let ca = Authority::new("ca");
    let trusting = Client::load(&client(ca.trust(), None)).unwrap();
    for (common, shape, host, fits) in [
        ("relay.example.org", Shape::Zuul, "relay.example.org", true),
        ("relay.example.org", Shape::Zuul, "other.example.org", false),
        ("*.example.org", Shape::Zuul, "relay.example.org", true),
        ("zuul_executor_1", Shape::Zuul, "zuul_executor_1", true),
        ("relay.example.org", Shape::Zuul, "relay.example.org.", true),
        ("x", Shape::Named("DNS:san.example.org"), "san.example.org.", true),
        ("127.0.0.1", Shape::Zuul, "127.0.0.1", true),
        ("127.0.0.1", Shape::Zuul, "127.0.0.2", false),
        ("relay.example.org", Shape::Named("DNS:san.example.org"), "san.example.org", true),
        ("relay.example.org", Shape::Named("DNS:san.example.org"), "relay.example.org", false),
        ("relay.example.org", Shape::Named("IP:127.0.0.1"), "127.0.0.1", true),
        ("relay.example.org", Shape::Named("IP:127.0.0.1"), "relay.example.org", false),
        ("127.0.0.1", Shape::Named("DNS:san.example.org"), "127.0.0.1", false),
        ("relay.example.org", Shape::Named("URI:x:y"), "relay.example.org", true),
    ] {
        match call(&trusting, host, &ca.leaf(common, shape), &[]).await {
            Ok(answer) => assert!(fits && answer == "request", "{common} {host} {answer}"),
            Err(error) => assert!(!fits && label(&error) == "certificate_wrong_name", "{common} {host} {error:?}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_name_is_told_with_the_right_ones() {
    let ca = Authority::new("ca");
    let trusting = Client::load(&client(ca.trust(), None)).unwrap();
    let certificate = ca.leaf("x", Shape::Named("DNS:a.example.org,IP:10.0.0.1"));
    let Err(Failure::Handshake(error)) = call(&trusting, "b.example.org", &certificate, &[]).await else {
        panic!("the name is wrong");
    };
    let text = "the peer's certificate is valid for a.example.org, 10.0.0.1, not for b.example.org";
    assert_eq!(error.to_string(), text);
}

#[tokio::test]
async fn without_host_names_the_chain_is_checked_alone() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let nameless = ClientTls { verify_hostnames: false, ..client(ca.trust(), None) };
    let nameless = Client::load(&nameless).unwrap();
    let answer = call(&nameless, "any.example.org", &ca.leaf("x", Shape::Zuul), &[]).await;
    assert_eq!(answer.unwrap(), "request");
    for (certificate, fault) in [
        (other.leaf("x", Shape::Zuul), "certificate_unknown_issuer"),
        (Authority::new("ca").leaf("x", Shape::Zuul), "certificate_bad_signature"),
        (ca.expired("x", Shape::Zuul), "certificate_expired"),
        (ca.leaf("x", Shape::For("clientAuth")), "certificate_unfit"),
        (ca.leaf("x", Shape::Version1), "certificate_version1"),
    ] {
        let error = call(&nameless, "any.example.org", &certificate, &[]).await.unwrap_err();
        assert_eq!(label(&error), fault, "{error:?}");
    }
}

#[tokio::test]
async fn an_expired_certificate_is_told_with_its_date() {
    let ca = Authority::new("ca");
    let trusting = Client::load(&client(ca.trust(), None)).unwrap();
    let Err(Failure::Handshake(error)) = call(&trusting, "x", &ca.expired("x", Shape::Zuul), &[]).await else {
        panic!("the certificate expired");
    };
    assert_eq!(error.to_string(), "the peer's certificate expired on 2020-02-01T00:00:00Z");
}

#[tokio::test]
async fn keys_of_every_kind_are_shown_and_believed() {
    let ca = Authority::new("ca");
    for (key, label) in [(RSA, "RSA"), (EC, "EC")] {
        let pair = ca.issue("/CN=relay", Shape::Zuul, key, &[]);
        let traditional = pair.key.with_extension(label);
        let convert = ["pkey", "-traditional", "-in", path(&pair.key), "-out", path(&traditional)];
        ca.openssl(&convert, "");
        let text = std::fs::read_to_string(&traditional).unwrap();
        assert!(text.starts_with(&format!("-----BEGIN {label} PRIVATE KEY-----")), "{text}");
        for (file, version) in [(&pair.key, "-tls1_2"), (&pair.key, "-tls1_3"), (&traditional, "-tls1_3")] {
            let shown = KeyPairFiles { key: file.clone(), ..pair.clone() };
            let showing = Client::load(&client(ca.trust(), Some(&shown))).unwrap();
            let options = [version, "-Verify", "2", "-verify_return_error", "-CAfile", path(&ca.ca)];
            assert_eq!(call(&showing, "relay", &pair, &options).await.unwrap(), "request", "{label} {version}");
        }
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_quoted() {
    let ca = Authority::new("ca");
    let anonymous = Client::load(&client(ca.trust(), None)).unwrap();
    let options = ["-tls1_3", "-Verify", "2", "-CAfile", path(&ca.ca)];
    let error = call(&anonymous, "relay", &ca.leaf("relay", Shape::Zuul), &options).await.unwrap_err();
    let Failure::Stream(error) = error else {
        panic!("in TLS 1.3 the refusal comes after the handshake: {error:?}");
    };
    let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<HandshakeError>()).unwrap();
    assert_eq!(cause.to_string(), "the peer refused: certificate_required; it wants a client certificate");
    assert_eq!(cause.label(), "refused_by_peer");
}

#[tokio::test]
async fn the_server_name_is_sent_for_dns_names_only() {
    let ca = Authority::new("ca");
    let nameless = ClientTls { verify_hostnames: false, ..client(ca.trust(), None) };
    let nameless = Client::load(&nameless).unwrap();
    let certificate = ca.leaf("x", Shape::Zuul);
    // s_server refuses the wrong name, and cannot refuse what is not sent.
    let strict = ["-servername", "right.example.org", "-servername_fatal", "-cert2"];
    let strict = [&strict[..], &[path(&certificate.cert), "-key2", path(&certificate.key)]].concat();
    for (host, fits) in [("right.example.org", true), ("wrong.example.org", false), ("127.0.0.1", true)] {
        match call(&nameless, host, &certificate, &strict).await {
            Ok(_) => assert!(fits, "{host}"),
            Err(error) => assert!(!fits && label(&error) == "refused_by_peer", "{host}: {error:?}"),
        }
    }
}

fn label(failure: &Failure) -> &'static str {
    match failure {
        Failure::Handshake(error) => error.label(),
        Failure::Stream(error) => panic!("not the handshake: {error}"),
    }
}
