//! `fingerpost check`: everything that can be found wrong with a configuration, and all that it names, before a relay
//! is started on it. It opens no connection and no port, and writes no file.

use std::io::Write;
use std::iter;
use std::path::Path;
use std::ptr;

use anyhow::Context as _;

use crate::cli::{Exit, Source};
use crate::config::problem::Problem;
use crate::config::settings::{
    self, ClientCertificates, ClientTls, KeyPairFiles, Registry, ServerTls, Settings, Trust,
};
use crate::config::{Draft, Environment, Loaded};
use crate::metrics::Metrics;
use crate::policy::testing::{self, Outcome};
use crate::policy::{self, Place, Policy};
use crate::process;
use crate::registry;
use crate::tls::{Client, LoadError, LoadWarning, Server};

mod summary;
#[cfg(test)]
mod tests;

/// The arguments of `fingerpost check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  it can be used; warnings may have been told
  2  it cannot

Examples:
  fingerpost check
  fingerpost check --config ./fingerpost.yaml
  fingerpost check --zuul-conf /etc/zuul/zuul.conf")]
pub struct Check {
    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,
}

/// What was found in the files that a configuration names.
#[derive(Debug, Default)]
pub struct Findings {
    /// What keeps it from being used.
    pub problems: Vec<Problem>,
    /// What does not, and should be looked at.
    pub warnings: Vec<Problem>,
    /// Cases of the policy's tests that passed.
    pub tests_passed: usize,
}

/// Checks, with problems and warnings to `err` and a summary of what is fine to `out`. Blocks on the file system.
///
/// # Errors
/// If one of the two takes no more.
pub fn check(
    asked: &Check,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<Exit> {
    let source = asked.source.chosen(environment);
    let Draft { mut problems, loaded } = source.draft();
    let found = loaded.as_ref().map(examine).unwrap_or_default();
    extend(&mut problems, found.problems.into_iter());
    // Overlays come after the file that names them, each in the order in which it applies.
    let place = |problem: &Problem| if problem.file == source.file() { (false, problem.line) } else { (true, None) };
    problems.sort_by_key(place);
    let of_file = loaded.as_ref().map(|loaded| loaded.warnings.as_slice()).unwrap_or_default();
    let exit = tell(err, &problems, &[of_file, &found.warnings].concat())?;
    if let (Exit::Done, Some(loaded)) = (exit, &loaded) {
        summary::write(out, loaded, found.tests_passed).context("cannot write the summary")?;
    }
    Ok(exit)
}

/// Reads what a configuration names, as a relay would at its start.
pub fn examine(loaded: &Loaded) -> Findings {
    let mut findings = Findings::default();
    let settings = &loaded.settings;
    for (index, listener) in settings.listeners.iter().enumerate() {
        if let Some(tls) = &listener.tls {
            let area = Area { loaded, setting: format!("listeners[{index}].tls"), files: server_files(tls) };
            findings.note(&area, Server::load(tls).map(|server| server.warnings().to_vec()));
        }
    }
    for (setting, tls) in clients(settings) {
        let area = Area { loaded, setting: setting.to_owned(), files: client_files(tls) };
        findings.note(&area, Client::load(tls).map(|client| client.warnings().to_vec()));
    }
    for (setting, policy) in policies(settings) {
        findings.try_policy(loaded, setting, policy);
    }
    findings.problems.extend(registry(loaded));
    findings.problems.extend(user(loaded));
    findings.warnings.extend(decisions(loaded));
    findings
}

/// A `tls` section, and which of its settings names which file.
struct Area<'a> {
    loaded: &'a Loaded,
    setting: String,
    files: Vec<(String, &'a Path)>,
}

impl Area<'_> {
    /// A finding about `file`, at the setting that names it.
    fn problem(&self, file: &Path, text: String) -> Problem {
        let named = self.files.iter().find(|(_, path)| *path == file);
        let setting = named.map_or_else(|| self.setting.clone(), |(key, _)| format!("{}.{key}", self.setting));
        self.loaded.sources.problem(&setting, text)
    }
}

impl Findings {
    /// Loads a policy, which `setting` names, and runs the tests beside it if it can be loaded.
    fn try_policy(&mut self, loaded: &Loaded, setting: &str, policy: &settings::Policy) {
        let problem = |error: &policy::LoadError| loaded.sources.problem(setting, error.to_string());
        let Settings { zone, hostname, .. } = &loaded.settings;
        let place = Place { zone: zone.clone(), hostname: hostname.clone() };
        let tested =
            Policy::load(policy, place, Metrics::new().policy.clone()).and_then(|_| tests(&loaded.settings, policy));
        match tested {
            Ok(outcome) => {
                extend(&mut self.problems, outcome.failures().map(|flaw| problem(&flaw.error)));
                self.tests_passed += outcome.counts().0;
            }
            Err(error) => self.problems.push(problem(&error)),
        }
    }

