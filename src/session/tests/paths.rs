//! What becomes of a stream and of its record, on every path that its bytes can take: a new path is a line of
//! [`PATHS`].

use std::io::ErrorKind;
use std::path::PathBuf;

use rcgen::{CertificateParams, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};

use super::*;
use crate::config::settings::{ClientCertificates, KeyPairFiles, ServerTls, TlsVersion};
use crate::metrics::ByListener;
use crate::stream::Pipes;
use crate::tls;

/// One way through a relay, from a gateway to a viewer.
struct Path {
    name: &'static str,
    viewer_tls: bool,
    gateway_tls: bool,
    pipes: usize,
}

const PATHS: [Path; 5] = [
    Path { name: "copy", viewer_tls: false, gateway_tls: false, pipes: 0 },
    Path { name: "splice", viewer_tls: false, gateway_tls: false, pipes: 1 },
    Path { name: "TLS to a viewer", viewer_tls: true, gateway_tls: false, pipes: 1 },
    Path { name: "TLS from a gateway", viewer_tls: false, gateway_tls: true, pipes: 1 },
    Path { name: "TLS on both sides", viewer_tls: true, gateway_tls: true, pipes: 1 },
];

/// A certificate that is its own CA, on disk.
struct Certificate(TempDir);

impl Certificate {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        std::fs::write(dir.path().join("cert.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self(dir)
    }

    fn files(&self) -> KeyPairFiles {
        let file = |name: &str| -> PathBuf { self.0.path().join(name) };
        KeyPairFiles { cert: file("cert.pem"), key: file("key.pem") }
    }

    /// A gateway's end.
    async fn served(&self, tcp: TcpStream) -> Transport {
        let server = tls::Server::load(&ServerTls {
            certificates: vec![self.files()],
            require_known_server_name: false,
            client_certificates: ClientCertificates::None,
            min_version: TlsVersion::V1_3,
        });
        Transport::Tls(Box::new(server.unwrap().accept(tcp).await.unwrap().stream))
    }

    /// A viewer's end. It is not made by us, and takes an end without `close_notify` for an error.
    async fn watched(&self, tcp: TcpStream) -> Peer {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.files().cert).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider);
        let client = client.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client.with_no_client_auth()));
        Box::new(connector.connect(ServerName::try_from("127.0.0.1").unwrap(), tcp).await.unwrap())
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}
type Peer = Box<dyn Io>;

/// What is left of a stream.
struct Outcome {
    bytes: u64,
    spliced: bool,
    /// Its first byte was timed, within the time that it took.
    timed: bool,
    site: Site,
}

impl Path {
    /// Runs one stream, with `talk` for what its peers do once the gateway was asked.
    async fn stream<T>(&self, limits: Limits, talk: impl AsyncFnOnce(Peer, Transport) -> T) -> (Outcome, T) {
        let (certificate, gateway) = (Certificate::new(), TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap());
        let mut site = self.site(&certificate, gateway.local_addr().unwrap().port()).await;
        let (tcp, incoming) = site.connected().await;
        // A viewer that goes without a word resets.
        SockRef::from(&tcp).set_linger(Some(Duration::ZERO)).unwrap();
        let mut record = Record::open(Arc::clone(&site.shared.metrics), "finger", incoming.peer);
        let entering = async { if self.viewer_tls { certificate.watched(tcp).await } else { Box::new(tcp) as Peer } };
        let (viewer, mut peer) = tokio::join!(incoming.greet(), Box::pin(entering));
        let visit = Visit { shared: &site.shared, viewer: viewer.unwrap() };
        let talking = async {
            peer.write_all(format!("{UUID}\n").as_bytes()).await.unwrap();
            let tcp = accept(&gateway).await;
            let mut upstream = if self.gateway_tls { certificate.served(tcp).await } else { Transport::Plain(tcp) };
            upstream.read_exact(&mut [0; UUID.len() + 1]).await.unwrap();
            talk(peer, upstream).await
        };
        let serving = async {
            // It goes with its conversation, as the task of a stream does.
            let mut visit = visit;
            converse(&mut visit, allowed(limits), &mut record).await;
        };
        let ((), said) = tokio::join!(Box::pin(serving), Box::pin(talking));
        let (bytes, spliced, lasted) = (record.meter.bytes(), record.meter.spliced(), record.meter.elapsed());
        let timed = record.meter.first_byte().is_some_and(|first| first <= lasted);
        drop(record);
        (Outcome { bytes, spliced, timed, site }, said)
    }

    async fn site(&self, certificate: &Certificate, port: u16) -> Site {
        let KeyPairFiles { cert, key } = certificate.files();
        let (cert, key) = (cert.display(), key.display());
        let listener = format!("tls: {{certificates: [{{cert: {cert}, key: {key}}}], client_certificates: none}}");
        let worker = "{hostname: far, log_port: 1, zone: west}";
        let gateway =
            format!("{{hostname: 127.0.0.1, public_port: {port}, zone: west, use_ssl: {}}}", self.gateway_tls);
        let registry = format!("builds: [{{uuid: {UUID}, worker: {worker}}}]\ngateways: [{gateway}]\n");
        let keys = format!("upstream: {{tls: {{ca: {cert}}}}}");
        let listener = if self.viewer_tls { listener.as_str() } else { "" };
        let mut site = Site::configured(&registry, listener, &keys, "").await;
        Arc::get_mut(&mut site.shared).unwrap().pipes = Pipes::new(self.pipes);
        site
    }

