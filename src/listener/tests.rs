//! Listeners over real sockets: bytes in, viewers and faults out.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::config::settings::Network;
use crate::fault::Fault;
use crate::metrics::Turned;
use crate::request;

const SOON: Duration = Duration::from_secs(20);

/// Listeners whose connections arrive in a queue.
struct Relay {
    listeners: Listeners,
    metrics: metrics::Listeners,
    queue: mpsc::Sender<Incoming>,
    incoming: mpsc::Receiver<Incoming>,
}

impl Relay {
    fn idle() -> Self {
        let metrics = metrics::Listeners::default();
        let (queue, incoming) = mpsc::channel(1024);
        Self { listeners: Listeners::new(metrics.clone(), Tasks::new()), metrics, queue, incoming }
    }

    fn with(settings: settings::Listener) -> (Self, SocketAddr) {
        let mut relay = Self::idle();
        relay.apply(vec![settings]).unwrap();
        let address = relay.address();
        (relay, address)
    }

    fn apply(&mut self, wanted: Vec<settings::Listener>) -> Result<Applied, Vec<BindError>> {
        let wanted = wanted.into_iter().map(|settings| Arc::new(Config { settings, tls: None })).collect();
        let queue = self.queue.clone();
        self.listeners.apply(wanted, move |incoming| queue.try_send(incoming).unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.listeners.addresses()[0].1
    }

    async fn accepted(&mut self) -> Incoming {
        timeout(SOON, self.incoming.recv()).await.unwrap().unwrap()
    }

    fn turned_away(&self, reason: &'static str) -> u64 {
        let turned = Turned { listener: "finger".to_owned(), reason };
        self.metrics.turned_away.get_or_create(&turned).get()
    }
}

fn loopback() -> settings::Listener {
    on("127.0.0.1:0")
}

fn on(address: &str) -> settings::Listener {
    settings::Listener::plain("finger", address.parse().unwrap())
}

fn behind_proxies() -> settings::Listener {
    let network = Network { address: Ipv4Addr::LOCALHOST.into(), prefix: 8 };
    settings::Listener { proxy_protocol_from: vec![network], ..loopback() }
}

fn named(settings: settings::Listener, name: &str) -> settings::Listener {
    settings::Listener { name: name.to_owned(), ..settings }
}

#[expect(clippy::disallowed_methods, reason = "a viewer of the test, not of the relay")]
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    timeout(SOON, TcpStream::connect(address)).await.unwrap()
}

