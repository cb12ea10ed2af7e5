//! Counters that every stream needs, found by their labels once and then kept, because a family hashes the labels at
//! every call. It never makes an ending appear before there is one.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::{ByListener, Dialled, Ending, Streams, Upstream};
use crate::route::TargetKind;

/// How nearly every stream ends: the whole log was carried.
pub const COMPLETE: &str = "complete";

/// One listener's streams and their bytes.
#[derive(Debug)]
pub struct Traffic {
    /// The configured listener's name.
    pub listener: String,
    /// Streams that are open now.
    pub open: Gauge,
    /// Bytes of logs carried to viewers, and of what policies replied in their place.
    pub bytes: Counter,
    complete: OnceLock<Counter>,
    ended: Family<Ending, Counter>,
}

/// What was found, by listener: as many as were configured since the start.
pub(super) type Traffics = Arc<RwLock<Vec<Arc<Traffic>>>>;

/// What was found, by kind of target.
#[derive(Debug, Default)]
pub(super) struct Connected {
    direct: OnceLock<Counter>,
    gateway: OnceLock<Counter>,
    connect: OnceLock<Counter>,
}

impl Streams {
    /// Those of one listener.
    pub fn of(&self, listener: &str) -> Arc<Traffic> {
        let find = |found: &[Arc<Traffic>]| found.iter().find(|traffic| traffic.listener == listener).cloned();
        // Each is added whole, so a panic elsewhere says nothing against them.
        if let Some(traffic) = find(&self.found.read().unwrap_or_else(PoisonError::into_inner)) {
            return traffic;
        }
        let mut found = self.found.write().unwrap_or_else(PoisonError::into_inner);
        find(&found).unwrap_or_else(|| {
            let traffic = Arc::new(Traffic::new(self, listener));
            found.push(Arc::clone(&traffic));
            traffic
        })
    }
}

impl Traffic {
    fn new(streams: &Streams, listener: &str) -> Self {
        let by = ByListener { listener: listener.to_owned() };
        Self {
            open: streams.open.get_or_create_owned(&by),
            bytes: streams.bytes.get_or_create_owned(&by),
            complete: OnceLock::new(),
            ended: streams.ended.clone(),
            listener: by.listener,
        }
    }

    /// Counts a stream that ended, by how and whose fault it was.
    pub fn ended(&self, ending: &'static str, blame: &'static str) {
        let count = || self.ended.get_or_create_owned(&Ending { listener: self.listener.clone(), ending, blame });
        match ending {
            COMPLETE => self.complete.get_or_init(count).inc(),
            _ => count().inc(),
        };
    }
}

impl Upstream {
    /// Targets of that kind that connected.
    pub fn connected(&self, kind: TargetKind) -> &Counter {
        let known = match kind {
            TargetKind::Direct => &self.connected.direct,
            TargetKind::Gateway => &self.connected.gateway,
            TargetKind::Connect => &self.connected.connect,
        };
        let labels = Dialled { kind: kind.as_str(), result: "connected" };
        known.get_or_init(|| self.dialled.get_or_create_owned(&labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_is_found_once_counts_with_what_is_found_again() {
        let metrics = Metrics::new();
        let (one, other) = (metrics.streams.of("one"), metrics.streams.of("other"));
        one.ended("complete", "nobody");
        one.ended("complete", "nobody");
        metrics.streams.of("one").ended("viewer_left", "viewer");
        other.bytes.inc_by(7);
        other.open.inc();
        metrics.upstream.connected(TargetKind::Gateway).inc();
        let text = metrics.text();
        for line in [
            r#"streams_ended_total{listener="one",ending="complete",blame="nobody"} 2"#,
            r#"streams_ended_total{listener="one",ending="viewer_left",blame="viewer"} 1"#,
            r#"stream_bytes_total{listener="other"} 7"#,
            r#"streams_open{listener="other"} 1"#,
            r#"targets_dialled_total{kind="gateway",result="connected"} 1"#,
        ] {
            assert!(text.contains(&format!("fingerpost_{line}\n")), "{line} in {text}");
        }
        assert!(!text.contains(r#"listener="other",ending"#), "{text}");
        assert_eq!(metrics.streams.found.read().unwrap().len(), 2);
    }
}
