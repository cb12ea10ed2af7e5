//! The policy that a test is about, with all scripts of its folder: loaded anew for each place and each set of params,
//! as a relay would load it. It never keeps an engine from one case to the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bench::Wrong;
use super::{Probe, Sources};
use crate::config::settings::{self, Params};
use crate::metrics::Metrics;
use crate::policy::counters::Counters;
use crate::policy::modules::Modules;
use crate::policy::program::Surroundings;
use crate::policy::script::Script;
use crate::policy::sources::Source;
use crate::policy::{Place, Policy, Scripts, spelling};

/// How the name of a test ends, after the name of what it tests.
const SUFFIX: &str = "_test";

/// What is tested.
pub(super) struct Subject {
    sources: Arc<Sources>,
    modules: Arc<Modules>,
    limits: settings::Policy,
    probe: Probe,
    /// Where the test lies in the folder: empty, or a path with a slash at its end.
    place: String,
    /// The policy's name, or a script's path in the folder.
    name: String,
    /// What `relay.params` holds where a case says nothing else.
    params: Params,
    /// With the params that they were loaded with: compiling takes longer than a case.
    loaded: Vec<(Params, Policy)>,
}

impl Subject {
    /// What `test` is about unless it says otherwise.
    pub(super) fn new(test: &str, sources: Arc<Sources>, limits: &settings::Policy, probe: Probe) -> Self {
        Self {
            modules: Modules::compile(sources.modules.clone(), true).into(),
            limits: limits.clone(),
            probe,
            name: test.strip_suffix(SUFFIX).unwrap_or(test).to_owned(),
            place: test.rsplit_once('/').map_or_else(String::new, |(place, _)| format!("{place}/")),
            params: Params::new(),
            loaded: Vec::new(),
            sources,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn params(&self) -> &Params {
        &self.params
    }

    pub(super) fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Makes the test one of another policy: one beside the test, or one of the whole folder.
    ///
    /// # Errors
    /// If there is none of that name.
    pub(super) fn choose(&mut self, name: String, params: Params) -> Result<(), String> {
        let beside = format!("{}{name}", self.place);
        self.name = if self.source(&beside).is_ok() { beside } else { self.source(&name).map(|_| name)? };
        self.params = params;
        self.loaded.clear();
        Ok(())
    }

    /// The policy of a relay at `place`, whose configuration has these `params`.
    ///
    /// # Errors
    /// Why there is none. A neighbour that cannot be loaded is none: only who is handed over to it misses it.
    pub(super) fn policy(&mut self, place: &Place, params: &Params) -> Result<Policy, Wrong> {
        let metrics = Metrics::new().policy.clone();
        if let Some((_, policy)) = self.loaded.iter().find(|(known, _)| known == params) {
            return Ok(policy.placed(place, &metrics));
        }
        let source = self.source(&self.name)?;
        let surroundings = self.surroundings(place.clone(), params.clone().into());
        let script = Script::load(source.clone(), &surroundings, &self.limits)?;
        let others = self.sources.policies.iter().filter(|(name, _)| **name != self.name);
        let others = others.filter_map(|(name, source)| {
            Some((name.clone(), Script::load(source.clone(), &surroundings, &self.limits).ok()?))
        });
        let by_name: BTreeMap<_, _> = others.chain([(self.name.clone(), script)]).collect();
        let (folders, counters) = (Vec::new().into(), Counters::new(&metrics));
        let scripts = Scripts { by_name, rules: Vec::new(), default: self.name.clone(), folders, counters };
        let policy = Policy(Arc::new(scripts));
        self.loaded.push((params.clone(), policy.clone()));
        Ok(policy.placed(place, &metrics))
    }

    pub(super) fn surroundings(&self, place: Place, params: Arc<Params>) -> Surroundings {
        let names: Vec<String> = self.sources.policies.keys().cloned().collect();
        let (modules, probe) = (Arc::clone(&self.modules), Some(self.probe.clone()));
        Surroundings { place, modules, names: names.into(), params, probe }
    }

    /// A policy of the folder, or a script in one of its subfolders by its path.
    fn source(&self, name: &str) -> Result<&Source, String> {
        let Sources { policies, modules, .. } = &*self.sources;
        let module = |path: &str| modules.get(path)?.as_ref().ok();
        let found = policies.get(name).or_else(|| module(name));
        found.ok_or_else(|| {
            let hint = spelling::hint(name, policies.keys().map(String::as_str));
            format!("there is no policy \"{name}\" to test{hint}")
        })
    }
}
