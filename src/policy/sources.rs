//! The scripts of a generation, as they were when it was loaded: which policies there are, what they may `require`, and
//! which of them decides by default. It reads scripts and never runs them.
//!
//! They are read once and whole, so that no script is half of one generation and half of the next, and no decision
//! waits for a disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::LoadError;
use super::spelling;
use crate::config::settings;
use crate::folder::{self, Entry, Found, Gap};

#[cfg(test)]
mod tests;

/// The built-in policy, which routes as Zuul does.
pub const BUILT_IN: &str = "zuul";

const BUILT_IN_TEXT: &str = include_str!("../../scripts/default.lua");

/// Most text of all scripts together, in bytes.
const MAX_TOTAL: usize = 16 << 20;

/// How the names of tests end; they are no policies and no modules.
const TEST: &str = "_test.lua";

/// All scripts of a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// By name; the built-in one is among them, as [`BUILT_IN`] unless a file has that name.
    pub policies: BTreeMap<String, Source>,
    /// What scripts may `require`, by path from the policy folder on, with `/` and without `.lua`. The neighbours of a
    /// single script may be anything, so one that cannot be used is no error before somebody requires it.
    pub modules: BTreeMap<String, Result<Source, LoadError>>,
    /// The scripts' tests, by path from the policy folder on, with `/` and without `.lua`. Only who runs them reads
    /// them.
    pub tests: BTreeMap<String, PathBuf>,
    /// Decides where no rule does. Always among the policies.
    pub default: String,
}

/// One script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// As rules or `require` name it.
    pub name: String,
    /// Its file; `None` is what came with the program.
    pub path: Option<PathBuf>,
    /// The whole of it.
    pub text: String,
}

impl Sources {
    /// Reads all scripts that `settings` names. Blocks on the file system.
    ///
    /// # Errors
    /// The first script that cannot be used, or a policy that a rule names and nobody has.
    pub fn read(settings: &settings::Policy) -> Result<Self, LoadError> {
        let mut reading = Reading::new();
        if let Some(file) = &settings.file {
            reading.file(file)?;
        }
        for folder in settings.folder.iter().chain(&settings.overlays) {
            reading.folder(folder)?;
        }
        if let Some(default) = &settings.default {
            reading.sources.default.clone_from(default);
        }
        reading.sources.complete(settings)
    }

    /// Takes scripts that are at hand already, by name, beside the built-in one.
    pub fn of<'a>(
        default: &str,
        policies: impl IntoIterator<Item = (&'a str, &'a str)>,
        modules: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let source = |(name, text): (&str, &str)| {
            let source = Source { name: name.to_owned(), path: None, text: text.to_owned() };
            (name.to_owned(), source)
        };
        let mut sources = Self { default: default.to_owned(), ..Reading::new().sources };
        sources.policies.extend(policies.into_iter().map(source));
        sources.modules.extend(modules.into_iter().map(source).map(|(name, source)| (name, Ok(source))));
        sources
    }

    /// That each policy which is named is there.
    fn complete(self, settings: &settings::Policy) -> Result<Self, LoadError> {
        let by_rules = settings.rules.iter().map(|rule| (&rule.policy, rule.to_string()));
        let named = std::iter::once((&self.default, "default".to_owned())).chain(by_rules);
        for (name, who) in named {
            if !self.policies.contains_key(name) {
                let hint = spelling::hint(name, self.policies.keys().map(String::as_str));
                return Err(failed(&place(settings), format!("no policy is called \"{name}\", as {who} says{hint}")));
            }
        }
        Ok(self)
    }
}

impl Source {
    /// What operators know it by.
    pub fn title(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None if self.name == BUILT_IN => "built-in default".to_owned(),
            None => self.name.clone(),
        }
    }
}

/// Scripts in the making.
struct Reading {
    sources: Sources,
    /// Bytes that may still be read.
    left: usize,
}

impl Reading {
    fn new() -> Self {
        let zuul = Source { name: BUILT_IN.to_owned(), path: None, text: BUILT_IN_TEXT.to_owned() };
        let sources = Sources {
            policies: BTreeMap::from([(BUILT_IN.to_owned(), zuul)]),
            modules: BTreeMap::new(),
            tests: BTreeMap::new(),
            default: BUILT_IN.to_owned(),
        };
        Self { sources, left: MAX_TOTAL }
    }

