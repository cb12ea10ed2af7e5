//! What systemd is told, and the sockets it passes.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;

use crate::site::{Relay, Site};
use crate::support::executor::Executor;
use crate::support::gateway::fingerpost;
use crate::support::viewer::PATIENCE;

#[tokio::test]
async fn readiness_reload_and_stop_are_told_in_systemds_words() {
    let site = Site::new();
    let (systemd, relay) = start(&site, &[]);
    assert_eq!(systemd.next().await, "READY=1\n");
    relay.until_ready().await;

    let before = monotonic();
    relay.signal("HUP").await;
    let reloading = systemd.next().await;
    let when = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|when| when.trim().parse().ok());
    let when = Duration::from_micros(when.unwrap_or_else(|| panic!("{reloading}")));
    assert!(before <= when && when <= monotonic(), "{when:?}");
    assert_eq!(systemd.next().await, "READY=1\n");

    let _log = relay.stop().await;
    assert_eq!(systemd.next().await, "STOPPING=1\nSTATUS=draining 0 streams\n");
}

#[tokio::test]
async fn a_reload_that_is_refused_is_over_as_well() {
    let mut site = Site::new();
    let (systemd, relay) = start(&site, &[]);
    assert_eq!(systemd.next().await, "READY=1\n");
    site.more = "nonsense: true\n".to_owned();
    site.configure();
    assert!(systemd.next().await.starts_with("RELOADING=1\n"));
    assert_eq!(systemd.next().await, "READY=1\n");
    relay.until_logged("reload refused").await;
}

#[tokio::test]
async fn the_watchdog_hears_of_a_relay_that_lives_until_its_last_stream_ended() {
    let executor = Executor::new().await;
    let site = Site::with_executor(executor.port());
    let (systemd, relay) = start(&site, &[("WATCHDOG_USEC", "100000")]);
    systemd.until("READY=1\n").await;
    relay.until_ready().await;
    for _ in 0..3 {
        systemd.until("WATCHDOG=1\n").await;
    }
    let mut viewer = site.watch(crate::site::BUILD).await;
    let arrival = executor.next().await;
    relay.signal("TERM").await;
    systemd.until("STOPPING=1\nSTATUS=draining 1 streams\n").await;
    for _ in 0..3 {
        systemd.until("WATCHDOG=1\n").await;
    }
    drop(arrival);
    assert!(viewer.rest().await.is_empty());
    drop(viewer);
    let _log = relay.ends().await;
}

#[tokio::test]
async fn a_passed_socket_is_found_by_its_name() {
    let executor = Executor::new().await;
    let mut site = Site::with_executor(executor.port());
    site.listeners = "  - {name: finger, systemd: gate}\n".to_owned();
    let config = site.configure();
    let relay = site.spawn(passing(&site, "gate").arg("run").arg("--config").arg(config));
    relay.until_ready().await;
    site.carries(&executor).await;
    let _log = relay.stop().await;
}

#[tokio::test]
async fn a_passed_socket_of_another_name_is_said_with_those_there_are() {
    let mut site = Site::new();
    site.listeners = "  - {name: finger, systemd: gate}\n".to_owned();
    let config = site.configure();
    let relay = site.spawn(passing(&site, "other").arg("run").arg("--config").arg(config));
    let log = relay.fails().await.text();
    assert!(
        log.contains("listener finger: cannot listen on systemd's socket \"gate\": it passed 0=\"other\""),
        "{log}"
    );
}

/// Systemd's end.
struct Systemd(UnixDatagram);

impl Systemd {
    /// The next message.
    async fn next(&self) -> String {
        let mut message = vec![0; 4096];
        let length = timeout(PATIENCE, self.0.recv(&mut message)).await.expect("a message in time").expect("a message");
        String::from_utf8(message[..length].to_vec()).expect("a message in UTF-8")
    }

    /// Waits for one message; what else comes must be a sign of life.
    async fn until(&self, wanted: &str) {
        let mut message = self.next().await;
        while message != wanted {
            assert_eq!(message, "WATCHDOG=1\n");
            message = self.next().await;
        }
    }
}

fn start(site: &Site, environment: &[(&str, &str)]) -> (Systemd, Relay) {
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    let mut command = site.command();
    command.env("NOTIFY_SOCKET", path).envs(environment.iter().copied());
    (Systemd(socket), site.spawn(&mut command))
}

/// Our program, started with a socket as systemd starts it.
fn passing(site: &Site, name: &str) -> Command {
    const PYTHON: &str = "import os, socket, sys
address, port = sys.argv[1].rsplit(':', 1)
os.dup2(socket.create_server((address, int(port))).detach(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES=sys.argv[2])
os.execv(sys.argv[3], sys.argv[3:])";
    let mut command = Command::new("python3");
    command.args(["-c", PYTHON, &site.address().to_string(), name]).arg(fingerpost());
    command
}

fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).expect("below a second"))
}
