//! The buffer that all streams of a thread share. Nothing in it survives the call that it is lent for: it is a
//! scratch, not state.

use std::cell::Cell;

/// Size of the buffer, in bytes. Twice the usual 32 KiB doubled the throughput of copying relays; more gains nothing.
pub(super) const SIZE: usize = 64 << 10;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's buffer to `work`, which must not keep what it read there: the next stream overwrites it.
///
/// The signature holds the rule: a closure cannot wait, so a stream that waits never owns the buffer.
pub(super) fn lend<R>(work: impl FnOnce(&mut [u8]) -> R) -> R {
    // A call inside `work` would find it taken and simply make another one.
    let mut bytes = SCRATCH.take();
    bytes.resize(SIZE, 0);
    let result = work(&mut bytes);
    SCRATCH.set(bytes);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_keeps_one_buffer() {
        let first = lend(|bytes| bytes.as_ptr() as usize);
        let (outer, inner) = lend(|bytes| (bytes.as_ptr() as usize, lend(|bytes| bytes.as_ptr() as usize)));
        assert_eq!(first, outer);
        assert_ne!(outer, inner);
    }
}
