//! Runs the tests of policies: Lua files beside the scripts that they test. They make up a world, ask the real policy
//! in it, and say what they expect. Nothing outside of the world that a test made up is ever asked or changed.
//!
//! Two engines take part in a case: the bench, in which the test's own script runs, and the engine of the policy, with
//! the limits, the checks and the hand-over that it has in a relay.
//!
//! ```text
//! Sources → Bench (one a file) → Scene (one a case) → Policy → what is expected → Report
//! ```

mod bench;
mod elsewhere;
mod expect;
mod forms;
pub(super) mod probe;
mod report;
mod scene;
mod subject;
mod test;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::LoadError;
use super::description::Namespace;
use super::program::Program;
use super::sources::{Source, Sources};
use crate::config::settings;
use crate::folder;
use bench::Bench;
pub(super) use bench::in_words;
pub(super) use probe::Probe;
pub use report::{Case, Coverage, Covered, File, Flaw, Outcome};
use subject::Subject;

/// What only tests may use.
pub(super) const NAMESPACES: [&Namespace; 2] = [&test::TEST, &expect::EXPECT];

/// What a test may use: the processor time of one case, the policies in it included, and the memory of one file's
/// bench.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const MEMORY_LIMIT: usize = 256 << 20;
const RECURSION_LIMIT: usize = 2000;

/// Runs the tests beside the scripts that `settings` names, under its limits, and of these the cases in whose file or
/// name `filter` is. Files are told to `tell` as they are done. Blocks until all are.
///
/// # Errors
/// If the scripts cannot be read. What is wrong with one of them is a failure of its tests.
pub fn run(settings: &settings::Policy, filter: &str, tell: &mut dyn FnMut(&File)) -> Result<Outcome, LoadError> {
    let limits = settings::Policy {
        time_limit: TIME_LIMIT,
        memory_limit: MEMORY_LIMIT,
        recursion_limit: RECURSION_LIMIT,
        ..settings::Policy::default()
    };
    Run { settings, limits, filter }.all(tell)
}

/// One run of tests.
struct Run<'a> {
    /// The scripts under test, and their limits.
    settings: &'a settings::Policy,
    /// Those of the tests themselves.
    limits: settings::Policy,
    filter: &'a str,
}

impl Run<'_> {
    fn all(&self, tell: &mut dyn FnMut(&File)) -> Result<Outcome, LoadError> {
        let sources = Arc::new(Sources::read(self.settings)?);
        let probe = Probe::default();
        let mut files = Vec::new();
        for (name, path) in &sources.tests {
            let subject = Subject::new(name, Arc::clone(&sources), self.settings, probe.clone());
            let file = File { title: path.display().to_string(), cases: self.cases(name, path, subject) };
            if !file.cases.is_empty() {
                tell(&file);
                files.push(file);
            }
        }
        unasked(&sources, self.settings).for_each(|source| probe.admit(&source.title(), &source.text));
        let mut lines = probe.lines();
        lines.retain(|title, _| !built_in(&sources, title));
        Ok(Outcome::new(files, lines))
    }

    /// Runs one file's cases. A file that cannot be loaded is one case that failed.
    fn cases(&self, name: &str, path: &Path, subject: Subject) -> Vec<Case> {
        let in_file = name.contains(self.filter);
        let began = Instant::now();
        let program = self.program(name, path, &subject);
        match program.and_then(|program| Bench::start(program, subject)) {
            Ok(mut bench) => bench.run(|case| in_file || case.contains(self.filter)),
            Err(error) => vec![Case {
                name: "the file can be loaded".to_owned(),
                took: began.elapsed(),
                printed: Vec::new(),
                flaw: Some(Flaw { error, details: Vec::new() }),
            }],
        }
    }

    fn program(&self, name: &str, path: &Path, subject: &Subject) -> Result<Program, LoadError> {
        let text = folder::text(path).map_err(|why| LoadError {
            file: path.display().to_string(),
            line: None,
            message: format!("the test {why}"),
            excerpt: None,
        })?;
        let source = Source { name: name.to_owned(), path: Some(path.to_owned()), text };
        Program::compile(source, subject.surroundings(scene::place(), Arc::default()), &self.limits)
    }
}

/// The scripts whose lines count also where no test asks for them. What lies beside a single script may be anything,
/// and an editor's definitions never run.
fn unasked<'a>(sources: &'a Sources, settings: &settings::Policy) -> impl Iterator<Item = &'a Source> {
    let whole = settings.file.is_none();
    let modules = sources.modules.values().filter(move |_| whole).flatten();
    sources.policies.values().chain(modules).filter(|source| !source.text.starts_with("---@meta"))
}

/// Whether `title` is what came with the program, which nobody here tests.
fn built_in(sources: &Sources, title: &str) -> bool {
    sources.policies.values().any(|source| source.path.is_none() && source.title() == title)
}
