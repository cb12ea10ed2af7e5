//! How long a stream may last. It only ends waits; what follows from that is the session's.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Timeout, timeout_at};

use crate::fault::Fault;
use crate::route::Limit;

/// The moment at which a stream has lasted as long as it may; none unless the policy set one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expiry(Option<Set>);

#[derive(Debug, Clone, Copy)]
struct Set {
    at: Instant,
    after: Duration,
}

/// Work that ends with the stream's time. A type of its own, because what an `async fn` is given has its room in it
/// twice.
#[derive(Debug)]
pub(super) enum Within<W> {
    Unlimited(W),
    /// In a box, because its timer would have its room in every stream, and hardly any has such a limit.
    Limited(Pin<Box<Timeout<W>>>, Duration),
}

impl Expiry {
    /// `limit` from now.
    pub(super) fn after(limit: Option<Limit>) -> Self {
        Self(limit.map(|limit| Set { at: Instant::now() + limit.get(), after: limit.get() }))
    }

    /// Does `work`, or drops it in the middle when the time is over.
    ///
    /// # Errors
    /// Those of `work`, or [`Fault::Expired`].
    pub(super) fn within<T, W>(self, work: W) -> Within<W>
    where
        W: Future<Output = Result<T, Fault>> + Unpin,
    {
        match self.0 {
            None => Within::Unlimited(work),
            Some(Set { at, after }) => Within::Limited(Box::pin(timeout_at(at, work)), after),
        }
    }
}

impl<T, W> Future for Within<W>
where
    W: Future<Output = Result<T, Fault>> + Unpin,
{
    type Output = Result<T, Fault>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Unlimited(work) => Pin::new(work).poll(cx),
            Self::Limited(work, after) => {
                work.as_mut().poll(cx).map(|done| done.unwrap_or(Err(Fault::Expired(*after))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use super::*;

    async fn waiting(time: Duration) -> Result<(), Fault> {
        tokio::time::sleep(time).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_runs_from_the_start_and_not_from_each_wait() {
        let (start, limit) = (Instant::now(), Limit::seconds(10.0).unwrap());
        let expiry = Expiry::after(Some(limit));
        for _ in 0..4 {
            expiry.within(pin!(waiting(Duration::from_secs(2)))).await.unwrap();
        }
        let ended = expiry.within(pending::<Result<(), Fault>>()).await;
        assert!(matches!(ended, Err(Fault::Expired(after)) if after == limit.get()), "{ended:?}");
        assert_eq!(start.elapsed(), limit.get());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_ends() {
        Expiry::after(None).within(pin!(waiting(Limit::MAX))).await.unwrap();
    }
}
