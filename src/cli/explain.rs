//! `fingerpost explain`: what would be decided for a build, and why. It changes nothing.

use crate::cli::Source;
use crate::names::BuildId;

/// The arguments of `fingerpost explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  fingerpost explain 4a1c9be27f0e4c06b9d2c8f3a1e5d700
  fingerpost explain --zuul-conf /etc/zuul/zuul.conf 4a1c9be27f0e4c06b9d2c8f3a1e5d700")]
pub struct Explain {
    /// The build's uuid, as Zuul's status page shows it.
    #[arg(value_parser = build)]
    pub uuid: BuildId,

    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,
}

/// Reads a build's uuid from the command line.
pub(super) fn build(text: &str) -> Result<BuildId, String> {
    BuildId::parse(text).ok_or_else(|| format!("a build's uuid has 1 to {} hexadecimal digits", BuildId::MAX_LEN))
}
