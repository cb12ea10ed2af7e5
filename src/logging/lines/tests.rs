use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, Sender};

use super::*;

/// Longest wait for what is to come at once.
const SOON: Duration = Duration::from_secs(60);

/// Tells of every write, and begins none without leave.
struct Reader {
    writes: Sender<Vec<u8>>,
    leave: Receiver<()>,
}

/// Answers in its turn with what it is told, then takes everything.
struct Moody {
    answers: VecDeque<io::Result<usize>>,
    writes: Sender<Vec<u8>>,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The other end is gone once everything may be written.
        let _all = self.leave.recv();
        self.writes.send(bytes.to_vec()).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for Moody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.answers.pop_front().unwrap_or(Ok(bytes.len()))?;
        self.writes.send(bytes[..taken].to_vec()).unwrap();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn reader() -> (Lines, Scribe, Receiver<Vec<u8>>, Sender<()>) {
    let ((writes, written), (leave, given)) = (mpsc::channel(), mpsc::channel());
    let (lines, scribe) = start(Reader { writes, leave: given }).unwrap();
    (lines, scribe, written, leave)
}

fn say(mut lines: &Lines, line: &str) {
    lines.write_all(line.as_bytes()).unwrap();
}

/// Everything that was written until the end.
fn all(written: &Receiver<Vec<u8>>) -> String {
    String::from_utf8(written.try_iter().flatten().collect()).unwrap()
}

#[test]
fn a_quiet_line_is_written_without_waiting_for_another() {
    let (lines, _scribe, written, leave) = reader();
    drop(leave);
    for line in ["one\n", "two\n"] {
        say(&lines, line);
        assert_eq!(written.recv_timeout(SOON).unwrap(), line.as_bytes());
    }
}

#[test]
fn lines_of_many_threads_come_whole_and_in_order() {
    let (lines, scribe, written, leave) = reader();
    drop(leave);
    thread::scope(|scope| {
        for name in 0..8 {
            let lines = &lines;
            scope.spawn(move || (0..1000).for_each(|number| say(lines, &format!("{name} {number}\n"))));
        }
    });
    drop(scribe);
    let (text, mut next) = (all(&written), [0; 8]);
    for line in text.lines() {
        let (name, number) = line.split_once(' ').unwrap();
        let expected = &mut next[name.parse::<usize>().unwrap()];
        assert_eq!(number.parse::<usize>().unwrap(), *expected, "{line}");
        *expected += 1;
    }
    assert_eq!(next, [1000; 8]);
}

#[test]
fn lines_that_come_during_a_write_are_written_together() {
    let (lines, scribe, written, leave) = reader();
    say(&lines, "first\n");
    // It is in the middle of the first write from here on.
    while !lines.0.state().gathered.is_empty() {
        thread::yield_now();
    }
    say(&lines, "second\n");
    say(&lines, "third\n");
    drop(leave);
    drop(scribe);
    assert_eq!(written.try_iter().collect::<Vec<_>>(), [&b"first\n"[..], b"second\nthird\n"]);
}

#[test]
fn a_full_buffer_holds_threads_up_and_loses_nothing() {
    let (lines, scribe, written, leave) = reader();
    let said: Vec<String> = (0..40_000).map(|number| format!("{number:0100}\n")).collect();
    thread::scope(|scope| {
        scope.spawn(|| said.iter().for_each(|line| say(&lines, line)));
        while lines.0.state().waiting == 0 {
            thread::yield_now();
        }
        assert!(lines.0.state().gathered.len() <= BOUND);
        drop(leave);
    });
    drop(scribe);
    assert!(all(&written) == said.concat());
}

#[test]
fn a_line_longer_than_the_bound_is_written() {
    let (lines, scribe, written, leave) = reader();
    drop(leave);
    let long = "x".repeat(2 * BOUND) + "\n";
    for line in ["before\n", &long, "after\n"] {
        say(&lines, line);
    }
    drop(scribe);
    assert!(all(&written) == format!("before\n{long}after\n"));
}

#[test]
fn what_was_said_right_before_the_end_and_after_it_is_written() {
    let (lines, scribe, written, leave) = reader();
    drop(leave);
    say(&lines, "before\n");
    drop(scribe);
    assert_eq!(all(&written), "before\n");
    say(&lines, "after\n");
    assert_eq!(all(&written), "after\n");
}

#[test]
fn an_interrupted_or_partial_write_goes_on() {
    let (writes, written) = mpsc::channel();
    let answers = [Err(io::ErrorKind::Interrupted.into()), Ok(2), Err(io::ErrorKind::WouldBlock.into()), Ok(1)];
    let (lines, scribe) = start(Moody { answers: answers.into(), writes }).unwrap();
    say(&lines, "whole\n");
    drop(scribe);
    assert_eq!(all(&written), "whole\n");
}

#[test]
fn a_closed_standard_error_holds_nobody_up() {
    let (writes, written) = mpsc::channel();
    let answers = [Err(io::ErrorKind::BrokenPipe.into())];
    let (lines, scribe) = start(Moody { answers: answers.into(), writes }).unwrap();
    say(&lines, "unheard\n");
    while !lines.0.state().idle {
        thread::yield_now();
    }
    say(&lines, "heard\n");
    drop(scribe);
    assert_eq!(all(&written), "heard\n");
}
