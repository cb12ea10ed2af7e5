//! A finger gateway: Zuul's own or a relay of ours, started from the same `zuul.conf`, so that one test can drive both.
//! It has a loopback address of its own, which is its host name too, and is killed when dropped.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::authority::Leaf;
use super::program::Program;
use super::viewer::Viewer;
use super::world::World;

/// Where gateways listen, each on its own address.
const PORT: u16 = 7979;
/// Where they answer HTTP.
const MONITORING_PORT: u16 = 9191;

/// Whose program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `zuul-fingergw`.
    Zuul,
    /// Ours.
    Fingerpost,
}

/// What is written to a gateway's `zuul.conf`.
#[derive(Debug, Clone)]
pub struct Conf {
    /// The zone it serves.
    pub zone: Option<&'static str>,
    /// What it shows, by TLS; `None` is plain TCP.
    pub tls: Option<Leaf>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it calls itself.
    pub hostname: String,
    /// Further lines of `[fingergw]`.
    pub more: Vec<String>,
}

/// A gateway that is running, registered, and serving.
#[derive(Debug)]
pub struct Gateway {
    /// How it was configured.
    pub conf: Conf,
    /// Holds its configuration and whatever else it reads.
    pub dir: tempfile::TempDir,
    process: Process,
}

#[derive(Debug)]
enum Process {
    Zuul(Program),
    Fingerpost(Child),
}

impl Conf {
    /// Plain TCP.
    pub fn plain(zone: impl Into<Option<&'static str>>) -> Self {
        let ip = own_address();
        Self {
            zone: zone.into(),
            tls: None,
            address: (ip, PORT).into(),
            hostname: ip.to_string(),
            more: vec![format!("prometheus_port = {MONITORING_PORT}"), format!("prometheus_addr = {ip}")],
        }
    }

    /// TLS on the only port, with a client certificate required; host names are verified by whoever dials.
    pub fn tls(world: &World, zone: impl Into<Option<&'static str>>) -> Self {
        let conf = Self::plain(zone);
        let leaf = world.authority().issue_for_address(conf.address.ip());
        Self { tls: Some(leaf), ..conf }
    }

    /// One or the other.
    pub fn new(world: &World, zone: &'static str, tls: bool) -> Self {
        if tls { Self::tls(world, zone) } else { Self::plain(zone) }
    }

    /// The file.
    pub fn text(&self, world: &World) -> String {
        let mut lines = vec![
            world.zookeeper_section(),
            "[fingergw]".to_owned(),
            format!("listen_address = {}", self.address.ip()),
            format!("port = {}", self.address.port()),
            format!("hostname = {}", self.hostname),
        ];
        lines.extend(self.zone.map(|zone| format!("zone = {zone}")));
        if let Some(leaf) = &self.tls {
            lines.push(format!("tls_cert = {}", leaf.cert.display()));
            lines.push(format!("tls_key = {}", leaf.key.display()));
            lines.push(format!("tls_ca = {}", world.authority().ca().display()));
        }
        lines.extend(self.more.iter().cloned());
        lines.join("\n") + "\n"
    }
}

impl Gateway {
    /// Starts one, and waits until Zuul sees it running.
    pub async fn start(kind: Kind, world: &World, conf: Conf) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("zuul.conf");
        fs::write(&file, conf.text(world)).expect("the configuration written");
        let process = match kind {
            Kind::Zuul => Process::Zuul(Program::start("gateway", &[&file]).await.0),
            Kind::Fingerpost => Process::Fingerpost(run(dir.path(), &["--zuul-conf".as_ref(), &file])),
        };
        Self::registered(world, Self { conf, dir, process }).await
    }

    /// Starts ours from a YAML file, and waits until Zuul sees it running. `conf` says where it will be found.
    pub async fn configured(world: &World, conf: Conf, yaml: &str, dir: tempfile::TempDir) -> Self {
        let file = dir.path().join("fingerpost.yaml");
        fs::write(&file, yaml).expect("the configuration written");
        let process = Process::Fingerpost(run(dir.path(), &["--config".as_ref(), &file]));
        Self::registered(world, Self { conf, dir, process }).await
    }

    /// Connects as a viewer, in the way that it serves.
    pub async fn viewer(&self, world: &World) -> Viewer {
        match self.conf.tls {
            None => Viewer::plain(self.conf.address).await,
            Some(_) => {
                Viewer::tls(self.conf.address, world.authority(), Some(world.client())).await.expect("a handshake")
            }
        }
    }

    /// Connects as a viewer and asks for a build.
    pub async fn watch(&self, world: &World, uuid: &str) -> Viewer {
        let mut viewer = self.viewer(world).await;
        viewer.ask(uuid).await;
        viewer
    }

    /// The value of one metric, with its labels in the order in which they are shown; absent is zero.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.http("/metrics").await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap_or_else(|problem| panic!("{name} {value}: {problem}")))
    }

    /// What the monitoring port answers to a GET, head and body.
    pub async fn http(&self, path: &str) -> String {
        let mut viewer = Viewer::plain((self.conf.address.ip(), MONITORING_PORT).into()).await;
        viewer.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await;
        String::from_utf8(viewer.rest().await).expect("an answer in UTF-8")
    }

    /// Sends the program a signal, by its name.
    pub fn signal(&self, name: &str) {
        let pid = match &self.process {
            Process::Zuul(program) => program.pid(),
            Process::Fingerpost(child) => child.id(),
        };
        let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().expect("kill is installed");
        assert!(sent.success(), "SIG{name} to {pid}: {sent}");
    }

    /// Kills the program; its component stays in ZooKeeper until its session runs out.
    pub fn kill(&mut self) {
        match &mut self.process {
            Process::Zuul(program) => program.kill(),
            Process::Fingerpost(child) => end(child),
        }
    }

    /// Waits for the program to end by itself, and says whether it did so in order. Only for ours.
    pub fn wait(&mut self) -> bool {
        match &mut self.process {
            Process::Zuul(_) => panic!("Zuul's gateway ends with its test"),
            Process::Fingerpost(child) => child.wait().expect("reaped").success(),
        }
    }

    /// What our program has written to standard error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    async fn registered(world: &World, gateway: Self) -> Self {
        world.gateways(json!({"hostname": gateway.conf.hostname, "state": "running"}), 1).await;
        gateway
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if let Process::Fingerpost(child) = &mut self.process {
            end(child);
        }
        if std::thread::panicking() {
            eprintln!("--- {} logged:\n{}", self.conf.hostname, self.log());
        }
    }
}

/// Our program.
pub fn fingerpost() -> PathBuf {
    env!("CARGO_BIN_EXE_fingerpost").into()
}

fn run(dir: &Path, args: &[&Path]) -> Child {
    let log = fs::File::create(dir.join("log")).expect("a file for its log");
    Command::new(fingerpost())
        .arg("run")
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the same file again"))
        .stderr(log)
        .spawn()
        .expect("our own program")
}

fn end(child: &mut Child) {
    // It may have ended already; then there is nothing to kill.
    let _gone = child.kill();
    let _reaped = child.wait();
}

/// A loopback address that no other gateway of any test has: made from the process id, and a number in the process.
/// ZooKeepers are in the upper half of the network.
fn own_address() -> IpAddr {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = 1 + LAST.fetch_add(1, Ordering::Relaxed);
    assert!(number < 255, "more gateways than addresses");
    Ipv4Addr::from_bits(127 << 24 | 1 << 22 | (std::process::id() & 0x3fff) << 8 | number).into()
}
