//! Gathers log lines of all threads, and writes what is gathered in one go, on a thread of its own. Never loses a line
//! because there are many, never changes their order, and never lets one wait while nothing is written.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How much is gathered, in bytes. As much again may be on its way out.
const BOUND: usize = 1024 * 1024;

/// Time between two writes, in which lines gather. After it, the next line is written at once.
const REST: Duration = Duration::from_millis(5);

/// Where threads put their lines.
///
/// Only the thread that writes waits for whoever reads. The others wait for it once [`BOUND`] bytes have gathered, for
/// as long as nothing is read: a reader that is stuck stops in the end all who have something to say, as it would if
/// each of them wrote its own lines, which is what keeping every line costs.
#[derive(Debug, Clone)]
pub(super) struct Lines(Arc<Queue>);

/// The thread that writes the lines. When it is dropped, everything gathered has been written, and lines that come
/// later are written by those who say them. What the last moments before a death by signal gathered is lost.
#[derive(Debug)]
pub(super) struct Scribe {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

struct Queue {
    state: Mutex<State>,
    /// Tells the scribe to look.
    call: Condvar,
    /// Tells those who wait that there is room.
    room: Condvar,
    out: Mutex<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct State {
    gathered: Vec<u8>,
    /// Whether the scribe has nothing to do and must be called for the next line.
    idle: bool,
    /// How many threads found no room.
    waiting: usize,
    /// Whether the scribe is to end.
    ending: bool,
    /// Whether the scribe has ended.
    ended: bool,
}

/// Starts the thread that writes to `out`.
pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Lines, Scribe)> {
    let lines = Lines(Arc::new(Queue {
        state: Mutex::default(),
        call: Condvar::new(),
        room: Condvar::new(),
        out: Mutex::new(Box::new(out)),
    }));
    let theirs = lines.clone();
    let thread = thread::Builder::new().name("log".to_owned()).spawn(move || theirs.0.write_until_the_end())?;
    Ok((lines.clone(), Scribe { lines, thread: Some(thread) }))
}

impl Queue {
    /// Takes a whole line, or waits until there is room for it. A line longer than the bound comes alone.
    fn put(&self, line: &[u8]) {
        let mut state = self.state();
        if !state.has_room(line) {
            state.waiting += 1;
            self.call.notify_one();
            state = self.room.wait_while(state, |state| !state.has_room(line)).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
        if state.ended {
            drop(state);
            return self.write(line);
        }
        state.gathered.extend_from_slice(line);
        // One call is enough, and none is needed while it writes or rests.
        if mem::take(&mut state.idle) {
            self.call.notify_one();
        }
    }

    fn write_until_the_end(&self) {
        let mut batch = Vec::new();
        while self.take(&mut batch) {
            self.write(&batch);
            batch.clear();
            self.rest();
        }
    }

    /// Waits for lines and takes them all, in exchange for an empty `batch`. Returns false once there will be no more.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.state();
        state.idle = state.gathered.is_empty();
        state = self.call.wait_while(state, |state| state.is_quiet()).unwrap_or_else(PoisonError::into_inner);
        state.idle = false;
        mem::swap(&mut state.gathered, batch);
        state.ended = state.ending && batch.is_empty();
        self.room.notify_all();
        !state.ended
    }

    /// Lets lines gather, unless somebody waits.
    fn rest(&self) {
        let unhurried = |state: &mut State| state.waiting == 0 && !state.ending;
        drop(self.call.wait_timeout_while(self.state(), REST, unhurried).unwrap_or_else(PoisonError::into_inner));
    }

    fn write(&self, bytes: &[u8]) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell if standard error is closed.
        let _unheard = write_whole(out.as_mut(), bytes);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_room(&self, line: &[u8]) -> bool {
        self.ended || self.gathered.is_empty() || self.gathered.len() + line.len() <= BOUND
    }

    fn is_quiet(&self) -> bool {
        self.gathered.is_empty() && !self.ending
    }
}

/// Writes all of `bytes`, also where standard error was made non-blocking by another process that has it open.
fn write_whole(out: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::park_timeout(REST),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Drop for Scribe {
    fn drop(&mut self) {
        self.lines.0.state().ending = true;
        self.lines.0.call.notify_one();
        if let Some(thread) = self.thread.take() {
            // It only writes; there is nobody to tell that it could not.
            let _ended = thread.join();
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

impl Write for &Lines {
    /// Takes all of `line`: the formatter hands over a whole one at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queue")
    }
}

#[cfg(test)]
mod tests;
