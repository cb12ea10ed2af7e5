//! Many streams at once, held at both ends: an executor's logs that go on, and the viewers who follow them.

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::executor::BEGINNING;
use super::lines;
use super::{Asking, Executor};
use crate::peers::Place;

/// Viewers that come at the same time.
const AT_A_TIME: usize = 8;

/// Streams that have begun, and wait for more. They last until this is dropped.
#[derive(Debug, Clone)]
pub struct Streams(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    executors: Vec<TcpStream>,
    viewers: Vec<TcpStream>,
}

impl Streams {
    /// Has `count` viewers ask at `place` for a build that `executor` runs, and each read the beginning of its log.
    pub fn open(executor: &Executor, asking: &Asking, place: Place, count: usize) -> Self {
        let ask = |viewer| (viewer..count).step_by(AT_A_TIME).map(|_| asking.ask_and_read(place, BEGINNING)).collect();
        let viewers: Vec<Vec<_>> = thread::scope(|scope| {
            let coming: Vec<_> = (0..AT_A_TIME).map(|viewer| scope.spawn(move || ask(viewer))).collect();
            coming.into_iter().map(|viewers| viewers.join().expect("they came")).collect()
        });
        let executors = executor.streams(count);
        Self(Arc::new(Ends { executors, viewers: viewers.into_iter().flatten().collect() }))
    }

    /// Writes a line to each log `every` so often for `time`, and says how long each of them took to its viewer. The
    /// streams take turns, evenly spread over `every`, as builds do that know nothing of each other.
    pub async fn lines(&self, every: Duration, time: Duration) -> Vec<Duration> {
        let ends = Arc::clone(&self.0);
        spawn_blocking(move || lines::delays(&ends.executors, &ends.viewers, every, time)).await.expect("all lines")
    }
}
