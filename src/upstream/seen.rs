//! What this relay has seen of whom it dials, for policies to read at every decision: so reading takes no lock, and
//! writers never keep a reader waiting. It only tells; what follows from it is for whoever reads.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::names::Hostname;
use crate::route::Target;

mod peers;
mod sight;

use self::peers::Peer;
pub(super) use self::peers::Peers;
pub(super) use self::sight::Open;

/// What was seen of every peer, as it is at each call. Cheap to clone; clones tell the same.
#[derive(Debug, Clone)]
pub struct Seen {
    source: Source,
}

/// What was seen of one peer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// Streams of this relay that it carries now.
    pub open_streams: u32,
    /// How often in a row it failed; zero since a stream reached it. One that takes a connection, but not the request,
    /// goes on failing.
    pub consecutive_failures: u32,
    /// The last failure in a word, the `result` of the metric [`crate::metrics::Dialled`]; kept when it works again.
    pub last_error: Option<Cow<'static, str>>,
    /// How long ago that failure was.
    pub failed_ago: Option<Duration>,
    /// How long ago it was last sent a request.
    pub reached_ago: Option<Duration>,
    /// The time of a segment and its acknowledgement, smoothed over its connections.
    pub round_trip: Option<Duration>,
}

#[derive(Debug, Clone)]
enum Source {
    /// What a dialler sees.
    Live(Arc<Peers>),
    /// What somebody wrote down.
    Given(Arc<HashMap<Peer<'static>, Observed>>),
}

impl Seen {
    pub(super) fn live(peers: Arc<Peers>) -> Self {
        Self { source: Source::Live(peers) }
    }

    /// Tells exactly `observations`, of peers by host, port and whether they are spoken to in TLS: for tests and
    /// replays of policies. Their ages stand still.
    pub fn of_observations(observations: impl IntoIterator<Item = ((Hostname, u16, bool), Observed)>) -> Self {
        let given = |((host, port, tls), observed): ((Hostname, _, _), _)| {
            (Peer::named(&host, port, tls).into_owned(), observed)
        };
        Self { source: Source::Given(Arc::new(observations.into_iter().map(given).collect())) }
    }

    /// What was seen of whom `target` dials; `None` as for [`Self::of`].
    pub fn of_target(&self, target: &Target) -> Option<Observed> {
        self.of_peer(&Peer::of(target))
    }

    /// What was seen of this peer; `None` if it was never dialled, or so long ago that it is forgotten. The case of
    /// `host` doesn't matter.
    pub fn of(&self, host: &Hostname, port: u16, tls: bool) -> Option<Observed> {
        self.of_peer(&Peer::named(host, port, tls))
    }

    fn of_peer(&self, peer: &Peer<'_>) -> Option<Observed> {
        match &self.source {
            Source::Live(peers) => peers.observed(peer),
            Source::Given(observations) => {
                let observations: &HashMap<Peer<'_>, Observed> = observations;
                observations.get(peer).cloned()
            }
        }
    }
}

#[cfg(test)]
mod tests;
