//! Every peer that was dialled: which of them to try last, and which to forget. It only sorts: a target that failed
//! is never left out.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use imbl::GenericHashMap;
use imbl::shared_ptr::DefaultSharedPtr;
use rustc_hash::FxBuildHasher;

use super::Observed;
use super::sight::{Open, Sight};
use crate::names::Hostname;
use crate::route::Target;

/// What was seen of whom. Lives as long as the process, so that a reload forgets nothing.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Peers {
    /// Replaced whole when a peer comes or goes.
    known: ArcSwap<Known>,
    /// Held by whoever notes something, so that no peer is forgotten while a stream to it opens. No reader needs it.
    turn: Mutex<()>,
}

type Known = Map<Peer<'static>>;

/// With quick hashes: names come from the registry and from policies, not from viewers.
type Map<Peer> = GenericHashMap<Peer, Arc<Sight>, FxBuildHasher, DefaultSharedPtr>;

/// What fails or works as one: the same port may serve another protocol, and under each server name another host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Peer<'a> {
    /// In lower case; borrowed where it is so already, for a look-up that allocates nothing.
    host: Cow<'a, str>,
    port: u16,
    /// The name that TLS asks for; `None` without TLS.
    tls: Option<Cow<'a, str>>,
}

impl Peers {
    /// Most peers remembered at a time; past it, the one that was idle longest is forgotten. Registries name hundreds
    /// of executors.
    pub(super) const MAX: usize = 4096;

    /// `targets` in the order to try: those that failed within `retry_after` last, otherwise as given.
    pub(in crate::upstream) fn order(&self, targets: &[Target], retry_after: Duration) -> Vec<Target> {
        // Nothing to order, on most routes.
        if let [only] = targets {
            return vec![only.clone()];
        }
        let known = self.known.load();
        let lately =
            |target: &&Target| find(&known, &Peer::of(target)).is_some_and(|sight| sight.failed_within(retry_after));
        let (last, mut order): (Vec<&Target>, Vec<&Target>) = targets.iter().partition(lately);
        order.extend(last);
        order.into_iter().cloned().collect()
    }

    /// What was seen of `peer`, if it is remembered.
    pub(super) fn observed(&self, peer: &Peer<'_>) -> Option<Observed> {
        find(&self.known.load(), peer).map(|sight| sight.observed())
    }

    /// Notes that `target` was sent a request, over a connection whose round trip can be measured.
    pub(in crate::upstream) fn reached(&self, target: &Target, measure: impl FnOnce() -> Option<Duration>) -> Open {
        let turn = self.turn();
        self.sight(target, &turn).reached(measure)
    }

    /// Notes that `target` could not be reached, and why, in a word.
    pub(in crate::upstream) fn failed(&self, target: &Target, word: &'static str) {
        let turn = self.turn();
        self.sight(target, &turn).failed(word, 0);
    }

    /// What is kept of `target`. If there is no room for it, because every peer has open streams, what is noted in it
    /// is not remembered.
    fn sight(&self, target: &Target, _turn: &MutexGuard<'_, ()>) -> Arc<Sight> {
        let (peer, known) = (Peer::of(target), self.known.load());
        if let Some(sight) = find(&known, &peer) {
            return Arc::clone(sight);
        }
        let sight = Arc::new(Sight::new());
        if let Some(room) = make_room(&known) {
            self.known.store(Arc::new(room.update(peer.into_owned(), Arc::clone(&sight))));
        }
        sight
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.load().len()
    }

    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        // Every change is published whole, so a panic elsewhere says nothing against it.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The known peers with room for one more; `None` if none of them may be forgotten.
fn make_room(known: &Known) -> Option<Known> {
    if known.len() < Peers::MAX {
        return Some(known.clone());
    }
    let idle = known.iter().filter_map(|(peer, sight)| Some((sight.idle_since()?, peer)));
    idle.min_by_key(|(since, _)| *since).map(|(_, oldest)| known.without(oldest))
}

/// Its lifetimes let a borrowed name be looked up among owned ones, as `Borrow` cannot for a type of several fields.
fn find<'a, 'k>(known: &'k Map<Peer<'a>>, peer: &Peer<'a>) -> Option<&'k Arc<Sight>> {
    known.get(peer)
}

impl<'a> Peer<'a> {
    /// The peer at `host`, which TLS asks for under the same name.
    pub(super) fn named(host: &'a Hostname, port: u16, tls: bool) -> Self {
        Self { host: lower(host), port, tls: tls.then(|| lower(host)) }
    }

    pub(super) fn into_owned(self) -> Peer<'static> {
        let owned = |name: Cow<'_, str>| Cow::Owned(name.into_owned());
        Peer { host: owned(self.host), port: self.port, tls: self.tls.map(owned) }
    }

    /// Whom `target` dials.
    pub(super) fn of(target: &'a Target) -> Self {
        Self { tls: target.tls.then(|| lower(target.tls_name())), ..Self::named(&target.host, target.port, false) }
    }
}

fn lower(name: &Hostname) -> Cow<'_, str> {
    let name = name.as_str();
    let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) }
}
