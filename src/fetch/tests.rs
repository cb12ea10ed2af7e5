//! Requests over real loopback sockets: to hyper's server, and to peers that follow a script.

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket};

use super::*;
use crate::metrics::Metrics;

mod over_tls;

const SOON: Duration = Duration::from_secs(20);
const ROOM: usize = 1 << 20;

/// A fetcher, and what it counted.
struct Counted {
    fetcher: Fetcher,
    metrics: metrics::Policy,
}

impl Counted {
    fn new(tls: Option<tls::Client>) -> Self {
        let metrics = Metrics::new().policy.clone();
        Self { fetcher: Fetcher::new(tls, metrics.clone()), metrics }
    }

    fn times(&self, reason: &'static str) -> u64 {
        self.metrics.fetches.get_or_create(&ByReason { reason }).get()
    }

    /// What an operator reads about `request`, which fails and is counted for `reason`.
    async fn complaint(&self, request: Request, reason: &'static str) -> String {
        let error = self.fetcher.request(request).await.unwrap_err();
        assert_eq!(self.times(reason), 1, "{error}");
        error.to_string()
    }
}

async fn listening() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    (listener, url)
}

fn get(url: &str) -> Request {
    Request::get(url, SOON, ROOM)
}

fn port(url: &str) -> &str {
    url.trim_end_matches('/').rsplit(':').next().unwrap()
}

/// Hears one request out, up to its empty line, and says `answer`.
async fn answer(listener: &TcpListener, answer: &[u8]) -> String {
    let (mut peer, _) = listener.accept().await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(peer.read_u8().await.unwrap());
    }
    // Who stops reading at a limit resets the connection.
    let _written = peer.write_all(answer).await;
    String::from_utf8(heard).unwrap()
}

/// hyper's own server, for one connection: tells what it was asked.
async fn serve(transport: Transport) {
    let echo = async |asked: hyper::Request<Incoming>| {
        let (head, body) = asked.into_parts();
        let body = http_body_util::BodyExt::collect(body).await?.to_bytes();
        let told = format!("{} {} {:?} {}", head.method, head.uri, head.headers.get("x-asked"), body.len());
        let answer = hyper::Response::builder().status(302).header("Location", "/elsewhere");
        Ok::<_, hyper::Error>(answer.body(http_body_util::Full::new(Bytes::from(told))).unwrap())
    };
    // A client that goes before the server has shut down is none of the test's business.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(transport), service_fn(echo)).await;
}

async fn accept_and_serve(listener: &TcpListener) {
    serve(Transport::Plain(listener.accept().await.unwrap().0)).await;
}

#[tokio::test]
async fn a_request_arrives_whole_and_so_does_the_answer_and_no_redirect_is_followed() {
    let ((listener, url), counted) = (listening().await, Counted::new(None));
    let request = Request {
        method: "PUT".to_owned(),
        headers: vec![("X-Asked".to_owned(), "yes".to_owned())],
        body: Bytes::from(vec![7; 300_000]),
        ..get(&(url + "a/b?c=d"))
    };
    let (response, ()) = tokio::join!(counted.fetcher.request(request), accept_and_serve(&listener));
    let response = response.unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.header("location"), Some(&Bytes::from("/elsewhere")));
    assert_eq!(response.body, "PUT /a/b?c=d Some(\"yes\") 300000");
    assert_eq!(counted.times("answered"), 1);
}

#[tokio::test]
async fn the_bytes_of_a_request_are_these() {
    let ((listener, url), counted) = (listening().await, Counted::new(None));
    let scripted = answer(&listener, b"HTTP/1.1 204 No Content\r\n\r\n");
    let (response, heard) = tokio::join!(counted.fetcher.get(&url, SOON, 0), scripted);
    assert_eq!(response.unwrap(), Response { status: 204, headers: Vec::new(), body: Bytes::new() });
    let expected = format!(
        "GET / HTTP/1.1\r\nuser-agent: fingerpost/{}\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n",
        env!("CARGO_PKG_VERSION"),
        port(&url)
    );
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn chunks_and_bodies_that_end_with_a_plain_connection_arrive() {
    for text in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nabcde",
    ] {
        let ((listener, url), counted) = (listening().await, Counted::new(None));
        let scripted = answer(&listener, text.as_bytes());
        let (response, _heard) = tokio::join!(counted.fetcher.get(&url, SOON, 5), scripted);
        assert_eq!(response.unwrap().body, "abcde");
    }
}

#[tokio::test]
async fn a_body_past_its_limit_is_refused_and_the_limit_named() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        "HTTP/1.0 200 OK\r\n\r\nabcde",
    ] {
        let ((listener, url), counted) = (listening().await, Counted::new(None));
        let request = Request { max_bytes: 4, ..get(&url) };
        let scripted = answer(&listener, text.as_bytes());
        let (said, _heard) = tokio::join!(counted.complaint(request, "too_large"), scripted);
        assert!(said.contains("answered with a body of more than 4 bytes; raise the limit"), "{said}");
    }
}

