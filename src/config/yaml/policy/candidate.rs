//! The `policy.candidate` of the configuration: what differs from the policy beside which it is tried, and how far it
//! may go. What it does not say is as the policy has it; a single script stands alone, as it does there.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::{Choice, overlays};
use crate::config::section::Section;
use crate::config::settings::{Canary, Candidate, Listener, Policy, Rollback};
use crate::config::value::{duration, whole};
use crate::config::yaml::{ANY, Surroundings};

/// What makes a candidate another policy.
const SCRIPTS: [&str; 6] = ["file", "folder", "overlays", "default", "rules", "params"];

const PERCENT: RangeInclusive<u8> = 0..=100;

/// What the file says of a candidate.
pub(super) struct Wanted {
    file: Option<PathBuf>,
    folder: Option<PathBuf>,
    /// The folder, and what lies in it.
    overlays: Option<(PathBuf, Vec<Choice>)>,
    choice: Choice,
    /// Whether the rules of `choice` take the place of the policy's, though there be none.
    ruled: bool,
    canary: Canary,
}

impl Wanted {
    /// Reads `section`; `None`, and a problem, if it wants nothing that the policy does not.
    pub(super) fn read(mut section: Section<'_>, listeners: &[Listener], around: Surroundings<'_>) -> Option<Self> {
        let ruled = section.has("rules");
        let choice = Choice::read(&mut section, listeners);
        let (file, folder) = (section.path_value("file"), section.path_value("folder"));
        if file.is_some() && folder.is_some() {
            section.problem("folder", "stands beside file; remove one of the two");
        }
        let folder_of_overlays = section.path_value("overlays");
        let canary = canary(&mut section);
        if !SCRIPTS.iter().any(|key| section.has(key)) {
            section.problem("", format!("is the policy itself; give it at least one of {}", SCRIPTS.join(", ")));
            return None;
        }
        let read = |folder: PathBuf| (folder.clone(), overlays(&folder, &section, listeners, around));
        Some(Self { file, folder, overlays: folder_of_overlays.map(read), choice, ruled, canary })
    }

    /// Beside `policy`, whose choice is `own` in its file and `merged` with its overlays.
    pub(super) fn settle(self, policy: &Policy, own: &Choice, merged: &Choice) -> Candidate {
        let Self { file, folder, overlays, choice: mine, ruled, canary } = self;
        let alone = file.is_some();
        let mut choice = if overlays.is_some() { own.clone() } else { merged.clone() };
        if alone {
            choice = Choice { params: choice.params, ..Choice::default() };
        }
        let (laid_over, later) = overlays.unzip();
        later.into_iter().flatten().for_each(|overlay| choice.lay_over(overlay));
        if ruled {
            choice.rules.clear();
        }
        choice.lay_over(mine);
        let inherited = |path: &Option<PathBuf>| path.clone().filter(|_| !alone);
        let scripts = Policy {
            folder: folder.clone().or_else(|| inherited(&policy.folder)),
            overlays: laid_over.or_else(|| inherited(&policy.overlays)),
            file: file.or_else(|| policy.file.clone().filter(|_| folder.is_none())),
            candidate: None,
            ..policy.clone()
        };
        Candidate { policy: Box::new(choice.complete(scripts)), canary }
    }
}

fn canary(section: &mut Section<'_>) -> Canary {
    let default = Canary::default();
    let percent = section.value("percent", whole(PERCENT)).unwrap_or(default.percent);
    let steps = section.list("steps", whole(1..=*PERCENT.end())).unwrap_or_default();
    let before = [percent].into_iter().chain(steps.iter().copied());
    if let Some((before, step)) = before.zip(&steps).find(|(before, step)| *step <= before) {
        section.problem(
            "steps",
            format!("goes from {before} to {step}; each must be more than the one before, and than percent"),
        );
    }
    Canary {
        percent,
        step_every: section.value("step_every", duration(ANY)).unwrap_or(default.step_every),
        rollback: section.section("rollback").map(rollback).unwrap_or_default(),
        steps,
    }
}

fn rollback(mut section: Section<'_>) -> Rollback {
    let default = Rollback::default();
    Rollback {
        errors: section.value("errors", whole(PERCENT)).unwrap_or(default.errors),
        failures: section.value("failures", whole(PERCENT)).unwrap_or(default.failures),
        min_streams: section.value("min_streams", whole(1..=u32::MAX)).unwrap_or(default.min_streams),
    }
}
