//! A viewer that takes a large log without looking at it: the kernel throws the bytes away (`MSG_TRUNC`), and TLS is
//! not even decrypted, so that a peer's speed is all that shows.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustls::ClientConfig;

use super::Asking;
use crate::peers::Place;

/// Bytes asked for at a time.
const AT_A_TIME: usize = 4 << 20;

/// A read that brings less than this came too early.
const WORTHWHILE: usize = 256 << 10;

/// Rest after a read that came too early. A sink that wakes for every segment costs its sender more than the way there.
const REST: Duration = Duration::from_micros(50);

/// Silence after which nothing more comes of a log that has as many bytes as it should have. In TLS it has some more.
const SILENCE: Duration = Duration::from_millis(500);

/// One viewer of a large log.
#[derive(Debug, Clone)]
pub struct Sink {
    asking: Asking,
    bytes: u64,
}

impl Sink {
    /// Asks for the build `uuid`, whose log has `bytes` bytes.
    pub fn new(uuid: &str, bytes: u64, tls: Arc<ClientConfig>) -> Self {
        Self { asking: Asking::new(uuid, tls), bytes }
    }

    /// Takes the whole log from `place`; says how long that took, from connecting to its last byte. A peer may then
    /// keep the connection for a while: nginx waits three seconds for a viewer's farewell, which is none of its speed.
    pub fn take(&self, place: Place) -> Duration {
        let begun = Instant::now();
        let tcp = self.asking.ask(place);
        let (taken, last) = self.discard(&tcp);
        assert!(taken >= self.bytes, "{place:?}: {taken} of {} bytes", self.bytes);
        assert!(place.tls || taken == self.bytes, "{place:?}: {taken} bytes, not {}", self.bytes);
        last - begun
    }

    /// How many bytes came until the end, and when the last of them did. A silence where all are there is an end too.
    fn discard(&self, tcp: &TcpStream) -> (u64, Instant) {
        let mut unread = vec![0_u8; AT_A_TIME];
        let (mut taken, mut last) = (0, Instant::now());
        loop {
            let received = match recv(tcp, &mut unread[..], RecvFlags::TRUNC) {
                Ok((_, received)) => received,
                Err(Errno::AGAIN) if taken >= self.bytes => 0,
                Err(error) => panic!("neither more of the log nor its end: {error}"),
            };
            if received == 0 {
                return (taken, last);
            }
            taken += received as u64;
            last = Instant::now();
            if taken >= self.bytes {
                tcp.set_read_timeout(Some(SILENCE)).expect("a timeout");
            }
            if received < WORTHWHILE {
                thread::sleep(REST);
            }
        }
    }
}
