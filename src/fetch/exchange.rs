//! One request and one answer over a connection that is used for nothing else. It never holds more of an answer than
//! its limits allow, and leaves nothing running: the connection goes with the exchange.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use hyper::http::response::Parts;
use hyper::{Method, Uri};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};

use super::url::Url;
use super::{FetchError, Request, Response, Stage};
use crate::transport::Transport;

/// What an exchange may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) until: Instant,
    /// How long that was when the request began.
    pub(super) after: Duration,
    pub(super) max_head: usize,
    pub(super) max_body: usize,
}

/// A request as it will be sent.
pub(super) type Message = hyper::Request<Full<Bytes>>;

/// Says in every request who asks, unless the request does.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("fingerpost/", env!("CARGO_PKG_VERSION")));

/// What frames the message or steers the connection. A second opinion on these is how requests are smuggled.
const OURS: [&str; 7] = ["connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"];

/// Makes the message that asks `url` what `request` asks.
pub(super) fn message(url: &Url, request: Request) -> Result<Message, FetchError> {
    let method = Method::from_bytes(request.method.as_bytes()).ok().filter(|method| method != Method::CONNECT);
    let Some(method) = method else { return Err(FetchError::BadMethod { method: request.method }) };
    let bad_url = |reason: String| FetchError::BadUrl { url: request.url.clone(), reason };
    let path: Uri = url.path.parse().map_err(|error: hyper::http::uri::InvalidUri| bad_url(error.to_string()))?;
    let host = HeaderValue::from_str(&url.authority).map_err(|error| bad_url(error.to_string()))?;
    let mut message = hyper::Request::new(Full::new(request.body));
    *message.method_mut() = method;
    *message.uri_mut() = path;
    let headers = message.headers_mut();
    headers.insert(USER_AGENT, AGENT);
    for (name, value) in request.headers {
        put(headers, &name, &value)?;
    }
    headers.insert(HOST, host);
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(message)
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), FetchError> {
    let bad = |reason| FetchError::BadHeader { name: name.to_owned(), reason };
    let known: HeaderName =
        name.parse().map_err(|_invalid| bad("its name has characters that no header's may have"))?;
    if OURS.contains(&known.as_str()) {
        return Err(bad("it is made from the request itself; leave it out"));
    }
    let value =
        HeaderValue::from_str(value).map_err(|_invalid| bad("its value has line breaks or control characters"))?;
    match known {
        USER_AGENT => drop(headers.insert(known, value)),
        _ => drop(headers.append(known, value)),
    }
    Ok(())
}

/// Sends `message` over `transport`, which leads to `address`, and reads the answer.
pub(super) async fn exchange(
    transport: Transport,
    address: SocketAddr,
    message: Message,
    limits: &Limits,
) -> Result<Response, FetchError> {
    let secure = matches!(transport, Transport::Tls(_));
    let mut builder = Builder::new();
    builder.max_header_size(limits.max_head);
    let (sender, connection) =
        builder.handshake(TokioIo::new(transport)).await.map_err(|source| limits.sorted(address, source))?;
    let carry = async {
        // However it ended, the exchange hears of it.
        drop(connection.await);
        pending::<Infallible>().await
    };
    let talk = talk(sender, message, Peer { address, secure }, limits);
    tokio::select! {
        biased;
        outcome = talk => outcome,
        never = carry => match never {},
    }
}

/// Who answers.
#[derive(Clone, Copy)]
struct Peer {
    address: SocketAddr,
    secure: bool,
}

async fn talk(
    mut sender: SendRequest<Full<Bytes>>,
    message: Message,
    peer: Peer,
    limits: &Limits,
) -> Result<Response, FetchError> {
    let address = peer.address;
    let answer = match timeout_at(limits.until, sender.send_request(message)).await {
        Ok(answer) => answer.map_err(|source| limits.sorted(address, source))?,
        Err(_elapsed) => return Err(limits.timed_out(address, Stage::Head)),
    };
    let (head, body) = answer.into_parts();
    if peer.secure && ends_with_the_connection(&head, &body) {
        return Err(FetchError::OpenEnd { address });
    }
    match timeout_at(limits.until, whole(body, address, limits)).await {
        Ok(body) => Ok(Response { status: head.status.as_u16(), headers: listed(&head.headers), body: body? }),
        Err(_elapsed) => Err(limits.timed_out(address, Stage::Body)),
    }
}

async fn whole(mut body: Incoming, address: SocketAddr, limits: &Limits) -> Result<Bytes, FetchError> {
    let too_large = || FetchError::BodyTooLarge { address, limit: limits.max_body };
    let left = |read: usize| limits.max_body.saturating_sub(read);
    if body.size_hint().lower() > u64::try_from(limits.max_body).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|source| limits.sorted(address, source))?;
        // Trailers are nobody's business here.
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > left(whole.len()) {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.into())
}

/// A stream of ours reports a connection that was cut as one that ended, as Zuul ends its logs.
fn ends_with_the_connection(head: &Parts, body: &Incoming) -> bool {
    let declared = head.headers.contains_key(CONTENT_LENGTH) || head.headers.contains_key(TRANSFER_ENCODING);
    !declared && !body.is_end_stream()
}

fn listed(headers: &HeaderMap) -> Vec<(String, Bytes)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().to_owned(), Bytes::copy_from_slice(value.as_bytes()))
    };
    headers.iter().map(pair).collect()
}

impl Limits {
    pub(super) fn timed_out(&self, address: SocketAddr, stage: Stage) -> FetchError {
        FetchError::Timeout { address, stage, after: self.after }
    }

    fn sorted(&self, address: SocketAddr, source: hyper::Error) -> FetchError {
        match source {
            source if source.is_parse_too_large() => FetchError::HeadTooLarge { address, limit: self.max_head },
            source if source.is_parse() => FetchError::NotHttp { address, source },
            source => FetchError::Broke { address, source },
        }
    }
}
