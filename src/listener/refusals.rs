//! What a listener turns away: all of it is counted, and each reason logged once a minute, so that a flood of
//! connections is no flood of the log. Nothing here waits.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, warn};

use crate::config::settings;
use crate::metrics;
use crate::metrics::Turned;

/// The refusals of one listener, through all its generations.
#[derive(Debug)]
pub(super) struct Refusals {
    metrics: metrics::Listeners,
    listener_full: Silence,
    address_full: Silence,
    accept_error: Silence,
}

/// The time after a line in the log in which there is no other.
#[derive(Debug, Default)]
struct Silence(Mutex<Option<Instant>>);

impl Refusals {
    /// None yet.
    pub(super) fn new(metrics: metrics::Listeners) -> Self {
        let [listener_full, address_full, accept_error] = Default::default();
        Self { metrics, listener_full, address_full, accept_error }
    }

    /// A connection was closed because the listener has all that it may have.
    pub(super) fn listener_full(&self, settings: &settings::Listener) {
        self.count(&settings.name, "listener_full");
        if self.listener_full.is_over() {
            let settings::Listener { name: listener, max_connections, .. } = settings;
            warn!(listener, max_connections, "turning connections away: max_connections is reached");
        }
    }

    /// A connection was closed because its client has all that it may have.
    pub(super) fn address_full(&self, settings: &settings::Listener, client: std::net::IpAddr) {
        self.count(&settings.name, "address_full");
        if self.address_full.is_over() {
            let settings::Listener { name: listener, max_connections_per_address, .. } = settings;
            warn!(
                listener,
                max_connections_per_address,
                %client,
                "turning connections of an address away: max_connections_per_address is reached"
            );
        }
    }

    /// The system gave no connection, and may give the next one.
    pub(super) fn accept_error(&self, listener: &str, error: &io::Error) {
        self.count(listener, "accept_error");
        if self.accept_error.is_over() {
            error!(
                listener,
                %error,
                "cannot accept connections; trying on. Raise LimitNOFILE= if files are the reason"
            );
        }
    }

    /// The accept loop broke off, and no connection will be served any more.
    pub(super) fn accept_panic(&self, listener: &str) {
        self.count(listener, "accept_panic");
        error!(listener, "the accept loop broke off by a fault of the relay's own: restart it, and report the panic");
    }

    fn count(&self, listener: &str, reason: &'static str) {
        let turned = Turned { listener: listener.to_owned(), reason };
        self.metrics.turned_away.get_or_create(&turned).inc();
    }
}

impl Silence {
    const LENGTH: Duration = Duration::from_secs(60);

    /// Whether there may be a line now; another silence begins with it.
    fn is_over(&self) -> bool {
        let now = Instant::now();
        // The lock is held for no code that panics.
        let mut end = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = end.is_none_or(|end| end <= now);
        if over {
            *end = Some(now + Self::LENGTH);
        }
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_minute() {
        let silence = Silence::default();
        assert!(silence.is_over() && !silence.is_over());
        tokio::time::advance(Silence::LENGTH - Duration::from_millis(1)).await;
        assert!(!silence.is_over());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(silence.is_over() && !silence.is_over());
    }
}
