//! Debian's ZooKeeper, one server for one test. It never shares an address, a folder or a log with another test, and
//! is killed when dropped.
//!
//! ZooKeeper cannot bind port 0 and tell what it got. Instead each test process has a loopback address of its own,
//! made from its process id, and each server in it a port of its own: nobody else can hold it, before or after a
//! restart.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::authority::{Authority, Leaf};

/// Longest wait for the Java machine, on a busy computer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What ZooKeeper logs once every port of it is bound and served.
const READY: &str = "Using checkIntervalMs=";

/// One server, running or stopped, with its data.
#[derive(Debug)]
pub struct ZooKeeper {
    dir: tempfile::TempDir,
    plain: SocketAddr,
    tls: Option<Tls>,
    child: Option<Child>,
}

/// How the server is reached by TLS, and with what.
#[derive(Debug)]
pub struct Tls {
    /// Where it listens; client certificates are required.
    pub address: SocketAddr,
    /// Who signed everything.
    pub authority: Authority,
    /// A client certificate.
    pub client: Leaf,
}

/// How certificates are made.
type Issue = fn(&Authority, &str) -> Leaf;

impl ZooKeeper {
    /// Starts a server that speaks plain TCP, ticking so that sessions may be as short as 400 ms.
    pub async fn plain() -> Self {
        Self::create(None).await
    }

    /// Starts a server that speaks TLS with client certificates required, and plain TCP beside it for the test's own
    /// hands.
    pub async fn with_tls() -> Self {
        Self::create(Some(Authority::issue)).await
    }

    /// Does what [`Self::with_tls`] does, with certificates of X.509 version 1 on both sides.
    pub async fn with_version1_tls() -> Self {
        Self::create(Some(Authority::issue_version1)).await
    }

    /// The plain port, as a connect string.
    pub fn hosts(&self) -> String {
        self.plain.to_string()
    }

    /// The plain port.
    pub fn address(&self) -> SocketAddr {
        self.plain
    }

    /// The TLS port and its certificates.
    pub fn tls(&self) -> &Tls {
        self.tls.as_ref().expect("a server started by with_tls")
    }

    /// Starts the server on the port and the data it had before, and waits until it serves.
    pub async fn start(&mut self) {
        assert!(self.child.is_none(), "the server is running");
        let mut java = java(self.dir.path());
        let (started, child) = oneshot::channel();
        let (ready, served) = oneshot::channel();
        // The server goes with the thread that started it, so that must not be a test's: others may use it for longer.
        let _drains_until_the_end = std::thread::spawn(move || {
            let mut child = java.spawn().expect("java and util-linux are installed");
            let log = child.stderr.take().expect("its log is piped");
            started.send(child).expect("the test waits for the server");
            follow(log, ready);
        });
        self.child = Some(child.await.expect("ZooKeeper is started"));
        match timeout(PATIENCE, served).await.expect("ZooKeeper starts in time") {
            Ok(()) => {}
            Err(_gone) => panic!("ZooKeeper ended instead of serving; its log is above"),
        }
    }

    /// Kills the server. Its clients see their connections reset; its data stays.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }

    /// Forgets everything ever written. The server must be stopped.
    pub fn wipe(&self) {
        assert!(self.child.is_none(), "the server is running");
        fs::remove_dir_all(self.data()).expect("data removed");
    }

    /// Keeps a copy of the data, for [`Self::restore`]. The server must be stopped.
    pub fn save(&self) {
        assert!(self.child.is_none(), "the server is running");
        copy(&self.data(), &self.dir.path().join("saved"));
    }

    /// Goes back to the data of [`Self::save`], as an operator does after a disaster. The server must be stopped.
    pub fn restore(&self) {
        self.wipe();
        copy(&self.dir.path().join("saved"), &self.data());
    }

    /// The sessions that are connected to the server.
    pub async fn sessions(&self) -> Vec<i64> {
        self.ask("cons").await.lines().filter_map(session_of).collect()
    }

    /// The session that owns the ephemeral znode at `path`.
    pub async fn owner(&self, path: &str) -> Option<i64> {
        let dump = self.ask("dump").await;
        let before = dump.split_once(&format!("\t{path}\n"))?.0;
        before.lines().rev().find_map(|line| hex(line.strip_suffix(':')?))
    }

    /// Ends `session` as if it had expired: its ephemeral znodes vanish, and its client is told when it comes back.
    ///
    /// Anybody who knows a session's password may close it, and ZooKeeper derives the password from the session's id
    /// (`ZooKeeperServer.generatePasswd`).
    pub async fn expire(&self, session: i64) {
        let mut packet = Vec::new();
        packet.extend(0_i32.to_be_bytes()); // protocol version
        packet.extend(0_i64.to_be_bytes()); // last zxid seen
        packet.extend(10_000_i32.to_be_bytes()); // session timeout in milliseconds
        packet.extend(session.to_be_bytes());
        packet.extend(16_i32.to_be_bytes());
        packet.extend(password(session));
        packet.push(0); // not read-only
        let mut tcp = TcpStream::connect(self.plain).await.expect("connected");
        tcp.write_all(&framed(&packet)).await.expect("session resumed");
        let close = [1_i32.to_be_bytes(), (-11_i32).to_be_bytes()].concat(); // xid, closeSession
        tcp.write_all(&framed(&close)).await.expect("session closed");
        let mut answer = Vec::new();
        timeout(PATIENCE, tcp.read_to_end(&mut answer)).await.expect("an answer in time").expect("an answer");
        let resumed = answer.get(12..20).expect("a connect response");
        assert_eq!(resumed, session.to_be_bytes(), "the session was known");
    }

