//! Listeners that speak TLS, with viewers that do and viewers that do not.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, KeyUsagePurpose};
use rustix::net::sockopt::tcp_quickack;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::{Relay, SOON, behind_proxies, connect, loopback};
use crate::config::settings::{self, ClientCertificates, ClientTls, KeyPairFiles, ServerTls, TlsVersion, Trust};
use crate::fault::Fault;
use crate::listener::{Applied, BindError, Config, Incoming, Viewer};
use crate::request;
use crate::tasks::Tasks;
use crate::tls;

/// The first bytes of a ClientHello: a record of 512 bytes, of which nearly all are missing.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

/// A certificate that is its own CA, on disk.
struct Identity {
    folder: TempDir,
}

impl Identity {
    fn new(host: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        fs::write(folder.path().join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn server(&self) -> tls::Server {
        tls::Server::load(&ServerTls {
            certificates: vec![KeyPairFiles { cert: self.file("cert.pem"), key: self.file("key.pem") }],
            require_known_server_name: false,
            client_certificates: ClientCertificates::None,
            min_version: TlsVersion::V1_2,
        })
        .unwrap()
    }

    /// A viewer that trusts this certificate and no other.
    fn viewer(&self) -> tls::Client {
        let trust = Trust { ca: self.file("cert.pem"), crl: None, version1_certificates: false };
        tls::Client::load(&ClientTls { identity: None, trust, verify_hostnames: true }).unwrap()
    }
}

impl Relay {
    fn secure(&mut self, settings: settings::Listener, identity: &Identity) -> Result<Applied, Vec<BindError>> {
        let queue = self.queue.clone();
        let config = Arc::new(Config { settings, tls: Some(identity.server()), stream: settings::Stream::default() });
        let plan = self.listeners.plan(vec![config])?;
        Ok(self.listeners.apply(plan, move |arrival| queue.try_send(arrival.on(None).unwrap()).unwrap()))
    }
}

async fn ask(identity: &Identity, tcp: TcpStream) {
    let mut stream = identity.viewer().connect("relay.example.org", tcp).await.unwrap();
    stream.write_all(b"abc\n").await.unwrap();
    stream.flush().await.unwrap();
}

async fn served(incoming: Incoming) -> Viewer {
    let mut viewer = incoming.greet().await.unwrap();
    assert_eq!(request::read(Vec::new(), &mut viewer.transport, SOON).await.unwrap().line, "abc");
    viewer
}

fn relay(settings: settings::Listener) -> (Relay, Identity) {
    let identity = Identity::new("relay.example.org");
    let mut relay = Relay::idle();
    relay.secure(settings, &identity).unwrap();
    (relay, identity)
}

#[tokio::test]
async fn a_tls_viewer_is_served_and_its_server_name_known() {
    let (mut relay, identity) = relay(loopback());
    let tcp = connect(relay.address()).await.unwrap();
    let incoming = relay.accepted().await;
    let ((), viewer) = tokio::join!(ask(&identity, tcp), served(incoming));
    assert_eq!(viewer.server_name.as_deref(), Some("relay.example.org"));
    assert_eq!(viewer.identity, None);
}

#[tokio::test]
async fn a_viewer_that_delays_small_writes_is_not_kept_from_its_request() {
    let (mut relay, identity) = relay(loopback());
    let tcp = connect(relay.address()).await.unwrap();
    let incoming = relay.accepted().await;
    let ((), viewer) = tokio::join!(ask(&identity, tcp), served(incoming));
    // Pending acknowledgements were sent, and the next ones don't wait for something to travel with.
    assert!(tcp_quickack(viewer.transport.tcp()).unwrap());
}

#[tokio::test]
async fn tls_may_follow_a_proxy_header() {
    let (mut relay, identity) = relay(behind_proxies());
    let mut tcp = connect(relay.address()).await.unwrap();
    tcp.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 79\r\n").await.unwrap();
    let incoming = relay.accepted().await;
    let ((), viewer) = tokio::join!(ask(&identity, tcp), served(incoming));
    assert_eq!(viewer.peer, "192.0.2.1:4711".parse().unwrap());
}

#[tokio::test]
async fn plain_text_on_a_tls_listener_is_a_failed_handshake() {
    let (mut relay, _identity) = relay(loopback());
    let mut viewer = connect(relay.address()).await.unwrap();
    viewer.write_all(b"0123456789abcdef0123456789abcdef\n").await.unwrap();
    let greeted = relay.accepted().await.greet().await;
    assert_eq!(greeted.unwrap_err().label(), "plain_text");
}

#[tokio::test]
async fn each_reason_of_a_failed_handshake_is_counted_for_itself() {
    let (mut relay, _identity) = relay(loopback());
    let stranger = Identity::new("relay.example.org");
    let tcp = connect(relay.address()).await.unwrap();
    let incoming = relay.accepted().await;
    let viewer = stranger.viewer();
    let (ours, theirs) = tokio::join!(viewer.connect("relay.example.org", tcp), incoming.greet());
    ours.unwrap_err();
    assert_eq!(theirs.unwrap_err().label(), "refused_by_peer");
    let mut tcp = connect(relay.address()).await.unwrap();
    tcp.write_all(HALF_A_HELLO).await.unwrap();
    drop(tcp);
    assert_eq!(relay.accepted().await.greet().await.unwrap_err().label(), "closed");
}

#[tokio::test]
async fn a_client_that_stops_inside_its_handshake_hinders_nobody() {
    let (mut relay, identity) = relay(loopback());
    let mut stuck = connect(relay.address()).await.unwrap();
    stuck.write_all(HALF_A_HELLO).await.unwrap();
    let tasks = Tasks::new();
    let incoming = relay.accepted().await;
    tasks.spawn_until_stopped(tracing::Span::none(), async move { drop(incoming.greet().await) });
    let tcp = connect(relay.address()).await.unwrap();
    let incoming = relay.accepted().await;
    tokio::join!(ask(&identity, tcp), served(incoming));
    assert_eq!(tasks.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_inside_its_handshake_is_given_up_at_the_deadline() {
    let (mut relay, _identity) = relay(loopback());
    let mut stuck = connect(relay.address()).await.unwrap();
    stuck.write_all(HALF_A_HELLO).await.unwrap();
    let greeted = relay.accepted().await.greet().await;
    assert!(matches!(greeted, Err(Fault::HandshakeTimeout(limit)) if limit == loopback().handshake_timeout));
}

#[tokio::test]
async fn a_new_certificate_serves_new_viewers_on_the_same_socket() {
    let (mut relay, _old) = relay(loopback());
    let address = relay.address();
    let new = Identity::new("relay.example.org");
    let applied = relay.secure(loopback(), &new).unwrap();
    assert_eq!((applied.kept.len(), relay.address()), (1, address));
    let tcp = connect(address).await.unwrap();
    let incoming = relay.accepted().await;
    tokio::join!(ask(&new, tcp), served(incoming));
}
