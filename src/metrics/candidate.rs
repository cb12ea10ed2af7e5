//! The numbers of a policy on trial. They never mix with those of the active one: no alarm rings for what no viewer
//! gets.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::{Encoder, Policy, Reasons, add};

/// A policy on trial.
#[derive(Debug, Clone, Default)]
pub struct Candidate {
    /// Its decisions, as those of the active policy are counted.
    pub decisions: Reasons,
    /// Its decisions that failed, likewise.
    pub failures: Reasons,
    /// What its decisions are beside those of the active policy: `same`, `rerouted`, `unroutable`, `answered`,
    /// `broken`, `fails`; or `unasked`, while it is left alone after it hit a limit.
    pub compared: Reasons,
    /// Requests of its share: `taken`, or `fell_back` to the active policy because it failed or is left alone.
    pub requests: Reasons,
    /// Streams that ended while it was on trial, those of the active policy too.
    pub streams: Family<Trialled, Counter>,
    /// Of a hundred requests, how many it decides; 0 where there is none.
    pub percent: Gauge,
    /// 1 while it is rolled back.
    pub rolled_back: Gauge,
}

/// A stream that ended while a candidate was on trial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Trialled {
    /// Who decided it: `active` or `candidate`.
    pub policy: &'static str,
    /// `fine`, or `failed` by the fault of the policy or of the upstream that it chose.
    pub result: &'static str,
}

impl Candidate {
    /// Shows how a candidate stands.
    pub fn shows(&self, percent: u8, rolled_back: bool) {
        self.percent.set(i64::from(percent));
        self.rolled_back.set(i64::from(rolled_back));
    }

    /// Where a candidate's decisions are counted, so that those of the active policy are counted alone.
    pub fn policy(&self, active: &Policy) -> Policy {
        Policy { decisions: self.decisions.clone(), failures: self.failures.clone(), ..active.clone() }
    }

    pub(super) fn register(&self, encoder: &mut Encoder) {
        let Self { decisions, failures, compared, requests, streams, percent, rolled_back } = self;
        add(encoder, "candidate_decisions", "Decisions made by a policy on trial", decisions);
        add(encoder, "candidate_failures", "Its decisions that failed, by reason", failures);
        add(encoder, "candidate_compared", "Its decisions beside the active policy's", compared);
        add(encoder, "candidate_requests", "Requests of its share, by who decided them", requests);
        add(encoder, "candidate_streams", "Streams that ended during its trial, by who decided them", streams);
        add(encoder, "candidate_percent", "Of a hundred requests, how many it decides", percent);
        add(encoder, "candidate_rolled_back", "1 while it is rolled back", rolled_back);
    }
}
