//! Whether the viewer is still there. It listens to what the viewer sends, only to throw it away, and never takes
//! the end of that for more than it is.
//!
//! A viewer's FIN says "I send no more" and nothing else. `printf UUID | nc -N` sends it right after the request and
//! then reads for hours; a browser tab that was closed sends the same FIN, and TCP has no other word for leaving. What
//! tells them apart is what happens later: a closed socket answers bytes with RST, a half-closed one takes them.
//! - The FIN came with the request, or within a fifth of the grace after it, before anything was sent: the viewer only
//!   stopped talking. If it is gone after all (a tab that was closed at once looks the same), the next bytes or, once
//!   its kernel has forgotten the socket (a minute on Linux), a keepalive probe will be answered with RST.
//! - It came later, and nothing could be sent to the viewer for a while: it is taken as gone, because an idle stream
//!   would keep the upstream open for hours for nobody.
//! - It came later, and bytes have gone out since: if no RST came back in as long a time again, it is there.
//!
//! TLS's close_notify means the same as the FIN that follows it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::Instant;

use crate::config::settings;
use crate::fault::Fault;
use crate::scratch;
use crate::transport::{TcpInfo, Transport};

/// What is known of the viewer's being there.
#[derive(Debug)]
pub(super) struct Presence<'a> {
    settings: &'a settings::Stream,
    state: State,
    started: Instant,
    thrown_away: usize,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Its input is still open.
    Open,
    /// Its input ended late. `delivered` is what it had been sent by then, in bytes.
    Doubtful { judged_at: Instant, delivered: u64 },
    /// Bytes went out after its input ended; no error until then proves that they arrived.
    Tested { proven_at: Instant },
    /// It is believed to be there until its socket reports an error, whatever it says or does not say.
    Trusted,
}

/// When a viewer's FIN came.
#[derive(Debug, Clone, Copy)]
struct Fin {
    /// After the last byte, at most: an answer to a probe makes it look later than it was.
    delay: Duration,
    /// Age of the last byte.
    silence: Duration,
}

/// What listening to the viewer brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that matters.
    Nothing,
    /// Its input ended as part of its request.
    EarlyEnd,
    /// Its input ended later.
    LateEnd,
}

impl<'a> Presence<'a> {
    /// Most bytes that are read from a viewer only to be thrown away. After those its input is left to fill up.
    pub(super) const MOST_THROWN_AWAY: usize = 1 << 20;

    /// Starts at the begin of the stream, when the request may be long past.
    pub(super) fn new(settings: &'a settings::Stream) -> Self {
        Self { settings, state: State::Open, started: Instant::now(), thrown_away: 0 }
    }

    /// Whether the viewer's input is still being read.
    pub(super) fn listens(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Reads and throws away what the viewer sent. `delivered` is what it was sent so far, in bytes.
    pub(super) fn listen(
        &mut self,
        viewer: &mut Transport,
        cx: &mut Context<'_>,
        delivered: u64,
    ) -> Result<Heard, Fault> {
        while self.listens() {
            let read = scratch::lend(|bytes| {
                let mut junk = ReadBuf::new(bytes);
                Pin::new(&mut *viewer).poll_read(cx, &mut junk).map_ok(|()| junk.filled().len())
            });
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Ok(self.ended(Instant::now(), Fin::of(viewer)?, delivered)),
                Poll::Ready(Ok(bytes)) => self.throw_away(bytes),
                Poll::Ready(Err(_)) => return Err(Fault::ViewerLeft),
            }
        }
        Ok(Heard::Nothing)
    }

    /// When [`Presence::judge`] has to be called.
    pub(super) fn judged_at(&self) -> Option<Instant> {
        match self.state {
            State::Doubtful { judged_at, .. } => Some(judged_at),
            State::Tested { proven_at } => Some(proven_at),
            State::Open | State::Trusted => None,
        }
    }

    /// Decides whether the viewer is there. While bytes wait for it nothing follows from nothing being delivered: a
    /// closed socket never leaves bytes waiting, it refuses them.
    pub(super) fn judge(&mut self, now: Instant, delivered: u64, waiting: bool) -> Result<(), Fault> {
        let later = now + self.settings.half_close_grace;
        self.state = match self.state {
            State::Doubtful { judged_at, .. } | State::Tested { proven_at: judged_at } if judged_at > now => self.state,
            State::Doubtful { delivered: before, .. } if delivered > before => State::Tested { proven_at: later },
            State::Doubtful { delivered, .. } if waiting => State::Doubtful { judged_at: later, delivered },
            State::Doubtful { .. } => return Err(Fault::ViewerLeft),
            State::Tested { .. } => State::Trusted,
            State::Open | State::Trusted => self.state,
        };
        Ok(())
    }

