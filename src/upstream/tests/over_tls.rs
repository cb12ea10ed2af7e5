//! Targets that speak TLS, or fail to.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::config::settings::{ClientCertificates, ClientTls, KeyPairFiles, ServerTls, TlsVersion, Trust};

/// A CA, and a certificate of it for one name, in files.
struct Site {
    dir: TempDir,
}

impl Site {
    fn new() -> Self {
        Self::called("127.0.0.1")
    }

    fn called(name: &str) -> Self {
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_key = KeyPair::generate().unwrap();
        let ca_cert = ca.self_signed(&ca_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
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

    fn server(&self, client_certificates: ClientCertificates) -> tls::Server {
        let certificates = vec![KeyPairFiles { cert: self.file("cert"), key: self.file("key") }];
        let settings = ServerTls {
            certificates,
            require_known_server_name: false,
            client_certificates,
            min_version: TlsVersion::V1_3,
        };
        tls::Server::load(&settings).unwrap()
    }

    /// Dials with this site's CA, and without a certificate of its own.
    fn how(&self) -> How {
        let client = ClientTls { identity: None, trust: self.trust(), verify_hostnames: true };
        How { tls: Some(tls::Client::load(&client).unwrap()), ..how() }
    }
}

/// A listener, and the target that reaches it over TLS.
async fn listening_for_tls() -> (TcpListener, Target) {
    let (listener, plain) = listening().await;
    (listener, Target { tls: true, ..plain })
}

#[tokio::test]
async fn a_target_over_tls_is_sent_the_request_and_answers() {
    let (site, (listener, target)) = (Site::new(), listening_for_tls().await);
    let server = site.server(ClientCertificates::None);
    let peer = async {
        let accepted = server.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut peer = BufReader::new(accepted.stream);
        let mut line = String::new();
        peer.read_line(&mut line).await.unwrap();
        peer.write_all(line.as_bytes()).await.unwrap();
        peer.shutdown().await.unwrap();
    };
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), site.how());
    let (request, route) = (request(), [target]);
    let (reached, ()) = tokio::join!(dialler.reach(&route, &request, &how), peer);
    let mut log = String::new();
    reached.unwrap().transport.read_to_string(&mut log).await.unwrap();
    assert_eq!(log, format!("{UUID}\n"));
}

#[tokio::test]
async fn a_handshake_that_hangs_gives_way_to_the_next_target() {
    let (site, (_silent, silent)) = (Site::new(), listening_for_tls().await);
    let (_next, next) = listening().await;
    let mut how = site.how();
    how.settings.handshake_timeout = Duration::from_millis(20);
    let counted = Counted::new();
    let reached = counted.dialler.reach(&[silent, next.clone()], &request(), &how).await.unwrap();
    assert_eq!((&reached.target, counted.times("handshake_timeout")), (&next, 1));
    let said = reached.failed()[0].to_string();
    assert!(said.ends_with("but the handshake took longer than 20ms"), "{said}");
}

#[tokio::test]
async fn a_plain_peer_that_answers_a_tls_hello_gives_way_to_the_next_target() {
    let (site, (listener, plain)) = (Site::new(), listening_for_tls().await);
    let (_next, next) = listening().await;
    let peer = async {
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(b"Build not found").await.unwrap();
        peer
    };
    let (counted, how) = (Counted::new(), site.how());
    let (request, route) = (request(), [plain, next.clone()]);
    let (reached, _peer) = tokio::join!(counted.dialler.reach(&route, &request, &how), peer);
    let reached = reached.unwrap();
    assert_eq!((&reached.target, counted.times("handshake")), (&next, 1));
    let said = reached.failed()[0].to_string();
    assert!(said.ends_with("but the TLS handshake failed: plain text instead of TLS"), "{said}");
}

