//! A folder with everything one relay reads, an address of its own to serve on, and the process that does. It knows
//! nothing of what a test is about.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::support::executor::Executor;
use crate::support::gateway::fingerpost;
use crate::support::viewer::{PATIENCE, Viewer};

/// The build that a site's registry has, unless a test writes another.
pub(crate) const BUILD: &str = "4a1c9be27f0e4c06b9d2c8f3a1e5d700";

/// Lines of a relay's log that are shown when its test fails.
const SHOWN: usize = 300;

/// A relay's folder and address.
pub(crate) struct Site {
    /// Where it listens: no other relay of any test has this address.
    pub(crate) ip: IpAddr,
    /// The configuration's `listeners`: at first one, plain.
    pub(crate) listeners: String,
    /// The configuration's `registry`: at first a file.
    pub(crate) registry: String,
    /// All that the configuration has beside listeners, registry and monitoring.
    pub(crate) more: String,
    dir: tempfile::TempDir,
}

/// A relay that runs, or ran.
pub(crate) struct Relay {
    child: Child,
    log: Log,
    monitoring: SocketAddr,
}

/// What a relay wrote to standard error.
#[derive(Debug, Clone)]
pub(crate) struct Log(PathBuf);

impl Site {
    const PORT: u16 = 7979;
    const MONITORING: u16 = 9191;

    /// A site without builds.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let ip = own_address();
        let listeners = format!("  - name: finger\n    address: \"{ip}:{}\"\n", Self::PORT);
        let registry = "{file: registry.yaml}".to_owned();
        let site = Self { ip, listeners, registry, more: String::new(), dir };
        site.write("registry.yaml", "{}");
        site
    }

    /// A site with one build, whose log an executor on `port` has.
    pub(crate) fn with_executor(port: u16) -> Self {
        let site = Self::new();
        site.write("registry.yaml", &format!("builds:\n{}", build(BUILD, port)));
        site
    }

    /// The same with more in its configuration.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.more += more;
        self
    }

    /// Where its first listener is.
    pub(crate) fn address(&self) -> SocketAddr {
        (self.ip, Self::PORT).into()
    }

    /// Where it answers HTTP.
    pub(crate) fn monitoring(&self) -> SocketAddr {
        (self.ip, Self::MONITORING).into()
    }

    /// The path of one of its files.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes one of its files, in one step.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let new = self.path(&format!("{name}.new"));
        fs::write(&new, text).expect("a file written");
        fs::rename(new, self.path(name)).expect("a file put in place");
    }

    /// Writes the configuration, and returns its path.
    pub(crate) fn configure(&self) -> PathBuf {
        let text = format!(
            "hostname: \"{}\"\nlisteners:\n{}registry: {}\nmonitoring: {{address: \"{}\"}}\n{}",
            self.ip,
            self.listeners,
            self.registry,
            self.monitoring(),
            self.more
        );
        self.write("fingerpost.yaml", &text);
        self.path("fingerpost.yaml")
    }

    /// What would start it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(fingerpost());
        command.arg("run").arg("--config").arg(self.configure());
        command
    }

    /// Starts it by `command`, and does not wait for anything.
    pub(crate) fn spawn(&self, command: &mut Command) -> Relay {
        let log = self.path("log");
        let errors = fs::File::create(&log).expect("a file for its log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).kill_on_drop(true).spawn();
        Relay { child: child.expect("our own program"), log: Log(log), monitoring: self.monitoring() }
    }

    /// Starts it, and waits until it serves.
    pub(crate) async fn start(&self) -> Relay {
        let relay = self.spawn(&mut self.command());
        relay.until_ready().await;
        relay
    }

    /// Has the relay obey a command, by the socket that its configuration calls `command`; returns the answer.
    pub(crate) async fn tell(&self, command: &str) -> String {
        let mut socket = UnixStream::connect(self.path("command")).await.expect("connected");
        socket.write_all(format!("{command}\n").as_bytes()).await.expect("sent");
        let mut answer = String::new();
        timeout(PATIENCE, socket.read_to_string(&mut answer)).await.expect("an answer in time").expect("an answer");
        answer
    }

    /// Has the log of its build carried, from first to last byte.
    pub(crate) async fn carries(&self, executor: &Executor) {
        let mut viewer = self.watch(BUILD).await;
        executor.next().await.send(b"log").await;
        assert_eq!(viewer.rest().await, b"log");
    }

    /// Connects as a viewer and asks for a build.
    pub(crate) async fn watch(&self, uuid: &str) -> Viewer {
        let mut viewer = Viewer::plain(self.address()).await;
        viewer.ask(uuid).await;
        viewer
    }
}

