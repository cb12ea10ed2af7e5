//! What a relay is told to do: reads Fingerpost's own YAML or Zuul's `zuul.conf` into [`settings::Settings`], with every
//! problem at once as `file:line: key: problem`.
//!
//! It reads configuration files and nothing that they name: certificates, policies and registries belong to others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::config::problem::{Problem, Problems, Sources};
use crate::config::settings::Settings;
pub use crate::config::source::Source;

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
    /// All of it but the wrong values, where they leave enough to look for more that is wrong. Not to be used as long as
    /// there are problems.
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

/// Reads Fingerpost's own configuration. Relative paths in it start at its directory.
///
/// Blocks: it reads a file, and asks the resolver for the machine's name unless `hostname` is set.
pub fn read_yaml(path: &Path) -> Draft {
    text_of(path).map_or_else(Draft::from, |text| yaml::read(path, &text, &fqdn::fqdn))
}

/// Reads the configuration that Zuul's own gateway would read, as it would read it: `%(ZUUL_…)s` stands for a variable
/// of `environment`, `~` for its `HOME`, and relative paths start at the working directory.
///
/// Blocks: it reads a file, and asks the resolver for names of addresses to bind, and for the machine's own unless
/// `hostname` is set.
pub fn read_zuul_conf(path: &Path, environment: &Environment) -> Draft {
    text_of(path).map_or_else(Draft::from, |text| zuul_conf::read(path, &text, environment, &fqdn::fqdn))
}

fn text_of(path: &Path) -> Result<String, Problems> {
    fs::read_to_string(path).map_err(|error| {
        let text = format!("cannot be read: {error}");
        Problems(vec![Problem { file: path.to_owned(), line: None, key: String::new(), text }])
    })
}
