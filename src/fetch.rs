//! HTTP and HTTPS requests, and look-ups of names, for the background work of policies. It never follows a redirect,
//! never takes more than the request allows, and never waits beyond the request's deadline.
//!
//! ```text
//! Request → url (what to dial, what to ask) → upstream::connect → tls → exchange → Response
//! ```

mod error;
mod exchange;
#[cfg(test)]
mod tests;
mod url;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

pub use self::error::{FetchError, Stage};
use self::exchange::Limits;
use self::url::{Scheme, Url};
use crate::metrics::{self, ByReason};
use crate::tls;
use crate::transport::Transport;
use crate::upstream::{self, ConnectError, Pace, Resolver};

/// Fetches. Clones share the names that are looked up at one time.
#[derive(Debug, Clone)]
pub struct Fetcher {
    resolver: Resolver,
    tls: Option<tls::Client>,
    metrics: metrics::Policy,
}

/// What is asked for, and how much it may take.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`, or any other but `CONNECT`.
    pub method: String,
    /// `http://…` or `https://…`, without user and password; a fragment is left out.
    pub url: String,
    /// Names and values. Those that say where the request goes or where it ends are made here, and refused.
    pub headers: Vec<(String, String)>,
    /// What is sent along; for most methods nothing.
    pub body: Bytes,
    /// Longest time for everything: name, connection, handshake, answer. At most [`Fetcher::MAX_TIMEOUT`] counts.
    pub timeout: Duration,
    /// Longest body of the answer, in bytes.
    pub max_bytes: usize,
    /// Whom to trust and what to show over HTTPS; `None` is as the [`Fetcher`] does.
    pub tls: Option<tls::Client>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Such as 200; redirects and failures are told like any other.
    pub status: u16,
    /// Names in lower case, and values as they came.
    pub headers: Vec<(String, Bytes)>,
    /// The body, transfer codings removed.
    pub body: Bytes,
}

impl Request {
    /// Asks for `url` by `GET`, with nothing else in it.
    pub fn get(url: &str, timeout: Duration, max_bytes: usize) -> Self {
        let (method, headers, body) = ("GET".to_owned(), Vec::new(), Bytes::new());
        Self { method, url: url.to_owned(), headers, body, timeout, max_bytes, tls: None }
    }
}

impl Response {
    /// The first value of the header `name`, given in lower case.
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl Fetcher {
    /// Longest time that anything may take, whoever asks.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(60 * 60);

    /// Head start of each address over the next one: RFC 8305, section 5.
    const HEAD_START: Duration = Duration::from_millis(250);

    /// Longest headers of an answer, in bytes.
    const MAX_HEAD: usize = 64 << 10;

    /// A fetcher that speaks TLS as `tls` does wherever a request does not say otherwise; see
    /// [`tls::Client::of_the_system`].
    pub fn new(tls: Option<tls::Client>, metrics: metrics::Policy) -> Self {
        Self { resolver: Resolver::default(), tls, metrics }
    }

    /// Asks for `url` by `GET`: see [`Fetcher::request`].
    pub async fn get(&self, url: &str, timeout: Duration, max_bytes: usize) -> Result<Response, FetchError> {
        self.request(Request::get(url, timeout, max_bytes)).await
    }

    /// Sends `request` over a connection of its own and returns the whole answer, whatever its status.
    pub async fn request(&self, request: Request) -> Result<Response, FetchError> {
        let outcome = self.attempt(request).await;
        let reason = outcome.as_ref().map_or_else(FetchError::label, |_| "answered");
        self.metrics.fetches.get_or_create(&ByReason { reason }).inc();
        outcome
    }

    /// The addresses of `host` within `timeout`, in the order in which they would be dialled.
    pub async fn lookup(&self, host: &str, timeout: Duration) -> Result<Vec<IpAddr>, ConnectError> {
        upstream::look_up(&self.resolver, host, timeout.min(Self::MAX_TIMEOUT)).await
    }

    async fn attempt(&self, request: Request) -> Result<Response, FetchError> {
        let after = request.timeout.min(Self::MAX_TIMEOUT);
        let until = Instant::now() + after;
        let url = Url::parse(&request.url)?;
        let limits = Limits { until, after, max_head: Self::MAX_HEAD, max_body: request.max_bytes };
        let tls = request.tls.clone().or_else(|| self.tls.clone());
        let head = exchange::message(&url, request)?;
        let tls = match (url.scheme, tls) {
            (Scheme::Http, _) => None,
            (Scheme::Https, Some(tls)) => Some(tls),
            (Scheme::Https, None) => return Err(FetchError::NoTls { host: url.host }),
        };
        let pace = Pace { deadline: after, head_start: Self::HEAD_START };
        let (tcp, address) = upstream::connect_by(&self.resolver, &url.host, url.port, pace).await?;
        let transport = secure(tls, &url.host, (tcp, address), &limits).await?;
        exchange::exchange(transport, address, head, &limits).await
    }
}

/// Puts TLS over the connection, where there is to be any.
async fn secure(
    tls: Option<tls::Client>,
    host: &str,
    (tcp, address): (TcpStream, SocketAddr),
    limits: &Limits,
) -> Result<Transport, FetchError> {
    let Some(tls) = tls else { return Ok(Transport::Plain(tcp)) };
    match timeout_at(limits.until, tls.connect_for(b"http/1.1", host, tcp)).await {
        Ok(Ok(stream)) => Ok(Transport::Tls(Box::new(stream))),
        Ok(Err(source)) => Err(FetchError::Handshake { address, source }),
        Err(_elapsed) => Err(limits.timed_out(address, Stage::Handshake)),
    }
}
