//! The pipes that splice(2) needs between two sockets, few and shared. A pipe that may hold a stream's bytes is never
//! handed to another stream.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// A bounded pool of pipes.
#[derive(Debug)]
pub struct Pipes {
    max: usize,
    open: Arc<AtomicUsize>,
    idle: Mutex<Vec<Pipe>>,
}

impl Pipes {
    /// A pool of at most `max` pipes, made as they are needed. Each takes two file descriptors. With a `max` of 0
    /// nothing is spliced.
    ///
    /// Linux lets a user without privileges have 64 pipes of 1 MiB (`/proc/sys/fs/pipe-user-pages-soft`) and makes
    /// those beyond that too small to be of use, so more than 64 help only root.
    pub fn new(max: usize) -> Self {
        Self { max, open: Arc::default(), idle: Mutex::default() }
    }

    /// Pipes that exist at this moment, in use or not.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Takes a pipe out, or none where all are in use or no useful one can be made.
    pub(super) fn take(&self) -> Option<Pipe> {
        let idle = self.idle().pop();
        idle.or_else(|| {
            let slot = Slot::take(&self.open, self.max)?;
            Pipe::new(slot).inspect_err(|error| tracing::debug!(%error, "no pipe to splice through")).ok()
        })
    }

    /// Puts a pipe back. One with bytes left in it is closed instead: they belong to a stream that has ended.
    pub(super) fn put_back(&self, pipe: Pipe) {
        if pipe.is_empty() {
            self.idle().push(pipe);
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Pipe>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pipe, and how much is in it. Dropped instead of put back, it is closed and its place in the pool is free.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
    held: usize,
    _slot: Slot,
}

impl Pipe {
    /// Asked for, in bytes; what a user without privileges gets by `/proc/sys/fs/pipe-max-size`.
    const CAPACITY: usize = 1 << 20;

    /// A smaller pipe would make splicing slower than copying. Linux hands out pipes of 8 KiB, without an error, to a
    /// user who has many.
    const LEAST_CAPACITY: usize = 64 << 10;

    fn new(slot: Slot) -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        // Whether or not that was granted, the pipe is good for what it holds.
        let capacity = fcntl_setpipe_size(&write, Self::CAPACITY).or_else(|_| fcntl_getpipe_size(&write))?;
        if capacity < Self::LEAST_CAPACITY {
            return Err(io::Error::other(format!("the kernel grants a pipe of only {capacity} bytes")));
        }
        Ok(Self { read, write, capacity, held: 0, _slot: slot })
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Moves into the pipe what `upstream` has; 0 at its end of file. To be called on an empty pipe.
    pub(super) fn fill(&mut self, upstream: &TcpStream) -> io::Result<usize> {
        let filled = upstream.try_io(Interest::READABLE, || transfer(upstream, &self.write, self.capacity))?;
        self.held += filled;
        Ok(filled)
    }

    /// Moves out of the pipe what `viewer` takes. To be called on a pipe that is not empty.
    pub(super) fn empty(&mut self, viewer: &TcpStream) -> io::Result<usize> {
        let taken = viewer.try_io(Interest::WRITABLE, || transfer(&self.read, viewer, self.held))?;
        self.held = self.held.saturating_sub(taken);
        Ok(taken)
    }
}

/// Moves up to `most` bytes between a pipe and a socket, without waiting for either.
fn transfer(from: impl std::os::fd::AsFd, to: impl std::os::fd::AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    Ok(retry_on_intr(|| splice(&from, None, &to, None, most, flags))?)
}

/// A place in the pool.
#[derive(Debug)]
struct Slot(Arc<AtomicUsize>);

impl Slot {
    fn take(open: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        open.fetch_update(Relaxed, Relaxed, |open| (open < max).then_some(open + 1)).ok()?;
        Some(Self(Arc::clone(open)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_pipes_than_allowed() {
        let pipes = Pipes::new(2);
        let (first, _second) = (pipes.take().unwrap(), pipes.take().unwrap());
        assert!(pipes.take().is_none());
        pipes.put_back(first);
        assert_eq!(pipes.open(), 2);
        assert!(pipes.take().is_some());
    }

    #[test]
    fn a_pipe_with_bytes_in_it_is_closed() {
        let pipes = Pipes::new(1);
        let mut pipe = pipes.take().unwrap();
        pipe.held = rustix::io::write(&pipe.write, b"somebody's").unwrap();
        pipes.put_back(pipe);
        assert_eq!(pipes.open(), 0);
        assert!(pipes.take().unwrap().is_empty());
    }

    #[test]
    fn a_dropped_pipe_makes_room_for_another() {
        let pipes = Pipes::new(1);
        drop(pipes.take().unwrap());
        assert_eq!(pipes.open(), 0);
        assert!(pipes.take().is_some());
    }
}
