//! Which script decides what, and what one call of it may use.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Candidate;
use crate::names::Zone;

/// The Lua that decides, and what it may use.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The only script, whose neighbours it may `require`. Never beside `folder`.
    pub file: Option<PathBuf>,
    /// Each script at its top is a policy; its subfolders hold modules.
    pub folder: Option<PathBuf>,
    /// Scripts that add to those of `folder`, or replace them. The settings in it are merged into these already.
    pub overlays: Option<PathBuf>,
    /// Decides where no rule does; `None` is `file`'s policy, or the built-in one.
    pub default: Option<String>,
    /// The first that matches says which policy decides.
    pub rules: Vec<Rule>,
    /// What scripts read as `relay.params`.
    pub params: Params,
    /// Longest processor time of one call.
    pub time_limit: Duration,
    /// Memory of one engine, in bytes; there is one engine a worker thread.
    pub memory_limit: usize,
    /// Calls within calls.
    pub recursion_limit: usize,
    /// Most memory of the table that all scripts share, in bytes.
    pub shared_limit: usize,
    /// What work beside the decisions may use.
    pub background: Background,
    /// What a changed policy must get right on the live registry before it takes over.
    pub dry_run: DryRun,
    /// Whether a check of the configuration runs the tests beside the scripts.
    pub tests: bool,
    /// Decides beside it, on trial.
    pub candidate: Option<Candidate>,
}

/// What work beside the decisions may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Background {
    /// Longest processor time of one run.
    pub time_limit: Duration,
    /// Longest time of one run, its waits included.
    pub deadline: Duration,
    /// Memory of the one engine that does it, in bytes.
    pub memory_limit: usize,
}

/// What a changed policy must get right on the live registry before it takes over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DryRun {
    /// It fails at no running build, keeps its own invariant there, and leaves none without a way.
    #[default]
    Strict,
    /// It fails at no running build, and keeps its own invariant there.
    Errors,
    /// Nothing: it is not tried.
    Off,
}

/// Which builds a policy decides: all that is named must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Names of listeners; none for any.
    pub listener: Vec<String>,
    /// Zones in which the build runs; none for any, and for none.
    pub zone: Vec<Zone>,
    /// The build's tenants; none for any.
    pub tenant: Vec<String>,
    /// The name of the policy.
    pub policy: String,
}

/// What scripts are told by the configuration, by name.
pub type Params = BTreeMap<String, Param>;

/// One value for scripts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Param {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number, small enough for Lua's only kind of number to hold it exactly.
    Integer(i64),
    /// Any other number, always finite.
    Number(f64),
    /// Text, which may be empty.
    Text(String),
    /// Values in order.
    List(Vec<Self>),
    /// Values by name.
    Map(Params),
}

impl Policy {
    /// Whether a policy may be called `name`: it stands in file names, in metrics and on command lines.
    pub fn is_name(name: &str) -> bool {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    }

    /// The same with other scripts: a folder in the place of the folder, or one script in the place of all.
    #[must_use]
    pub fn instead(&self, scripts: &Path) -> Self {
        let scripts = Some(scripts.to_owned());
        if scripts.as_deref().is_some_and(Path::is_dir) {
            return Self { file: None, folder: scripts, ..self.clone() };
        }
        Self { file: scripts, folder: None, overlays: None, default: None, rules: Vec::new(), ..self.clone() }
    }

    /// This one, and the candidate's if there is one.
    pub fn both(&self) -> impl Iterator<Item = &Self> {
        [self].into_iter().chain(self.candidate.as_ref().map(|candidate| &*candidate.policy))
    }

    /// The folders whose scripts and settings make a generation, and the suffixes of these; the candidate's are among
    /// them, and those that it shares with this one come twice.
    pub fn folders(&self) -> impl Iterator<Item = (PathBuf, &'static [&'static str])> {
        self.both().flat_map(Self::own_folders)
    }

    fn own_folders(&self) -> impl Iterator<Item = (PathBuf, &'static [&'static str])> {
        let neighbours = self.file.as_deref().and_then(|file| file.parent()).map(|folder| {
            // The parent of a bare name is the empty path, which names no folder.
            if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
        });
        let scripts = neighbours.into_iter().chain(self.folder.clone());
        let scripts = scripts.map(|folder| (folder, ["lua"].as_slice()));
        scripts.chain(self.overlays.clone().map(|folder| (folder, ["lua", "yaml"].as_slice())))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            file: None,
            folder: None,
            overlays: None,
            default: None,
            rules: Vec::new(),
            params: Params::new(),
            time_limit: Duration::from_millis(50),
            memory_limit: 16 << 20,
            recursion_limit: 200,
            shared_limit: 4 << 20,
            background: Background::default(),
            dry_run: DryRun::default(),
            tests: true,
            candidate: None,
        }
    }
}

