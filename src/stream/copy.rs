//! Moves small chunks through the thread's shared buffer: the way of every stream's first bytes, of all TLS, and of
//! bulk when there is no pipe left.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker, ready};

use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead as _, Interest, ReadBuf};
use tokio::net::TcpStream;

use crate::fault::Fault;
use crate::scratch;
use crate::stream::delivery::Piece;
use crate::stream::presence::Heard;
use crate::stream::{Carrier, Next, tune};
use crate::transport::{Records, Transport};

/// Reads in a row after which other streams of the thread get their turn: a quarter of a MiB, some hundred microseconds
/// where both sides speak TLS.
const TURN: usize = 4;

impl Carrier<'_> {
    /// Copies until the upstream is drained or at its end, or until splicing is worth it.
    pub(super) async fn copy(&mut self) -> Result<Next, Fault> {
        poll_fn(|cx| self.poll_copy(cx)).await
    }

    fn poll_copy(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Fault>> {
        self.listen(cx)?;
        for _ in 0..TURN {
            match self.poll_chunk(cx) {
                Poll::Ready(Ok(Next::Copy)) => {}
                Poll::Ready(next) => return Poll::Ready(next),
                Poll::Pending => return self.poll_verdict(cx),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Moves what one read brings. Pending means that the viewer has to take something first: until then the upstream
    /// is not read, so that a slow viewer slows its upstream down and costs no more than one chunk of memory.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Next, Fault>> {
        ready!(self.delivery.poll_clear(self.viewer, cx, self.meter)).map_err(|_| Fault::ViewerLeft)?;
        if self.gate.is_open() {
            return Poll::Ready(Ok(Next::Splice));
        }
        Poll::Ready(scratch::lend(|bytes| {
            let mut chunk = ReadBuf::new(bytes);
            match Pin::new(&mut *self.upstream).poll_read(cx, &mut chunk) {
                Poll::Pending => Ok(Next::Wait),
                Poll::Ready(Err(error)) => Err(Fault::UpstreamBroke(error)),
                Poll::Ready(Ok(())) if chunk.filled().is_empty() => Ok(Next::End),
                Poll::Ready(Ok(())) => self.pass_on(chunk.filled(), cx),
            }
        }))
    }

    fn pass_on(&mut self, chunk: &[u8], cx: &mut Context<'_>) -> Result<Next, Fault> {
        self.gate.copied(chunk.len());
        let records = if self.goes_on(chunk) { Records::Full } else { self.viewer.records() };
        let piece = Piece { bytes: chunk, records, last: self.ends(chunk) };
        self.delivery.send(self.viewer, cx, piece, self.meter).map_err(|_| Fault::ViewerLeft)?;
        Ok(Next::Copy)
    }

    /// Whether more than `chunk` has come already, so that a burst does not end with it. Where the upstream speaks TLS
    /// nobody can say: what came may be half a record.
    fn goes_on(&self, chunk: &[u8]) -> bool {
        let Transport::Plain(upstream) = &*self.upstream else { return false };
        chunk.len() == scratch::SIZE && ioctl_fionread(upstream).is_ok_and(|bytes| bytes > 0)
    }

    /// Whether nothing but the upstream's FIN comes after `chunk`: the read of it emptied the socket, and the FIN was
    /// there. Only where somebody wants to know: between two plain sockets.
    fn ends(&self, chunk: &[u8]) -> bool {
        let (Transport::Plain(_), Transport::Plain(upstream)) = (&*self.viewer, &*self.upstream) else { return false };
        chunk.len() < scratch::SIZE && has_ended(upstream)
    }

    /// Throws away what the viewer sent, and takes note if it has ended.
    pub(super) fn listen(&mut self, cx: &mut Context<'_>) -> Result<(), Fault> {
        let heard = self.watchdog.presence.listen(self.viewer, cx, self.meter.bytes())?;
        if heard != Heard::Nothing {
            tune::probe_often(self.viewer.tcp(), self.settings);
        }
        Ok(())
    }
}

/// Whether the FIN is known to have come. That is in what tokio has noted of the socket, so that no system call asks,
/// and nobody is to be woken should it come later.
fn has_ended(upstream: &TcpStream) -> bool {
    let noted = pin!(upstream.ready(Interest::READABLE)).poll(&mut Context::from_waker(Waker::noop()));
    matches!(noted, Poll::Ready(Ok(ready)) if ready.is_read_closed())
}
