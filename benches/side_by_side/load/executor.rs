//! An executor whose builds go on: each of its logs begins as soon as somebody asks for it, and never ends by itself.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Bytes that every log begins with.
pub const BEGINNING: usize = 200;

/// Longest wait for a stream that must come, for its request, or for a peer to take a line.
const PATIENCE: Duration = Duration::from_secs(30);

/// Listens until the program ends.
#[derive(Debug)]
pub struct Executor {
    /// Where.
    pub address: SocketAddr,
    begun: Receiver<TcpStream>,
}

impl Executor {
    /// Every connection gets the first [`BEGINNING`] bytes of a log once it has sent a line, and is kept.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (begin, begun) = channel();
        thread::spawn(move || {
            for tcp in listener.incoming() {
                serve(tcp.expect("a connection"), &begin);
            }
        });
        Self { address, begun }
    }

    /// The next `count` streams that have begun.
    pub fn streams(&self, count: usize) -> Vec<TcpStream> {
        (0..count).map(|_| self.begun.recv_timeout(PATIENCE).expect("a stream in time")).collect()
    }
}

/// A peer that only looks whether somebody listens gets no log.
fn serve(mut tcp: TcpStream, begin: &Sender<TcpStream>) {
    tcp.set_nodelay(true).expect("no delay");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    tcp.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let mut request = String::new();
    if BufReader::new(&tcp).read_line(&mut request).is_ok_and(|read| read > 0) {
        tcp.write_all(&[b'.'; BEGINNING]).expect("the log begins");
        // Who started this executor may have what it wanted.
        let _unwanted = begin.send(tcp);
    }
}