    fn ended(&mut self, now: Instant, fin: Fin, delivered: u64) -> Heard {
        if delivered == 0 && self.is_early(now, fin) {
            self.state = State::Trusted;
            return Heard::EarlyEnd;
        }
        self.state = State::Doubtful { judged_at: now + self.settings.half_close_grace, delivered };
        Heard::LateEnd
    }

    /// Whether the FIN was part of the request. Where probes hide when it came, it counts as early if it was found
    /// as soon as anybody looked.
    fn is_early(&self, now: Instant, fin: Fin) -> bool {
        let window = self.settings.half_close_grace / 5;
        let probed = fin.silence >= self.settings.keepalive_idle;
        fin.delay <= window || (probed && now <= self.started + window)
    }

    fn throw_away(&mut self, bytes: usize) {
        self.thrown_away += bytes;
        if self.thrown_away >= Self::MOST_THROWN_AWAY {
            self.state = State::Trusted;
        }
    }
}

impl Fin {
    /// To be asked before anything was sent to `viewer`; of one that did acknowledge something it says nothing.
    fn of(viewer: &Transport) -> Result<Self, Fault> {
        let info = TcpInfo::of(viewer.tcp()).map_err(|_| Fault::ViewerLeft)?;
        Ok(Self { delay: info.last_words_took(), silence: info.silent_for() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const GRACE: Duration = Duration::from_secs(5);
    const WINDOW: Duration = Duration::from_secs(1);
    const PROBED_AFTER: Duration = Duration::from_secs(10);
    const AT_ONCE: Fin = Fin { delay: Duration::ZERO, silence: Duration::ZERO };

    fn presence() -> Presence<'static> {
        static SETTINGS: LazyLock<settings::Stream> = LazyLock::new(|| settings::Stream {
            half_close_grace: GRACE,
            keepalive_idle: PROBED_AFTER,
            ..settings::Stream::default()
        });
        Presence::new(&SETTINGS)
    }

    fn doubtful(delivered: u64) -> Presence<'static> {
        let mut presence = presence();
        assert_eq!(presence.ended(Instant::now(), AT_ONCE, delivered), Heard::LateEnd);
        presence
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_comes_with_the_request_is_no_reason_to_doubt() {
        let mut presence = presence();
        tokio::time::advance(100 * GRACE).await;
        let fin = Fin { delay: WINDOW, silence: 50 * GRACE };
        assert_eq!(presence.ended(Instant::now(), fin, 0), Heard::EarlyEnd);
        assert_eq!(presence.judged_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_comes_during_a_long_dial_did_not_come_with_the_request() {
        let fin = Fin { delay: WINDOW + Duration::from_millis(1), silence: Duration::from_secs(9) };
        assert_eq!(presence().ended(Instant::now(), fin, 0), Heard::LateEnd);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_whose_time_is_hidden_by_probes_counts_as_early_if_it_was_there_first() {
        let fin = Fin { delay: PROBED_AFTER, silence: PROBED_AFTER };
        assert_eq!(presence().ended(Instant::now(), fin, 0), Heard::EarlyEnd);
        assert_eq!(presence().ended(Instant::now() + GRACE, fin, 0), Heard::LateEnd);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_after_the_first_bytes_did_not_come_with_the_request() {
        assert_eq!(doubtful(1).judged_at(), Some(Instant::now() + GRACE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_end_and_silence_mean_that_it_left() {
        let mut presence = doubtful(3);
        assert_eq!(presence.judged_at(), Some(Instant::now() + GRACE));
        presence.judge(Instant::now(), 3, false).unwrap();
        assert!(matches!(presence.judge(Instant::now() + GRACE, 3, false), Err(Fault::ViewerLeft)));
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_cause_no_error_prove_that_it_is_there() {
        let mut presence = doubtful(3);
        presence.judge(Instant::now() + GRACE, 4, false).unwrap();
        assert_eq!(presence.judged_at(), Some(Instant::now() + 2 * GRACE));
        presence.judge(Instant::now() + 2 * GRACE, 4, false).unwrap();
        assert_eq!(presence.judged_at(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_viewer_that_reads_slowly_is_not_judged_by_its_silence() {
        let mut presence = doubtful(3);
        presence.judge(Instant::now() + GRACE, 3, true).unwrap();
        assert_eq!(presence.judged_at(), Some(Instant::now() + 2 * GRACE));
    }

    #[test]
    fn what_a_viewer_sends_is_read_up_to_a_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut presence = presence();
            presence.throw_away(Presence::MOST_THROWN_AWAY - 1);
            assert!(presence.listens());
            presence.throw_away(1);
            assert!(!presence.listens());
        });
    }
}
