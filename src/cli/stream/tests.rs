//! A scripted server on one side, the bytes of standard output on the other.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tracing::Span;

use super::*;
use crate::config::settings::{ClientCertificates, ServerTls, TlsVersion};
use crate::tasks::Tasks;
use crate::tls::Server;

const BUILD: &str = "4a1c9be27f0e4c06b9d2c8f3a1e5d700";

/// Not UTF-8, and with a NUL.
const LOG: &[u8] = b"one\ntwo\xff\0\n";

/// What a server does after it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    /// Sends the log and closes.
    Log,
    /// Sends the log and resets the connection.
    Reset,
}

/// Serves one viewer, and says what it was asked.
async fn serve(listener: TcpListener, tls: Option<Server>, script: Script) -> String {
    let (tcp, _) = listener.accept().await.unwrap();
    let mut transport = match tls {
        Some(tls) => Transport::Tls(Box::new(tls.accept(tcp).await.unwrap().stream)),
        None => Transport::Plain(tcp),
    };
    let mut line = String::new();
    BufReader::new(&mut transport).read_line(&mut line).await.unwrap();
    transport.write_all(LOG).await.unwrap();
    transport.flush().await.unwrap();
    if script == Script::Reset {
        let linger = Some(Duration::ZERO);
        socket2::SockRef::from(transport.tcp()).set_linger(linger).unwrap();
    } else {
        transport.shutdown().await.unwrap();
    }
    line
}

fn asked(address: SocketAddr, tls: Tls) -> Stream {
    let host = HostPort { host: address.ip().to_string(), port: address.port() };
    Stream { uuid: BuildId::parse(BUILD).unwrap(), host, timeout: Duration::from_secs(10), tls }
}

fn plain() -> Tls {
    Tls {
        tls: false,
        ca: None,
        crl: None,
        cert: None,
        key: None,
        server_name: None,
        no_verify_hostname: false,
        version1_certificates: false,
    }
}

/// Runs the client against a server, and gives what the server was asked, what came out, and how it ended.
async fn run(server: Option<Server>, tls: Tls, script: Script) -> (String, Vec<u8>, anyhow::Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = asked(listener.local_addr().unwrap(), tls);
    let mut out = Vec::new();
    let (line, ended) = tokio::join!(serve(listener, server, script), stream(&asked, &mut out));
    (line, out, ended)
}

#[tokio::test]
async fn a_log_comes_out_as_it_came_in() {
    let (line, out, ended) = run(None, plain(), Script::Log).await;
    ended.unwrap();
    assert_eq!(line, format!("{BUILD}\n"));
    assert_eq!(out, LOG);
}

#[tokio::test]
async fn a_log_that_breaks_off_is_a_failure() {
    let (_, out, ended) = run(None, plain(), Script::Reset).await;
    let message = format!("{:#}", ended.unwrap_err());
    assert!(message.contains("broke off: after ") && message.contains("reset"), "{message}");
    assert!(LOG.starts_with(&out));
}

#[tokio::test]
async fn nobody_listening_is_a_failure_that_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = stream(&asked(address, plain()), &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains(&format!("cannot connect to {address}")), "{error}");
}

/// Standard output of which the other end is gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_closed_output_is_the_end_and_no_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let asked = asked(listener.local_addr().unwrap(), plain());
    let mut out = Closed;
    let (_, ended) = tokio::join!(serve(listener, None, Script::Log), stream(&asked, &mut out));
    ended.unwrap();
}

/// Writes a CA and a pair for `name` to `dir`.
fn certificates(dir: &Path, name: &str) -> (PathBuf, KeyPairFiles) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let write = |file: &str, text: String| {
        fs::write(dir.join(file), text).unwrap();
        dir.join(file)
    };
    let pair = KeyPairFiles { cert: write("leaf.pem", leaf.pem()), key: write("leaf.key", key.serialize_pem()) };
    (write("ca.pem", issuer.pem()), pair)
}

fn server(ca: &Path, pair: &KeyPairFiles) -> Server {
    let trust = Trust { ca: ca.to_owned(), crl: None, version1_certificates: false };
    Server::load(&ServerTls {
        certificates: vec![pair.clone()],
        require_known_server_name: true,
        client_certificates: ClientCertificates::Required(trust),
        min_version: TlsVersion::V1_2,
    })
    .unwrap()
}

#[tokio::test]
async fn tls_shows_a_certificate_and_asks_for_the_server_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, pair) = certificates(dir.path(), "gw.example.org");
    let server = server(&ca, &pair);
    let tls = Tls {
        tls: true,
        ca: Some(ca),
        cert: Some(pair.cert),
        key: Some(pair.key),
        server_name: Some("gw.example.org".to_owned()),
        ..plain()
    };
    let (line, out, ended) = run(Some(server), tls, Script::Log).await;
    ended.unwrap();
    assert_eq!((line, out.as_slice()), (format!("{BUILD}\n"), LOG));
}

/// A server whose certificate has another name than the address that is dialled.
async fn misnamed(no_verify_hostname: bool) -> anyhow::Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let (ca, pair) = certificates(dir.path(), "gw.example.org");
    let server = server(&ca, &pair);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let cert = Some(pair.cert);
    let tls = Tls { tls: true, ca: Some(ca), cert, key: Some(pair.key), no_verify_hostname, ..plain() };
    let asked = asked(listener.local_addr().unwrap(), tls);
    let tasks = Tasks::new();
    tasks.spawn_until_stopped(Span::none(), async move {
        let (tcp, _) = listener.accept().await.unwrap();
        if let Ok(mut viewer) = server.accept(tcp).await {
            viewer.stream.write_all(LOG).await.unwrap();
            viewer.stream.shutdown().await.unwrap();
        }
    });
    stream(&asked, &mut Vec::new()).await
}

#[tokio::test]
async fn a_certificate_of_another_name_is_refused_unless_told_not_to_look() {
    let error = misnamed(false).await.unwrap_err();
    assert!(format!("{error:#}").contains("no TLS with 127.0.0.1:"), "{error:#}");
    misnamed(true).await.unwrap();
}

#[tokio::test]
async fn files_that_cannot_be_used_are_told_before_anything_is_dialled() {
    let tls = Tls { tls: true, ca: Some("/nowhere/ca.pem".into()), ..plain() };
    let error = stream(&asked("127.0.0.1:1".parse().unwrap(), tls), &mut Vec::new()).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_in_its_handshake_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, _) = certificates(dir.path(), "gw.example.org");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tls = Tls { tls: true, ca: Some(ca), ..plain() };
    let error = stream(&asked(listener.local_addr().unwrap(), tls), &mut Vec::new()).await.unwrap_err();
    assert!(format!("{error:#}").contains("no answer within 10s"), "{error:#}");
}

#[tokio::test]
async fn a_server_that_vanishes_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = connect(&asked(listener.local_addr().unwrap(), plain())).await.unwrap();
    assert!(socket2::SockRef::from(transport.tcp()).keepalive().unwrap(), "it is probed while it is silent");
}
