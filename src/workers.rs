//! The threads that serve streams, one a core, each with a runtime of its own: a stream stays on its thread from accept
//! to record, and waking it never takes another core.
//!
//! A runtime that all cores share moves streams between them, and wakes a second core for what one could do. What a
//! thread must never do is to wait for another one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

/// Shorter than most timers of streams, and long enough to cost nothing.
const BEAT: Duration = Duration::from_secs(1);

/// The threads. Clones are the same threads.
#[derive(Debug, Clone, Default)]
pub struct Workers {
    workers: Arc<[Arc<Worker>]>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// It is the one that accepts.
    hosts: bool,
    streams: AtomicUsize,
}

/// A stream's place on one of the threads, until it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<Worker>);

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// What the system says if it has no thread or no epoll left.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let workers = (0..count.max(1)).map(|at| Worker::start(at == 0, stop.clone())).collect::<io::Result<_>>()?;
        Ok(Self { workers, stop })
    }

    /// No threads: streams are served by the runtime that accepts them.
    pub fn none() -> Self {
        Self::default()
    }

    /// The thread that accepts, so that a stream which stays on it is never handed over.
    pub fn host(&self) -> Option<&Handle> {
        self.workers.first().map(|worker| &worker.runtime)
    }

    /// A place on the thread with the fewest streams; the host's where others have no fewer. `None` without threads.
    pub fn seat(&self) -> Option<Seat> {
        let worker = self.workers.iter().min_by_key(|worker| worker.streams.load(Relaxed))?;
        worker.streams.fetch_add(1, Relaxed);
        Some(Seat(Arc::clone(worker)))
    }

    /// Has every thread end, with whatever still runs on it.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

impl Worker {
    fn start(hosts: bool, stop: CancellationToken) -> io::Result<Arc<Self>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new().name("fingerpost".to_owned()).spawn(move || serve(runtime, &stop))?;
        Ok(Arc::new(Self { runtime: handle, hosts, streams: AtomicUsize::new(0) }))
    }
}

fn serve(runtime: Runtime, stop: &CancellationToken) {
    runtime.block_on(beat(stop));
    // A look-up of a name may hang in the C library for minutes; nobody waits for what it finds.
    runtime.shutdown_background();
}

/// Keeps a timer set that is nearer than most of streams until the stop. For each timer that becomes the nearest,
/// tokio wakes the thread that set it, by a system call and one more look at all sockets.
async fn beat(stop: &CancellationToken) {
    let mut beats = tokio::time::interval(BEAT);
    while stop.run_until_cancelled(beats.tick()).await.is_some() {}
}

impl Seat {
    /// The runtime of the thread; `None` where that is the host's, on which the stream already is.
    pub fn elsewhere(&self) -> Option<&Handle> {
        (!self.0.hosts).then_some(&self.0.runtime)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_spread_and_the_host_is_first() {
        let workers = Workers::start(3).unwrap();
        let seats: Vec<_> = (0..7).map(|_| workers.seat().unwrap()).collect();
        let place = |seat: &Seat| workers.workers.iter().position(|worker| Arc::ptr_eq(worker, &seat.0)).unwrap();
        assert_eq!(seats.iter().map(place).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0]);
        assert!(seats[0].elsewhere().is_none());
        drop(seats);
        assert_eq!(place(&workers.seat().unwrap()), 0);
        workers.stop();
    }

    #[test]
    fn each_thread_runs_what_it_is_given_until_all_are_stopped() {
        let workers = Workers::start(2).unwrap();
        let (_host, seat) = (workers.seat().unwrap(), workers.seat().unwrap());
        let (tell, told) = std::sync::mpsc::channel();
        let ended = tell.clone();
        drop(seat.elsewhere().unwrap().spawn(async move {
            tell.send("running").unwrap();
            std::future::pending::<()>().await;
        }));
        assert_eq!(told.recv(), Ok("running"));
        workers.stop();
        drop(ended);
        assert!(told.recv().is_err(), "the task is dropped with its thread");
    }

    #[test]
    fn without_threads_there_is_no_place() {
        assert!(Workers::none().seat().is_none());
        assert!(Workers::none().host().is_none());
    }
}
