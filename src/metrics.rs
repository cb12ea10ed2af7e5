//! Every number the relay keeps of itself, in the OpenMetrics text format. Counters live as long as the process:
//! no reload touches them. All label sets are closed or bounded: nothing that a viewer sends becomes a label by itself.

mod candidate;
mod decisions;
mod reloads;
mod tagged;
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry as Encoder;

pub use self::candidate::{Candidate, Trialled};
pub use self::decisions::Decisions;
pub use self::reloads::{Held, Reloads};
pub use self::tagged::Tagged;
pub use self::traffic::{COMPLETE, Traffic};
use self::traffic::{Connected, Traffics};

/// All metrics, and their text.
#[derive(Debug)]
pub struct Metrics {
    encoder: Encoder,
    /// Streams and their bytes.
    pub streams: Streams,
    /// Connections before they became streams.
    pub listeners: Listeners,
    /// What is known of builds, and how well.
    pub registry: Registry,
    /// Decisions.
    pub policy: Policy,
    /// The decision log.
    pub decisions: Decisions,
    /// A policy on trial.
    pub candidate: Candidate,
    /// Targets dialled.
    pub upstream: Upstream,
    /// Generations loaded or refused.
    pub reloads: Reloads,
    /// Certificates in use.
    pub certificates: Certificates,
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ending {
    /// The configured listener's name.
    pub listener: String,
    /// `complete`, `replied`, `refused`, or a fault's label.
    pub ending: &'static str,
    /// Whose fault it was.
    pub blame: &'static str,
}

/// One label: a configured listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByListener {
    /// The configured listener's name.
    pub listener: String,
}

/// Why a connection was turned away before it was served.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Turned {
    /// The configured listener's name.
    pub listener: String,
    /// `listener_full`, `address_full`, `accept_error`, `accept_panic`.
    pub reason: &'static str,
}

/// One label: a reason out of a closed set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByReason {
    /// The reason.
    pub reason: &'static str,
}

/// Counters, one for each reason out of a closed set.
pub type Reasons = Family<ByReason, Counter>;

/// A target that was dialled, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Dialled {
    /// `direct`, `gateway` or `connect`.
    pub kind: &'static str,
    /// `connected`, or the reason it was not: `resolve`, `connect`, `connect_timeout`, `handshake`,
    /// `handshake_timeout`, `itself`, `no_tls`, `out_of_time`. Beside `connected` later `closed`, if it never took the
    /// request.
    pub result: &'static str,
}

/// One label: a file that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByFile {
    /// Its path.
    pub file: String,
}

/// Streams and their bytes.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    /// Streams that are open now.
    pub open: Family<ByListener, Gauge>,
    /// Streams that ended.
    pub ended: Family<Ending, Counter>,
    /// Streams that ended, by what policies called them.
    pub tagged: Tagged,
    /// Bytes of logs carried to viewers, and of what policies replied in their place.
    pub bytes: Family<ByListener, Counter>,
    /// Bulk transfers that went over to splice(2).
    pub spliced: Counter,
    /// These by listener.
    found: Traffics,
}

/// Connections before they became streams.
#[derive(Debug, Clone, Default)]
pub struct Listeners {
    /// Connections accepted.
    pub accepted: Family<ByListener, Counter>,
    /// Connections turned away.
    pub turned_away: Family<Turned, Counter>,
}

/// What is known of builds, and how well.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    /// Builds in the mirror.
    pub builds: Gauge,
    /// Gateways in the mirror.
    pub gateways: Gauge,
    /// 1 while the mirror follows its source, 0 while it does not.
    pub live: Gauge,
    /// Seconds since the mirror last followed its source, or since the start if it never did; 0 while it does.
    pub age: Gauge,
    /// Znodes or entries that could not be used: `not_json`, `too_large`, `bad_field`, `bad_name`,
    /// `unreadable`.
    pub malformed: Family<ByReason, Counter>,
    /// Builds read directly because the mirror did not know enough: `found`, `missing`, `failed`.
    pub direct_reads: Family<ByReason, Counter>,
    /// ZooKeeper sessions begun.
    pub sessions: Counter,
    /// Times that the source was lost.
    pub disconnects: Counter,
    /// Attempts to reach the source that failed.
    pub unreachable: Counter,
}

