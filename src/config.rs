//! What a relay is told to do: reads Fingerpost's own YAML or Zuul's `zuul.conf` into [`settings::Settings`], with
//! every problem at once as `file:line: key: problem`.
//!
//! It reads configuration files and nothing that they name but overlays of their own kind: certificates, policies and
//! registries belong to others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::config::problem::{Problem, Problems, Sources};
use crate::config::settings::Settings;
pub use crate::config::source::Source;
use crate::folder;

pub mod address;
mod fqdn;
mod ini;
mod node;
pub mod problem;
mod section;
pub mod settings;
mod source;
mod value;
mod yaml;
mod zuul_conf;

/// Variables of the environment, handed in by whoever owns the process.
pub type Environment = BTreeMap<String, String>;

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What was asked for.
    pub settings: Settings,
    /// What was asked for and will not be done, and what is probably meant otherwise.
    pub warnings: Vec<Problem>,
    /// Where each setting stands, so that whoever finds fault with one later can point at it.
    pub sources: Sources,
}

/// A configuration as far as it makes sense.
#[derive(Debug)]
pub struct Draft {
    /// What keeps it from being used, in the order of the file.
    pub problems: Vec<Problem>,
    /// All of it but the wrong values, where they leave enough to look for more that is wrong. Not to be used as long
    /// as there are problems.
    pub loaded: Option<Loaded>,
}

impl Draft {
    /// The configuration, if nothing is wrong with it.
    ///
    /// # Errors
    /// Every problem of the file, in its order.
    pub fn usable(self) -> Result<Loaded, Problems> {
        match self.loaded {
            Some(loaded) if self.problems.is_empty() => Ok(loaded),
            _ => Err(Problems(self.problems)),
        }
    }
}

impl From<Problems> for Draft {
    fn from(Problems(problems): Problems) -> Self {
        Self { problems, loaded: None }
    }
}

/// Reads Fingerpost's own configuration, and the overlays that it names. Relative paths start at its directory.
///
/// Blocks: it reads files, and asks the resolver for the machine's name unless `hostname` is set.
pub fn read_yaml(path: &Path) -> Draft {
    let around = yaml::Surroundings { machine: &fqdn::fqdn, overlays: &overlays };
    text_of(path).map_or_else(Draft::from, |text| yaml::read(path, &text, around))
}

/// Reads the configuration that Zuul's own gateway would read, as it would read it: `%(ZUUL_…)s` stands for a variable
/// of `environment`, `~` for its `HOME`, and relative paths start at the working directory.
///
/// Blocks: it reads a file, and asks the resolver for names of addresses to bind, and for the machine's own unless
/// `hostname` is set.
pub fn read_zuul_conf(path: &Path, environment: &Environment) -> Draft {
    text_of(path).map_or_else(Draft::from, |text| zuul_conf::read(path, &text, environment, &fqdn::fqdn))
}

/// The settings in a folder of overlays, in the order of the files' names. Those further down are nobody's.
fn overlays(folder: &Path) -> Result<Vec<yaml::Overlay>, String> {
    let found = folder::search(folder, &["yaml"]).map_err(|error| format!("cannot be read: {error}"))?;
    let mut files: Vec<_> = found.files.into_iter().filter(|file| !file.name.contains('/')).collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    let read = files.into_iter().map(|file| (file.path.clone(), folder::text(&file.path)));
    let unseen = found.gaps.into_iter().map(|gap| (gap.path, Err(gap.why)));
    Ok(read.chain(unseen).collect())
}

fn text_of(path: &Path) -> Result<String, Problems> {
    fs::read_to_string(path).map_err(|error| {
        let text = format!("cannot be read: {error}");
        Problems(vec![Problem { file: path.to_owned(), line: None, key: String::new(), text }])
    })
}
