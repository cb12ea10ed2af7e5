//! What a replay found, as people read it: what would change, the worst and the most frequent first, and how much of
//! the log that is true of.

use std::fmt;

use super::{Group, Noted, Past};
use crate::names::Zone;
use crate::policy::Failure;
use crate::route::{Limit, Route, Target, Way};
use crate::trial::Kind;
use crate::trial::verdict::Alike;

/// Most changes that are shown.
const MAX_SHOWN: usize = 40;

/// Characters of a reply that are shown.
const MAX_REPLY: usize = 60;

/// All of a decision in one line, for two that are the same in few words.
pub(super) fn long(decision: &Result<Route, Failure>) -> String {
    let Route { way, tags } = match decision {
        Ok(route) => route,
        Err(failure) => return format!("failed: {failure}"),
    };
    let way = match way {
        Way::Targets(targets) => targets.iter().map(target).collect::<Vec<_>>().join(", "),
        Way::Refuse(text) => format!("refused {text:?}"),
        Way::Reply(reply) => format!("replied {:?}", reply.as_str().chars().take(MAX_REPLY).collect::<String>()),
    };
    let tags: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if tags.is_empty() { way } else { format!("{way}; tags {}", tags.join(", ")) }
}

fn target(target: &Target) -> String {
    let mut text = target.to_string();
    for (what, limit) in [("connected", target.connect_timeout), ("shaken hands", target.handshake_timeout)] {
        if let Some(limit) = limit.map(Limit::get) {
            text += &format!(", {what} within {}", humantime::format_duration(limit));
        }
    }
    text
}

impl fmt::Display for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_groups(f)?;
        self.write_sum(f)?;
        let Self { unjudged: Noted { count, first }, left_out, .. } = self;
        if let Some(first) = first {
            let what = "could not be judged, because the policy read what the log does not hold";
            write!(f, "\n{}: {first}", counted(*count, "decision", what))?;
        }
        if *left_out > 0 {
            let what = "left out: the policy was stopped by its limits too often";
            write!(f, "\n{}", counted(*left_out, "decision", what))?;
        }
        match &self.unread {
            Noted { first: None, .. } => Ok(()),
            Noted { count, first: Some(first) } => {
                write!(f, "\n{}: {first}", counted(*count, "line", "could not be read"))
            }
        }
    }
}

impl Past {
    fn write_groups(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut groups: Vec<(&(Option<Zone>, Alike), &Group)> = self.groups.iter().collect();
        groups.sort_by(|((zone_a, a), many), ((zone_b, b), more)| {
            (a.0, more.decisions, zone_a, a).cmp(&(b.0, many.decisions, zone_b, b))
        });
        for ((zone, (kind, was, then)), Group { decisions, example }) in groups.iter().take(MAX_SHOWN) {
            let zone = zone.as_ref().map_or("no zone", Zone::as_str);
            let decisions = counted(*decisions, "decision", "such as");
            writeln!(f, "{:10}  {zone}: {decisions} {example}\n    was   {was}\n    then  {then}", kind.as_str())?;
        }
        let shown: usize = groups.iter().take(MAX_SHOWN).map(|(_, group)| group.decisions).sum();
        match self.changed - shown {
            0 => Ok(()),
            more => writeln!(f, "and {more} changed decisions more, in other ways"),
        }
    }

    fn write_sum(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [Kind::Failed, Kind::Unroutable, Kind::Rerouted, Kind::Answered];
        let counts = kinds.into_iter().filter_map(|kind| Some((self.kinds.get(&kind)?, kind.as_str())));
        let counts: Vec<_> = counts.map(|(count, kind)| format!("{count} {kind}")).collect();
        match (self.decisions, counts.as_slice()) {
            (0, _) => f.write_str("no decision compared"),
            (decisions, []) => write!(f, "{}: no difference", counted(decisions, "decision", "compared")),
            (decisions, counts) => {
                write!(f, "{}: {}", counted(decisions, "decision", "compared"), counts.join(", "))
            }
        }
    }
}

/// `2 lines what`, or `1 line what`; a comma where an example follows.
fn counted(count: usize, noun: &str, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let comma = if what == "such as" { "," } else { "" };
    format!("{count} {noun}{plural}{comma} {what}")
}