/// Decisions.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Decisions made by the active policy, those included that a candidate's took the place of: `routed`, `replied`,
    /// `refused`, `failed`.
    pub decisions: Family<ByReason, Counter>,
    /// Decisions that failed: `time`, `memory`, `recursion`, `error`, `bad_route`.
    pub failures: Family<ByReason, Counter>,
    /// What policies keep.
    pub shared: SharedTable,
    /// HTTP requests of background work: `answered`, or the reason there was no answer: `request`, `connect`,
    /// `handshake`, `timeout`, `not_http`, `too_large`, `broken`.
    pub fetches: Family<ByReason, Counter>,
    /// What policies have done beside their decisions.
    pub jobs: Jobs,
}

/// Background work. What is gone with its generation is shown no more, but for the runs.
#[derive(Debug, Clone, Default)]
pub struct Jobs {
    /// Runs that came to an end.
    pub runs: Family<JobRun, Counter>,
    /// Failed runs since the last one that did not fail.
    pub failures: Family<ByJob, Gauge>,
    /// When a run last succeeded, in seconds since 1970; absent before the first one.
    pub last_success: Family<ByJob, Gauge>,
}

/// One job of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByJob {
    /// The policy's name.
    pub policy: String,
    /// Its number among the policy's jobs, in the order in which the script asks for them, from 1 to 32.
    pub job: u64,
}

/// How a run of a job ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct JobRun {
    /// The policy's name.
    pub policy: String,
    /// The job's number, as in [`ByJob`].
    pub job: u64,
    /// `succeeded`, or why not: `time`, `memory`, `recursion`, `error`, `bad_route`.
    pub result: &'static str,
}

/// The table that policies share.
#[derive(Debug, Clone, Default)]
pub struct SharedTable {
    /// Entries in it, expired ones included until they are cleared away.
    pub entries: Gauge,
    /// What they count against its limit, in bytes.
    pub bytes: Gauge,
    /// Writes that were refused: `full`, `too_long`, `not_a_number`.
    pub refused: Family<ByReason, Counter>,
}

/// Targets dialled.
#[derive(Debug, Clone, Default)]
pub struct Upstream {
    /// Every attempt.
    pub dialled: Family<Dialled, Counter>,
    /// Those of them that connected.
    connected: Arc<Connected>,
}

/// Certificates in use.
#[derive(Debug, Clone, Default)]
pub struct Certificates {
    /// When the first of them expires, in seconds since 1970, and in which file that one is. Absent where there is
    /// none.
    pub first_expiry: Family<ByFile, Gauge>,
}

