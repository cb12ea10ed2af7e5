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

/// Reads Fingerpost's own configuration. Relative paths in it start at its directory.
///
/// Blocks: it reads a file, and asks the resolver for the machine's name unless `hostname` is set.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn load_yaml(path: &Path) -> Result<Loaded, Problems> {
    yaml::read(path, &text_of(path)?, &fqdn::fqdn)
}

/// Reads the configuration that Zuul's own gateway would read, as it would read it: `%(ZUUL_…)s` stands for a variable
/// of `environment`, `~` for its `HOME`, and relative paths start at the working directory.
///
/// Blocks: it reads a file, and asks the resolver for names of addresses to bind, and for the machine's own unless
/// `hostname` is set.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn load_zuul_conf(path: &Path, environment: &Environment) -> Result<Loaded, Problems> {
    zuul_conf::read(path, &text_of(path)?, environment, &fqdn::fqdn)
}

fn text_of(path: &Path) -> Result<String, Problems> {
    fs::read_to_string(path).map_err(|error| {
        let text = format!("cannot be read: {error}");
        Problems(vec![Problem { file: path.to_owned(), line: None, key: String::new(), text }])
    })
}
