//! An executor that does what Zuul's cannot be made to do: break off, keep silent, send any bytes at any time. It
//! never sends anything by itself.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::viewer::PATIENCE;

/// A port where streams arrive.
#[derive(Debug)]
pub struct Executor {
    listener: TcpListener,
}

/// One stream that arrived, its request already read.
#[derive(Debug)]
pub struct Arrival {
    /// What was asked, up to and with the newline.
    pub request: String,
    stream: TcpStream,
}

/// A port that is bound but never answers a connection, because its queue is full.
#[derive(Debug)]
pub struct FullQueue {
    listener: TcpListener,
    _queued: Vec<TcpStream>,
}

impl Executor {
    /// Binds a port of 127.0.0.1.
    pub async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.expect("bound") }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// Takes the next stream, and reads its request.
    pub async fn next(&self) -> Arrival {
        let mut stream = self.accept().await;
        let mut request = Vec::new();
        while request.last() != Some(&b'\n') {
            let byte = timeout(PATIENCE, stream.read_u8()).await.expect("a request in time").expect("a request");
            request.push(byte);
        }
        Arrival { request: String::from_utf8(request).expect("a request in UTF-8"), stream }
    }

    /// Takes the next connection and resets it, whatever was sent.
    pub async fn slam(&self) {
        self.accept().await.set_zero_linger().expect("linger set");
    }

    async fn accept(&self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept()).await.expect("a connection in time").expect("a connection").0
    }
}

impl FullQueue {
    /// Binds a port of 127.0.0.1 and fills its queue.
    pub async fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("bound");
        let listener = socket.listen(1).expect("listening");
        let address = listener.local_addr().expect("an address");
        let mut queued = Vec::new();
        // Linux queues one more than it is told; the first that is left without an answer proves that it is full.
        while let Ok(connected) = timeout(Duration::from_millis(300), dial(address)).await {
            queued.push(connected);
        }
        Self { listener, _queued: queued }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }
}

impl Arrival {
    /// Sends bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        timeout(PATIENCE, self.stream.write_all(bytes)).await.expect("sent in time").expect("sent");
    }

    /// Breaks the connection off by a reset. What has not arrived yet may get lost.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("linger set");
    }

    /// Waits until the other side has gone.
    pub async fn until_left(mut self) {
        let mut more = Vec::new();
        // A reset tells the same as an end.
        let _reset =
            timeout(PATIENCE, self.stream.read_to_end(&mut more)).await.expect("the other side leaves in time");
        assert!(more.is_empty(), "after its request the gateway sent {:?}", String::from_utf8_lossy(&more));
    }
}

async fn dial(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("connected")
}
