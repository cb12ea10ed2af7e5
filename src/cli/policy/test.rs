//! `fingerpost policy test`: the tests of policies, run.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::cli::{Exit, Source};
use crate::config::Environment;
use crate::config::settings;
use crate::policy::testing::{self, File, Outcome};

/// The arguments of `fingerpost policy test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  every case passed
  1  a case failed, or there was none to run, or too few lines ran
  2  bad arguments or configuration, or scripts that cannot be read

Examples:
  fingerpost policy test
  fingerpost policy test ./policies --filter drain
  fingerpost policy test ./policies --junit report.xml --fail-under 90")]
pub struct Test {
    /// The folder of policies and their tests; unless given, where the configuration's scripts are.
    #[arg(value_name = "DIR")]
    pub folder: Option<PathBuf>,

    /// Run only the cases in whose file or name this text is.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub filter: String,

    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,
}

/// Runs the tests, with what came of them to `out`.
///
/// # Errors
/// If the configuration or the scripts cannot be read, or `out` takes no more.
pub(super) fn test(asked: &Test, environment: &Environment, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit> {
    let settings = scripts(asked, environment)?;
    let mut broken = Ok(());
    let mut tell = |file: &File| {
        if broken.is_ok() {
            broken = write!(out, "{file}");
        }
    };
    let outcome = match testing::run(&settings, &asked.filter, &mut tell) {
        Ok(outcome) => outcome,
        Err(error) => {
            writeln!(err, "{error}").context("cannot write what is wrong")?;
            return Ok(Exit::Unusable);
        }
    };
    broken.and_then(|()| write!(out, "{outcome}")).context("cannot write what came of the tests")?;
    if outcome.files.is_empty() {
        writeln!(err, "there was no case to run: tests are files that end in _test.lua, next to the scripts")
            .context("cannot write what is wrong")?;
    }
    Ok(ended(&outcome))
}

/// The scripts to test: those of a folder alone, or those of the configuration.
fn scripts(asked: &Test, environment: &Environment) -> Result<settings::Policy> {
    match &asked.folder {
        Some(folder) => Ok(settings::Policy { folder: Some(folder.clone()), ..settings::Policy::default() }),
        None => Ok(asked.source.chosen(environment).load()?.settings.policy),
    }
}

fn ended(outcome: &Outcome) -> Exit {
    let (passed, failed) = outcome.counts();
    if passed > 0 && failed == 0 { Exit::Done } else { Exit::Failed }
}
