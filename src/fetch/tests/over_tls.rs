//! Servers that speak TLS, or fail to.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::config::settings::{ClientCertificates, ClientTls, KeyPairFiles, ServerTls, TlsVersion, Trust};

/// A CA, and a certificate of it for 127.0.0.1, in files.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Self {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap();
        let site = Self { dir: tempfile::tempdir().unwrap() };
        for (name, pem) in [("ca", ca_cert.pem()), ("cert", leaf.pem()), ("key", key.serialize_pem())] {
            std::fs::write(site.file(name), pem).unwrap();
        }
        site
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn trust(&self) -> Trust {
        Trust { ca: self.file("ca"), crl: None, version1_certificates: false }
    }

    fn pair(&self) -> KeyPairFiles {
        KeyPairFiles { cert: self.file("cert"), key: self.file("key") }
    }

    fn server(&self, client_certificates: ClientCertificates) -> tls::Server {
        let settings = ServerTls {
            certificates: vec![self.pair()],
            require_known_server_name: false,
            client_certificates,
            min_version: TlsVersion::V1_2,
        };
        tls::Server::load(&settings).unwrap()
    }

    fn client(&self, identity: Option<KeyPairFiles>) -> tls::Client {
        tls::Client::load(&ClientTls { identity, trust: self.trust(), verify_hostnames: true }).unwrap()
    }
}

async fn listening_for_tls() -> (TcpListener, String) {
    let (listener, url) = listening().await;
    (listener, url.replace("http:", "https:"))
}

/// Serves one connection; whoever does not come through the handshake is not served.
async fn accept_and_serve(server: tls::Server, listener: &TcpListener) {
    if let Ok(accepted) = server.accept(listener.accept().await.unwrap().0).await {
        serve(Transport::Tls(Box::new(accepted.stream))).await;
    }
}

#[tokio::test]
async fn a_server_of_the_right_ca_answers() {
    let (site, (listener, url)) = (Site::new(), listening_for_tls().await);
    let counted = Counted::new(Some(site.client(None)));
    let server = accept_and_serve(site.server(ClientCertificates::None), &listener);
    let (response, ()) = tokio::join!(counted.fetcher.request(get(&url)), server);
    assert_eq!(response.unwrap().body, "GET / None 0");
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_shown_the_requests_own() {
    let (site, (listener, url)) = (Site::new(), listening_for_tls().await);
    let counted = Counted::new(Some(site.client(None)));
    let request = Request { tls: Some(site.client(Some(site.pair()))), ..get(&url) };
    let server = accept_and_serve(site.server(ClientCertificates::Required(site.trust())), &listener);
    let (response, ()) = tokio::join!(counted.fetcher.request(request), server);
    assert_eq!(response.unwrap().status, 302);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_and_is_shown_none_says_so() {
    let (site, (listener, url)) = (Site::new(), listening_for_tls().await);
    let counted = Counted::new(Some(site.client(None)));
    let server = accept_and_serve(site.server(ClientCertificates::Required(site.trust())), &listener);
    let (said, ()) = tokio::join!(counted.complaint(get(&url), "broken"), server);
    assert!(said.ends_with("the peer refused: certificate_required; it wants a client certificate"), "{said}");
}

#[tokio::test]
async fn a_server_of_another_ca_or_of_another_name_is_not_asked() {
    let (site, other) = (Site::new(), Site::new());
    let (listener, url) = listening_for_tls().await;
    for (trusting, url, reason) in [
        (&other, url.clone(), "the TLS handshake failed: the peer's certificate comes "),
        (
            &site,
            url.replace("127.0.0.1", "localhost"),
            "the peer's certificate is valid for 127.0.0.1, not for localhost",
        ),
    ] {
        let counted = Counted::new(Some(trusting.client(None)));
        let server = accept_and_serve(site.server(ClientCertificates::None), &listener);
        let (said, ()) = tokio::join!(counted.complaint(get(&url), "handshake"), server);
        assert!(said.contains(reason), "{said}");
    }
}

#[tokio::test]
async fn a_plain_server_is_told_as_such() {
    let (site, (listener, url)) = (Site::new(), listening_for_tls().await);
    let counted = Counted::new(Some(site.client(None)));
    let plain = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        peer
    };
    let (said, _peer) = tokio::join!(counted.complaint(get(&url), "handshake"), plain);
    assert!(said.ends_with("but the TLS handshake failed: plain text instead of TLS"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_hangs_is_given_up_at_the_deadline() {
    let (site, (_listener, url)) = (Site::new(), listening_for_tls().await);
    let counted = Counted::new(Some(site.client(None)));
    let said = counted.complaint(get(&url), "timeout").await;
    assert!(said.ends_with("but the TLS handshake was not over within 20s"), "{said}");
}

#[tokio::test]
async fn a_body_over_tls_that_anybody_could_have_cut_short_is_refused() {
    let (site, (listener, url)) = (Site::new(), listening_for_tls().await);
    let counted = Counted::new(Some(site.client(None)));
    let server = site.server(ClientCertificates::None);
    let open_ended = async {
        let mut stream = server.accept(listener.accept().await.unwrap().0).await.unwrap().stream;
        stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nabc").await.unwrap();
        // Gone without close_notify.
    };
    let (said, ()) = tokio::join!(counted.complaint(get(&url), "broken"), open_ended);
    assert!(said.contains("a body of no declared length"), "{said}");
}

#[test]
fn the_systems_cas_are_found_or_the_file_that_is_missing_is_named() {
    match tls::Client::of_the_system() {
        Ok(client) => assert!(!client.expiries().is_empty()),
        Err(problems) => {
            let named = |problem: &tls::LoadError| tls::SYSTEM_CAS.iter().any(|file| problem.file.ends_with(file));
            assert!(!problems.is_empty() && problems.iter().all(named), "{problems:?}");
        }
    }
}
