//! The monitoring port over real sockets: HTTP in, HTTP out.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::metrics::Turned;
use crate::standing::Refused;

const SOON: Duration = Duration::from_secs(20);
const RUNNING: Health = Health { state: State::Running, freshness: Freshness::Live };

struct Relay {
    monitoring: Monitoring,
    health: Arc<Mutex<Health>>,
    standing: watch::Sender<Standing>,
    metrics: Arc<Metrics>,
}

impl Relay {
    fn start() -> Self {
        let health = Arc::new(Mutex::new(RUNNING));
        let metrics = Metrics::new();
        let shown = Arc::clone(&health);
        let probe: Probe = Arc::new(move || *shown.lock().unwrap());
        let standing = watch::Sender::new(Standing::on(1, "the start", Vec::new()));
        let mut monitoring = Monitoring::new(probe, standing.subscribe(), Arc::clone(&metrics), Tasks::new());
        monitoring.move_to(Some(&on("127.0.0.1:0"))).unwrap();
        Self { monitoring, health, standing, metrics }
    }

    async fn connect(&self) -> TcpStream {
        connect(self.monitoring.address().unwrap()).await
    }

    async fn get(&self, path: &str) -> String {
        let mut client = self.connect().await;
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n").as_bytes()).await.unwrap();
        everything(&mut client).await
    }
}

fn on(address: &str) -> settings::Monitoring {
    settings::Monitoring { address: address.parse().unwrap() }
}

#[expect(clippy::disallowed_methods, reason = "a client of the test, not of the relay")]
async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

/// What is left to read until the relay closes.
async fn everything(client: &mut TcpStream) -> String {
    let mut text = String::new();
    timeout(SOON, client.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn metrics_are_openmetrics_text_under_both_of_zuuls_paths() {
    let relay = Relay::start();
    relay.metrics.streams.spliced.inc();
    for path in ["/metrics", "/"] {
        let response = relay.get(path).await;
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(response.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
        assert!(body(&response).contains("fingerpost_streams_spliced_total 1\n"), "{response}");
        assert!(response.ends_with("# EOF\n"), "{response}");
    }
}

#[tokio::test]
async fn liveness_asks_for_nothing_and_other_paths_are_not_found() {
    let relay = Relay::start();
    *relay.health.lock().unwrap() = Health { state: State::Stopped, freshness: Freshness::Never };
    assert!(relay.get("/health/live").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(relay.get("/health").await.starts_with("HTTP/1.1 404 Not Found\r\n"));
}

#[tokio::test]
async fn readiness_follows_the_state_and_needs_a_registry_that_was_read() {
    let away = Freshness::StaleSince(Instant::now().checked_sub(Duration::from_secs(90)).unwrap());
    let rows = [
        (State::Running, Freshness::Live, "200", "running; registry live\n"),
        (State::Paused, Freshness::Live, "200", "paused; registry live\n"),
        (State::Running, away, "200", "running; registry away for 9"),
        (State::Running, Freshness::Never, "503", "running; registry never read\n"),
        (State::Initializing, Freshness::Live, "503", "initializing; registry live\n"),
        (State::Stopped, Freshness::Live, "503", "stopped; registry live\n"),
    ];
    let relay = Relay::start();
    for (state, freshness, code, words) in rows {
        *relay.health.lock().unwrap() = Health { state, freshness };
        let response = relay.get("/health/ready").await;
        assert!(response.starts_with(&format!("HTTP/1.1 {code} ")), "{state:?}: {response}");
        assert!(body(&response).starts_with(words), "{state:?}: {response}");
    }
}

#[tokio::test]
async fn the_status_is_zuuls_word_in_upper_case() {
    let relay = Relay::start();
    for (state, word) in [(State::Running, "RUNNING"), (State::Paused, "PAUSED"), (State::Stopped, "STOPPED")] {
        *relay.health.lock().unwrap() = Health { state, ..RUNNING };
        assert_eq!(body(&relay.get("/health/status").await), word);
    }
}

#[tokio::test]
async fn a_refused_reload_is_told_until_a_good_one_and_leaves_the_relay_ready() {
    let relay = Relay::start();
    let at = |seconds| std::time::UNIX_EPOCH + Duration::from_secs(seconds);
    let good = Standing { since: at(0), ..Standing::on(7, "SIGHUP", vec!["zone", "process"]) };
    let refused = Refused {
        at: at(60),
        by: "/etc/a.lua, /etc/b.lua".to_owned(),
        why: "/etc/a.lua:3: unknown field \"prot\"; did you mean \"port\"?\n    return gateway.prot".to_owned(),
    };
    relay.standing.send_replace(Standing { refused: Some(refused), ..good.clone() });
    let response = relay.get("/health/reload").await;
    assert!(response.starts_with("HTTP/1.1 503 ") && response.contains("content-type: text/plain"), "{response}");
    assert_eq!(
        body(&response),
        "generation 7 serves since 1970-01-01T00:00:00Z, by SIGHUP\nwaiting for a restart: zone, process\n\
         refused at 1970-01-01T00:01:00Z, by /etc/a.lua, /etc/b.lua:\n\
         /etc/a.lua:3: unknown field \"prot\"; did you mean \"port\"?\n    return gateway.prot\n"
    );
    let ready = relay.get("/health/ready").await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    assert_eq!(body(&ready), "running; registry live; last reload refused, see /health/reload\n");
    assert_eq!(body(&relay.get("/health/status").await), "RUNNING");

    relay.standing.send_replace(Standing { needs_restart: Vec::new(), ..good });
    let response = relay.get("/health/reload").await;
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert_eq!(body(&response), "generation 7 serves since 1970-01-01T00:00:00Z, by SIGHUP\n");
    assert_eq!(body(&relay.get("/health/ready").await), "running; registry live\n");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dawdles_is_closed_at_the_deadline() {
    let relay = Relay::start();
    let started = tokio::time::Instant::now();
    let mut client = relay.connect().await;
    client.write_all(b"GET /metrics HT").await.unwrap();
    assert_eq!(everything(&mut client).await, "");
    assert!(started.elapsed() >= PATIENCE);
}

#[tokio::test]
async fn clients_beyond_the_crowd_are_closed_and_counted() {
    let relay = Relay::start();
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(relay.connect().await);
    }
    let mut excess = relay.connect().await;
    assert_eq!(everything(&mut excess).await, "");
    let turned = Turned { listener: "monitoring".to_owned(), reason: "listener_full" };
    assert_eq!(relay.metrics.listeners.turned_away.get_or_create(&turned).get(), 1);
}

impl Monitoring {
    fn move_to(&mut self, wanted: Option<&settings::Monitoring>) -> Result<(), Vec<BindError>> {
        let plan = self.plan(wanted)?;
        self.apply(plan);
        Ok(())
    }
}

#[tokio::test]
async fn a_reload_moves_the_port_or_leaves_it_or_closes_it() {
    let mut relay = Relay::start();
    let first = relay.monitoring.address().unwrap();
    relay.monitoring.move_to(Some(&on("127.0.0.1:0"))).unwrap();
    assert_eq!(relay.monitoring.address(), Some(first));
    assert!(relay.monitoring.move_to(Some(&on("192.0.2.1:0"))).is_err());
    assert_eq!(relay.monitoring.address(), Some(first));
    relay.monitoring.move_to(Some(&on("[::1]:0"))).unwrap();
    assert!(relay.get("/health/live").await.contains("200 OK"));
    relay.monitoring.move_to(None).unwrap();
    assert_eq!(relay.monitoring.address(), None);
}
