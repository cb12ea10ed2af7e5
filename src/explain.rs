//! What would be decided about a request, on the live registry, and why; and what would be decided instead by another
//! script, or for somebody else. Asks exactly the parts that a stream asks, and dials nobody.

mod data;
mod decision;
mod difference;
mod findings;
mod inquiry;
mod live;
mod shown;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};

use self::decision::Decision;
use self::findings::Findings;
pub use self::inquiry::{Inquiry, NoSuchListener, Supposition};
pub use self::live::Live;
use crate::config::settings::Settings;
use crate::generation::Generation;
use crate::metrics;
use crate::policy::{Known, LoadError, Moment, Place, Policy, Request};

/// A decision with everything it rests on, and perhaps another one beside it. Its text is the explanation.
#[derive(Debug)]
pub struct Explanation {
    findings: Findings,
    decision: Decision,
    other: Option<Other>,
}

/// What would be decided if something were different.
#[derive(Debug)]
struct Other {
    supposed: Supposition,
    decision: Decision,
    /// A sentence each.
    differences: Vec<String>,
}

impl Explanation {
    /// Explains what `inquiry` asks as a relay with `settings` would decide it, on a registry opened for this and
    /// closed after it.
    ///
    /// # Errors
    /// What `inquiry` supposes cannot be: [`NoSuchListener`], [`LoadError`]. And whatever keeps the settings or the
    /// registry from being read.
    pub async fn of(inquiry: Inquiry, settings: Settings) -> Result<Self> {
        inquiry.supposed.check(&settings)?;
        let live = Live::open(settings).await?;
        let explanation = explain(&live, inquiry).await;
        live.close().await;
        explanation
    }

    /// Whether the viewer gets what it came for, or what the policy has for it instead, as the policy itself wants it;
    /// by either decision, and the same by both.
    pub fn is_good(&self) -> bool {
        self.decision.is_good() && self.other.as_ref().is_none_or(|other| other.differences.is_empty())
    }
}

async fn explain(live: &Live, inquiry: Inquiry) -> Result<Explanation> {
    let Live { generation, registry, .. } = live;
    let Inquiry { query, supposed } = inquiry;
    let build = match &query.build {
        Some(uuid) => registry.find(uuid).await.with_context(|| live.unread())?,
        None => {
            ensure!(live.complete, "{}", live.unread());
            None
        }
    };
    let zone = generation.settings.zone.clone();
    let findings = Findings { query, build, snapshot: registry.snapshot(), zone };
    let at = Moment::now();
    let decide = |policy: &Policy, supposed: &Supposition| {
        // A table for each: what one decision writes there is no business of the other's.
        let known = Known { snapshot: &findings.snapshot, world: &Arc::default(), at };
        Decision::of(policy, &request(&findings, supposed, known, generation), &generation.settings.listeners)
    };
    let decision = decide(&generation.policy, &Supposition::default());
    let other = match supposed.is_nothing() {
        true => None,
        false => {
            let other = decide(&policy(&supposed, generation)?, &supposed);
            let differences = difference::between(&decision, &other);
            Some(Other { supposed, decision: other, differences })
        }
    };
    Ok(Explanation { findings, decision, other })
}

/// A stranger's request on the first listener, but for what is `supposed`.
fn request<'a>(
    findings: &'a Findings,
    supposed: &'a Supposition,
    known: Known<'a>,
    generation: &'a Generation,
) -> Request<'a> {
    let wall = supposed.at.unwrap_or(known.at.wall);
    let first = generation.settings.listeners.first().map(|listener| &listener.name);
    Request {
        query: &findings.query.line,
        uuid: findings.query.build.as_ref(),
        build: findings.build.as_ref(),
        known: Known { at: Moment { wall, ..known.at }, ..known },
        listener: supposed.listener.as_ref().or(first).map_or("", String::as_str),
        peer: supposed.viewer.unwrap_or(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        server_name: supposed.server_name.as_deref(),
        identity: supposed.identity.as_ref(),
        // The same for both decisions: what is left to chance is no difference.
        seed: 0,
    }
}

/// What decides if things are as `supposed`.
fn policy(supposed: &Supposition, generation: &Generation) -> Result<Policy, LoadError> {
    let Settings { zone, hostname, policy, .. } = &generation.settings;
    let zone = supposed.zone.clone().unwrap_or_else(|| zone.clone());
    let place = Place { zone, hostname: hostname.clone() };
    match &supposed.policy {
        Some(scripts) => Policy::load(&policy.instead(scripts), place, metrics::Policy::default()),
        None => Ok(generation.policy.placed(&place, &metrics::Policy::default())),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.findings, self.decision)?;
        match &self.other {
            None => Ok(()),
            Some(other) => write!(f, "\n{other}"),
        }
    }
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}{}", self.supposed, self.decision)?;
        if self.differences.is_empty() {
            return writeln!(f, "differs  in nothing: the viewer gets the same from the same place");
        }
        let mut label = "differs";
        for difference in &self.differences {
            writeln!(f, "{label:8} {difference}")?;
            label = "";
        }
        Ok(())
    }
}
