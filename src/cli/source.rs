//! Which configuration a command works on: Fingerpost's own, or Zuul's.

use std::env;
use std::path::PathBuf;

use crate::config::{self, Environment};

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
    /// The sections fingergw and zookeeper are read, %(ZUUL_…)s stands for variables of the environment. What
    /// zuul.conf has no word for keeps its default; options that cannot be honoured are named in a warning.
    #[arg(long, value_name = "FILE")]
    pub zuul_conf: Option<PathBuf>,
}

impl Source {
    /// The configuration that was chosen. `environment` is what `zuul.conf` may refer to.
    pub fn chosen(&self, environment: &Environment) -> config::Source {
        match &self.zuul_conf {
            Some(file) => config::Source::ZuulConf(file.clone(), environment.clone()),
            None => config::Source::Yaml(self.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT))),
        }
    }
}

/// The variables of this process's environment that are text.
pub fn environment() -> Environment {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}
