//! Moves bulk between two plain sockets without bringing it to user space. A pipe is taken for as long as bulk
//! flows, and given back whenever the upstream is drained.
//!
//! A pipe is filled only when it is empty, and emptied before anything else is done. So `EAGAIN` never leaves a doubt
//! about which side it speaks of: on filling, the upstream has nothing; on emptying, the viewer is full. Waiting for
//! the wrong one of the two is how relays come to spin.

use std::future::poll_fn;
use std::io::ErrorKind::WouldBlock;
use std::task::{Context, Poll, ready};

use crate::fault::Fault;
use crate::stream::pipes::Pipe;
use crate::stream::{Carrier, Next};

/// Fillings of a pipe in a row after which other streams of the thread get their turn.
const TURN: usize = 4;

/// What filling a pipe brought.
enum Filled {
    By(usize),
    Drained,
    End,
}

impl Carrier<'_> {
    /// Splices until the upstream is drained or at its end; without a pipe, goes on copying.
    pub(super) async fn splice(&mut self) -> Result<Next, Fault> {
        let Some(mut pipe) = self.pipes.take() else {
            self.gate.drained(0);
            return Ok(Next::Copy);
        };
        let mut last = 0;
        let next = poll_fn(|cx| self.poll_splice(&mut pipe, &mut last, cx)).await?;
        self.gate.drained(last);
        self.pipes.put_back(pipe);
        Ok(next)
    }

    /// Moves what the upstream has; `last` becomes what the last filling of the pipe brought, in bytes.
    fn poll_splice(&mut self, pipe: &mut Pipe, last: &mut usize, cx: &mut Context<'_>) -> Poll<Result<Next, Fault>> {
        self.listen(cx)?;
        for _ in 0..TURN {
            if self.poll_empty(pipe, cx)?.is_pending() {
                return self.poll_verdict(cx);
            }
            match self.fill(pipe)? {
                Filled::By(bytes) => *last = bytes,
                Filled::Drained => return Poll::Ready(Ok(Next::Wait)),
                Filled::End => return Poll::Ready(Ok(Next::End)),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Fills an empty pipe from the upstream.
    fn fill(&self, pipe: &mut Pipe) -> Result<Filled, Fault> {
        match pipe.fill(self.upstream.tcp()) {
            Ok(0) => Ok(Filled::End),
            Ok(bytes) => Ok(Filled::By(bytes)),
            Err(error) if error.kind() == WouldBlock => Ok(Filled::Drained),
            Err(error) => Err(Fault::UpstreamBroke(error)),
        }
    }

    /// Resolves once the viewer's socket has taken all that is in the pipe.
    fn poll_empty(&self, pipe: &mut Pipe, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        while !pipe.is_empty() {
            match pipe.empty(self.viewer.tcp()) {
                Ok(bytes) => self.meter.count_spliced(bytes),
                // An error of the socket shows itself in the next write.
                Err(error) if error.kind() == WouldBlock => drop(ready!(self.viewer.tcp().poll_write_ready(cx))),
                Err(_) => return Poll::Ready(Err(Fault::ViewerLeft)),
            }
        }
        Poll::Ready(Ok(()))
    }
}
