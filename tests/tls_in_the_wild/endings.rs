//! How connections end: politely, without a word, broken, or before they began.

use std::time::Duration;

use fingerpost::config::settings::ClientCertificates;
use fingerpost::tls::{Accepted, Client, HandshakeError, Server, Stream};
use fingerpost::transport::Records;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::peers::{dial, listen, meet};
use crate::pki::{Authority, Shape, client, server};

#[tokio::test]
async fn relays_recognize_each_other() {
    let (ours, theirs) = pair().await;
    assert_eq!(ours.records(), Records::Full);
    assert_eq!(theirs.stream.records(), Records::Full);
    assert_eq!(theirs.server_name.as_deref(), Some("relay"));
    assert_eq!(theirs.identity, None);
}

#[tokio::test]
async fn an_end_without_close_notify_is_an_end() {
    let (mut ours, mut theirs) = pair().await;
    theirs.stream.write_all(b"the whole log").await.unwrap();
    theirs.stream.flush().await.unwrap();
    drop(theirs);
    let mut log = Vec::new();
    ours.read_to_end(&mut log).await.unwrap();
    assert_eq!(log, b"the whole log");
    assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_reset_is_no_end() {
    let (mut ours, theirs) = pair().await;
    theirs.stream.tcp().set_zero_linger().unwrap();
    drop(theirs);
    let error = ours.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_side_that_shut_down_still_reads() {
    let (mut ours, mut theirs) = pair().await;
    ours.write_all(b"request").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut request = Vec::new();
    theirs.stream.read_to_end(&mut request).await.unwrap();
    assert_eq!(request, b"request");
    theirs.stream.write_all(b"reply").await.unwrap();
    theirs.stream.shutdown().await.unwrap();
    let mut reply = Vec::new();
    ours.read_to_end(&mut reply).await.unwrap();
    assert_eq!(reply, b"reply");
}

#[tokio::test]
async fn a_peer_that_stops_reading_fills_a_bounded_buffer() {
    const FAR_TOO_MUCH: usize = 64 * 1024 * 1024;
    let (_silent, mut theirs) = pair().await;
    let mut written = 0;
    let chunk = vec![0; 16 * 1024];
    // From here on time passes only while nothing else can happen.
    tokio::time::pause();
    let stuck = tokio::time::timeout(Duration::from_secs(1), async {
        while written < FAR_TOO_MUCH {
            written += theirs.stream.write(&chunk).await.unwrap();
        }
    });
    stuck.await.expect_err("the kernel's buffers and ours are full");
}

#[tokio::test]
async fn plain_text_is_called_so() {
    // More than is read at once: what is left unread must not turn the answer into a reset.
    let long = "x".repeat(16 * 1024);
    for text in ["0123456789abcdef0123456789abcdef\n", "GET / HTTP/1.1\r\n\r\n", &long] {
        let (mut peer, tcp) = sockets().await;
        peer.write_all(text.as_bytes()).await.unwrap();
        let error = relay().accept(tcp).await.unwrap_err();
        assert_eq!((error.label(), error.to_string().as_str()), ("plain_text", "plain text instead of TLS"));
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.first(), Some(&21), "a TLS alert: {answer:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_plain_text_is_called_so() {
    let ca = Authority::new("ca");
    let client = Client::load(&client(ca.trust(), None)).unwrap();
    let (mut peer, tcp) = sockets().await;
    peer.write_all(b"Internal streaming error").await.unwrap();
    assert_eq!(client.connect("relay", tcp).await.unwrap_err().label(), "plain_text");
}

#[tokio::test]
async fn a_handshake_that_is_cut_short_is_called_so() {
    let hello = hello().await;
    for cut in [0, 3, hello.len() / 2] {
        let (mut peer, tcp) = sockets().await;
        peer.write_all(&hello[..cut]).await.unwrap();
        peer.shutdown().await.unwrap();
        assert_eq!(relay().accept(tcp).await.unwrap_err().label(), "closed", "after {cut} bytes");
    }
    let (mut peer, tcp) = sockets().await;
    peer.write_all(&hello).await.unwrap();
    peer.shutdown().await.unwrap();
    assert_eq!(relay().accept(tcp).await.unwrap_err().label(), "closed", "after the hello");
}

#[tokio::test(start_paused = true)]
async fn half_a_hello_waits_for_the_callers_deadline() {
    let hello = hello().await;
    let (mut peer, tcp) = sockets().await;
    peer.write_all(&hello[..hello.len() / 2]).await.unwrap();
    let relay = relay();
    let accepted = tokio::time::timeout(Duration::from_secs(10), relay.accept(tcp)).await;
    accepted.expect_err("nothing more comes");
}

#[tokio::test]
async fn noise_is_refused_and_not_taken_for_plain_text() {
    let mut noise = hello().await;
    noise[6..].fill(0xff);
    let (mut peer, tcp) = sockets().await;
    peer.write_all(&noise).await.unwrap();
    assert_eq!(relay().accept(tcp).await.unwrap_err().label(), "protocol");
}

#[tokio::test]
async fn a_host_that_cannot_be_named_is_refused_before_anything_is_sent() {
    let ca = Authority::new("ca");
    let client = Client::load(&client(ca.trust(), None)).unwrap();
    let (mut peer, tcp) = sockets().await;
    let error = client.connect("no host", tcp).await.unwrap_err();
    assert!(matches!(error, HandshakeError::BadHost { ref host } if host == "no host"), "{error}");
    let mut sent = Vec::new();
    peer.read_to_end(&mut sent).await.unwrap();
    assert!(sent.is_empty());
}

async fn pair() -> (Stream, Accepted) {
    let ca = Authority::new("ca");
    let server = Server::load(&server(&ca.leaf("relay", Shape::Zuul), ClientCertificates::None)).unwrap();
    let client = Client::load(&client(ca.trust(), None)).unwrap();
    let (ours, theirs) = meet(&client, "relay", &server).await;
    (ours.unwrap(), theirs.unwrap())
}

fn relay() -> Server {
    let ca = Authority::new("ca");
    Server::load(&server(&ca.leaf("relay", Shape::Zuul), ClientCertificates::None)).unwrap()
}

/// A peer's socket, and ours.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = listen().await;
    let peer = dial(listener.local_addr().unwrap()).await;
    (peer, listener.accept().await.unwrap().0)
}

/// The ClientHello that our own client sends.
async fn hello() -> Vec<u8> {
    let ca = Authority::new("ca");
    let client = Client::load(&client(ca.trust(), None)).unwrap();
    let (mut peer, tcp) = sockets().await;
    let listens = async {
        let mut header = [0; 5];
        peer.read_exact(&mut header).await.unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        peer.read_exact(&mut body).await.unwrap();
        [&header[..], &body].concat()
    };
    tokio::select! {
        hello = listens => hello,
        never = client.connect("relay", tcp) => panic!("nobody answered: {never:?}"),
    }
}
