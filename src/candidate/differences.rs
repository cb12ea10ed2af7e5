//! The latest differences between two policies, those that are alike as one. Bounded: where it is full, the group that
//! was seen longest ago makes room.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::names::Zone;
use crate::trial::Kind;

/// Most groups that are kept.
pub(super) const MAX_GROUPS: usize = 64;

/// Longest text that is kept of what a viewer asked for or of what a policy answered, in characters.
const MAX_TEXT: usize = 200;

/// What makes differences alike: how bad, what was decided by whom, and the zone in which the build runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alike {
    pub(super) kind: Kind,
    pub(super) now: String,
    pub(super) then: String,
    pub(super) zone: Option<Zone>,
}

/// What is known of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// How often it was seen since it is kept.
    pub(super) count: u64,
    /// What was asked for last.
    pub(super) example: String,
    /// When that was.
    pub(super) at: SystemTime,
    turn: u64,
}

/// Groups of differences.
#[derive(Debug, Default)]
pub(super) struct Differences {
    groups: BTreeMap<Alike, Group>,
    seen: u64,
    /// Groups that made room.
    pub(super) forgotten: u64,
}

impl Differences {
    /// Keeps one difference, of which `example` is what was asked for.
    pub(super) fn keep(&mut self, alike: Alike, example: &str, at: SystemTime) {
        let Alike { kind, now, then, zone } = alike;
        let alike = Alike { kind, now: cut(&now), then: cut(&then), zone };
        if self.groups.len() >= MAX_GROUPS && !self.groups.contains_key(&alike) {
            self.make_room();
        }
        self.seen += 1;
        let count = self.groups.get(&alike).map_or(0, |group| group.count) + 1;
        self.groups.insert(alike, Group { count, example: cut(example), at, turn: self.seen });
    }

    /// Every group, the worst kind first, and of a kind what was seen most.
    pub(super) fn groups(&self) -> Vec<(&Alike, &Group)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(alike, group)| (alike.kind, std::cmp::Reverse(group.count)));
        groups
    }

    fn make_room(&mut self) {
        let oldest = self.groups.iter().min_by_key(|(_, group)| group.turn).map(|(alike, _)| alike.clone());
        if let Some(oldest) = oldest {
            self.groups.remove(&oldest);
            self.forgotten += 1;
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(then: &str) -> Alike {
        Alike { kind: Kind::Rerouted, now: "direct".to_owned(), then: then.to_owned(), zone: None }
    }

    #[test]
    fn what_is_alike_is_kept_once_with_its_latest_example() {
        let mut differences = Differences::default();
        for example in ["a", "b", "c"] {
            differences.keep(difference("gateway gw:79"), example, SystemTime::UNIX_EPOCH);
        }
        differences.keep(Alike { kind: Kind::Failed, ..difference("failed") }, "d", SystemTime::UNIX_EPOCH);
        let groups: Vec<_> = differences
            .groups()
            .iter()
            .map(|(alike, group)| (alike.kind, group.count, group.example.clone()))
            .collect();
        assert_eq!(groups, [(Kind::Failed, 1, "d".to_owned()), (Kind::Rerouted, 3, "c".to_owned())]);
    }

    #[test]
    fn what_was_seen_longest_ago_makes_room() {
        let mut differences = Differences::default();
        for number in 0..MAX_GROUPS {
            differences.keep(difference(&number.to_string()), "a", SystemTime::UNIX_EPOCH);
        }
        differences.keep(difference("0"), "b", SystemTime::UNIX_EPOCH);
        differences.keep(difference("new"), "c", SystemTime::UNIX_EPOCH);
        let kept: Vec<_> = differences.groups().into_iter().map(|(alike, _)| alike.then.clone()).collect();
        assert_eq!((kept.len(), differences.forgotten), (MAX_GROUPS, 1));
        assert!(kept.contains(&"0".to_owned()) && kept.contains(&"new".to_owned()) && !kept.contains(&"1".to_owned()));
    }

    #[test]
    fn what_viewers_and_scripts_say_is_cut() {
        let mut differences = Differences::default();
        differences.keep(difference(&"é".repeat(5000)), &"x".repeat(1000), SystemTime::UNIX_EPOCH);
        let (alike, group) = differences.groups()[0];
        assert_eq!((alike.then.chars().count(), group.example.len()), (MAX_TEXT, MAX_TEXT));
    }
}
