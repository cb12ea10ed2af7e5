//! The one owner of every task: each has a span with a name, hears of the stop, and is awaited at the end.

use std::future::Future;
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
        self.spawn_on(None, span, task);
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
        let stop = self.stop.clone();
        // Handed on by value, it would have its room three times in what is spawned: compilers give what is moved into
        // a future a place of its own.
        let task = Box::pin(task);
        self.spawn_on(runtime, span, async move {
            let _unless_stopped = stop.run_until_cancelled(task).await;
        });
    }

    #[expect(clippy::disallowed_methods, reason = "this is the owner that the ban points to")]
    fn spawn_on<F>(&self, runtime: Option<&Handle>, span: Span, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.tracker.track_future(task.instrument(span));
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

#[cfg(test)]
mod tests {
    use super::*;

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
