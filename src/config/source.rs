//! A configuration that can be read again: which file, in which of the two languages.

use std::path::{Path, PathBuf};

use crate::config::problem::Problems;
use crate::config::{self, Environment, Loaded};

/// One configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Fingerpost's own.
    Yaml(PathBuf),
    /// Zuul's, with the variables that it may refer to.
    ZuulConf(PathBuf, Environment),
}

impl Source {
    /// The file.
    pub fn file(&self) -> &Path {
        match self {
            Self::Yaml(file) | Self::ZuulConf(file, _) => file,
        }
    }

    /// Reads the file. Blocks, see [`config::load_yaml`] and [`config::load_zuul_conf`].
    ///
    /// # Errors
    /// Every problem of the file, in its order.
    pub fn load(&self) -> Result<Loaded, Problems> {
        match self {
            Self::Yaml(file) => config::load_yaml(file),
            Self::ZuulConf(file, environment) => config::load_zuul_conf(file, environment),
        }
    }
}
