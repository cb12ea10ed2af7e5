//! TLS in both directions. The only room that knows rustls, webpki and x509-parser.
//!
//! It must never send a session ticket, never loosen a check that the operator did not name, and never wait
//! without the caller's deadline: [`Client::connect`] and [`Server::accept`] are bounded by whoever awaits them.
//!
//! Two habits of `zuul-web` shape the server. It stops all of its streams while a TLS record without data (a
//! session ticket) is followed by nothing; and it reads at most [`Records::SHORT_TAIL`](crate::transport::Records)
//! bytes of a burst's last record. Relays are free of both, and say so by offering [`ALPN`].
//!
//! ```text
//! load      files  →  keys and trust, or every problem at once
//! client    →  Stream        server  →  Accepted { Stream, server name, Identity }
//! verify    rustls asks      trust   →  chain, revocation      version1, host  →  what Zuul's certificates need
//! ```

mod certificate;
mod client;
pub mod digest;
mod handshake;
mod host;
mod identity;
mod load;
mod receive;
mod server;
mod signed;
mod stream;
mod trust;
mod verify;
mod version1;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use client::{Client, SYSTEM_CAS, system_ca};
pub use handshake::{CertificateFault, HandshakeError};
pub use identity::Identity;
pub use load::{LoadError, LoadWarning, ReadFile};
pub use server::{Accepted, Server};
pub use stream::Stream;

/// The application protocol by which relays recognize each other. Whoever offers it reads whole records; servers
/// that know nothing of it answer as ever.
pub const ALPN: &[u8] = b"fingerpost/1";

/// What a connection may hold in memory before it was sent or read, in bytes, each way.
const BUFFER_LIMIT: usize = 64 * 1024;

/// The cryptography of every connection, named here so that no process-wide default matters.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
