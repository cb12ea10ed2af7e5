//! Which configuration a command works on: Fingerpost's own, or Zuul's.

use std::env;
use std::path::{Path, PathBuf};

use crate::config::problem::Problems;
use crate::config::{self, Environment, Loaded};

/// Where Fingerpost's own configuration is unless another is named.
const DEFAULT: &str = "/etc/fingerpost/fingerpost.yaml";

/// Where the configuration is: one file, in one of two languages.
#[derive(Debug, Clone, clap::Args)]
#[group(required = false, multiple = false)]
pub struct Source {
    /// Fingerpost's own configuration. [default: /etc/fingerpost/fingerpost.yaml]
    ///
    /// Every setting, with its default, is documented in the fingerpost.yaml that comes with the program.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Zuul's configuration, taken as zuul-fingergw takes it.
    ///
    /// The sections [fingergw] and [zookeeper] are read, %(ZUUL_…)s stands for variables of the environment. What
    /// zuul.conf has no word for keeps its default; options that cannot be honoured are named in a warning.
    #[arg(long, value_name = "FILE")]
    pub zuul_conf: Option<PathBuf>,
}

impl Source {
    /// The file.
    pub fn file(&self) -> &Path {
        self.zuul_conf.as_deref().or(self.config.as_deref()).unwrap_or_else(|| Path::new(DEFAULT))
    }

    /// Reads the file. Blocks, see [`config::load_yaml`] and [`config::load_zuul_conf`].
    ///
    /// # Errors
    /// Every problem of the file, in its order.
    pub fn load(&self, environment: &Environment) -> Result<Loaded, Problems> {
        match &self.zuul_conf {
            Some(file) => config::load_zuul_conf(file, environment),
            None => config::load_yaml(self.file()),
        }
    }
}

/// The variables of this process's environment that are text.
pub fn environment() -> Environment {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}
