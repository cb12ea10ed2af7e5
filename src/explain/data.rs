//! An explanation as data, for programs that read it. It says what the text says, and decides nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use super::decision::{Answer, Decision, Invariant};
use super::findings::Findings;
use super::{Explanation, Supposition};
use crate::names::{Hostname, Zone};
use crate::policy::{Failure, HandOver};
use crate::registry::{Build, Gateway};
use crate::route::{Limit, Target, Way};

#[derive(Serialize)]
struct Whole<'a> {
    registry: Registry,
    query: &'a str,
    build: Option<&'a Build>,
    /// Of the zone that the build runs in.
    gateways: Vec<&'a Gateway>,
    zone: Option<&'a Zone>,
    decision: Decided<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    other: Option<Otherwise<'a>>,
}

#[derive(Serialize)]
struct Registry {
    builds: usize,
    gateways: usize,
    /// Zero while it is followed, null if it was never read whole.
    age_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Otherwise<'a> {
    supposed: Supposed<'a>,
    other: Decided<'a>,
    differences: &'a [String],
}

#[derive(Serialize)]
struct Supposed<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a Path>,
    /// Null for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<Option<&'a Zone>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    viewer: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listener: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

#[derive(Serialize)]
struct Decided<'a> {
    /// The script that was asked first, and the rule that says so.
    policy: &'a str,
    rule: Option<&'a str>,
    handed_over: Vec<Step<'a>>,
    /// The script that decided.
    file: &'a str,
    line: Option<usize>,
    /// `targets`, `reply` and `refuse` as scripts call them, `turned_away` by `accept`, or `failed`.
    outcome: &'static str,
    targets: Vec<Dialled<'a>>,
    /// What the viewer gets in the place of a log.
    text: Option<&'a str>,
    failure: Option<String>,
    tags: BTreeMap<&'a str, &'a str>,
    /// Null where the policy has none, or the build does not run.
    invariant: Option<Held<'a>>,
}

#[derive(Serialize)]
struct Step<'a> {
    file: &'a str,
    line: Option<usize>,
    to: &'a str,
}

#[derive(Serialize)]
struct Dialled<'a> {
    kind: &'static str,
    host: &'a Hostname,
    port: u16,
    tls: bool,
    server_name: Option<&'a Hostname>,
    /// In seconds; null as configured.
    connect_timeout: Option<f64>,
    handshake_timeout: Option<f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Held<'a> {
    Holds,
    Broken(&'a str),
    Failed(#[serde(serialize_with = "words")] &'a Failure),
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { findings, decision, other } = self;
        let Findings { query, build, snapshot, zone } = findings;
        let (builds, gateways) = (snapshot.builds.len(), snapshot.components.gateways.len());
        let age = snapshot.age(Instant::now());
        let whole = Whole {
            registry: Registry { builds, gateways, age_seconds: age.as_ref().map(Duration::as_secs_f64) },
            query: &query.line,
            build: build.as_deref(),
            gateways: findings.gateways().map(AsRef::as_ref).collect(),
            zone: zone.as_ref(),
            decision: Decided::of(decision),
            other: other.as_ref().map(|other| Otherwise {
                supposed: Supposed::of(&other.supposed),
                other: Decided::of(&other.decision),
                differences: &other.differences,
            }),
        };
        whole.serialize(to)
    }
}

impl<'a> Supposed<'a> {
    fn of(supposed: &'a Supposition) -> Self {
        let Supposition { policy, zone, viewer, listener, server_name, identity, at } = supposed;
        Self {
            policy: policy.as_deref(),
            zone: zone.as_ref().map(Option::as_ref),
            viewer: *viewer,
            listener: listener.as_deref(),
            server_name: server_name.as_deref(),
            subject: identity.as_ref().map(|identity| identity.subject.as_str()),
            at: at.map(|at| humantime::format_rfc3339_seconds(at).to_string()),
        }
    }
}

impl<'a> Decided<'a> {
    fn of(decision: &'a Decision) -> Self {
        let (file, line) = decision.spot();
        let policy = Self {
            policy: &decision.file,
            rule: decision.rule.as_deref(),
            handed_over: Vec::new(),
            file,
            line,
            outcome: "failed",
            targets: Vec::new(),
            text: None,
            failure: None,
            tags: BTreeMap::new(),
            invariant: decision.invariant.as_ref().map(Held::of),
        };
        match &decision.answer {
            Answer::Failed(failure) => Self { failure: Some(failure.to_string()), ..policy },
            Answer::TurnedAway(text, tags) => {
                Self { outcome: "turned_away", text: Some(text), tags: tags.iter().collect(), ..policy }
            }
            Answer::Routed(explained) => {
                let handed_over = explained.handed_over.iter().map(Step::of).collect();
                Self { handed_over, tags: explained.route.tags.iter().collect(), ..policy }.going(&explained.route.way)
            }
        }
    }

    fn going(self, way: &'a Way) -> Self {
        match way {
            Way::Targets(targets) => {
                Self { outcome: "targets", targets: targets.iter().map(Dialled::of).collect(), ..self }
            }
            Way::Reply(reply) => Self { outcome: "reply", text: Some(reply.as_str()), ..self },
            Way::Refuse(text) => Self { outcome: "refuse", text: Some(text), ..self },
        }
    }
}

impl<'a> Step<'a> {
    fn of(HandOver { file, line, to }: &'a HandOver) -> Self {
        Self { file, line: *line, to }
    }
}

impl<'a> Dialled<'a> {
    fn of(target: &'a Target) -> Self {
        let seconds = |limit: Option<Limit>| limit.map(|limit| limit.get().as_secs_f64());
        Self {
            kind: target.kind.as_str(),
            host: &target.host,
            port: target.port,
            tls: target.tls,
            server_name: target.server_name.as_ref(),
            connect_timeout: seconds(target.connect_timeout),
            handshake_timeout: seconds(target.handshake_timeout),
        }
    }
}

impl<'a> Held<'a> {
    fn of(invariant: &'a Invariant) -> Self {
        match invariant {
            Invariant::Holds => Self::Holds,
            Invariant::Broken(text) => Self::Broken(text),
            Invariant::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// A failure in words.
fn words<S: Serializer>(failure: &&Failure, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(failure)
}
