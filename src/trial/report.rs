//! Comparisons as people read them: a table of what changes, the worst first, and a sentence about all of it.

use std::fmt;

use super::verdict::Verdict;
use super::{Change, Comparison, Kind};
use crate::names::Zone;
use crate::route::{Target, TargetKind, Way};

/// Most lines of the table.
const MAX_LINES: usize = 40;

/// A decision in few words, the same for builds that go the same way. Executors differ from build to build, and what
/// is decided about them is that they are asked themselves.
pub(super) fn short(verdict: &Verdict) -> String {
    let way = match &verdict.route {
        Ok(route) => way(&route.way),
        Err(failure) => format!("failed: {failure}"),
    };
    match &verdict.broken {
        None => way,
        Some(text) => format!("{way}, against the invariant: {text}"),
    }
}

fn way(way: &Way) -> String {
    match way {
        Way::Targets(targets) => {
            let mut names: Vec<String> = targets.iter().map(name).collect();
            names.dedup();
            names.join(", ")
        }
        Way::Refuse(text) => format!("refused {text:?}"),
        // What it says may differ from build to build.
        Way::Reply(_) => "replied".to_owned(),
    }
}

fn name(target: &Target) -> String {
    match target.kind {
        TargetKind::Direct => target.kind.as_str().to_owned(),
        TargetKind::Gateway | TargetKind::Connect => target.to_string(),
    }
}

impl Kind {
    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "fails",
            Self::Broken => "broken",
            Self::Unroutable => "unroutable",
            Self::Rerouted => "rerouted",
            Self::Answered => "answered",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { zone, listeners, kind, now, then, builds, example, .. } = self;
        let zone = zone.as_ref().map_or("no zone", Zone::as_str);
        let on = if listeners.is_empty() { String::new() } else { format!(" on {}", listeners.join(", ")) };
        writeln!(f, "{:10}  {zone}{on}: {builds} builds, such as {example}", kind.as_str())?;
        write!(f, "    now   {now}\n    then  {then}")
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut changes: Vec<&Change> = self.changes.iter().collect();
        changes.sort_by_key(|change| change.kind);
        for change in changes.iter().take(MAX_LINES) {
            writeln!(f, "{change}")?;
        }
        if let Some(more) = changes.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
            writeln!(f, "and {more} changes more")?;
        }
        let Self { builds, zones, listeners, decisions, left_out, .. } = self;
        let on = if *listeners > 1 { format!(", {listeners} listeners") } else { String::new() };
        write!(f, "{decisions} decisions compared ({builds} running builds, {zones} zones{on}): ")?;
        let counts: Vec<_> = Kind::ALL.into_iter().map(|kind| (self.count(kind), kind.as_str())).collect();
        let counts: Vec<_> =
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}")).collect();
        f.write_str(&if counts.is_empty() { "no difference".to_owned() } else { counts.join(", ") })?;
        if *left_out == 0 { Ok(()) } else { write!(f, "; {left_out} left out, for want of time or for failures") }
    }
}
