//! Hands bytes to the viewer and keeps what it would not take yet. It keeps at most what one read brought, and frees
//! it as soon as the viewer took it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::net::{SendFlags, send};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

use crate::stream::meter::Meter;
use crate::transport::{Records, Transport};

/// The bytes that were read and not yet taken by the viewer.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    rest: Vec<u8>,
    /// How much of `rest` was taken.
    taken: usize,
    /// TLS holds records that the socket did not take.
    unflushed: bool,
}

/// Bytes, and how they are to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    /// How TLS is to cut them.
    pub(super) records: Records,
    /// Nothing comes after them but the end of the log. The kernel may keep them until then, so that both leave in one
    /// packet, which wakes the viewer once.
    pub(super) last: bool,
}

impl Delivery {
    /// Writes `piece`, and keeps what the viewer does not take now. To be called only when nothing is kept.
    pub(super) fn send(
        &mut self,
        viewer: &mut Transport,
        cx: &mut Context<'_>,
        piece: Piece<'_>,
        meter: &Meter,
    ) -> io::Result<()> {
        let taken = match &*viewer {
            Transport::Plain(tcp) if piece.last => push_last(tcp, piece.bytes, meter),
            _ => push(viewer, cx, piece, meter)?,
        };
        self.rest.extend_from_slice(piece.bytes.get(taken..).unwrap_or_default());
        self.unflushed = true;
        Ok(())
    }

    /// Resolves once the viewer's socket has taken everything.
    pub(super) fn poll_clear(
        &mut self,
        viewer: &mut Transport,
        cx: &mut Context<'_>,
        meter: &Meter,
    ) -> Poll<io::Result<()>> {
        if !self.rest.is_empty() {
            let left = self.rest.get(self.taken..).unwrap_or_default();
            let piece = Piece { bytes: left, records: viewer.records(), last: false };
            self.taken += push(viewer, cx, piece, meter)?;
            if self.taken < self.rest.len() {
                return Poll::Pending;
            }
            (self.rest, self.taken) = (Vec::new(), 0);
        }
        if self.unflushed {
            ready!(Pin::new(viewer).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the viewer's socket has taken everything.
    pub(super) fn is_clear(&self) -> bool {
        self.rest.is_empty() && !self.unflushed
    }
}

/// Writes as much of `piece` as `writer` takes now, and says how much that was. If it was not all, `cx` is woken when
/// more can be written.
fn push<W: AsyncWrite + Unpin>(
    writer: &mut W,
    cx: &mut Context<'_>,
    piece: Piece<'_>,
    meter: &Meter,
) -> io::Result<usize> {
    let mut left = piece.bytes;
    while !left.is_empty() {
        match Pin::new(&mut *writer).poll_write(cx, cut(piece.records, left)) {
            Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(taken)) => {
                meter.count(taken);
                left = left.get(taken..).unwrap_or_default();
            }
            Poll::Ready(Err(error)) => return Err(error),
            Poll::Pending => break,
        }
    }
    Ok(piece.bytes.len() - left.len())
}

/// Hands the last bytes of a log to the kernel, and says how many it took. What it did not take, an error included, is
/// the next write's matter.
fn push_last(viewer: &TcpStream, bytes: &[u8], meter: &Meter) -> usize {
    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
    let taken = viewer.try_io(Interest::WRITABLE, || Ok(send(viewer, bytes, flags)?)).unwrap_or(0);
    if taken > 0 {
        meter.count(taken);
    }
    taken
}

/// The part of `bytes` to write in one go. TLS makes records of its own out of every write, so the last record is
/// short if the last write is.
fn cut(records: Records, bytes: &[u8]) -> &[u8] {
    match records {
        Records::ShortTail if bytes.len() > Records::SHORT_TAIL => {
            bytes.get(..bytes.len() - Records::SHORT_TAIL).unwrap_or(bytes)
        }
        Records::ShortTail | Records::Full => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    /// Records every write, taking at most so many bytes of each in turn; then it is full.
    struct Recorder {
        takes: std::vec::IntoIter<usize>,
        writes: Vec<Vec<u8>>,
    }

    impl Recorder {
        fn taking(takes: &[usize]) -> Self {
            Self { takes: Vec::from(takes).into_iter(), writes: Vec::new() }
        }

        fn push(&mut self, records: Records, bytes: &[u8]) -> usize {
            let meter = Meter::new();
            let mut cx = Context::from_waker(Waker::noop());
            let taken = push(self, &mut cx, Piece { bytes, records, last: false }, &meter).unwrap();
            assert_eq!(meter.bytes(), taken as u64);
            taken
        }

        fn sizes(&self) -> Vec<usize> {
            self.writes.iter().map(Vec::len).collect()
        }
    }

    impl AsyncWrite for Recorder {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let Some(most) = self.takes.next() else { return Poll::Pending };
            let taken = most.min(bytes.len());
            self.writes.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    const ALL: usize = usize::MAX;

    #[test]
    fn the_last_write_of_a_burst_is_short() {
        for (len, sizes) in [(1, vec![1]), (1024, vec![1024]), (1025, vec![1, 1024]), (40_000, vec![38_976, 1024])] {
            let mut recorder = Recorder::taking(&[ALL, ALL, ALL]);
            assert_eq!(recorder.push(Records::ShortTail, &vec![7; len]), len);
            assert_eq!(recorder.sizes(), sizes);
        }
    }

    #[test]
    fn full_records_are_written_in_one_go() {
        let mut recorder = Recorder::taking(&[ALL]);
        assert_eq!(recorder.push(Records::Full, &[7; 40_000]), 40_000);
        assert_eq!(recorder.sizes(), [40_000]);
    }

    #[test]
    fn the_tail_stays_short_under_partial_writes() {
        let bytes: Vec<u8> = (0..40_000u32).map(|n| n as u8).collect();
        let mut recorder = Recorder::taking(&[16_384, 5, 22_586, 1, 1000]);
        let first = recorder.push(Records::ShortTail, &bytes);
        assert_eq!(first, 39_976);
        recorder.takes = vec![ALL].into_iter();
        assert_eq!(recorder.push(Records::ShortTail, &bytes[first..]), 24);
        assert_eq!(recorder.writes.concat(), bytes);
        assert_eq!(recorder.sizes(), [16_384, 5, 22_586, 1, 1000, 24]);
    }

    #[test]
    fn a_full_writer_takes_nothing() {
        assert_eq!(Recorder::taking(&[]).push(Records::Full, b"line\n"), 0);
    }
}