async fn is_closed(viewer: &mut TcpStream) -> bool {
    let read = timeout(SOON, viewer.read(&mut [0; 16])).await.unwrap();
    matches!(read, Ok(0)) || read.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

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
async fn an_unchanged_socket_stays_and_only_its_settings_change() {
    let (mut relay, address) = Relay::with(loopback());
    let waiting = connect(address).await.unwrap();
    let applied = relay.apply(vec![settings::Listener { max_connections: 7, ..loopback() }]).unwrap();
    assert_eq!(applied, Applied { kept: vec!["finger".to_owned()], ..Applied::default() });
    assert_eq!(relay.address(), address);
    let _later = connect(address).await.unwrap();
    assert_eq!(relay.accepted().await.peer, waiting.local_addr().unwrap());
    assert_eq!(relay.accepted().await.config.settings.max_connections, 7);
}

#[tokio::test]
async fn a_renamed_listener_keeps_its_socket() {
    let (mut relay, address) = Relay::with(loopback());
    relay.apply(vec![named(loopback(), "renamed")]).unwrap();
    assert_eq!(relay.listeners.addresses(), [("renamed".to_owned(), address)]);
}

#[tokio::test]
async fn two_listeners_on_port_zero_keep_a_socket_each_when_their_order_changes() {
    let mut relay = Relay::idle();
    relay.apply(vec![named(loopback(), "a"), named(loopback(), "b")]).unwrap();
    let mut before = relay.listeners.addresses();
    relay.apply(vec![named(loopback(), "b"), named(loopback(), "a")]).unwrap();
    before.reverse();
    assert_eq!(relay.listeners.addresses(), before);
}

#[tokio::test]
async fn a_removed_listener_refuses_new_viewers_and_keeps_the_accepted_ones() {
    let (mut relay, address) = Relay::with(loopback());
    let mut viewer = connect(address).await.unwrap();
    let mut incoming = relay.accepted().await;
    let applied = relay.apply(vec![named(on("[::1]:0"), "other")]).unwrap();
    assert_eq!((applied.added, applied.removed), (vec!["other".to_owned()], vec!["finger".to_owned()]));
    assert_eq!(connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    connect(relay.address()).await.unwrap();
    incoming.tcp.write_all(b"log").await.unwrap();
    let mut log = [0; 3];
    viewer.read_exact(&mut log).await.unwrap();
    assert_eq!(&log, b"log");
}

#[tokio::test]
async fn nothing_changes_when_one_listener_cannot_be_bound() {
    let (mut relay, address) = Relay::with(loopback());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = named(on(&taken.local_addr().unwrap().to_string()), "taken");
    let foreign = named(on("192.0.2.1:0"), "foreign");
    let errors = relay.apply(vec![named(on("[::1]:0"), "new"), occupied, foreign]).unwrap_err();
    assert_eq!(relay.listeners.addresses(), [("finger".to_owned(), address)]);
    connect(address).await.unwrap();
    let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(text.len(), 2);
    let expected = format!("listener taken: cannot listen on {}: Address already in use", taken.local_addr().unwrap());
    assert!(text[0].starts_with(&expected) && text[0].contains("ss -ltnp"), "{}", text[0]);
    assert!(
        text[1].contains("foreign") && text[1].contains("no interface of this machine has 192.0.2.1"),
        "{}",
        text[1]
    );
}

#[tokio::test]
async fn an_address_may_widen_on_the_same_port() {
    let (mut relay, narrow) = Relay::with(loopback());
    let applied = relay.apply(vec![on(&format!("[::]:{}", narrow.port()))]).unwrap();
    assert_eq!((applied.added.len(), applied.removed.len()), (1, 1));
    connect(narrow).await.unwrap();
    connect(SocketAddr::new("::1".parse().unwrap(), narrow.port())).await.unwrap();
    let stranger = std::net::TcpListener::bind(narrow);
    assert_eq!(stranger.unwrap_err().kind(), io::ErrorKind::AddrInUse);
}

#[tokio::test]
async fn the_unspecified_ipv6_address_serves_ipv4_too_under_its_own_name() {
    let (mut relay, address) = Relay::with(on("[::]:0"));
    for loopback in ["127.0.0.1", "::1"] {
        let viewer = connect(SocketAddr::new(loopback.parse().unwrap(), address.port())).await.unwrap();
        assert_eq!(relay.accepted().await.peer, viewer.local_addr().unwrap());
    }
}

#[tokio::test]
async fn close_refuses_at_once_and_accepted_connections_go_on() {
    let (mut relay, address) = Relay::with(loopback());
    let mut viewer = connect(address).await.unwrap();
    let mut incoming = relay.accepted().await;
    relay.listeners.close();
    assert_eq!(std::net::TcpStream::connect(address).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    incoming.tcp.write_all(b"log").await.unwrap();
    viewer.read_exact(&mut [0; 3]).await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_at_once_and_counted_until_one_ends() {
    let (mut relay, address) = Relay::with(settings::Listener { max_connections: 1, ..loopback() });
    let _first = connect(address).await.unwrap();
    let permit = relay.accepted().await.permit;
    assert!(is_closed(&mut connect(address).await.unwrap()).await);
    assert_eq!(relay.turned_away("listener_full"), 1);
    drop(permit);
    let _next = connect(address).await.unwrap();
    relay.accepted().await;
}

#[tokio::test]
async fn connections_of_one_address_beyond_its_limit_are_closed_and_others_served() {
    let crowded = settings::Listener { max_connections_per_address: 1, ..on("[::]:0") };
    let (mut relay, address) = Relay::with(crowded);
    let v4 = SocketAddr::new("127.0.0.1".parse().unwrap(), address.port());
    let _first = connect(v4).await.unwrap();
    let _kept = relay.accepted().await;
    assert!(is_closed(&mut connect(v4).await.unwrap()).await);
    assert_eq!((relay.turned_away("address_full"), relay.turned_away("listener_full")), (1, 0));
    let _other = connect(SocketAddr::new("::1".parse().unwrap(), address.port())).await.unwrap();
    relay.accepted().await;
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
    assert!(matches!(&greetings[2], Err(Fault::Handshake(reason)) if reason.contains("192.0.2.1")));
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
        assert_eq!(request::read(&mut viewer.transport, SOON).await.unwrap().line, "abc");
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
        assert_eq!(request::read(&mut viewer.transport, SOON).await.unwrap().line, "abc");
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
        assert!(matches!(viewer, Err(Fault::Handshake(_))), "{:?}", String::from_utf8_lossy(&bytes));
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
        let (sent, client) = tokio::join!(proxy.write_all(header), proxy::client(&mut relay));
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
    let query = request::read(&mut viewer.transport, SOON).await.unwrap();
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

#[tokio::test]
async fn three_hundred_silent_clients_keep_nobody_waiting() {
    let (mut relay, address) = Relay::with(behind_proxies());
    let tasks = Tasks::new();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(connect(address).await.unwrap());
        let incoming = relay.accepted().await;
        tasks.spawn_until_stopped(tracing::Span::none(), async move { drop(incoming.greet().await) });
    }
    let mut viewer = connect(address).await.unwrap();
    viewer.write_all(b"PROXY UNKNOWN\r\nabc\n").await.unwrap();
    let mut greeted = relay.accepted().await.greet().await.unwrap();
    assert_eq!(request::read(&mut greeted.transport, SOON).await.unwrap().line, "abc");
    assert_eq!(tasks.len(), 300);
}

/// Runs the ignored test `name` of this module in a process of its own, which a shell prepares by `preparation`.
fn in_own_process(name: &str, preparation: &str, stdin: std::process::Stdio) {
    let output = std::process::Command::new("sh")
        .args(["-c", &format!("{preparation} exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("listener::tests::{name}"), "--ignored", "--nocapture"])
        .stdin(stdin)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_process_out_of_descriptors_goes_on_accepting_once_it_has_some() {
    in_own_process("out_of_descriptors", "ulimit -n 64;", std::process::Stdio::null());
}

#[tokio::test]
#[ignore = "uses up the descriptors of its process; runs in one of its own"]
async fn out_of_descriptors() {
    let (mut relay, address) = Relay::with(loopback());
    let mut hoard: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(hoard.len() < 64);
    drop(hoard.pop());
    let viewer = connect(address).await.unwrap();
    let refused = async {
        while relay.turned_away("accept_error") == 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, refused).await.unwrap();
    assert!(relay.incoming.try_recv().is_err());
    drop(hoard);
    assert_eq!(relay.accepted().await.peer, viewer.local_addr().unwrap());
}

#[test]
fn a_socket_of_systemd_is_found_by_name_and_by_index_and_outlives_its_listener() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let as_systemd = "LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec 3<&0 0</dev/null;";
    in_own_process("passed_by_systemd", as_systemd, std::os::fd::OwnedFd::from(socket).into());
}

#[tokio::test]
#[ignore = "needs a socket passed to its process; runs in one of its own"]
async fn passed_by_systemd() {
    let by = |name: &str| settings::Listener { address: ListenAddress::Systemd(name.to_owned()), ..loopback() };
    let mut relay = Relay::idle();
    relay.listeners = relay.listeners.with_passed(Passed::from_systemd(Some("viewers")));
    relay.apply(vec![by("viewers")]).unwrap();
    let address = relay.address();
    let errors = relay.apply(vec![by("others")]).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "listener finger: cannot listen on systemd's socket \"others\": it passed 0=\"viewers\": set \
         FileDescriptorName= in the .socket unit, or use one of these names or an index"
    );
    relay.apply(Vec::new()).unwrap();
    let viewer = connect(address).await.unwrap();
    relay.apply(vec![by("0")]).unwrap();
    assert_eq!(relay.accepted().await.peer, viewer.local_addr().unwrap());
}

#[tokio::test]
async fn a_socket_that_systemd_did_not_pass_is_missed_by_name() {
    let wanted = settings::Listener { address: ListenAddress::Systemd("viewers".to_owned()), ..loopback() };
    let errors = Relay::idle().apply(vec![wanted]).unwrap_err();
    assert!(errors[0].to_string().contains("passed no sockets at all"), "{}", errors[0]);
}
