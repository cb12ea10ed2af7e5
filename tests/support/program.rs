//! A Python program of `tests/zuul` that drives Zuul's own classes, steered line by line. It never outlives the test:
//! it ends when its standard input does, and is killed when dropped.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Longest wait for an answer. Commands that wait themselves give up earlier, and say for what they waited.
const PATIENCE: Duration = Duration::from_secs(60);

type Answer = Result<Value, String>;

/// One running program.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    commands: Mutex<Commands>,
    waiting: Waiting,
    log: tempfile::NamedTempFile,
}

#[derive(Debug)]
struct Commands {
    input: ChildStdin,
    last: u64,
}

/// Who waits for which answer. Emptied when the program ends, which tells everybody who still waits.
type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Answer>>>>;

impl Program {
    /// Starts `tests/zuul/<name>.py` and waits until it is ready; returns it with what it said then.
    pub async fn start(name: &str, args: &[&Path]) -> (Self, Value) {
        let log = tempfile::NamedTempFile::new().expect("a file for the program's log");
        let errors = log.reopen().expect("the same file again");
        let mut child = command(name, args, errors).spawn().unwrap_or_else(|problem| panic!("{name}.py: {problem}"));
        let input = child.stdin.take().expect("its input is piped");
        let output = child.stdout.take().expect("its output is piped");
        let (ready, told) = oneshot::channel();
        let waiting = Waiting::new(Mutex::new(HashMap::from([(0, ready)])));
        let answers = Arc::clone(&waiting);
        let _drains_until_the_end = std::thread::spawn(move || deliver(output, &answers));
        let commands = Mutex::new(Commands { input, last: 0 });
        let program = Self { name: name.to_owned(), child, commands, waiting, log };
        let ready = program.wait("starting", told).await;
        (program, ready)
    }

    /// Has one command carried out, and returns its value.
    pub async fn call(&self, what: &str, mut args: Value) -> Value {
        let (answer, told) = oneshot::channel();
        args["do"] = what.into();
        self.send(args, answer);
        self.wait(what, told).await
    }

    /// The program's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the program: its connections are reset or closed, and it says nothing to anybody.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
    }

    fn send(&self, mut command: Value, answer: oneshot::Sender<Answer>) {
        let mut commands = self.commands.lock().expect("no command panicked");
        commands.last += 1;
        command["id"] = json!(commands.last);
        self.waiting.lock().expect("no answer panicked").insert(commands.last, answer);
        writeln!(commands.input, "{command}")
            .unwrap_or_else(|problem| panic!("{}: {problem}\n{}", self.name, self.log()));
    }

    async fn wait(&self, what: &str, told: oneshot::Receiver<Answer>) -> Value {
        match timeout(PATIENCE, told).await {
            Ok(Ok(Ok(value))) => value,
            Ok(Ok(Err(problem))) => panic!("{}.py, {what}: {problem}\n{}", self.name, self.log()),
            Ok(Err(_gone)) => panic!("{}.py, {what}: it ended without an answer\n{}", self.name, self.log()),
            Err(_elapsed) => panic!("{}.py, {what}: no answer within {PATIENCE:?}\n{}", self.name, self.log()),
        }
    }

    /// The end of what the program logged, for a test that fails.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.log.path()).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be gone already; then there is nothing to kill.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The Python that has Zuul installed, as `tests/run` prepares it.
pub fn python() -> OsString {
    std::env::var_os("FINGERPOST_TEST_PYTHON")
        .expect("FINGERPOST_TEST_PYTHON names a Python with zuul==14.3.0; start the tests by tests/run, which sets it")
}

fn command(name: &str, args: &[&Path], errors: File) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/zuul").join(format!("{name}.py"));
    let mut command = Command::new(python());
    command.arg("-B").arg(script).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
    command
}

fn deliver(output: ChildStdout, waiting: &Waiting) {
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let mut answer: Value = serde_json::from_str(&line).expect("programs write JSON");
        let number = answer["id"].as_u64().expect("answers are numbered");
        let told = waiting.lock().expect("no command panicked").remove(&number);
        let value = match answer["error"].as_str() {
            Some(problem) => Err(problem.to_owned()),
            None => Ok(answer["ok"].take()),
        };
        if let Some(told) = told {
            // The test may have given up waiting.
            let _late = told.send(value);
        }
    }
    waiting.lock().expect("no command panicked").clear();
}
