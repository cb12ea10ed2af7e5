//! The same streams through TLS, on either side.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Context;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::config::settings::{ClientCertificates, ClientTls, KeyPairFiles, ServerTls, TlsVersion, Trust};
use crate::scratch;
use crate::tls;
use crate::transport::Records;

/// A server for `localhost`, and the files it was loaded from.
pub(super) struct Site {
    folder: tempfile::TempDir,
    pub(super) server: tls::Server,
}

impl Site {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf_pem = leaf.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().pem();
        let write = |name: &str, text: &str| -> PathBuf {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        write("ca.pem", &ca_pem);
        let certificate =
            KeyPairFiles { cert: write("cert.pem", &leaf_pem), key: write("key.pem", &key.serialize_pem()) };
        let server = tls::Server::load(&ServerTls {
            certificates: vec![certificate],
            require_known_server_name: false,
            client_certificates: ClientCertificates::None,
            min_version: TlsVersion::V1_2,
        })
        .unwrap();
        Self { folder, server }
    }

    pub(super) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The relay's client and server, connected.
    async fn connected(&self) -> (tls::Stream, tls::Stream) {
        self.connected_over(loopback().await).await
    }

    pub(super) async fn connected_over(&self, (far, near): (TcpStream, TcpStream)) -> (tls::Stream, tls::Stream) {
        let client = tls::Client::load(&ClientTls {
            identity: None,
            trust: Trust { ca: self.ca(), crl: None, version1_certificates: false },
            verify_hostnames: true,
        })
        .unwrap();
        let (accepted, connected) = tokio::join!(self.server.accept(far), client.connect("localhost", near));
        (accepted.unwrap().stream, connected.unwrap())
    }

    /// A viewer that is no relay of ours, with a tap below its TLS.
    async fn tapped(&self) -> (tls::Stream, tokio_rustls::client::TlsStream<Tap>, Wire) {
        let (far, near) = loopback().await;
        let wire = Wire::default();
        let tap = Tap { tcp: near, wire: Arc::clone(&wire) };
        let connector = tokio_rustls::TlsConnector::from(Arc::new(foreign_client(&self.ca(), rustls::ALL_VERSIONS)));
        let name = ServerName::try_from("localhost").unwrap();
        let (accepted, connected) = tokio::join!(self.server.accept(far), connector.connect(name, tap));
        (accepted.unwrap().stream, connected.unwrap(), wire)
    }
}

/// A client of TLS that is no relay of ours.
pub(super) fn foreign_client(
    ca: &Path,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// What came over the wire.
type Wire = Arc<Mutex<Vec<u8>>>;

struct Tap {
    tcp: TcpStream,
    wire: Wire,
}

impl AsyncRead for Tap {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        self.wire.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        read
    }
}

impl AsyncWrite for Tap {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// Lengths of the encrypted records that came over the wire, in order.
fn record_lengths(wire: &Wire) -> Vec<usize> {
    const HEADER: usize = 5;
    const APPLICATION_DATA: u8 = 23;
    let wire = wire.lock().unwrap();
    let (mut rest, mut lengths) = (&wire[..], Vec::new());
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[3], rest[4]]));
        if rest[0] == APPLICATION_DATA {
            lengths.push(length);
        }
        rest = &rest[HEADER + length..];
    }
    lengths
}

/// What TLS 1.3 adds to the bytes of a record: the true type, and the tag.
const OVERHEAD: usize = 17;

#[tokio::test]
async fn bytes_are_exact_with_tls_on_either_side_or_both() {
    let site = Site::new();
    let log = noise(5_000_000, 11);
    for (viewer_tls, upstream_tls) in [(true, false), (false, true), (true, true)] {
        let (viewer, mut viewer_peer) = ends(&site, viewer_tls).await;
        let (mut upstream_peer, upstream) = ends(&site, upstream_tls).await;
        let mut relay = relay(viewer, upstream);
        let send = async {
            upstream_peer.write_all(&log).await.unwrap();
            upstream_peer.shutdown().await.unwrap();
        };
        let receive = async {
            let mut got = Vec::new();
            viewer_peer.read_to_end(&mut got).await.unwrap();
            viewer_peer.shutdown().await.unwrap();
            got
        };
        let (ended, (), got) = tokio::join!(relay.run(), send, receive);
        ended.unwrap();
        assert!(got == log, "{} bytes of {}", got.len(), log.len());
        assert_eq!(relay.meter.bytes(), log.len() as u64);
        assert!(!relay.meter.spliced());
    }
}

/// The server's and the client's end of one connection.
async fn ends(site: &Site, with_tls: bool) -> (Transport, Transport) {
    if with_tls {
        let (server, client) = site.connected().await;
        return (Transport::Tls(Box::new(server)), Transport::Tls(Box::new(client)));
    }
    let (server, client) = loopback().await;
    (Transport::Plain(server), Transport::Plain(client))
}

#[tokio::test]
async fn the_last_record_of_a_burst_is_short_for_viewers_that_are_no_relay() {
    let site = Site::new();
    let (viewer, mut viewer_peer, wire) = site.tapped().await;
    assert_eq!(viewer.records(), Records::ShortTail);
    let (upstream, mut upstream_peer) = loopback().await;
    let mut relay = relay(Transport::Tls(Box::new(viewer)), Transport::Plain(upstream));
    let watch = async {
        for len in [1, 1023, 1024, 1025, 4096, 32 << 10, scratch::SIZE, 2 * scratch::SIZE, 300_000, 3 << 20] {
            let burst = noise(len, len as u64);
            let mut got = vec![0; len];
            let (sent, received) = tokio::join!(upstream_peer.write_all(&burst), viewer_peer.read_exact(&mut got));
            sent.unwrap();
            received.unwrap();
            assert!(got == burst);
            let last = *record_lengths(&wire).last().unwrap();
            assert!(last <= Records::SHORT_TAIL + OVERHEAD, "a burst of {len} ends in a record of {last}");
        }
        upstream_peer.shutdown().await.unwrap();
        let mut rest = Vec::new();
        // An end without close_notify would be an error here.
        viewer_peer.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty());
    };
    let (ended, ()) = tokio::join!(relay.carry_and_drop(), watch);
    ended.unwrap();
}

