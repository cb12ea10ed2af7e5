//! The buffers that all streams of a thread share. Nothing in them survives the call that they are lent for: they are
//! scratch, not state.

use std::cell::Cell;

/// Size of a buffer, in bytes. About twice the usual 32 KiB doubled the throughput of copying relays; more gains
/// nothing.
///
/// A little less than the 64 KiB that the kernel sends in one go, its headers included: so what one read brought leaves
/// in one go as well, even in TLS records. What is over would leave in a packet of its own.
pub(crate) const SIZE: usize = 63 << 10;

thread_local! {
    static SCRATCH: Cell<Vec<Vec<u8>>> = const { Cell::new(Vec::new()) };
}

/// Lends a buffer of the thread's to `work`, which must not keep what it read there: the next stream overwrites it.
///
/// The signature holds the rule: a closure cannot wait, so a stream that waits never owns a buffer. A call inside
/// `work` gets another one, so that a thread has as many as calls were ever nested: two, where TLS is read.
pub(crate) fn lend<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut free = SCRATCH.take();
    let mut bytes = free.pop().unwrap_or_else(|| vec![0; SIZE]);
    SCRATCH.set(free);
    let result = work(&mut bytes);
    let mut free = SCRATCH.take();
    free.push(bytes);
    SCRATCH.set(free);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_at_a_time() -> [usize; 2] {
        lend(|outer| lend(|inner| [outer.as_ptr() as usize, inner.as_ptr() as usize]))
    }

    #[test]
    fn the_thread_keeps_its_buffers() {
        let first = two_at_a_time();
        assert_ne!(first[0], first[1]);
        assert_eq!(first, two_at_a_time());
    }
}
