//! TLS towards viewers.
//!
//! It must never send a session ticket, nor refuse a viewer for the application protocols it offers.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{Acceptor, ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsStream};

use super::handshake::HandshakeError;
use super::identity::Identity;
use super::load::{KeyPair, LoadError, LoadWarning, Loader, ReadFile, Report, from_disk};
use super::stream::Stream;
use super::verify::ViewerVerifier;
use super::{ALPN, BUFFER_LIMIT, host, provider};
use crate::config::settings::{ClientCertificates, ServerTls, TlsVersion};
use crate::transport::Records;

/// TLS towards viewers, ready to accept.
#[derive(Debug, Clone)]
pub struct Server {
    certificates: Arc<Certificates>,
    require_known_name: bool,
    /// For viewers that offer [`ALPN`]: rustls refuses whoever offers something else to a server with protocols.
    for_relays: Arc<ServerConfig>,
    /// For everybody else.
    for_others: Arc<ServerConfig>,
    report: Arc<Report>,
}

/// A viewer after its handshake.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: Stream,
    /// The server name (SNI) it asked for.
    pub server_name: Option<String>,
    /// Who it proved to be.
    pub identity: Option<Arc<Identity>>,
}

/// What a ClientHello says that matters here.
struct Hello {
    server_name: Option<String>,
    known: bool,
    relay: bool,
}

/// The certificates of one listener; the first is the default.
#[derive(Debug)]
struct Certificates(Vec<KeyPair>);

impl Server {
    /// Reads and checks every file that `settings` names. Blocks on the file system.
    pub fn load(settings: &ServerTls) -> Result<Self, Vec<LoadError>> {
        Self::load_from(settings, &from_disk)
    }

    /// Does what [`Server::load`] does, with `read` in place of the file system.
    pub fn load_from(settings: &ServerTls, read: &ReadFile<'_>) -> Result<Self, Vec<LoadError>> {
        let mut loader = Loader::new(read);
        let pairs: Vec<KeyPair> = settings.certificates.iter().filter_map(|files| loader.key_pair(files)).collect();
        let verifier = viewer_verifier(&mut loader, &settings.client_certificates);
        let (verifier, report) = loader.finish(verifier)?;
        let certificates = Arc::new(Certificates(pairs));
        let for_others = speaking(settings.min_version, verifier, Arc::clone(&certificates)).map_err(|error| {
            let file = settings.certificates.first().map(|files| files.cert.clone()).unwrap_or_default();
            vec![LoadError::new(file, error.to_string())]
        })?;
        let mut for_relays = for_others.clone();
        for_relays.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self {
            certificates,
            require_known_name: settings.require_known_server_name,
            for_relays: Arc::new(for_relays),
            for_others: Arc::new(for_others),
            report: Arc::new(report),
        })
    }

    /// What is allowed but should not stay so, as an operator must read it.
    pub fn warnings(&self) -> &[LoadWarning] {
        &self.report.warnings
    }

    /// When each file's first certificate or revocation list expires.
    pub fn expiries(&self) -> &[(PathBuf, SystemTime)] {
        &self.report.expiries
    }

    /// Shakes hands with a viewer. The caller sets the deadline.
    pub async fn accept(&self, tcp: TcpStream) -> Result<Accepted, HandshakeError> {
        let mut acceptor = LazyConfigAcceptor::new(Acceptor::default(), tcp);
        let start = match (&mut acceptor).await {
            Ok(start) => start,
            Err(error) => {
                acceptor.take_io().iter().for_each(drain);
                return Err(error.into());
            }
        };
        let hello = self.hello(&start.client_hello());
        if let Some(name) = hello.server_name.as_ref().filter(|_| self.require_known_name && !hello.known) {
            refuse_name(start.io).await;
            return Err(HandshakeError::UnknownServerName { name: name.clone() });
        }
        let config = if hello.relay { &self.for_relays } else { &self.for_others };
        let accept = start.into_stream_with(Arc::clone(config), |tls| tls.set_buffer_limit(Some(BUFFER_LIMIT)));
        let stream = accept.into_fallible().await.map_err(|(error, tcp)| {
            drain(&tcp);
            HandshakeError::from(error)
        })?;
        let identity = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(Identity::of);
        let records = if hello.relay { Records::Full } else { Records::ShortTail };
        let stream = Stream::new(TlsStream::Server(stream), records);
        Ok(Accepted { stream, server_name: hello.server_name, identity: identity.map(Arc::new) })
    }

    fn hello(&self, hello: &ClientHello<'_>) -> Hello {
        let server_name = hello.server_name().map(str::to_ascii_lowercase);
        Hello {
            known: server_name.as_ref().is_some_and(|name| self.certificates.named(name).next().is_some()),
            relay: hello.alpn().is_some_and(|mut offered| offered.any(|protocol| protocol == ALPN)),
            server_name,
        }
    }
}

impl Certificates {
    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a KeyPair> {
        self.0.iter().filter(move |pair| pair.names.iter().any(|pattern| host::matches(pattern, name)))
    }
}

impl ResolvesServerCert for Certificates {
    /// The first certificate for the name whose key the viewer can verify, else the default one.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |pair: &&KeyPair| pair.certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let named = hello.server_name().and_then(|name| self.named(name).find(usable));
        named.or_else(|| self.0.first()).map(|pair| Arc::clone(&pair.certified))
    }
}

fn speaking(
    lowest: TlsVersion,
    verifier: Arc<dyn ClientCertVerifier>,
    certificates: Arc<Certificates>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[_] = match lowest {
        TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::V1_3 => &[&rustls::version::TLS13],
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(certificates);
    // TLS 1.3 sends tickets unless told not to; TLS 1.2 could resume from a cache.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn viewer_verifier(loader: &mut Loader<'_>, wanted: &ClientCertificates) -> Option<Arc<dyn ClientCertVerifier>> {
    let (trust, required) = match wanted {
        ClientCertificates::None => return Some(WebPkiClientVerifier::no_client_auth()),
        ClientCertificates::Optional(trust) => (trust, false),
        ClientCertificates::Required(trust) => (trust, true),
    };
    loader.trust(trust).map(|trust| Arc::new(ViewerVerifier::new(trust, required)) as Arc<dyn ClientCertVerifier>)
}

/// Sends the alert `unrecognized_name` (RFC 6066, section 3). Nothing is encrypted yet, and rustls offers no way to
/// send this one.
async fn refuse_name(mut tcp: TcpStream) {
    const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
    // A viewer that cannot be told is gone, and refused all the same.
    let _told = tcp.write_all(&ALERT).await;
    drain(&tcp);
}

/// Reads away what has already arrived, without waiting. A socket that is closed with unread bytes resets the
/// connection, and the reset can overtake the alert that says why.
fn drain(tcp: &TcpStream) {
    const READS: usize = 16;
    let mut bytes = [0; 4096];
    for _read in 0..READS {
        if !matches!(tcp.try_read(&mut bytes), Ok(1..)) {
            return;
        }
    }
}
