//! An executor that sends a log at once, from memory by sendfile(2), so that it takes nothing of the machine that a
//! peer could use.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::fs::{MemfdFlags, memfd_create, sendfile};

/// What is held of a long log; it is sent again and again.
const HELD: u64 = 64 << 20;

/// Connections that are served at one time, more than any load opens; others wait for their turn. A thread made for
/// each connection would cost more than the relay that is measured.
const THREADS: usize = 64;

/// Listens until the program ends.
#[derive(Debug)]
pub struct Source {
    /// Where.
    pub address: SocketAddr,
}

impl Source {
    /// Every connection gets `bytes` bytes once it has sent a line, and is closed.
    pub fn of(bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new((listener, held(bytes.min(HELD))));
        for _ in 0..THREADS {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (listener, log) = &*shared;
                listener.incoming().for_each(|tcp| serve(&tcp.expect("a connection"), log, bytes));
            });
        }
        Self { address }
    }
}

fn held(bytes: u64) -> OwnedFd {
    let memory = memfd_create("log", MemfdFlags::CLOEXEC).expect("memory");
    let mut file = File::from(memory);
    let line = b"2026-01-01 00:00:00.000000 | controller | ok: what a build says, line by line\n";
    let text: Vec<u8> = line.iter().copied().cycle().take(usize::try_from(bytes).expect("64-bit")).collect();
    file.write_all(&text).expect("memory");
    file.into()
}

/// A peer that breaks off ends its own connection and no other.
fn serve(tcp: &TcpStream, log: &OwnedFd, bytes: u64) {
    let mut request = String::new();
    if BufReader::new(tcp).read_line(&mut request).is_err() {
        return;
    }
    let mut sent = 0;
    while sent < bytes {
        let mut offset = sent % HELD;
        let count = usize::try_from((bytes - sent).min(HELD - offset)).expect("64-bit");
        match sendfile(tcp, log, Some(&mut offset), count) {
            Ok(moved) if moved > 0 => sent += moved as u64,
            _ => return,
        }
    }
    let _gone = tcp.shutdown(Shutdown::Write);
}
