//! The one owner of every task: each has a span with a name, hears of the stop, and is awaited at the end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

/// A group of tasks that ends together. Clones belong to the same group.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// An empty group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts `task` inside `span`. It runs to its own end, and is expected to watch [`Tasks::stopping`].
    pub fn spawn<F>(&self, span: Span, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_on(None, within(span, task));
    }

    /// Starts `task` inside `span`, dropped at its next await when the group is told to stop.
    pub fn spawn_until_stopped<F>(&self, span: Span, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_until_stopped_on(None, span, task);
    }

    /// Does what [`Tasks::spawn_until_stopped`] does on `runtime`, or on the present one where none is given.
    pub fn spawn_until_stopped_on<F>(&self, runtime: Option<&Handle>, span: Span, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_on(runtime, self.until_stopped(within(span, task)));
    }

    /// What is spawned for each stream. Runtimes keep a task in blocks of 128 bytes, so it has room for what it waits
    /// for and nothing else: what an `async fn` is given would have its room in it twice.
    fn until_stopped(&self, mut task: Boxed) -> impl Future<Output = ()> + Send + use<> {
        let stop = self.stop.clone();
        async move {
            let mut stopped = pin!(stop.cancelled());
            poll_fn(|cx| match stopped.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => task.as_mut().poll(cx),
            })
            .await;
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the owner that the ban points to")]
    fn spawn_on<F>(&self, runtime: Option<&Handle>, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.tracker.track_future(task);
        // Dropping the handle detaches the task from its result only: the tracker still awaits it.
        drop(match runtime {
            Some(runtime) => runtime.spawn(task),
            None => tokio::spawn(task),
        });
    }

    /// Resolves once the group was told to stop.
    pub fn stopping(&self) -> WaitForCancellationFuture<'_> {
        self.stop.cancelled()
    }

    /// How many tasks are running.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether no task is running.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Tells every task to stop, without waiting.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until no task is left, for at most `deadline`; says whether that was so.
    pub async fn ended_within(&self, deadline: Duration) -> bool {
        self.tracker.close();
        let ended = tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok();
        self.tracker.reopen();
        ended
    }
}

/// A task of any kind.
type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Has `task` run inside `span`, where anything is logged in that context. Otherwise nothing is kept of the span.
fn within(span: Span, task: impl Future<Output = ()> + Send + 'static) -> Boxed {
    if span.is_disabled() { Box::pin(task) } else { Box::pin(task.instrument(span)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What tokio 1.54 keeps beside a task's future, in the same blocks.
    const BESIDE: usize = 104;

    #[test]
    fn a_task_takes_two_blocks_of_memory() {
        let tasks = Tasks::new();
        let task = tasks.tracker.track_future(tasks.until_stopped(within(Span::none(), std::future::pending())));
        let all = BESIDE + size_of_val(&task);
        assert!(all <= 2 * 128, "{all}");
    }

    #[tokio::test]
    async fn a_stopped_group_ends() {
        let tasks = Tasks::new();
        tasks.spawn_until_stopped(Span::none(), std::future::pending());
        assert_eq!(tasks.len(), 1);
        assert!(!tasks.ended_within(Duration::ZERO).await);
        tasks.stop();
        assert!(tasks.ended_within(Duration::from_secs(5)).await);
    }
}