impl Certificates {
    /// Puts the certificate that expires first in the place of the one that did.
    pub fn expire_first(&self, first: Option<(PathBuf, SystemTime)>) {
        self.first_expiry.clear();
        if let Some((file, at)) = first {
            let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let by = ByFile { file: file.display().to_string() };
            self.first_expiry.get_or_create(&by).set(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Arc<Self> {
        let mut metrics = Self {
            encoder: Encoder::with_prefix("fingerpost"),
            streams: Streams::default(),
            listeners: Listeners::default(),
            registry: Registry::default(),
            policy: Policy::default(),
            decisions: Decisions::default(),
            candidate: Candidate::default(),
            upstream: Upstream::default(),
            reloads: Reloads::default(),
            certificates: Certificates::default(),
        };
        // What is loaded at the start has not failed.
        metrics.reloads.last_successful.set(1);
        metrics.register_traffic();
        metrics.register_state();
        Arc::new(metrics)
    }

    /// All metrics as text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail; an encoder error would leave what was written before it.
        let _written = encode(&mut text, &self.encoder);
        text
    }

    fn register_traffic(&mut self) {
        add(&mut self.encoder, "streams_open", "Streams that are open now", &self.streams.open);
        add(&mut self.encoder, "streams_ended", "Streams that ended, by how and whose fault", &self.streams.ended);
        let tagged = "Streams that ended, by the tags that policies gave them; what is beyond the bound is other";
        add(&mut self.encoder, "streams_tagged", tagged, &self.streams.tagged.streams);
        add(&mut self.encoder, "stream_bytes", "Bytes of logs carried to viewers", &self.streams.bytes);
        add(&mut self.encoder, "streams_spliced", "Bulk transfers that used splice(2)", &self.streams.spliced);
        add(&mut self.encoder, "connections_accepted", "Connections accepted", &self.listeners.accepted);
        add(
            &mut self.encoder,
            "connections_turned_away",
            "Connections refused by a limit",
            &self.listeners.turned_away,
        );
        add(&mut self.encoder, "targets_dialled", "Attempts to reach a target", &self.upstream.dialled);
    }

    fn register_state(&mut self) {
        add(&mut self.encoder, "registry_builds", "Builds in the mirror", &self.registry.builds);
        add(&mut self.encoder, "registry_gateways", "Gateways in the mirror", &self.registry.gateways);
        add(&mut self.encoder, "registry_live", "1 while the mirror follows its source", &self.registry.live);
        let age = "Seconds since the mirror last followed its source";
        add(&mut self.encoder, "registry_age_seconds", age, &self.registry.age);
        add(&mut self.encoder, "registry_malformed", "Entries that could not be used", &self.registry.malformed);
        add(&mut self.encoder, "registry_direct_reads", "Builds read past the mirror", &self.registry.direct_reads);
        add(&mut self.encoder, "registry_sessions", "ZooKeeper sessions begun", &self.registry.sessions);
        add(&mut self.encoder, "registry_disconnects", "Times the source was lost", &self.registry.disconnects);
        add(&mut self.encoder, "registry_unreachable", "Attempts that failed", &self.registry.unreachable);
        add(&mut self.encoder, "policy_decisions", "Decisions made", &self.policy.decisions);
        add(&mut self.encoder, "policy_failures", "Decisions that failed, by reason", &self.policy.failures);
        self.register_background();
        self.decisions.register(&mut self.encoder);
        self.candidate.register(&mut self.encoder);
        add(&mut self.encoder, "reloads", "Reloads tried", &self.reloads.tried);
        add(&mut self.encoder, "generation", "The generation that serves now", &self.reloads.generation);
        let held = "Generations in memory: the one that serves, and those that older streams still hold";
        add(&mut self.encoder, "generations_held", held, &self.reloads.held);
        let last = "1 while the last reload took effect, 0 since one was refused; see /health/reload";
        add(&mut self.encoder, "last_reload_successful", last, &self.reloads.last_successful);
        let first_expiry = "When the first certificate or revocation list expires, in seconds since 1970";
        add(&mut self.encoder, "first_expiry_seconds", first_expiry, &self.certificates.first_expiry);
    }

    fn register_background(&mut self) {
        add(&mut self.encoder, "policy_fetches", "HTTP requests of background work", &self.policy.fetches);
        let jobs = &self.policy.jobs;
        add(&mut self.encoder, "policy_job_runs", "Runs of background jobs", &jobs.runs);
        let failures = "Runs of a background job that failed since one did not";
        add(&mut self.encoder, "policy_job_failures", failures, &jobs.failures);
        let last_success = "When a background job last succeeded, in seconds since 1970";
        add(&mut self.encoder, "policy_job_last_success_seconds", last_success, &jobs.last_success);
        let shared = &self.policy.shared;
        add(&mut self.encoder, "policy_shared_entries", "Entries that policies share", &shared.entries);
        add(&mut self.encoder, "policy_shared_bytes", "Bytes that policies share", &shared.bytes);
        add(&mut self.encoder, "policy_shared_refused", "Writes to the shared table refused", &shared.refused);
    }
}

fn add<M>(encoder: &mut Encoder, name: &str, help: &str, metric: &M)
where
    M: Clone + EncodeMetric + std::fmt::Debug + Send + Sync + 'static,
{
    encoder.register(name, help, metric.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_appear_with_their_labels() {
        let metrics = Metrics::new();
        let ending = Ending { listener: "finger".to_owned(), ending: "complete", blame: "nobody" };
        metrics.streams.ended.get_or_create(&ending).inc();
        let text = metrics.text();
        assert!(
            text.contains(r#"fingerpost_streams_ended_total{listener="finger",ending="complete",blame="nobody"} 1"#),
            "{text}"
        );
    }
}