    /// Takes one script as the policy, and what lies beside it and below as its modules.
    fn file(&mut self, file: &Path) -> Result<(), LoadError> {
        let name = name_of(file);
        let source = self.source(&name, file, "the policy")?;
        self.sources.policies.insert(name.clone(), source);
        self.sources.default = name;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        // One who may read a script need not be allowed to list its folder.
        let Found { files, gaps, .. } = folder::search(folder, &["lua"]).unwrap_or_default();
        for entry in files.iter().filter(|entry| entry.path.file_name() != file.file_name() || entry.name.contains('/'))
        {
            self.neighbour(entry, &format!("{}{TEST}", file.file_stem().unwrap_or_default().display()));
        }
        for Gap { name, path, why } in gaps {
            self.sources.modules.insert(module_name(&name), Err(failed(&path, format!("it {why}"))));
        }
        Ok(())
    }

    /// Takes what lies beside a single script, or below. Of tests it is only the script's own: the others may be of
    /// scripts that this configuration has nothing to do with.
    fn neighbour(&mut self, entry: &Entry, own_test: &str) {
        if entry.name.ends_with(TEST) {
            if entry.name == own_test {
                self.sources.tests.insert(module_name(&entry.name), entry.path.clone());
            }
            return;
        }
        let name = module_name(&entry.name);
        let source = self.source(&name, &entry.path, "the module");
        self.sources.modules.insert(name, source);
    }

    /// Takes a folder's scripts, in the place of those of the same name.
    fn folder(&mut self, folder: &Path) -> Result<(), LoadError> {
        let found = folder::search(folder, &["lua"])
            .map_err(|error| failed(folder, format!("the folder of policies cannot be read: {error}")))?;
        if let Some(gap) = found.gaps.first() {
            return Err(failed(&gap.path, format!("it {}", gap.why)));
        }
        found.files.iter().try_for_each(|entry| self.member(entry))
    }

    fn member(&mut self, entry: &Entry) -> Result<(), LoadError> {
        let name = module_name(&entry.name);
        if entry.name.ends_with(TEST) {
            self.sources.tests.insert(module_name(&entry.name), entry.path.clone());
        } else if name.contains('/') {
            let source = self.source(&name, &entry.path, "the module")?;
            let replaced = self.sources.modules.insert(name.clone(), Ok(source));
            self.untest(&name, replaced.is_some());
        } else if settings::Policy::is_name(&name) {
            let source = self.source(&name, &entry.path, "the policy")?;
            let replaced = self.sources.policies.insert(name.clone(), source);
            self.untest(&name, replaced.is_some());
        } else {
            let text =
                "a policy's name has letters, digits, _ and - only; rename the file, or move a module to a subfolder";
            return Err(failed(&entry.path, text.to_owned()));
        }
        Ok(())
    }

    /// A script that takes the place of another is not what the other's test is about. Its own test comes after it.
    fn untest(&mut self, name: &str, replaced: bool) {
        if replaced {
            self.sources.tests.remove(&format!("{name}_test"));
        }
    }

    fn source(&mut self, name: &str, path: &Path, what: &str) -> Result<Source, LoadError> {
        let text = folder::text(path).map_err(|why| failed(path, format!("{what} {why}")))?;
        self.left = self.left.checked_sub(text.len()).ok_or_else(|| {
            failed(path, format!("with {what}, all scripts together are longer than {MAX_TOTAL} bytes"))
        })?;
        Ok(Source { name: name.to_owned(), path: Some(path.to_owned()), text })
    }
}

/// A file's policy is called as the file is, as far as policies may be.
fn name_of(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    stem.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn module_name(name: &str) -> String {
    name.strip_suffix(".lua").unwrap_or(name).to_owned()
}

/// Where an operator looks for a policy that is not there.
fn place(settings: &settings::Policy) -> PathBuf {
    let asked = settings.file.as_ref().or(settings.folder.as_ref()).or(settings.overlays.as_ref());
    asked.cloned().unwrap_or_else(|| PathBuf::from("policy"))
}

fn failed(path: &Path, message: String) -> LoadError {
    LoadError { file: path.display().to_string(), line: None, message, excerpt: None }
}