    /// That the one stream there was is counted once, so, and with all its bytes.
    fn assert_recorded(&self, outcome: &Outcome, ending: &'static str, blame: &'static str) {
        let streams = &outcome.site.shared.metrics.streams;
        let by = ByListener { listener: "finger".to_owned() };
        assert_eq!(outcome.site.ended(ending, blame), 1, "{}: {}", self.name, outcome.site.shared.metrics.text());
        assert_eq!(streams.bytes.get_or_create(&by).get(), outcome.bytes, "{}", self.name);
        assert_eq!(streams.open.get_or_create(&by).get(), 0, "{}", self.name);
        assert_eq!(streams.spliced.get(), u64::from(outcome.spliced), "{}", self.name);
        assert!(outcome.timed, "{}", self.name);
    }

    fn splices(&self) -> bool {
        self.pipes > 0 && !self.viewer_tls && !self.gateway_tls
    }
}

/// Bulk of which no part is like another.
fn log() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_be_bytes).collect()
}

/// Reads to the end; also says whether that came in order, which only TLS tells.
async fn to_end(viewer: &mut Peer) -> (Vec<u8>, bool) {
    let mut got = Vec::new();
    match viewer.read_to_end(&mut got).await {
        Ok(_) => (got, true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => (got, false),
        Err(error) => panic!("{error}"),
    }
}

async fn send(upstream: &mut Transport, log: &[u8]) {
    upstream.write_all(log).await.unwrap();
    upstream.flush().await.unwrap();
}

/// Sends without end; the relay decides when it is over.
async fn flood(upstream: &mut Transport) {
    let log = log();
    while upstream.write_all(&log).await.is_ok() {}
}

#[tokio::test]
async fn a_log_that_ends_is_complete_and_nobodys_fault() {
    for path in &PATHS {
        let talk = async |mut viewer: Peer, mut upstream: Transport| {
            let log = log();
            let mut got = vec![0; log.len()];
            let (read, ()) = tokio::join!(viewer.read_exact(&mut got), send(&mut upstream, &log));
            read.unwrap();
            upstream.shutdown().await.unwrap();
            (got, to_end(&mut viewer).await)
        };
        let (outcome, (got, (farewell, in_order))) = path.stream(Limits::default(), talk).await;
        assert!(got == log() && farewell.is_empty() && in_order, "{}", path.name);
        assert_eq!((outcome.bytes, outcome.spliced), (got.len() as u64, path.splices()), "{}", path.name);
        path.assert_recorded(&outcome, "complete", "nobody");
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_told_to_the_viewer_and_to_blame() {
    for path in &PATHS {
        let talk = async |mut viewer: Peer, mut upstream: Transport| {
            let log = log();
            let mut got = vec![0; log.len()];
            let (read, ()) = tokio::join!(viewer.read_exact(&mut got), send(&mut upstream, &log));
            read.unwrap();
            stream::abandon(&upstream);
            drop(upstream);
            (got, to_end(&mut viewer).await)
        };
        let (outcome, (got, (farewell, in_order))) = path.stream(Limits::default(), talk).await;
        assert!(got == log(), "{}", path.name);
        assert_eq!((farewell.as_slice(), in_order), (&b"Internal streaming error"[..], true), "{}", path.name);
        assert_eq!((outcome.bytes, outcome.spliced), (got.len() as u64, path.splices()), "{}", path.name);
        path.assert_recorded(&outcome, "upstream_broke", "upstream");
    }
}

#[tokio::test]
async fn a_viewer_that_breaks_off_is_to_blame_and_the_gateway_learns_of_it() {
    for path in &PATHS {
        let talk = async |viewer: Peer, mut upstream: Transport| {
            tokio::join!(flood(&mut upstream), leave(viewer));
        };
        let (outcome, ()) = path.stream(Limits::default(), talk).await;
        assert!(outcome.bytes >= 600_000, "{}: {}", path.name, outcome.bytes);
        assert_eq!(outcome.spliced, path.splices(), "{}", path.name);
        path.assert_recorded(&outcome, "viewer_left", "viewer");
    }
}

async fn leave(mut viewer: Peer) {
    viewer.read_exact(&mut vec![0; 600_000]).await.unwrap();
}

#[tokio::test]
async fn a_viewer_that_stops_reading_is_to_blame_and_gets_no_end_in_order() {
    for path in &PATHS {
        let talk = async |mut viewer: Peer, mut upstream: Transport| {
            // By the end of one log, bulk is spliced where it may be.
            let mut got = log();
            let (read, ()) = tokio::join!(viewer.read_exact(&mut got), flood(&mut upstream));
            read.unwrap();
            let (rest, in_order) = to_end(&mut viewer).await;
            (got.into_iter().chain(rest).collect::<Vec<_>>(), in_order)
        };
        let limits = Limits { stall_timeout: limit(0.05), ..Limits::default() };
        let (outcome, (got, in_order)) = path.stream(limits, talk).await;
        assert_eq!(in_order, !path.viewer_tls, "{}", path.name);
        let sent = log();
        assert!(got.iter().eq(sent.iter().cycle().take(got.len())), "{}", path.name);
        let all = got.len() as u64;
        assert!(all == outcome.bytes || (path.viewer_tls && all < outcome.bytes), "{}: {all}", path.name);
        assert_eq!(outcome.spliced, path.splices(), "{}", path.name);
        path.assert_recorded(&outcome, "viewer_stalled", "viewer");
    }
}
