//! Which targets failed lately, so that a stream doesn't wait for what the last one already found dead. It only
//! sorts: a target that failed is tried last, never left out.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::names::Hostname;
use crate::route::Target;

/// The recent failures. Lives as long as the process, so that a reload forgets nothing.
#[derive(Debug, Default)]
pub(super) struct Health {
    failed: Mutex<HashMap<Peer, Instant>>,
}

/// What fails or works as one: the same port may serve another protocol, and under each server name another host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Peer {
    host: String,
    port: u16,
    /// The name that TLS asks for; `None` without TLS.
    tls: Option<String>,
}

impl Health {
    /// Most failures remembered at a time; past it the oldest is forgotten. Registries name hundreds of executors.
    const MAX_FAILED: usize = 4096;

    /// `targets` in the order to try: those that failed within `retry_after` last, otherwise as given.
    pub(super) fn order(&self, targets: &[Target], retry_after: Duration) -> Vec<Target> {
        let failed = self.failed();
        let lately = |target: &&Target| failed.get(&Peer::of(target)).is_some_and(|at| at.elapsed() < retry_after);
        let (last, mut order): (Vec<&Target>, Vec<&Target>) = targets.iter().partition(lately);
        order.extend(last);
        order.into_iter().cloned().collect()
    }

    /// Remembers that `target` failed just now; forgets what failed longer ago than `retry_after`.
    pub(super) fn failed_now(&self, target: &Target, retry_after: Duration) {
        let mut failed = self.failed();
        if failed.len() >= Self::MAX_FAILED {
            failed.retain(|_, at| at.elapsed() < retry_after);
        }
        if failed.len() >= Self::MAX_FAILED {
            let oldest = failed.iter().min_by_key(|(_, at)| **at).map(|(peer, _)| peer.clone());
            oldest.map(|peer| failed.remove(&peer));
        }
        failed.insert(Peer::of(target), Instant::now());
    }

    /// Forgets that `target` ever failed.
    pub(super) fn works(&self, target: &Target) {
        self.failed().remove(&Peer::of(target));
    }

    fn failed(&self) -> MutexGuard<'_, HashMap<Peer, Instant>> {
        // Every operation leaves the map whole, so a panic elsewhere says nothing against it.
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peer {
    fn of(target: &Target) -> Self {
        let name = |name: &Hostname| name.as_str().to_ascii_lowercase();
        let tls = target.tls.then(|| name(target.tls_name()));
        Self { host: name(&target.host), port: target.port, tls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::TargetKind;

    const RETRY: Duration = Duration::from_secs(30);

    fn target(host: &str) -> Target {
        Target::new(TargetKind::Gateway, Hostname::parse(host).unwrap(), 79)
    }

    fn hosts(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(|target| target.host.as_str()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_lately_comes_last_and_returns_to_its_place() {
        let health = Health::default();
        let route = [target("a"), target("b"), target("c")];
        health.failed_now(&target("A"), RETRY);
        assert_eq!(hosts(&health.order(&route, RETRY)), ["b", "c", "a"]);
        tokio::time::advance(RETRY).await;
        assert_eq!(hosts(&health.order(&route, RETRY)), ["a", "b", "c"]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_failed_the_order_is_as_given() {
        let health = Health::default();
        let route = [target("a"), target("b")];
        health.failed_now(&target("b"), RETRY);
        tokio::time::advance(Duration::from_secs(1)).await;
        health.failed_now(&target("a"), RETRY);
        assert_eq!(hosts(&health.order(&route, RETRY)), ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_clears_a_failure_of_the_same_protocol_only() {
        let health = Health::default();
        let route = [target("a"), target("b")];
        health.failed_now(&target("a"), RETRY);
        health.works(&Target { tls: true, ..target("a") });
        assert_eq!(hosts(&health.order(&route, RETRY)), ["b", "a"]);
        health.works(&target("a"));
        assert_eq!(hosts(&health.order(&route, RETRY)), ["a", "b"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_under_two_server_names_is_two_peers() {
        let health = Health::default();
        let tls = Target { tls: true, ..target("edge") };
        let named = |name: &str| Target { server_name: Hostname::parse(name), ..tls.clone() };
        let route = [named("west"), named("east")];
        health.failed_now(&named("WEST"), RETRY);
        let order = health.order(&route, RETRY);
        assert_eq!(order, [route[1].clone(), route[0].clone()]);
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_the_oldest_failure_is_forgotten_first() {
        let health = Health::default();
        for n in 0..=Health::MAX_FAILED {
            health.failed_now(&target(&format!("host{n}")), RETRY);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(health.failed().len(), Health::MAX_FAILED);
        let route = [target("host1"), target("host0")];
        assert_eq!(hosts(&health.order(&route, RETRY)), ["host0", "host1"]);
        tokio::time::advance(RETRY).await;
        health.failed_now(&target("another"), RETRY);
        assert_eq!(health.failed().len(), 1);
    }
}