    fn note(&mut self, area: &Area<'_>, outcome: Result<Vec<LoadWarning>, Vec<LoadError>>) {
        match outcome {
            Ok(found) => {
                let warnings = found.iter().map(|warning| area.problem(&warning.file, warning.to_string()));
                extend(&mut self.warnings, warnings);
            }
            Err(found) => {
                let problems = found.iter().map(|error| area.problem(&error.file, error.to_string()));
                extend(&mut self.problems, problems);
            }
        }
    }
}

/// Adds what is not there yet: in `zuul.conf` one option serves several settings.
fn extend(findings: &mut Vec<Problem>, more: impl Iterator<Item = Problem>) {
    for finding in more {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

fn clients(settings: &Settings) -> impl Iterator<Item = (&'static str, &ClientTls)> {
    let zookeeper = match &settings.registry {
        Registry::ZooKeeper(zookeeper) => zookeeper.tls.as_ref(),
        Registry::File(_) => None,
    };
    let all = [("registry.zookeeper.tls", zookeeper), ("upstream.tls", settings.upstream.tls.as_ref())];
    all.into_iter().filter_map(|(setting, tls)| Some((setting, tls?)))
}

fn server_files(tls: &ServerTls) -> Vec<(String, &Path)> {
    let pairs = tls.certificates.iter().enumerate();
    let mut files: Vec<_> =
        pairs.flat_map(|(index, pair)| pair_files(&format!("certificates[{index}]."), pair)).collect();
    if let ClientCertificates::Optional(trust) | ClientCertificates::Required(trust) = &tls.client_certificates {
        files.extend(trust_files("client_", trust));
    }
    files
}

fn client_files(tls: &ClientTls) -> Vec<(String, &Path)> {
    let identity = tls.identity.iter().flat_map(|pair| pair_files("", pair));
    identity.chain(trust_files("", &tls.trust)).collect()
}

fn pair_files<'a>(prefix: &str, pair: &'a KeyPairFiles) -> [(String, &'a Path); 2] {
    [(format!("{prefix}cert"), pair.cert.as_path()), (format!("{prefix}key"), pair.key.as_path())]
}

fn trust_files<'a>(prefix: &str, trust: &'a Trust) -> impl Iterator<Item = (String, &'a Path)> {
    let crl = trust.crl.as_deref().map(|crl| (format!("{prefix}crl"), crl));
    iter::once((format!("{prefix}ca"), trust.ca.as_path())).chain(crl)
}

/// The policy, and the one on trial beside it, each with the setting that names it.
fn policies(settings: &Settings) -> impl Iterator<Item = (&'static str, &settings::Policy)> {
    let policy = &settings.policy;
    let setting = if policy.file.is_some() { "policy.file" } else { "policy.folder" };
    let candidate = policy.candidate.as_ref().map(|candidate| ("policy.candidate", &*candidate.policy));
    [(setting, policy)].into_iter().chain(candidate)
}

/// What came of the tests beside a policy's scripts. Those of a candidate with the same scripts ran already.
fn tests(settings: &Settings, policy: &settings::Policy) -> Result<Outcome, policy::LoadError> {
    let scripts = |of: &settings::Policy| [of.file.clone(), of.folder.clone(), of.overlays.clone()];
    let again = !ptr::eq(policy, &settings.policy) && scripts(policy) == scripts(&settings.policy);
    if again || !policy.tests { Ok(Outcome::default()) } else { testing::run(policy, "", &mut |_| ()) }
}

/// That the registry's file could be used as it is now.
fn registry(loaded: &Loaded) -> Vec<Problem> {
    let Registry::File(file) = &loaded.settings.registry else { return Vec::new() };
    let problems = registry::file::load(file).err().map_or_else(Vec::new, |problems| problems.0);
    problems.iter().map(|problem| loaded.sources.problem("registry.file", problem.to_string())).collect()
}

fn user(loaded: &Loaded) -> Option<Problem> {
    let error = process::check_user(loaded.settings.process.user.as_deref()?).err()?;
    Some(loaded.sources.problem("process.user", error.to_string()))
}

/// That the decision log's folder is there. A relay serves without it, and may do so for long before anybody looks.
fn decisions(loaded: &Loaded) -> Option<Problem> {
    let folder = loaded.settings.decisions.as_ref()?.file.parent()?;
    let missing = !folder.as_os_str().is_empty() && !folder.is_dir();
    let text = || format!("{} is no folder; no decision will be kept until it is", folder.display());
    missing.then(|| loaded.sources.problem("decisions.file", text()))
}

fn tell(err: &mut dyn Write, problems: &[Problem], warnings: &[Problem]) -> anyhow::Result<Exit> {
    let problem_lines = problems.iter().map(ToString::to_string);
    let warning_lines = warnings.iter().map(|warning| format!("warning: {warning}"));
    for line in problem_lines.chain(warning_lines) {
        writeln!(err, "{line}").context("cannot write what was found")?;
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Unusable })
}
