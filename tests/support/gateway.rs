//! A finger gateway: Zuul's own or a relay of ours, started from the same `zuul.conf`, so that one test can drive both.
//! It has a loopback address of its own, which is its host name too, and is killed when dropped.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::authority::Leaf;
use super::program::Program;
use super::viewer::{PATIENCE, Viewer};
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
#[derive(Debug)]
pub struct Conf {
    /// The zone it serves.
    pub zone: Option<&'static str>,
    /// What it shows to viewers, if it speaks TLS, and to other gateways.
    pub leaf: Leaf,
    /// Whether its port speaks TLS, with a client certificate required.
    pub tls: bool,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it calls itself.
    pub hostname: String,
    /// Where it answers HTTP.
    pub monitoring: SocketAddr,
    /// Holds its configuration and whatever else it reads and writes.
    pub dir: tempfile::TempDir,
    /// Holds its log alone: a relay watches the folder of its configuration, and every line would wake it.
    pub log: tempfile::TempDir,
    /// Which build of ours is started.
    pub program: PathBuf,
}

/// A gateway that is running, registered, and serving.
#[derive(Debug)]
pub struct Gateway {
    /// How it was configured.
    pub conf: Conf,
    process: Process,
}

#[derive(Debug)]
enum Process {
    Zuul(Program),
    Fingerpost(Child),
}

impl Conf {
    /// A gateway that viewers reach by TCP, with a certificate for those that it dials.
    pub fn plain(world: &World, zone: impl Into<Option<&'static str>>) -> Self {
        Self::new(world, zone, false)
    }

    /// A gateway that viewers reach by TLS, and whose name may be verified.
    pub fn tls(world: &World, zone: impl Into<Option<&'static str>>) -> Self {
        Self::new(world, zone, true)
    }

    /// One or the other.
    pub fn new(world: &World, zone: impl Into<Option<&'static str>>, tls: bool) -> Self {
        let ip = own_address();
        Self {
            zone: zone.into(),
            leaf: world.authority().issue_for_address(ip),
            tls,
            address: (ip, PORT).into(),
            hostname: ip.to_string(),
            monitoring: (ip, MONITORING_PORT).into(),
            dir: tempfile::tempdir().expect("a temporary directory"),
            log: tempfile::tempdir().expect("a temporary directory"),
            program: fingerpost(),
        }
    }

    /// The same, called `localhost`, for certificates that name a host and not an address.
    pub fn on_localhost(self, leaf: Leaf) -> Self {
        Self { address: own_local_port(), hostname: "localhost".to_owned(), leaf, ..self }
    }

    /// Where it takes commands.
    pub fn command_socket(&self) -> PathBuf {
        self.dir.path().join("command.socket")
    }

    fn log_file(&self) -> PathBuf {
        self.log.path().join("log")
    }

    /// The file.
    pub fn text(&self, world: &World) -> String {
        let zone = self.zone.map(|zone| format!("zone = {zone}\n")).unwrap_or_default();
        format!(
            "{}\n[fingergw]\nlisten_address = {}\nport = {}\nhostname = {}\n{zone}tls_cert = {}\ntls_key = {}\n\
             tls_ca = {}\ntls_client_only = {}\ncommand_socket = {}\nprometheus_port = {}\nprometheus_addr = {}\n",
            world.zookeeper_section(),
            self.address.ip(),
            self.address.port(),
            self.hostname,
            self.leaf.cert.display(),
            self.leaf.key.display(),
            world.authority().ca().display(),
            !self.tls,
            self.command_socket().display(),
            self.monitoring.port(),
            self.monitoring.ip(),
        )
    }
}

impl Gateway {
    /// Starts one, and waits until Zuul sees it running.
    pub async fn start(kind: Kind, world: &World, conf: Conf) -> Self {
        Self::registered(world, Self::launch(kind, world, conf).await).await
    }

    /// Starts one, and waits for nothing that it does.
    pub async fn launch(kind: Kind, world: &World, conf: Conf) -> Self {
        let file = conf.dir.path().join("zuul.conf");
        fs::write(&file, conf.text(world)).expect("the configuration written");
        let process = match kind {
            Kind::Zuul => Process::Zuul(Program::start("gateway", &[&file]).await.0),
            Kind::Fingerpost => Process::Fingerpost(run(&conf, &["--zuul-conf".as_ref(), &file])),
        };
        Self { conf, process }
    }

    /// Starts ours from a YAML file, and waits until Zuul sees it running. `conf` says where it will be found.
    pub async fn configured(world: &World, conf: Conf, yaml: &Path) -> Self {
        let process = Process::Fingerpost(run(&conf, &["--config".as_ref(), yaml]));
        Self::registered(world, Self { conf, process }).await
    }

    /// Whose program it is.
    pub fn kind(&self) -> Kind {
        match self.process {
            Process::Zuul(_) => Kind::Zuul,
            Process::Fingerpost(_) => Kind::Fingerpost,
        }
    }

