//! A configuration that can be read again: which file, in which of the two languages.

use std::path::{Path, PathBuf};

use crate::config::problem::Problems;
use crate::config::{self, Draft, Environment, Loaded};

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

    /// Reads the file, for use. Blocks, see [`Self::draft`].
    ///
    /// # Errors
    /// Every problem of the file, in its order.
    pub fn load(&self) -> Result<Loaded, Problems> {
        self.draft().usable()
    }

    /// Reads the file, for a look at it. Blocks, see [`config::read_yaml`] and [`config::read_zuul_conf`].
    pub fn draft(&self) -> Draft {
        match self {
            Self::Yaml(file) => config::read_yaml(file),
            Self::ZuulConf(file, environment) => config::read_zuul_conf(file, environment),
        }
    }
}
