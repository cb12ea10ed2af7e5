//! A candidate as an operator sees it: JSON from the relay, text on a terminal. It tells, and draws no conclusion.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::Candidate;
use super::course::{Ahead, Stage};
use crate::names::Zone;
use crate::trial::Kind;

/// How a candidate stands, and in what the two policies differed since it began beside the active one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The candidate's script.
    pub candidate: String,
    /// The active policy's.
    pub policy: String,
    /// Of a hundred requests, how many it decides.
    pub percent: u8,
    /// Since when, as RFC 3339 has it.
    pub since: String,
    /// Why it was rolled back, if it was.
    pub rolled_back: Option<String>,
    /// To what it will grow.
    pub next: Option<Next>,
    /// Decisions that both made.
    pub compared: u64,
    /// Those in which they differed, by kind; kinds that did not occur are left out.
    pub different: BTreeMap<String, u64>,
    /// Requests about which it was not asked, because it had hit a limit just before.
    pub unasked: u64,
    /// Requests that it decided.
    pub taken: u64,
    /// Requests that were its to decide, and that the policy decided because it failed or was not asked.
    pub fell_back: u64,
    /// What the differences were, alike ones as one, the worst first.
    pub differences: Vec<Shown>,
    /// Groups of differences that made room for later ones.
    pub forgotten: u64,
}

/// A step to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Of a hundred requests, how many it will decide.
    pub percent: u8,
    /// Not before, as RFC 3339 has it.
    pub after: String,
    /// Decisions that have to be made before.
    pub decisions: u64,
    /// Streams of its own that have to end before.
    pub streams: u64,
}

/// Differences that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// How bad it is.
    pub kind: String,
    /// What the active policy decided, in short.
    pub now: String,
    /// What the candidate decided, in short.
    pub then: String,
    /// The zone in which the builds run.
    pub zone: Option<Zone>,
    /// How many there were.
    pub count: u64,
    /// What was asked for last.
    pub example: String,
    /// When that was, as RFC 3339 has it.
    pub last: String,
}

pub(super) fn of(candidate: &Candidate) -> View {
    let Candidate { active, policy, dossier } = candidate;
    let counts = &dossier.counts;
    let of_kind = |kind: Kind| (kind.as_str().to_owned(), counts.of(kind).map_or(0, |count| count.get()));
    let (course, differences) = (dossier.course(), dossier.differences());
    let groups = differences.groups().into_iter().map(|(alike, group)| Shown {
        kind: alike.kind.as_str().to_owned(),
        now: alike.now.clone(),
        then: alike.then.clone(),
        zone: alike.zone.clone(),
        count: group.count,
        example: group.example.clone(),
        last: written(group.at),
    });
    let next = |Ahead { percent, decisions, streams }| {
        let after = written(course.since().wall + dossier.terms.canary.step_every);
        Next { percent, after, decisions, streams }
    };
    View {
        candidate: policy.name().to_owned(),
        policy: active.name().to_owned(),
        percent: course.percent(),
        since: written(course.since().wall),
        rolled_back: match course.stage() {
            Stage::RolledBack(from, why) => Some(format!("from {from} %: {why}")),
            Stage::Sharing(_) => None,
        },
        next: course.ahead().map(next),
        compared: counts.decisions(dossier.terms.rule).total(),
        different: Kind::ALL.map(of_kind).into_iter().filter(|(_, count)| *count > 0).collect(),
        unasked: counts.unasked.get(),
        taken: counts.taken.get(),
        fell_back: counts.fell_back.get(),
        differences: groups.collect(),
        forgotten: differences.forgotten,
    }
}

impl View {
    /// Whether the candidate may go on, and differed in nothing so far.
    pub fn is_clean(&self) -> bool {
        self.rolled_back.is_none() && self.different.is_empty()
    }

    fn write_stage(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { percent, since, rolled_back, next, .. } = self;
        match (rolled_back, percent) {
            (Some(why), _) => return writeln!(f, "state      rolled back since {since}, {why}"),
            (None, 0) => writeln!(f, "state      shadow: decides nothing, since {since}")?,
            (None, 100) => writeln!(f, "state      decides all requests, since {since}; make it the policy")?,
            (None, _) => writeln!(f, "state      canary: decides {percent} % of requests, since {since}")?,
        }
        let Some(Next { percent, after, decisions, streams }) = next else { return Ok(()) };
        write!(f, "next       {percent} %, not before {after}")?;
        if decisions + streams > 0 {
            write!(f, ", nor before {decisions} more decisions and {streams} more of its streams")?;
        }
        writeln!(f)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { candidate, policy, compared, different, unasked, taken, fell_back, .. } = self;
        writeln!(f, "candidate  {candidate}\npolicy     {policy}")?;
        self.write_stage(f)?;
        if taken + fell_back > 0 {
            writeln!(f, "requests   {taken} decided by the candidate, {fell_back} by the policy in its place")?;
        }
        for shown in &self.differences {
            writeln!(f, "{shown}")?;
        }
        if self.forgotten > 0 {
            writeln!(f, "and {} others, longer ago", self.forgotten)?;
        }
        write!(f, "{compared} decisions compared: ")?;
        let counts = Kind::ALL.into_iter().filter_map(|kind| Some((different.get(kind.as_str())?, kind.as_str())));
        let counts: Vec<_> = counts.map(|(count, kind)| format!("{count} {kind}")).collect();
        f.write_str(&if counts.is_empty() { "no difference".to_owned() } else { counts.join(", ") })?;
        if *unasked == 0 { Ok(()) } else { write!(f, "; not asked {unasked} times, after it had hit a limit") }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, now, then, zone, count, example, last } = self;
        let zone = zone.as_ref().map_or("no zone", Zone::as_str);
        // Viewers may send anything, and a terminal obeys it.
        writeln!(f, "{kind:10}  {zone}: {count} requests, the last for {} at {last}", example.escape_debug())?;
        write!(f, "    now   {now}\n    then  {then}")
    }
}

fn written(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}
