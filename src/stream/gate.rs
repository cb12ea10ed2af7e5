//! Decides when a stream's bytes are bulk, worth a pipe. It moves no bytes itself.

use crate::scratch;
use crate::transport::Transport;

/// Opens when one read after the other brings much.
///
/// Splicing everything would make small messages slower (two system calls more each) and pin a pipe to every stream.
#[derive(Debug)]
pub(super) struct Gate {
    /// Splicing works between two plain sockets only.
    plain: bool,
    /// Bytes that came beyond what small messages bring. Pauses between reads don't count: bulk makes some as well.
    backlog: usize,
    /// Bulk was moving when the upstream was last drained, so it probably goes on.
    warm: bool,
}

impl Gate {
    /// So much of a backlog is taken for bulk, in bytes.
    const BACKLOG: usize = scratch::SIZE;

    /// Most that a small message brings, in bytes. An upstream may fill a buffer, and then half of one, in turns.
    const SMALL: usize = scratch::SIZE / 4;

    /// Smallest amount in one go that counts as bulk still going on, in bytes.
    const BULK: usize = scratch::SIZE;

    pub(super) fn new(viewer: &Transport, upstream: &Transport) -> Self {
        let plain = matches!((viewer, upstream), (Transport::Plain(_), Transport::Plain(_)));
        Self { plain, backlog: 0, warm: false }
    }

    /// Whether the next bytes should be spliced.
    pub(super) fn is_open(&self) -> bool {
        self.plain && (self.warm || self.backlog >= Self::BACKLOG)
    }

    /// Takes note of one read of `bytes` into the scratch buffer.
    pub(super) fn copied(&mut self, bytes: usize) {
        self.backlog = self.backlog.saturating_add(bytes).saturating_sub(Self::SMALL);
    }

    /// Takes note that the upstream was found drained, after a last splice of `bytes`; 0 where none was possible, so
    /// that as much backlog again has to come before it is tried again.
    pub(super) fn drained(&mut self, bytes: usize) {
        self.backlog = 0;
        self.warm = bytes >= Self::BULK;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shut() -> Gate {
        Gate { plain: true, backlog: 0, warm: false }
    }

    #[test]
    fn small_messages_never_open_it() {
        let mut gate = shut();
        for _ in 0..1000 {
            gate.copied(Gate::SMALL);
        }
        assert!(!gate.is_open());
    }

    #[test]
    fn bulk_in_uneven_pieces_opens_it() {
        let mut gate = shut();
        for _ in 0..2 {
            gate.copied(scratch::SIZE);
            gate.copied(1000);
        }
        assert!(gate.is_open());
    }

    #[test]
    fn backlog_opens_it_and_a_trickle_shuts_it() {
        let mut gate = shut();
        gate.copied(scratch::SIZE);
        assert!(!gate.is_open());
        gate.copied(scratch::SIZE);
        assert!(gate.is_open());
        gate.drained(1 << 20);
        assert!(gate.is_open(), "bulk with short pauses stays bulk");
        gate.drained(100);
        assert!(!gate.is_open());
    }

    #[test]
    fn without_a_pipe_it_is_not_asked_at_once_again() {
        let mut gate = shut();
        gate.copied(scratch::SIZE);
        gate.copied(scratch::SIZE);
        assert!(gate.is_open());
        gate.drained(0);
        assert!(!gate.is_open());
    }

    #[test]
    fn nothing_is_spliced_through_tls() {
        let gate = Gate { plain: false, backlog: usize::MAX, warm: true };
        assert!(!gate.is_open());
    }
}
