//! Races over real loopback sockets: live ones, ones that refuse, and ones that never answer.

use std::net::TcpListener;

use socket2::{Domain, Socket, Type};

use super::*;

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(20);

/// A port that refuses, and stays refusing: bound, so that nobody else gets it, but never listening.
struct Refusing(Socket);

impl Refusing {
    fn at(ip: &str) -> Self {
        let address = SocketAddr::new(ip.parse().unwrap(), 0);
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
        socket.bind(&address.into()).unwrap();
        Self(socket)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

/// A port that never answers: its queue of connections is full, so the kernel drops every further SYN.
pub(in crate::upstream) struct Silent(Socket, #[expect(dead_code, reason = "it fills the queue")] std::net::TcpStream);

impl Silent {
    pub(in crate::upstream) fn at(ip: &str) -> Self {
        let Refusing(socket) = Refusing::at(ip);
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self(socket, std::net::TcpStream::connect(address).unwrap())
    }

    pub(in crate::upstream) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }
}

fn live(ip: &str) -> TcpListener {
    let listener = TcpListener::bind((ip, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

async fn race(
    addresses: &[SocketAddr],
    deadline: Duration,
    head_start: Duration,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    Connect::new("host.test", 0, Pace { deadline, head_start }).race(addresses.to_vec()).await
}

#[test]
fn families_take_turns_and_the_resolvers_favourite_leads() {
    let all = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"].map(|text| text.parse().unwrap());
    let order = interleave(&all).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(order, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
    let order = interleave(&[all[3], all[0], all[1]]).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(order, ["1.1.1.1:1", "[::1]:1", "[::2]:1"]);
    assert!(interleave(&[]).is_empty());
}

#[tokio::test]
async fn a_dead_ipv6_address_that_refuses_gives_way_at_once() {
    let (dead, alive) = (Refusing::at("::1"), live("127.0.0.1"));
    let addresses = [dead.address(), alive.local_addr().unwrap()];
    let (tcp, address) = race(&addresses, LONG, LONG).await.unwrap();
    assert_eq!(address, alive.local_addr().unwrap());
    assert_eq!(tcp.peer_addr().unwrap(), address);
    assert!(tcp.nodelay().unwrap());
}

#[tokio::test]
async fn a_dead_ipv6_address_that_never_answers_costs_one_head_start() {
    let (dead, alive) = (Silent::at("::1"), live("127.0.0.1"));
    let addresses = [dead.address(), alive.local_addr().unwrap()];
    let (_tcp, address) = race(&addresses, LONG, SHORT).await.unwrap();
    assert_eq!(address, alive.local_addr().unwrap());
}

#[tokio::test]
async fn a_second_address_is_left_alone_while_the_first_has_its_head_start() {
    let (first, second) = (live("127.0.0.1"), live("127.0.0.1"));
    let addresses = [first.local_addr().unwrap(), second.local_addr().unwrap()];
    let (_tcp, address) = race(&addresses, LONG, LONG).await.unwrap();
    assert_eq!(address, first.local_addr().unwrap());
    assert_eq!(second.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn when_every_address_refuses_each_is_named() {
    let dead = [Refusing::at("::1"), Refusing::at("127.0.0.1")];
    let addresses = [dead[0].address(), dead[1].address()];
    let error = race(&addresses, LONG, LONG).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, ConnectError::Failed(failed) if failed.len() == 2));
    assert_eq!(
        said,
        format!(
            "{}: Connection refused (os error 111), {}: Connection refused (os error 111)",
            addresses[0], addresses[1]
        )
    );
}

#[tokio::test]
async fn a_deadline_names_who_was_silent_and_who_failed() {
    let (silent, dead) = (Silent::at("127.0.0.1"), Refusing::at("127.0.0.1"));
    let error = race(&[dead.address(), silent.address()], SHORT, LONG).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "no connection within 20ms: no answer from {}; {}: Connection refused (os error 111)",
            silent.address(),
            dead.address()
        )
    );
}

#[tokio::test]
async fn a_name_that_means_nothing_is_named() {
    // Two dots in a row are no name, which the resolver knows without asking anybody.
    let error = connect("no..name", 79, Pace { deadline: LONG, head_start: LONG }).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Resolve { host, .. } if host == "no..name"));
    assert!(error.to_string().starts_with("cannot resolve the name no..name: "), "{error}");
}

#[tokio::test]
async fn names_and_addresses_of_both_families_connect() {
    let (four, six) = (live("127.0.0.1"), live("::1"));
    let pace = Pace { deadline: LONG, head_start: SHORT };
    for (host, listener) in [("127.0.0.1", &four), ("localhost", &four), ("::1", &six)] {
        let port = listener.local_addr().unwrap().port();
        let (tcp, address) = connect(host, port, pace).await.unwrap();
        assert!(tcp.nodelay().unwrap());
        assert_eq!(address, listener.local_addr().unwrap(), "{host}");
    }
}

#[tokio::test]
async fn a_socket_connected_to_itself_counts_as_refused() {
    let Refusing(socket) = Refusing::at("127.0.0.1");
    socket.connect(&socket.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let tcp = TcpStream::from_std(socket.into()).unwrap();
    let dialled = tcp.local_addr().unwrap();
    assert_eq!(not_ourselves(tcp, dialled).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}
