//! An executor with many builds, whose logs grow and end when the test says so. Every stream gets its build's log from
//! the first byte on, as from Zuul's own.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::site::{BUILD, build};

/// Logs grow in turns: each at one of so many calls.
const TURNS: u64 = 10;

/// All logs. Once dropped, no stream is served any more.
pub(crate) struct Logs {
    port: u16,
    written: Vec<watch::Sender<Written>>,
    _serving: JoinSet<()>,
}

/// How much there is of a log.
#[derive(Clone, Copy)]
struct Written {
    lines: u64,
    ended: bool,
}

type Readable = HashMap<String, watch::Receiver<Written>>;

impl Logs {
    /// Serves `builds` logs of one line each, and a whole one: that of [`BUILD`].
    pub(crate) async fn serve(builds: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let port = listener.local_addr().expect("an address").port();
        let written: Vec<_> = (0..builds).map(|_| watch::Sender::new(Written { lines: 1, ended: false })).collect();
        let begun = written.iter().enumerate().map(|(number, log)| (uuid(number), log.subscribe()));
        let whole = watch::Sender::new(Written { lines: 1, ended: true });
        let readable = begun.chain([(BUILD.to_owned(), whole.subscribe())]).collect();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, Arc::new(readable)));
        Self { port, written, _serving: serving }
    }

    /// A registry in which these builds run, and which knows of more zones than the relay's own.
    pub(crate) fn registry(&self) -> String {
        let uuids = (0..self.len()).map(uuid).chain([BUILD.to_owned()]);
        let builds: String = uuids.map(|uuid| build(&uuid, self.port)).collect();
        format!("zones: [north, south]\nbuilds:\n{builds}")
    }

    /// How many grow.
    pub(crate) fn len(&self) -> usize {
        self.written.len()
    }

    /// Adds a line to those whose turn it is.
    pub(crate) fn grow(&self, round: u64) {
        for (_, log) in (0..).zip(&self.written).filter(|(number, _)| number % TURNS == round % TURNS) {
            log.send_modify(|log| log.lines += 1);
        }
    }

    /// Adds a last line to each.
    pub(crate) fn end(&self) {
        for log in &self.written {
            log.send_modify(|log| *log = Written { lines: log.lines + 1, ended: true });
        }
    }

    /// What one holds by now.
    pub(crate) fn text(&self, number: usize) -> String {
        lines(&uuid(number), 0..self.written[number].borrow().lines)
    }
}

/// The build of one of the logs that grow.
pub(crate) fn uuid(number: usize) -> String {
    format!("{number:032x}")
}

/// Some lines of a log, which no other log has.
pub(crate) fn lines(uuid: &str, which: Range<u64>) -> String {
    which.map(|line| format!("line {line} of {uuid}\n")).collect()
}

async fn serve(listener: TcpListener, logs: Arc<Readable>) {
    let mut streams = JoinSet::new();
    loop {
        let (connection, _) = listener.accept().await.expect("a connection");
        streams.spawn(stream(connection, Arc::clone(&logs)));
        while streams.try_join_next().is_some() {}
    }
}

/// Shows the log that is asked for. One that cannot be sent is missed where it should arrive.
async fn stream(connection: TcpStream, logs: Arc<Readable>) -> Option<()> {
    let mut connection = BufReader::new(connection);
    let mut request = String::new();
    connection.read_line(&mut request).await.ok()?;
    let uuid = request.trim_end();
    let mut log = logs.get(uuid)?.clone();
    let mut sent = 0;
    loop {
        let Written { lines: written, ended } = *log.borrow_and_update();
        connection.write_all(lines(uuid, sent..written).as_bytes()).await.ok()?;
        sent = written;
        if ended {
            return Some(());
        }
        log.changed().await.ok()?;
    }
}