impl Default for Background {
    fn default() -> Self {
        Self { time_limit: Duration::from_secs(1), deadline: Duration::from_secs(30), memory_limit: 16 << 20 }
    }
}

impl Rule {
    /// Whether a request that came to `listener` is this rule's, for a build of `tenant` that runs in `zone`.
    pub fn matches(&self, listener: &str, zone: Option<&Zone>, tenant: Option<&str>) -> bool {
        let here = self.listener.is_empty() || self.listener.iter().any(|name| name == listener);
        let there = self.zone.is_empty() || zone.is_some_and(|zone| self.zone.contains(zone));
        here && there && (self.tenant.is_empty() || self.tenant.iter().any(|name| Some(name.as_str()) == tenant))
    }
}

impl fmt::Display for Rule {
    /// As messages name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zones: Vec<_> = self.zone.iter().map(|zone| zone.as_str().to_owned()).collect();
        let keys = [("listener", &self.listener), ("zone", &zones), ("tenant", &self.tenant)];
        let given = keys.iter().filter(|(_, names)| !names.is_empty());
        let given: Vec<_> = given.map(|(key, names)| format!("{key} {}", names.join(", "))).collect();
        write!(f, "the rule for {}", given.join(" and "))
    }
}

impl Param {
    /// Lays `later` over `earlier`: maps key by key, all else whole.
    pub fn overlay(earlier: &mut Params, later: Params) {
        for (key, value) in later {
            match (earlier.get_mut(&key), value) {
                (Some(Self::Map(earlier)), Self::Map(later)) => Self::overlay(earlier, later),
                (_, value) => drop(earlier.insert(key, value)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_matches_where_all_that_it_names_fits() {
        let zone = |name: &str| Zone::parse(name).unwrap();
        let rule = |listener: &[&str], zones: &[&str], tenant: &[&str]| Rule {
            listener: listener.iter().map(|name| (*name).to_owned()).collect(),
            zone: zones.iter().map(|name| zone(name)).collect(),
            tenant: tenant.iter().map(|name| (*name).to_owned()).collect(),
            policy: "p".to_owned(),
        };
        let (eu, us) = (zone("eu"), zone("us"));
        let both = rule(&["tls"], &["eu", "us"], &[]);
        assert!(both.matches("tls", Some(&us), None));
        assert!(!both.matches("plain", Some(&eu), None));
        assert!(!both.matches("tls", None, None));
        let tenant = rule(&[], &[], &["a"]);
        assert!(tenant.matches("any", None, Some("a")) && tenant.matches("any", Some(&eu), Some("a")));
        assert!(!tenant.matches("any", None, None) && !tenant.matches("any", None, Some("b")));
        assert_eq!(both.to_string(), "the rule for listener tls and zone eu, us");
    }

    #[test]
    fn other_scripts_take_the_place_of_like_ones() {
        let rule =
            Rule { listener: Vec::new(), zone: Vec::new(), tenant: vec!["a".to_owned()], policy: "p".to_owned() };
        let own = Policy {
            folder: Some("policies".into()),
            overlays: Some("policies.d".into()),
            default: Some("p".to_owned()),
            rules: vec![rule],
            recursion_limit: 77,
            ..Policy::default()
        };
        let other = tempfile::tempdir().unwrap();
        let folder = own.instead(other.path());
        assert_eq!(folder, Policy { folder: Some(other.path().to_owned()), ..own.clone() });
        let alone = Policy { file: Some("new.lua".into()), recursion_limit: 77, ..Policy::default() };
        assert_eq!(own.instead(Path::new("new.lua")), alone);
    }

    #[test]
    fn a_script_without_a_folder_lies_in_the_current_one() {
        let policy = Policy { file: Some("mine.lua".into()), overlays: Some("policies.d".into()), ..Policy::default() };
        let folders: Vec<_> = policy.folders().collect();
        assert_eq!(
            folders,
            [(".".into(), ["lua"].as_slice()), ("policies.d".into(), ["lua", "yaml"].as_slice())] as [(PathBuf, _); 2]
        );
    }
}
