//! Listeners over real sockets: bytes in, viewers and faults out.

mod own_process;
mod proxy;
mod tls;
mod told;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::net::sockopt::tcp_congestion;
use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::config::settings::Network;
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
        self.apply_with(wanted, &settings::Stream::default())
    }

    fn apply_with(
        &mut self,
        wanted: Vec<settings::Listener>,
        stream: &settings::Stream,
    ) -> Result<Applied, Vec<BindError>> {
        let config = |settings| Arc::new(Config { settings, tls: None, stream: stream.clone() });
        let wanted = wanted.into_iter().map(config).collect();
        let queue = self.queue.clone();
        let plan = self.listeners.plan(wanted)?;
        Ok(self.listeners.apply(plan, move |arrival| queue.try_send(arrival.on(None).unwrap()).unwrap()))
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
async fn only_viewers_of_a_loopback_listener_are_sent_to_without_pacing() {
    let usual = tcp_congestion(TcpSocket::new_v4().unwrap()).unwrap();
    for (address, control) in [("127.0.0.1:0", "reno"), ("0.0.0.0:0", &usual)] {
        let (mut relay, bound) = Relay::with(on(address));
        let _viewer = connect((Ipv4Addr::LOCALHOST, bound.port()).into()).await.unwrap();
        assert_eq!(tcp_congestion(&relay.accepted().await.tcp).unwrap(), control, "{address}");
    }
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

/// After how long without a word the next viewer is probed.
async fn next_is_probed_after(relay: &mut Relay) -> Duration {
    let _viewer = connect(relay.address()).await.unwrap();
    let Incoming { tcp, .. } = relay.accepted().await;
    let socket = SockRef::from(&tcp);
    assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
    assert_eq!(socket.tcp_user_timeout().unwrap(), None);
    socket.tcp_keepalive_time().unwrap()
}

#[tokio::test]
async fn viewers_come_with_their_socket_options_and_a_reload_changes_those_of_the_next() {
    let (mut relay, _) = Relay::with(loopback());
    assert_eq!(next_is_probed_after(&mut relay).await, Duration::from_secs(10));
    let stream = settings::Stream { keepalive_idle: Duration::from_secs(77), ..settings::Stream::default() };
    let applied = relay.apply_with(vec![loopback()], &stream).unwrap();
    assert_eq!(applied.kept, ["finger"]);
    assert_eq!(next_is_probed_after(&mut relay).await, Duration::from_secs(77));
}

#[tokio::test]
async fn nothing_changes_when_one_listener_cannot_be_bound() {
    let (mut relay, address) = Relay::with(loopback());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let occupied = named(on(&taken.local_addr().unwrap().to_string()), "taken");
    let foreign = named(on("192.0.2.1:0"), "foreign");
    let errors = relay.apply(vec![named(on("[::1]:0"), "new"), occupied, foreign]).unwrap_err();
    assert_eq!(relay.listeners.addresses(), [("finger".to_owned(), address)]);
    let unheard = ByListener { listener: "new".to_owned() };
    assert!(relay.metrics.accepted.get(&unheard).is_none(), "it was bound, and is not shown");
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
    assert_eq!(request::read(Vec::new(), &mut greeted.transport, SOON).await.unwrap().line, "abc");
    assert_eq!(tasks.len(), 300);
}
