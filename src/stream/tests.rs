//! Streams over real loopback sockets.

use tokio::net::{TcpListener, TcpStream};

/// Two ends of one connection.
pub(super) async fn loopback() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    let (client, server) = tokio::join!(socket.connect(listener.local_addr().unwrap()), listener.accept());
    (server.unwrap().0, client.unwrap())
}
