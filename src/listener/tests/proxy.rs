//! PROXY headers, believed and disbelieved.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;

use super::{Relay, SOON, behind_proxies, connect, loopback};
use crate::config::settings;
use crate::config::settings::Network;
use crate::fault::Fault;
use crate::listener::Viewer;
use crate::request;

/// Sends `bytes` to a listener that takes PROXY headers from loopback, and greets.
async fn greeted(bytes: &[u8]) -> (SocketAddr, Result<Viewer, Fault>) {
    let (mut relay, address) = Relay::with(behind_proxies());
    let mut proxy = connect(address).await.unwrap();
    proxy.write_all(bytes).await.unwrap();
    proxy.shutdown().await.unwrap();
    let own = proxy.local_addr().unwrap();
    (own, relay.accepted().await.greet().await)
}

fn v2_header(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([0x20 | command, family]);
    header.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    header.extend(payload);
    header
}

#[tokio::test]
async fn behind_a_proxy_the_limit_counts_its_clients() {
    let (mut relay, address) = Relay::with(settings::Listener { max_connections_per_address: 1, ..behind_proxies() });
    let mut greetings = Vec::new();
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        let mut proxy = connect(address).await.unwrap();
        let header = format!("PROXY TCP4 {client} 198.51.100.1 4711 79\r\n");
        proxy.write_all(header.as_bytes()).await.unwrap();
        greetings.push(relay.accepted().await.greet().await);
    }
    assert!(greetings[0].is_ok() && greetings[1].is_ok());
    let Err(Fault::Handshake { label: "address_full", why }) = &greetings[2] else { panic!("{:?}", greetings[2]) };
    assert!(why.contains("192.0.2.1"), "{why}");
    assert_eq!(relay.turned_away("address_full"), 1);
}

#[tokio::test]
async fn proxy_headers_name_the_viewer_and_take_no_byte_of_the_request() {
    let v6: Vec<u8> = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], [0; 16]].concat();
    let rows: [(Vec<u8>, &str); 4] = [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 79\r\n".to_vec(), "192.0.2.1:4711"),
        (b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 79\r\n".to_vec(), "[2001:db8::9]:4711"),
        (v2_header(1, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 79, 4, 0, 1, 42]), "192.0.2.1:4711"),
        (v2_header(1, 0x21, &[&v6[..], &[0x12, 0x67, 0, 79]].concat()), "[2001:db8::9]:4711"),
    ];
    for (header, expected) in rows {
        let (_, viewer) = greeted(&[&header[..], b"abc\n"].concat()).await;
        let mut viewer = viewer.unwrap();
        assert_eq!(viewer.peer, expected.parse().unwrap());
        assert_eq!(request::read(Vec::new(), &mut viewer.transport, SOON).await.unwrap().line, "abc");
    }
}

#[tokio::test]
async fn a_proxy_that_speaks_for_itself_or_for_nobody_known_leaves_the_sockets_address() {
    let headers = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
        v2_header(0, 0x00, &[]),
        v2_header(0, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 79]),
        v2_header(1, 0x31, &[0; 216]),
    ];
    for header in headers {
        let (own, viewer) = greeted(&[&header[..], b"abc\n"].concat()).await;
        let mut viewer = viewer.unwrap();
        assert_eq!(viewer.peer, own);
        assert_eq!(request::read(Vec::new(), &mut viewer.transport, SOON).await.unwrap().line, "abc");
    }
}

#[tokio::test]
async fn what_is_no_proxy_header_ends_the_connection() {
    let rows: [Vec<u8>; 9] = [
        b"0123456789abcdef\n".to_vec(),
        b"PROXY TCP4 192.0.2.1\r\n".to_vec(),
        b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 79\n".to_vec(),
        b"PROXY TCP4 ".to_vec(),
        [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat(),
        b"\r\n\r\n0123456789abcdef".to_vec(),
        v2_header(1, 0x11, &[192, 0, 2, 1]),
        v2_header(9, 0x11, &[0; 12]),
        v2_header(1, 0x11, &[0; 5000]),
    ];
    for bytes in rows {
        let (_, viewer) = greeted(&bytes).await;
        let refused = matches!(viewer, Err(Fault::Handshake { label: "proxy_header", .. }));
        assert!(refused, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test]
async fn a_proxys_health_check_is_no_failed_handshake() {
    assert!(matches!(greeted(b"").await.1, Err(Fault::NoRequest)));
}

#[tokio::test]
async fn a_proxy_header_may_come_in_pieces() {
    let header = v2_header(1, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x67, 0, 79]);
    for header in [&header[..], b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 79\r\n"] {
        let (mut proxy, mut relay) = tokio::io::duplex(1);
        let (sent, client) = tokio::join!(proxy.write_all(header), crate::listener::proxy::client(&mut relay));
        sent.unwrap();
        assert_eq!(client.unwrap(), Some("192.0.2.1:4711".parse().unwrap()));
    }
}

#[tokio::test]
async fn a_proxy_header_from_an_unlisted_peer_is_just_its_request() {
    let network = Network { address: "192.0.2.0".parse().unwrap(), prefix: 24 };
    let (mut relay, address) = Relay::with(settings::Listener { proxy_protocol_from: vec![network], ..loopback() });
    let mut liar = connect(address).await.unwrap();
    liar.write_all(b"PROXY TCP4 192.0.2.1 198.51.100.1 4711 79\r\n").await.unwrap();
    let mut viewer = relay.accepted().await.greet().await.unwrap();
    assert_eq!(viewer.peer, liar.local_addr().unwrap());
    let query = request::read(Vec::new(), &mut viewer.transport, SOON).await.unwrap();
    assert_eq!((query.line.as_str(), query.build), ("PROXY TCP4 192.0.2.1 198.51.100.1 4711 79", None));
}

#[tokio::test(start_paused = true)]
async fn a_proxy_that_says_nothing_is_given_up_at_the_deadline() {
    let (mut relay, address) = Relay::with(behind_proxies());
    let _silent = std::net::TcpStream::connect(address).unwrap();
    let incoming = relay.incoming.recv().await.unwrap();
    let patience = incoming.config.settings.handshake_timeout;
    assert!(matches!(incoming.greet().await, Err(Fault::HandshakeTimeout(limit)) if limit == patience));
}