impl Relay {
    /// Waits until it serves, and has read its registry.
    pub(crate) async fn until_ready(&self) {
        until("the relay is ready", async || self.http("/health/ready").await?.contains(" 200 OK").then_some(())).await;
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }

    /// Its resident memory, in KiB.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends a signal, by its name.
    pub(crate) async fn signal(&self, name: &str) {
        signal(self.pid(), name).await;
    }

    /// Stops it in order, and returns all that it logged.
    pub(crate) async fn stop(self) -> Log {
        self.signal("TERM").await;
        self.ends().await
    }

    /// Waits for its end, which must be in order.
    pub(crate) async fn ends(mut self) -> Log {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("reaped");
        assert!(status.success(), "{status}:\n{}", self.log.text());
        self.log.clone()
    }

    /// Waits until it fails, and returns all that it logged.
    pub(crate) async fn fails(mut self) -> Log {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").expect("reaped");
        assert!(!status.success(), "it failed:\n{}", self.log.text());
        self.log.clone()
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Waits for a line that has `text`, and returns the first.
    pub(crate) async fn until_logged(&self, text: &str) -> String {
        until(text, async || self.log.lines().into_iter().find(|line| line.contains(text))).await
    }

    /// All metrics.
    pub(crate) async fn metrics(&self) -> String {
        let answer = self.http("/metrics").await.expect("the monitoring port answers");
        answer.split_once("\r\n\r\n").expect("a head and a body").1.to_owned()
    }

    /// One metric by its name and labels, in the order in which they are shown; absent is zero.
    pub(crate) async fn metric(&self, name: &str) -> i64 {
        let metrics = self.metrics().await;
        let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap_or_else(|problem| panic!("{name} {value}: {problem}")))
    }

    /// Waits until one metric has a value.
    pub(crate) async fn until_metric(&self, name: &str, value: i64) {
        until(&format!("{name} is {value}"), async || (self.metric(name).await == value).then_some(())).await;
    }

    /// What the monitoring port answers to a GET; nothing while it is closed.
    pub(crate) async fn http(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.monitoring).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an answer in time").ok()?;
        Some(answer)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let lines = self.log.lines();
            let (left_out, shown) = lines.split_at(lines.len().saturating_sub(SHOWN));
            eprintln!("--- it logged, after {} lines more:\n{}", left_out.len(), shown.join("\n"));
        }
    }
}

impl Log {
    /// All of it.
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    /// Its whole lines.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.text().split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }

    /// Every line, where the format is JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|problem| panic!("{line}: {problem}"));
        self.lines().iter().map(parse).collect()
    }

    /// The fields of every record, where the format is JSON.
    pub(crate) fn records(&self) -> Vec<Value> {
        let records = self.events().into_iter().filter(|event| event["target"] == "fingerpost::record");
        records.map(|mut event| event["fields"].take()).collect()
    }

    /// The fields of its only record, where the format is JSON.
    pub(crate) fn record(&self) -> Value {
        let mut records = self.records();
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }
}

/// Sends a process a signal, by its name.
pub(crate) async fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status().await.expect("kill is installed");
    assert!(sent.success(), "SIG{name} to {pid}: {sent}");
}

/// Looks again and again until there is something to see, of which nobody would tell.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let seen = async {
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// An entry of the registry's `builds`: a build that an executor on this machine runs.
pub(crate) fn build(uuid: &str, port: u16) -> String {
    format!("  - {{uuid: {uuid}, worker: {{hostname: 127.0.0.1, log_port: {port}}}}}\n")
}

/// What a command wrote, and its exit code.
pub(crate) async fn output(args: &[&dyn AsRef<Path>]) -> (i32, String, String) {
    let mut command = Command::new(fingerpost());
    command.args(args.iter().map(|arg| (*arg).as_ref())).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(PATIENCE, command.output()).await.expect("it ends in time").expect("our own program");
    let text = |bytes| String::from_utf8(bytes).expect("output in UTF-8");
    (output.status.code().expect("it ended by itself"), text(output.stdout), text(output.stderr))
}

/// A loopback address that nothing else of any test has: made from the process id, and a number in the process. Other
/// test programs take theirs from above.
fn own_address() -> IpAddr {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let number = 1 + LAST.fetch_add(1, Ordering::Relaxed);
    assert!(number < 255, "more relays than addresses");
    Ipv4Addr::from_bits(127 << 24 | 1 << 21 | (std::process::id() & 0x1fff) << 8 | number).into()
}