    /// Sends one of ZooKeeper's four-letter commands.
    pub async fn ask(&self, command: &str) -> String {
        let mut tcp = TcpStream::connect(self.plain).await.expect("connected");
        tcp.write_all(command.as_bytes()).await.expect("asked");
        let mut answer = String::new();
        timeout(PATIENCE, tcp.read_to_string(&mut answer)).await.expect("an answer in time").expect("an answer");
        answer
    }

    async fn create(issue: Option<Issue>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (plain, secure) = addresses();
        let tls = issue.map(|issue| {
            let authority = Authority::new();
            issue(&authority, "zookeeper").key_store(&dir.path().join("server.pem"));
            Tls { address: secure, client: issue(&authority, "client"), authority }
        });
        let mut server = Self { dir, plain, tls, child: None };
        server.configure();
        server.start().await;
        server
    }

    fn configure(&self) {
        let dir = self.dir.path().display();
        let mut config = format!(
            "dataDir={dir}/data\nclientPort={}\nclientPortAddress={}\ntickTime=200\nadmin.enableServer=false\n\
             4lw.commands.whitelist=*\nmaxClientCnxns=0\njute.maxbuffer=8388608\npreAllocSize=64\n\
             serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n",
            self.plain.port(),
            self.plain.ip(),
        );
        if let Some(tls) = &self.tls {
            config += &format!(
                "secureClientPort={}\nsecureClientPortAddress={}\nssl.keyStore.type=PEM\nssl.trustStore.type=PEM\n\
                 ssl.keyStore.location={dir}/server.pem\nssl.trustStore.location={}\nssl.clientAuth=need\n\
                 ssl.protocol=TLSv1.2\n",
                tls.address.port(),
                tls.address.ip(),
                tls.authority.ca().display(),
            );
        }
        fs::write(self.dir.path().join("zoo.cfg"), config).expect("configuration written");
    }

    fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A plain and a TLS address that no other server of any test has.
fn addresses() -> (SocketAddr, SocketAddr) {
    static SERVERS: AtomicU16 = AtomicU16::new(0);
    // Process ids have at most 22 bits; the bit above them keeps clear of 127.0.0.1 and its neighbours.
    let ip = Ipv4Addr::from_bits(127 << 24 | 1 << 23 | std::process::id());
    let port = 2181 + 2 * SERVERS.fetch_add(1, Ordering::Relaxed);
    ((ip, port).into(), (ip, port + 1).into())
}

/// The server, set for a quick start rather than for speed.
fn java(dir: &Path) -> Command {
    // The manifest of Debian's zookeeper.jar forgets netty-codec and netty-resolver, so everything is named.
    let jars = [
        "zookeeper",
        "zookeeper-jute",
        "metrics-core",
        "snappy-java",
        "slf4j-api",
        "slf4j-simple",
        "commons-io",
        "commons-cli",
        "netty-buffer",
        "netty-codec",
        "netty-common",
        "netty-handler",
        "netty-resolver",
        "netty-transport",
        "netty-transport-native-epoll",
        "netty-transport-native-unix-common",
    ]
    .map(|jar| format!("/usr/share/java/{jar}.jar"));
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "java"])
        .args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", &jars.join(":")])
        .args(["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Djute.maxbuffer=8388608", "-Dzookeeper.preAllocSize=64"])
        // The machine outlives every test: what a killed server wrote is there without having reached the disk.
        .arg("-Dzookeeper.forceSync=no")
        .arg("org.apache.zookeeper.server.ZooKeeperServerMain")
        .arg(dir.join("zoo.cfg"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Reads the server's log to its end, and tells `ready` when it serves. What came before that is shown if it never
/// does.
fn follow(log: ChildStderr, ready: oneshot::Sender<()>) {
    let mut lines = BufReader::new(log).lines().map_while(Result::ok);
    let mut before = Vec::new();
    for line in lines.by_ref() {
        if line.contains(READY) {
            // The test may have given up waiting.
            let _ = ready.send(());
            lines.for_each(drop);
            return;
        }
        before.push(line);
    }
    eprintln!("{}", before.join("\n"));
}

fn framed(packet: &[u8]) -> Vec<u8> {
    let length = i32::try_from(packet.len()).expect("a short packet");
    [length.to_be_bytes().as_slice(), packet].concat()
}

/// `java.util.Random`, seeded as ZooKeeper seeds it.
fn password(session: i64) -> [u8; 16] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (session.cast_unsigned() ^ 0xB341_5C00 ^ MULTIPLIER) & MASK;
    let mut bytes = [0; 16];
    for word in bytes.chunks_exact_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER) + 0xB) & MASK;
        let next = u32::try_from(state >> 16).expect("32 of 48 bits");
        word.copy_from_slice(&next.to_le_bytes());
    }
    bytes
}

fn session_of(line: &str) -> Option<i64> {
    hex(line.split_once("sid=")?.1.split(',').next()?)
}

fn hex(text: &str) -> Option<i64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok().map(u64::cast_signed)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("copied");
        }
    }
}
