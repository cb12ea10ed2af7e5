//! How many connections a listener has, in all and from each client, and the permits that count them.
//!
//! The limits themselves come with each call: a reload changes them, the counts stay. Nothing here waits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::workers::Seat;

/// The counts of one listener. There is at most one entry a permit, so the total bounds the map.
#[derive(Debug, Default)]
pub(super) struct Limits {
    total: AtomicUsize,
    by_client: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place among its listener's; dropping it gives the place back.
#[derive(Debug)]
#[must_use = "the place is given back when the permit is dropped"]
pub struct Permit {
    limits: Arc<Limits>,
    client: Option<IpAddr>,
    /// Its place among the workers' streams, where it has one.
    pub seat: Option<Seat>,
}

impl Limits {
    /// A place among at most `max`; `None` if all are taken.
    pub(super) fn admit(self: &Arc<Self>, max: usize) -> Option<Permit> {
        let more = |total: usize| (total < max).then_some(total + 1);
        self.total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Permit { limits: Arc::clone(self), client: None, seat: None })
    }

    fn by_client(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        // No code panics while it holds the lock, and counts are whole at any time.
        self.by_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Counts this connection as one of `client`'s, of which there may be `max`; says whether there was room. An IPv4
    /// address mapped into IPv6 is the same client as the IPv4 address.
    pub(super) fn claim(&mut self, client: IpAddr, max: usize) -> bool {
        self.release();
        let client = client.to_canonical();
        let mut by_client = self.limits.by_client();
        let count = by_client.get(&client).copied().unwrap_or_default();
        if count >= max {
            return false;
        }
        by_client.insert(client, count + 1);
        self.client = Some(client);
        true
    }

    fn release(&mut self) {
        let Some(client) = self.client.take() else { return };
        if let Entry::Occupied(mut count) = self.limits.by_client().entry(client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.release();
        self.limits.total.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_permit_gives_both_places_back_and_forgets_the_client() {
        let limits = Arc::new(Limits::default());
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let mut first = limits.admit(2).unwrap();
        assert!(first.claim(client, 1));
        let mut second = limits.admit(2).unwrap();
        assert!(limits.admit(2).is_none());
        assert!(!second.claim(client, 1));
        drop(first);
        assert!(second.claim(client, 1));
        drop(second);
        assert_eq!(limits.total.load(Ordering::Relaxed), 0);
        assert!(limits.by_client().is_empty());
    }

    #[test]
    fn a_mapped_ipv4_address_is_the_same_client() {
        let limits = Arc::new(Limits::default());
        let mut plain = limits.admit(2).unwrap();
        let mut mapped = limits.admit(2).unwrap();
        assert!(plain.claim("192.0.2.1".parse().unwrap(), 1));
        assert!(!mapped.claim("::ffff:192.0.2.1".parse().unwrap(), 1));
    }

    #[test]
    fn a_limit_lowered_by_a_reload_refuses_new_ones_and_ends_none() {
        let limits = Arc::new(Limits::default());
        let permits: Vec<_> = (0..3).map(|_| limits.admit(3).unwrap()).collect();
        assert!(limits.admit(1).is_none());
        drop(permits);
        assert!(limits.admit(1).is_some());
    }
}
