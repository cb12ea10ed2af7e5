//! How viewers that need no runtime ask for a log, in plain TCP or over TLS.

use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Stream};

use crate::peers::Place;

/// Longest silence in the middle of a log.
const PATIENCE: Duration = Duration::from_secs(30);

/// A request for one build.
#[derive(Debug, Clone)]
pub struct Asking {
    request: String,
    tls: Arc<ClientConfig>,
}

impl Asking {
    /// Asks for the build `uuid`.
    pub fn new(uuid: &str, tls: Arc<ClientConfig>) -> Self {
        Self { request: format!("{uuid}\n"), tls }
    }

    /// Asks at `place`; gives the connection on which the answer will come.
    pub fn ask(&self, place: Place) -> TcpStream {
        self.converse(place, |_answer| ())
    }

    /// The same once the first `bytes` bytes of the log were read. TLS is forgotten then: its records keep coming, but
    /// nobody here can read them.
    pub fn ask_and_read(&self, place: Place, bytes: usize) -> TcpStream {
        self.converse(place, |answer| answer.read_exact(&mut vec![0; bytes]).expect("the log begins"))
    }

    fn converse(&self, place: Place, mut more: impl FnMut(&mut dyn Read)) -> TcpStream {
        let mut tcp = TcpStream::connect(place.address).expect("connected");
        tcp.set_nodelay(true).expect("no delay");
        tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        if place.tls {
            let name = ServerName::from(place.address.ip());
            let mut session = ClientConnection::new(Arc::clone(&self.tls), name).expect("a TLS session");
            let mut stream = Stream::new(&mut session, &mut tcp);
            stream.write_all(self.request.as_bytes()).expect("a handshake and a request");
            more(&mut stream);
        } else {
            tcp.write_all(self.request.as_bytes()).expect("a request");
            more(&mut tcp);
        }
        tcp
    }
}
