//! A viewer that is written here, for what the field's own clients cannot be made to do. It never waits for ever.

use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::authority::{Authority, Leaf};

/// Longest wait for bytes that must come. Zuul's own deadlines are 10 s.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to a gateway.
pub struct Viewer {
    log: Pin<Box<dyn AsyncRead + Send>>,
    /// `None` once nothing more will be sent.
    request: Option<Pin<Box<dyn AsyncWrite + Send>>>,
    /// Kept for as long as the connection is.
    program: Option<Child>,
}

impl Viewer {
    /// Connects in plain TCP.
    pub async fn plain(address: SocketAddr) -> Self {
        Self::over(connect(address).await)
    }

    /// Connects by TLS with a client certificate, and checks that the server's is for its address.
    pub async fn tls(address: SocketAddr, authority: &Authority, client: Option<&Leaf>) -> std::io::Result<Self> {
        let config = client_config(authority, client);
        let name = ServerName::from(address.ip());
        let handshake = TlsConnector::from(config).connect(name, connect(address).await);
        let stream = timeout(PATIENCE, handshake).await.expect("a handshake in time")?;
        Ok(Self::over(stream))
    }

    /// Starts a program that shows on its standard output what it gets, and sends its standard input. Ends with it.
    pub fn program(command: &[&str]) -> Self {
        let mut child = Command::new(command[0])
            .args(&command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|problem| panic!("{command:?}: {problem}"));
        let output = child.stdout.take().expect("its output is piped");
        let input = child.stdin.take().expect("its input is piped");
        Self { log: Box::pin(output), request: Some(Box::pin(input)), program: Some(child) }
    }

    fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let (log, request) = tokio::io::split(stream);
        Self { log: Box::pin(log), request: Some(Box::pin(request)), program: None }
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        let request = self.request.as_mut().expect("not finished");
        // A gateway that has heard enough may have closed: what it answered is still to be read.
        let _sent = request.write_all(bytes).await;
        let _sent = request.flush().await;
    }

    /// Sends the request for a build.
    pub async fn ask(&mut self, uuid: &str) {
        self.send(format!("{uuid}\n").as_bytes()).await;
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        let mut request = self.request.take().expect("not finished");
        request.shutdown().await.expect("half closed");
    }

    /// Reads exactly as many bytes as `expected` has, and compares.
    pub async fn expect(&mut self, expected: &[u8]) {
        let mut got = vec![0; expected.len()];
        let read = timeout(PATIENCE, self.log.read_exact(&mut got)).await;
        match read {
            Ok(Ok(_)) => assert!(got == expected, "{} bytes as sent, but others came", expected.len()),
            Ok(Err(problem)) => panic!("the stream ended before its {} bytes: {problem}", expected.len()),
            Err(_elapsed) => panic!("no {} bytes within {PATIENCE:?}", expected.len()),
        }
    }

    /// Reads all there is, to the end.
    pub async fn rest(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        match self.read_into(&mut got).await {
            Ok(()) => got,
            Err(problem) => panic!("no clean end after {:?}: {problem}", String::from_utf8_lossy(&got)),
        }
    }

    /// Reads to the end, be it clean or not.
    pub async fn until_end(&mut self) -> Vec<u8> {
        let mut got = Vec::new();
        let _unclean = self.read_into(&mut got).await;
        got
    }

    /// Reads to the end, and says how it came.
    pub async fn end(&mut self) -> std::io::Result<()> {
        self.read_into(&mut Vec::new()).await
    }

    async fn read_into(&mut self, got: &mut Vec<u8>) -> std::io::Result<()> {
        let Ok(end) = timeout(PATIENCE, self.log.read_to_end(got)).await else {
            panic!("no end within {PATIENCE:?}, after {:?}", String::from_utf8_lossy(got));
        };
        match end {
            // Zuul's streams end without TLS's farewell; that the bytes are all there is for the test to say.
            Err(problem) if problem.kind() != std::io::ErrorKind::UnexpectedEof => Err(problem),
            _ => Ok(()),
        }
    }
}

/// What a TLS client needs to know.
pub fn client_config(authority: &Authority, client: Option<&Leaf>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority.ca()).expect("a CA")).expect("a usable CA");
    let config = ClientConfig::builder().with_root_certificates(roots);
    let config = match client {
        None => config.with_no_client_auth(),
        Some(leaf) => {
            let chain = vec![CertificateDer::from_pem_file(&leaf.cert).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_file(&leaf.key).expect("a key");
            config.with_client_auth_cert(chain, key).expect("a key that fits")
        }
    };
    Arc::new(config)
}

async fn connect(address: SocketAddr) -> TcpStream {
    timeout(PATIENCE, TcpStream::connect(address)).await.expect("connected in time").expect("connected")
}
