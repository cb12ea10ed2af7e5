//! `openssl s_client` and `openssl s_server` as peers, each ended by its own process id.

use std::io::{BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fingerpost::config::settings::KeyPairFiles;
use fingerpost::tls::{Accepted, Client, HandshakeError, Server, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::pki::path;

/// Longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A running `openssl`, killed when dropped.
pub(crate) struct Peer(Child);

impl Peer {
    fn start(args: &[&str]) -> Self {
        let child = Command::new("openssl")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// All that it says on both outputs until it ends by itself.
    pub(crate) async fn says(mut self) -> String {
        let output = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            self.0.stdout.take().unwrap().read_to_end(&mut text).unwrap();
            self.0.stderr.take().unwrap().read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        timeout(DEADLINE, output).await.expect("openssl ends").unwrap()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already, and then there is nothing to kill.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// What came of one viewer that was `openssl s_client`.
pub(crate) struct Visit {
    /// Our side.
    pub(crate) accepted: Result<Accepted, HandshakeError>,
    /// What s_client said, its handshake's messages included.
    pub(crate) output: String,
}

/// Lets `openssl s_client` with `options` ask `server` for "request" and be told "reply".
pub(crate) async fn visit(server: &Server, options: &[&str]) -> Visit {
    let listener = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    let mut args = vec!["s_client", "-connect", &address, "-msg", "-ign_eof"];
    args.extend(options);
    let mut peer = Peer::start(&args);
    peer.0.stdin.as_mut().unwrap().write_all(b"request\n").unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    let accepted = match timeout(DEADLINE, server.accept(tcp)).await.unwrap() {
        Ok(mut accepted) => {
            reply(&mut accepted.stream).await;
            Ok(accepted)
        }
        refused => refused,
    };
    let output = peer.says().await;
    Visit { accepted, output }
}

async fn reply(stream: &mut Stream) {
    let mut line = [0; 8];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"request\n");
    stream.write_all(b"reply").await.unwrap();
    stream.shutdown().await.unwrap();
}

/// What came of calling one `openssl s_server`, which answers each line with its reverse.
pub(crate) async fn call(
    client: &Client,
    host: &str,
    certificate: &KeyPairFiles,
    options: &[&str],
) -> Result<String, Failure> {
    let mut args = vec!["s_server", "-accept", "127.0.0.1:0", "-rev", "-cert", path(&certificate.cert)];
    args.extend(["-key", path(&certificate.key)]);
    args.extend(options);
    let mut peer = Peer::start(&args);
    let stdout = peer.0.stdout.take().unwrap();
    let address = tokio::task::spawn_blocking(move || bound(BufReader::new(stdout))).await.unwrap();
    let tcp = dial(address).await;
    let mut stream = timeout(DEADLINE, client.connect(host, tcp)).await.unwrap().map_err(Failure::Handshake)?;
    stream.write_all(b"request\n").await.map_err(Failure::Stream)?;
    let mut line = [0; 8];
    timeout(DEADLINE, stream.read_exact(&mut line)).await.unwrap().map_err(Failure::Stream)?;
    Ok(String::from_utf8_lossy(&line).trim().chars().rev().collect())
}

/// Where a call ended.
#[derive(Debug)]
pub(crate) enum Failure {
    /// In this side's handshake.
    Handshake(HandshakeError),
    /// After it: in TLS 1.3 a server refuses a client's certificate only then.
    Stream(std::io::Error),
}

/// Both sides of our own, over a real socket.
pub(crate) async fn meet(
    client: &Client,
    host: &str,
    server: &Server,
) -> (Result<Stream, HandshakeError>, Result<Accepted, HandshakeError>) {
    let listener = listen().await;
    let tcp = dial(listener.local_addr().unwrap()).await;
    let (accepted, _) = listener.accept().await.unwrap();
    timeout(DEADLINE, async { tokio::join!(client.connect(host, tcp), server.accept(accepted)) }).await.unwrap()
}

/// A listener on a free port.
pub(crate) async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A connection, from outside of the relay that forbids this call.
#[expect(clippy::disallowed_methods, reason = "the ban is for the relay, and this is a peer of it")]
pub(crate) async fn dial(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// The address that s_server says it listens on.
fn bound(mut output: impl std::io::BufRead) -> SocketAddr {
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
            return address.parse().unwrap();
        }
        line.clear();
    }
    panic!("s_server ended before it listened");
}