    /// Connects as a viewer, in the way that it serves.
    pub async fn viewer(&self, world: &World) -> Viewer {
        if !self.conf.tls {
            return Viewer::plain(self.conf.address).await;
        }
        let client = Some(world.client());
        Viewer::tls(self.conf.address, world.authority(), client).await.expect("a handshake")
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

    /// Waits until a metric has a value.
    pub async fn until_metric(&self, name: &str, value: u64) {
        self.until(name, &format!("{value}"), |now| now == value).await;
    }

    /// Waits until a metric is above the value that it had.
    pub async fn until_metric_passes(&self, name: &str, before: u64) {
        self.until(name, &format!("above {before}"), |now| now > before).await;
    }

    async fn until(&self, name: &str, what: &str, enough: impl Fn(u64) -> bool) {
        // Nobody tells of a metric's change, so it is asked for again and again.
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let reached = async {
            while !enough(self.metric(name).await) {
                ticks.tick().await;
            }
        };
        if timeout(PATIENCE, reached).await.is_err() {
            panic!("{name} is not {what} after {PATIENCE:?}, but {}", self.metric(name).await);
        }
    }

    /// What the monitoring port answers to a GET, head and body.
    pub async fn http(&self, path: &str) -> String {
        let mut viewer = Viewer::plain(self.conf.monitoring).await;
        viewer.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await;
        String::from_utf8(viewer.rest().await).expect("an answer in UTF-8")
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        match &self.process {
            Process::Zuul(program) => program.pid(),
            Process::Fingerpost(child) => child.id(),
        }
    }

    /// Sends the program a signal, by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid();
        let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().expect("kill is installed");
        assert!(sent.success(), "SIG{name} to {pid}: {sent}");
    }

    /// Sends a command to the program, as Zuul's own client does: without waiting for an answer.
    pub fn command(&self, line: &str) {
        let mut socket = UnixStream::connect(self.conf.command_socket()).expect("the command socket");
        writeln!(socket, "{line}").expect("a command");
    }

    /// Kills the program; its component stays in ZooKeeper until its session runs out.
    pub fn kill(&mut self) {
        match &mut self.process {
            Process::Zuul(program) => program.kill(),
            Process::Fingerpost(child) => end(child),
        }
    }

    /// Waits for the program to end by itself, and checks that it did so in order. Only for ours.
    pub async fn ends_in_order(&mut self) {
        let Process::Fingerpost(child) = &mut self.process else { panic!("Zuul's gateway ends with its test") };
        // The standard library's child tells nobody of its end, so it is asked for again and again.
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let ended = async {
            while child.try_wait().expect("our own child").is_none() {
                ticks.tick().await;
            }
        };
        assert!(timeout(PATIENCE, ended).await.is_ok(), "it still runs after {PATIENCE:?}");
        let status = child.wait().expect("it has ended");
        assert!(status.success(), "ended with {status}");
    }

    /// What our program has written to standard error so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.conf.log_file()).unwrap_or_default()
    }

    /// The first line of its log that has `words` in it, once it is there: lines are gathered before they are written.
    pub async fn until_logged(&self, words: &str) -> String {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let find = || self.log().lines().find(|line| line.contains(words)).map(str::to_owned);
        let written = async {
            while find().is_none() {
                ticks.tick().await;
            }
        };
        assert!(timeout(PATIENCE, written).await.is_ok(), "no line with {words:?} after {PATIENCE:?}");
        find().expect("what is written stays")
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

fn run(conf: &Conf, args: &[&Path]) -> Child {
    let log = fs::File::create(conf.log_file()).expect("a file for its log");
    // Should the test binary be killed, nothing it has started may stay: the kernel sees to that.
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL"])
        .arg(&conf.program)
        .arg("run")
        .args(args)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the same file again"))
        .stderr(log)
        .spawn()
        .expect("util-linux is installed, and our own program built")
}

fn end(child: &mut Child) {
    // It may have ended already; then there is nothing to kill.
    let _gone = child.kill();
    let _reaped = child.wait();
}

/// A loopback address that no other server of any test has: made from the process id, and a number in the process.
/// ZooKeepers are in the upper half of the network.
pub fn own_address() -> IpAddr {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = 1 + LAST.fetch_add(1, Ordering::Relaxed);
    assert!(number < 255, "more servers than addresses");
    Ipv4Addr::from_bits(127 << 24 | 1 << 22 | (std::process::id() & 0x3fff) << 8 | number).into()
}

/// A port of 127.0.0.1 that no other gateway of any test has, out of reach of the ports that the kernel chooses.
fn own_local_port() -> SocketAddr {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    assert!(number < 10, "more gateways than ports");
    let port = 10_000 + std::process::id() % 2_000 * 10 + number;
    (Ipv4Addr::LOCALHOST, u16::try_from(port).expect("below 30 000")).into()
}
