//! Jobs of a policy on the real program: what a server says changes routes, and failures are seen.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::site::{BUILD, Site, until};
use crate::support::executor::Executor;

const POLICY: &str = "
relay.every(1, function()
  local answer = http.get(relay.params.calendar)
  assert(answer.status == 200, \"the calendar answers \" .. answer.status)
  relay.shared.set(\"maintenance\", answer.body == \"now\", 3600)
end)

return { api = 1, route = function(request)
  if relay.shared.get(\"maintenance\") then return relay.refuse(\"Maintenance\") end
  return relay.refuse(\"Open\")
end }
";

const SUCCEEDED: &str = "fingerpost_policy_job_runs_total{policy=\"mine\",job=\"1\",result=\"succeeded\"}";
const FAILED: &str = "fingerpost_policy_job_runs_total{policy=\"mine\",job=\"1\",result=\"error\"}";
const FAILURES: &str = "fingerpost_policy_job_failures{policy=\"mine\",job=\"1\"}";

/// A server that says whether there is maintenance, or whatever else it is told to say.
struct Calendar {
    says: Arc<Mutex<(u16, &'static str)>>,
    url: String,
}

impl Calendar {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let url = format!("http://{}/maintenance", listener.local_addr().expect("bound"));
        let says = Arc::new(Mutex::new((200, "later")));
        tokio::spawn(serve(listener, Arc::clone(&says)));
        Self { says, url }
    }

    fn say(&self, status: u16, text: &'static str) {
        *self.says.lock().expect("whole") = (status, text);
    }

    fn site(&self, port: u16) -> Site {
        let site = Site::with_executor(port)
            .and(&format!("policy: {{file: mine.lua, dry_run: errors, params: {{calendar: \"{}\"}}}}\n", self.url));
        site.write("mine.lua", POLICY);
        site
    }
}

async fn serve(listener: TcpListener, says: Arc<Mutex<(u16, &'static str)>>) {
    loop {
        let (peer, _) = listener.accept().await.expect("a client");
        let (status, text) = *says.lock().expect("whole");
        // A client that goes early is none of the test's business.
        let _served = answer(peer, status, text).await;
    }
}

async fn answer(mut peer: TcpStream, status: u16, text: &str) -> std::io::Result<()> {
    let mut heard = Vec::new();
    while !heard.ends_with(b"\r\n\r\n") {
        heard.push(peer.read_u8().await?);
    }
    peer.write_all(format!("HTTP/1.1 {status} So\r\nContent-Length: {}\r\n\r\n{text}", text.len()).as_bytes()).await
}

/// Asks for the build until the answer is `text`.
async fn until_told(site: &Site, text: &[u8]) {
    let asking = async || (site.watch(BUILD).await.rest().await == text).then_some(());
    until(&String::from_utf8_lossy(text), asking).await;
}

#[tokio::test]
async fn what_a_server_says_decides_within_moments() {
    let (calendar, executor) = (Calendar::new().await, Executor::new().await);
    let site = calendar.site(executor.port());
    let _relay = site.start().await;
    until_told(&site, b"Open").await;
    calendar.say(200, "now");
    until_told(&site, b"Maintenance").await;
    calendar.say(200, "later");
    until_told(&site, b"Open").await;
}

#[tokio::test]
async fn failures_are_told_once_with_their_line_and_the_last_good_word_stays() {
    let (calendar, executor) = (Calendar::new().await, Executor::new().await);
    calendar.say(200, "now");
    let site = calendar.site(executor.port());
    let relay = site.start().await;
    until_told(&site, b"Maintenance").await;
    calendar.say(503, "busy");
    let line = relay.until_logged("background work failed").await;
    assert!(line.contains("WARN background{policy=\"mine\"}") && line.contains("mine.lua:4: the calendar"), "{line}");
    assert!(line.contains("assert(answer.status == 200"), "{line}");
    relay.until_metric(FAILURES, 2).await;
    assert_eq!(site.watch(BUILD).await.rest().await, b"Maintenance");
    calendar.say(200, "later");
    relay.until_logged("background work succeeds again").await;
    relay.until_metric(FAILURES, 0).await;
    until_told(&site, b"Open").await;
    assert!(relay.metric(FAILED).await >= 2);
    assert!(relay.metric(SUCCEEDED).await >= 2);
    let log = relay.stop().await.text();
    assert_eq!(log.matches("background work failed").count(), 1, "{log}");
}

#[tokio::test]
async fn jobs_end_with_their_policy_and_with_the_relay_though_they_wait() {
    let (calendar, executor) = (Calendar::new().await, Executor::new().await);
    let site = calendar.site(executor.port());
    let relay = site.start().await;
    relay.until_metric(SUCCEEDED, 1).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let url = format!("http://{}/", silent.local_addr().expect("bound"));
    let waiting =
        POLICY.replace("http.get(relay.params.calendar)", &format!("http.get(\"{url}\", {{ timeout = 3600 }})"));
    site.write("mine.lua", &waiting);
    let (_peer, _) = silent.accept().await.expect("the new policy's job asks");
    assert_eq!(relay.metric("fingerpost_generation").await, 2);
    site.write("mine.lua", POLICY);
    relay.until_metric("fingerpost_generation", 3).await;
    until_told(&site, b"Open").await;
    site.write("mine.lua", &waiting);
    let (_peer, _) = silent.accept().await.expect("it asks again");
    let log = relay.stop().await.text();
    assert!(!log.contains("background work failed"), "an aborted run is no failure: {log}");
}

#[tokio::test]
async fn a_job_that_never_ends_by_itself_is_stopped_and_keeps_no_viewer_waiting() {
    let executor = Executor::new().await;
    let site = Site::with_executor(executor.port())
        .and("policy: {file: mine.lua, background: {time_limit: 200ms}}\nprocess: {workers: 1}\n");
    let mad = "local function mad()\n  while true do pcall(function() while true do end end) end\nend\n";
    let policy = include_str!("../../scripts/default.lua");
    site.write("mine.lua", &format!("{mad}relay.every(1, mad)\n{policy}"));
    let relay = site.start().await;
    let line = relay.until_logged("background work failed").await;
    assert!(line.contains("mine.lua:2: the policy ran for 200ms") && line.contains("background.time_limit"), "{line}");
    for _ in 0..5 {
        site.carries(&executor).await;
    }
    assert_eq!(relay.metric("fingerpost_policy_decisions_total{reason=\"failed\"}").await, 0);
    relay.until_metric("fingerpost_policy_job_runs_total{policy=\"mine\",job=\"1\",result=\"time\"}", 2).await;
}