#[tokio::test]
async fn the_last_record_of_a_reply_is_short_for_viewers_that_are_no_relay() {
    let site = Site::new();
    let (viewer, mut peer, wire) = site.tapped().await;
    let (mut viewer, meter) = (Transport::Tls(Box::new(viewer)), Meter::new());
    let text = "a line of a list\n".repeat(3000);
    let mut got = vec![0; text.len()];
    let said = reply(&mut viewer, &text, &meter, Duration::from_secs(10));
    let (said, heard) = tokio::join!(said, peer.read_exact(&mut got));
    said.unwrap();
    heard.unwrap();
    assert!(got == text.as_bytes());
    let last = *record_lengths(&wire).last().unwrap();
    assert!(last <= Records::SHORT_TAIL + OVERHEAD, "it ends in a record of {last}");
}

#[tokio::test]
async fn an_upstream_that_closes_without_close_notify_has_ended_its_log() {
    let site = Site::new();
    let (upstream_peer, upstream) = site.connected().await;
    let (viewer, viewer_peer) = loopback().await;
    let mut relay = relay(Transport::Plain(viewer), Transport::Tls(Box::new(upstream)));
    let watch = async {
        let mut upstream_peer = upstream_peer;
        upstream_peer.write_all(b"the whole log\n").await.unwrap();
        upstream_peer.flush().await.unwrap();
        SockRef::from(upstream_peer.tcp()).shutdown(std::net::Shutdown::Write).unwrap();
        let mut viewer_peer = viewer_peer;
        let mut got = String::new();
        viewer_peer.read_to_string(&mut got).await.unwrap();
        (got, upstream_peer)
    };
    let (ended, (got, _upstream_peer)) = tokio::join!(relay.carry_and_drop(), watch);
    ended.unwrap();
    assert_eq!(got, "the whole log\n");
}

#[tokio::test(start_paused = true)]
async fn half_close_by_close_notify_keeps_the_stream() {
    let site = Site::new();
    let (viewer, mut viewer_peer) = site.connected().await;
    let (upstream, mut upstream_peer) = loopback().await;
    let mut relay = relay(Transport::Tls(Box::new(viewer)), Transport::Plain(upstream));
    let _held = HeldClock::new();
    viewer_peer.shutdown().await.unwrap();
    let watch = async {
        for line in [&b"first\n"[..], b"hours later\n"] {
            upstream_peer.write_all(line).await.unwrap();
            let mut got = vec![0; line.len()];
            viewer_peer.read_exact(&mut got).await.unwrap();
            assert_eq!(got, line);
            tokio::time::advance(Duration::from_secs(6 * 3600)).await;
        }
        upstream_peer.shutdown().await.unwrap();
        (viewer_peer, upstream_peer)
    };
    let (ended, _peers) = tokio::join!(relay.carry(), watch);
    ended.unwrap();
}

#[tokio::test]
async fn a_tls_viewer_that_stops_reading_is_cut() {
    let stall = Duration::from_millis(50);
    let site = Site::new();
    let (viewer, _viewer_peer) = site.connected().await;
    let (upstream, mut upstream_peer) = loopback().await;
    let mut relay = relay(Transport::Tls(Box::new(viewer)), Transport::Plain(upstream)).stalling_after(stall);
    let ended = tokio::select! {
        ended = relay.carry() => ended,
        () = endings::flood(&mut upstream_peer) => unreachable!("the relay holds its end open"),
    };
    assert!(matches!(ended, Err(Fault::ViewerStalled(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tls_viewer_that_reads_steadily_but_little_is_never_cut() {
    let site = Site::new();
    let (viewer, mut viewer_peer) = site.connected_over(slow_loopback().await).await;
    let (upstream, mut upstream_peer) = loopback().await;
    let mut relay = relay(Transport::Tls(Box::new(viewer)), Transport::Plain(upstream));
    let _held = HeldClock::new();
    tokio::select! {
        ended = relay.carry() => panic!("{ended:?} after {} bytes", relay.meter.bytes()),
        () = endings::flood(&mut upstream_peer) => unreachable!("the relay holds its end open"),
        () = endings::read_steadily(&mut viewer_peer) => {}
    }
}

#[tokio::test]
async fn a_close_through_tls_destroys_nothing_though_the_viewer_said_more_than_it_was_asked() {
    let site = Site::new();
    let (viewer, mut viewer_peer) = site.connected().await;
    let mut viewer = Transport::Tls(Box::new(viewer));
    let log = noise(2 << 20, 1);
    viewer_peer.write_all(&noise(100_000, 2)).await.unwrap();
    viewer_peer.flush().await.unwrap();
    let serve = async {
        viewer.write_all(&log).await.unwrap();
        say(&mut viewer, "Internal streaming error", Duration::from_secs(10)).await.unwrap();
        finish(&mut viewer, Duration::from_secs(10), ()).await.unwrap();
        drop(viewer);
    };
    let receive = async move {
        let mut got = Vec::new();
        viewer_peer.read_to_end(&mut got).await.unwrap();
        got
    };
    let ((), got) = tokio::join!(serve, receive);
    assert!(got.strip_suffix(b"Internal streaming error").is_some_and(|rest| rest == log));
}
