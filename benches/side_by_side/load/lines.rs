//! Lines on many streams, each with the time of its writing in it: one thread writes all of them, and one reads, so
//! that the load takes as little of the machine as it can.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

/// Of one line, in bytes.
const LINE: usize = 100;
/// What a line begins with: nanoseconds since the first was due, in so many digits.
const STAMP: usize = 20;
/// Viewers that are looked after at a time.
const AT_A_TIME: usize = 256;
/// Longest silence on all streams.
const PATIENCE: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Writes a line to each of `executors` `every` so often for `time`, in turn; says how long each took to `viewers`, who
/// have read everything that was there before.
pub fn delays(executors: &[TcpStream], viewers: &[TcpStream], every: Duration, time: Duration) -> Vec<Duration> {
    let begun = Instant::now();
    let rounds = usize::try_from(time.as_nanos() / every.as_nanos()).expect("64-bit");
    let pause = every / u32::try_from(executors.len()).expect("thousands");
    thread::scope(|scope| {
        let lines = executors.iter().cycle().take(rounds * executors.len());
        scope.spawn(move || write(lines, pause, begun));
        Reader::new(viewers, begun).read(rounds * viewers.len())
    })
}

/// Writes each line when it is due. Nobody wakes up exactly then: two or three may be written one after the other.
fn write<'a>(lines: impl Iterator<Item = &'a TcpStream>, pause: Duration, begun: Instant) {
    let mut line = [b'-'; LINE];
    line[LINE - 1] = b'\n';
    let mut due = begun;
    for mut executor in lines {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        write!(&mut line[..], "{:0STAMP$}", begun.elapsed().as_nanos()).expect("room for it");
        executor.write_all(&line).expect("a line written");
        due += pause;
    }
}

/// All viewers.
struct Reader<'a> {
    viewers: &'a [TcpStream],
    poll: OwnedFd,
    /// What each has read of a line that is not whole.
    parts: Vec<Vec<u8>>,
    begun: Instant,
}

impl<'a> Reader<'a> {
    fn new(viewers: &'a [TcpStream], begun: Instant) -> Self {
        let poll = epoll::create(CreateFlags::CLOEXEC).expect("epoll");
        for (viewer, number) in viewers.iter().zip(0..) {
            epoll::add(&poll, viewer, EventData::new_u64(number), EventFlags::IN).expect("a viewer watched");
        }
        Self { viewers, poll, parts: vec![Vec::new(); viewers.len()], begun }
    }

    /// Reads so many lines.
    fn read(mut self, lines: usize) -> Vec<Duration> {
        let mut delays = Vec::with_capacity(lines);
        let mut events = Vec::with_capacity(AT_A_TIME);
        let mut bytes = vec![0; 64 << 10];
        while delays.len() < lines {
            self.wait(&mut events);
            assert!(!events.is_empty(), "{} of {lines} lines, and no more", delays.len());
            for event in events.drain(..) {
                let viewer = usize::try_from(event.data.u64()).expect("64-bit");
                let read = (&self.viewers[viewer]).read(&mut bytes).expect("the log goes on");
                assert!(read > 0, "a log has ended after {} lines of all", delays.len());
                self.take(viewer, &bytes[..read], &mut delays);
            }
        }
        delays
    }

    fn wait(&self, events: &mut Vec<Event>) {
        epoll::wait(&self.poll, rustix::buffer::spare_capacity(events), Some(&PATIENCE)).expect("epoll");
    }

    fn take(&mut self, viewer: usize, bytes: &[u8], delays: &mut Vec<Duration>) {
        let now = self.begun.elapsed();
        let part = &mut self.parts[viewer];
        part.extend_from_slice(bytes);
        delays.extend(part.chunks_exact(LINE).map(|line| now.saturating_sub(written(line))));
        part.drain(..part.len() - part.len() % LINE);
    }
}

/// When a line was written, since the first was due.
fn written(line: &[u8]) -> Duration {
    let stamp = str::from_utf8(&line[..STAMP]).expect("digits");
    assert_eq!(line[LINE - 1], b'\n', "a whole line");
    Duration::from_nanos(stamp.parse().expect("digits"))
}