#[tokio::test]
async fn headers_past_their_limit_are_refused_and_the_limit_named() {
    let large = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(Fetcher::MAX_HEAD));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: x\r\n".repeat(101));
    for text in [large, many] {
        let ((listener, url), counted) = (listening().await, Counted::new(None));
        let scripted = answer(&listener, text.as_bytes());
        let (said, _heard) = tokio::join!(counted.complaint(get(&url), "too_large"), scripted);
        assert!(said.ends_with("answered with headers of more than 65536 bytes or 100 lines"), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_told_as_such() {
    let ((listener, url), counted) = (listening().await, Counted::new(None));
    let scripted = answer(&listener, b"Build not found\n");
    let (said, _heard) = tokio::join!(counted.complaint(get(&url), "not_http"), scripted);
    let address = format!("127.0.0.1:{} does not answer in HTTP/1: ", port(&url));
    assert!(said.starts_with(&address) && said.ends_with("; check the port, and whether it wants https"), "{said}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    for text in ["", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"] {
        let ((listener, url), counted) = (listening().await, Counted::new(None));
        let scripted = answer(&listener, text.as_bytes());
        let (said, _heard) = tokio::join!(counted.complaint(get(&url), "broken"), scripted);
        assert!(said.contains("but it broke off before the answer was complete: "), "{text:?}: {said}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_with_its_address() {
    let (socket, counted) = (TcpSocket::new_v4().unwrap(), Counted::new(None));
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let said = counted.complaint(get(&format!("http://{address}/")), "connect").await;
    assert_eq!(said, format!("{address}: Connection refused (os error 111)"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_the_request_and_says_nothing_is_given_up_at_the_deadline() {
    let ((_listener, url), counted) = (listening().await, Counted::new(None));
    let start = Instant::now();
    let said = counted.complaint(get(&url), "timeout").await;
    assert!(said.ends_with("but the wait for an answer was not over within 20s"), "{said}");
    assert_eq!(start.elapsed().as_secs(), SOON.as_secs());
}

/// Says `begin`, and then a header that never ends, one byte a second.
async fn drip(listener: &TcpListener, begin: &str) {
    let (mut peer, _) = listener.accept().await.unwrap();
    peer.write_all(begin.as_bytes()).await.unwrap();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
        let _now = ticks.tick().await;
        peer.write_u8(*byte).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drips_is_given_up_at_the_same_deadline() {
    for (begin, stage) in [("", "the wait for an answer"), ("HTTP/1.1 200 OK\r\n\r\n", "the answer's body")] {
        let ((listener, url), counted) = (listening().await, Counted::new(None));
        let start = Instant::now();
        let said = tokio::select! {
            said = counted.complaint(get(&url), "timeout") => said,
            () = drip(&listener, begin) => panic!("it drips for ever"),
        };
        assert!(said.ends_with(&format!("but {stage} was not over within 20s")), "{said}");
        assert_eq!(start.elapsed().as_secs(), SOON.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn no_request_waits_for_ever() {
    let ((_listener, url), counted) = (listening().await, Counted::new(None));
    let said = counted.complaint(Request { timeout: Duration::MAX, ..get(&url) }, "timeout").await;
    assert!(said.ends_with("but the wait for an answer was not over within 1h"), "{said}");
    assert_eq!(counted.fetcher.lookup("::1", Duration::MAX).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is_dialled() {
    let counted = Counted::new(None);
    let header = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let there = || get("http://a.invalid/");
    for (request, said) in [
        (Request { method: "CONNECT".to_owned(), ..there() }, "\"CONNECT\" is no method that can be used here"),
        (Request { method: "A B".to_owned(), ..there() }, "\"A B\" is no method that can be used here"),
        (Request { headers: header("Host", "b"), ..there() }, "the header \"Host\" cannot be sent: it is made from"),
        (Request { headers: header("Content-Length", "9"), ..there() }, "the header \"Content-Length\" cannot be sent"),
        (Request { headers: header("a b", "c"), ..there() }, "the header \"a b\" cannot be sent: its name has"),
        (Request { headers: header("a", "b\r\nc: d"), ..there() }, "the header \"a\" cannot be sent: its value has"),
        (get("https://a.invalid/"), "a.invalid was not dialled, it needs TLS: name the file of the CA"),
        (get("gopher://a.invalid/"), "cannot fetch \"gopher://a.invalid/\": it must begin with http://"),
        (get("http://me:secret@a.invalid/"), "a URL must hold no user and password"),
    ] {
        let error = counted.fetcher.request(request).await.unwrap_err();
        assert!(error.to_string().starts_with(said), "{error}");
    }
    assert_eq!(counted.times("request"), 9);
}

#[tokio::test]
async fn names_are_looked_up_and_told_without_any_twice() {
    let fetcher = Fetcher::new(None, metrics::Policy::default());
    let mut found = fetcher.lookup("localhost", SOON).await.unwrap();
    assert!(!found.is_empty() && found.iter().all(IpAddr::is_loopback), "{found:?}");
    let told = found.len();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), told);
    assert_eq!(fetcher.lookup("192.0.2.1", SOON).await.unwrap(), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    let said = fetcher.lookup("no..name", SOON).await.unwrap_err().to_string();
    assert!(said.starts_with("cannot resolve the name no..name: "), "{said}");
}
