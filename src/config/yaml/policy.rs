//! The `policy` of the configuration, and the overlays that package and operator lay over it. Scripts are named, not
//! read.
//!
//! A later overlay has the last word: its rules come before all others, its default and its params replace theirs.

use std::ops::RangeInclusive;
use std::path::Path;

use crate::config::section::{Report, Section};
use crate::config::settings::{Background, DryRun, Listener, Param, Params, Policy, Rule};
use crate::config::value::{boolean, duration, one_of, policy_name, size, some, text, unknown, whole, zone};
use crate::config::yaml::{Overlay, Surroundings, WAIT, params};

mod candidate;

/// Fewer calls within calls leave no room for a script; Luau has a bound of its own (`LUAI_MAXCALLS`, 20000).
const DEPTH: RangeInclusive<usize> = 10..=10_000;

const DRY_RUNS: [(&str, DryRun); 3] = [("strict", DryRun::Strict), ("errors", DryRun::Errors), ("off", DryRun::Off)];

/// What the file and its overlays have in common.
#[derive(Clone, Default)]
struct Choice {
    default: Option<String>,
    rules: Vec<Rule>,
    params: Params,
}

/// Reads `policy`, and the overlays that it names.
pub(super) fn policy(root: &mut Section<'_>, listeners: &[Listener], around: Surroundings<'_>) -> Policy {
    let default = Policy::default();
    let Some(mut section) = root.section("policy") else { return default };
    let own = Choice::read(&mut section, listeners);
    let candidate =
        section.section("candidate").and_then(|section| candidate::Wanted::read(section, listeners, around));
    let limit = section.value("time_limit", duration(WAIT));
    let policy = Policy {
        file: section.path_value("file"),
        folder: section.path_value("folder"),
        overlays: section.path_value("overlays"),
        time_limit: limit.unwrap_or(default.time_limit),
        memory_limit: section.value("memory_limit", size).unwrap_or(default.memory_limit),
        recursion_limit: section.value("recursion_limit", whole(DEPTH)).unwrap_or(default.recursion_limit),
        shared_limit: section.value("shared_limit", size).unwrap_or(default.shared_limit),
        background: background(&mut section),
        dry_run: section.value("dry_run", one_of(&DRY_RUNS)).unwrap_or(default.dry_run),
        tests: section.value("tests", boolean).unwrap_or(default.tests),
        ..default
    };
    let mut choice = own.clone();
    if policy.file.is_some() && policy.folder.is_some() {
        section.problem("folder", "stands beside file; remove one of the two");
    }
    if let Some(folder) = &policy.overlays {
        overlays(folder, &section, listeners, around).into_iter().for_each(|overlay| choice.lay_over(overlay));
    }
    let policy = choice.clone().complete(policy);
    Policy { candidate: candidate.map(|candidate| candidate.settle(&policy, &own, &choice)), ..policy }
}

/// Reads what lies over a policy, and reports in `section`, whose key `overlays` names it, what is wrong.
fn overlays(folder: &Path, section: &Section<'_>, listeners: &[Listener], around: Surroundings<'_>) -> Vec<Choice> {
    let overlays = (around.overlays)(folder).unwrap_or_else(|why| {
        section.problem("overlays", format!("{} {why}", folder.display()));
        Vec::new()
    });
    overlays.into_iter().map(|overlay| Choice::overlay(overlay, section, listeners)).collect()
}

fn background(policy: &mut Section<'_>) -> Background {
    let default = Background::default();
    let Some(mut section) = policy.section("background") else { return default };
    Background {
        time_limit: section.value("time_limit", duration(WAIT)).unwrap_or(default.time_limit),
        deadline: section.value("deadline", duration(WAIT)).unwrap_or(default.deadline),
        memory_limit: section.value("memory_limit", size).unwrap_or(default.memory_limit),
    }
}

impl Choice {
    fn read(section: &mut Section<'_>, listeners: &[Listener]) -> Self {
        let rules = section.sections("rules").unwrap_or_default();
        Self {
            default: section.value("default", policy_name),
            rules: rules.into_iter().filter_map(|section| rule(section, listeners)).collect(),
            params: section.section("params").map(params::params).unwrap_or_default(),
        }
    }

    /// Reads an overlay, and reports in `section` what is wrong with it.
    fn overlay((file, text): Overlay, section: &Section<'_>, listeners: &[Listener]) -> Self {
        let report = Report::new(&file, text.as_deref().unwrap_or_default());
        let choice = match &text {
            Ok(_) => report.root().map(|mut root| Self::read(&mut root, listeners)),
            Err(why) => {
                report.unusable(why.clone());
                None
            }
        };
        let (_, problems, _) = report.into_parts();
        section.found_elsewhere(problems);
        choice.unwrap_or_default()
    }

    fn lay_over(&mut self, later: Self) {
        self.default = later.default.or_else(|| self.default.take());
        self.rules.splice(0..0, later.rules);
        Param::overlay(&mut self.params, later.params);
    }

    /// `policy` with this choice in the place of its own.
    fn complete(self, policy: Policy) -> Policy {
        let Self { default, rules, params } = self;
        Policy { default, rules, params, ..policy }
    }
}

fn rule(mut section: Section<'_>, listeners: &[Listener]) -> Option<Rule> {
    let keys = ["listener", "zone", "tenant"];
    if !keys.iter().any(|key| section.has(key)) {
        section.problem("", "has none of listener, zone and tenant; for all requests, say default instead");
    }
    let known: Vec<_> = listeners.iter().map(|listener| listener.name.as_str()).collect();
    let listener = section.value("listener", some(text));
    let unheard = listener.iter().flatten().find(|name| !known.contains(&name.as_str()));
    if let Some(name) = unheard {
        section.problem("listener", unknown("listener", name, &known));
    }
    let zone = section.value("zone", some(zone));
    let tenant = section.value("tenant", some(text));
    let policy = section.required("policy", policy_name);
    Some(Rule {
        listener: listener.unwrap_or_default(),
        zone: zone.unwrap_or_default(),
        tenant: tenant.unwrap_or_default(),
        policy: policy?,
    })
}