#[tokio::test]
async fn a_refusal_of_our_certificate_after_the_handshake_gives_way_to_the_next_target() {
    let (site, (listener, strict)) = (Site::new(), listening_for_tls().await);
    let (_next, next) = listening().await;
    let server = site.server(ClientCertificates::Required(site.trust()));
    let peer = async { server.accept(listener.accept().await.unwrap().0).await.map(|_accepted| ()) };
    let (counted, how) = (Counted::new(), site.how());
    let (request, route) = (request(), [strict, next.clone()]);
    let (reached, refused) = tokio::join!(counted.dialler.reach(&route, &request, &how), peer);
    assert!(refused.is_err());
    let mut reached = reached.unwrap();
    let end = end(&mut reached).await;
    let silence = counted.dialler.after_silence(reached, end, &request, &how).await.unwrap();
    let Silence::Instead(reached) = silence else { panic!("{silence:?}") };
    assert_eq!((&reached.target, reached.tried, counted.times("closed")), (&next, 2, 1));
}

#[tokio::test]
async fn a_tls_target_that_closes_after_the_request_had_an_empty_log() {
    let (site, (listener, target)) = (Site::new(), listening_for_tls().await);
    let server = site.server(ClientCertificates::None);
    let peer = async {
        let accepted = server.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut peer = BufReader::new(accepted.stream);
        // As Zuul ends every log: without close_notify.
        peer.read_line(&mut String::new()).await.unwrap();
    };
    let (dialler, how) = (Dialler::new(metrics::Upstream::default()), site.how());
    let (request, route) = (request(), [target]);
    let (reached, ()) = tokio::join!(dialler.reach(&route, &request, &how), peer);
    let mut reached = reached.unwrap();
    let end = end(&mut reached).await;
    let silence = dialler.after_silence(reached, end, &request, &how).await.unwrap();
    assert!(matches!(silence, Silence::EmptyLog), "{silence:?}");
}

/// What the first target's server was asked for by SNI, and what came of dialling both.
async fn dialled_as(name: &str, host: &str) -> (Option<String>, Counted, Result<Reached, Unreached>) {
    let (site, (listener, plain)) = (Site::called(name), listening().await);
    let server = site.server(ClientCertificates::None);
    let route = [Target { tls: true, server_name: Hostname::parse(host), ..plain }];
    let peer = async { server.accept(listener.accept().await.unwrap().0).await.ok()?.server_name };
    let (counted, how, request) = (Counted::new(), site.how(), request());
    let (reached, asked_for) = tokio::join!(counted.dialler.reach(&route, &request, &how), peer);
    (asked_for, counted, reached)
}

#[tokio::test]
async fn a_server_name_is_asked_for_and_checked_in_the_place_of_the_host() {
    let (asked_for, counted, reached) = dialled_as("gw.internal", "gw.internal").await;
    assert_eq!(asked_for.as_deref(), Some("gw.internal"));
    assert_eq!((reached.unwrap().target.host.as_str(), counted.times("connected")), ("127.0.0.1", 1));
}

#[tokio::test]
async fn a_certificate_for_the_host_is_none_for_another_server_name() {
    let (_, counted, reached) = dialled_as("127.0.0.1", "gw.internal").await;
    let said = reached.unwrap_err().to_string();
    assert!(said.contains(" over TLS as gw.internal: connected to "), "{said}");
    assert!(said.contains("the TLS handshake failed: ") && said.contains("gw.internal"), "{said}");
    assert_eq!(counted.times("handshake"), 1);
}

#[tokio::test]
async fn a_target_has_its_own_time_for_the_handshake() {
    let (site, (_silent, silent)) = (Site::new(), listening_for_tls().await);
    let hurried = Target { handshake_timeout: Some(Limit::seconds(0.02).unwrap()), ..silent };
    let (counted, how) = (Counted::new(), site.how());
    let unreached = counted.dialler.reach(&[hurried], &request(), &how).await.unwrap_err();
    let said = unreached.to_string();
    assert!(said.ends_with("but the handshake took longer than 20ms"), "{said}");
}
