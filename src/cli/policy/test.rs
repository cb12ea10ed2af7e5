//! `fingerpost policy test`: the tests of policies, run.

use std::fs;
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

    /// Write what came of it to this file too, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,

    /// Fail if less than so many percent of the lines of all scripts ran.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub fail_under: Option<f64>,

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
    if let Some(file) = &asked.junit {
        fs::write(file, outcome.junit()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    match objection(asked, &outcome) {
        None => Ok(Exit::Done),
        Some(words) => {
            writeln!(err, "{words}").context("cannot write what is wrong")?;
            Ok(Exit::Failed)
        }
    }
}

/// Why this is not good enough; `None` if it is.
fn objection(asked: &Test, outcome: &Outcome) -> Option<String> {
    let (passed, failed) = outcome.counts();
    let covered = outcome.coverage().percent();
    match asked.fail_under {
        _ if passed + failed == 0 => Some(match asked.filter.as_str() {
            "" => {
                "there was no case to run; tests are files whose names end in _test.lua, next to the scripts".to_owned()
            }
            filter => format!("there was no case to run: none has \"{filter}\" in its file or its name"),
        }),
        _ if failed > 0 => Some(format!("{failed} of {} cases failed", passed + failed)),
        Some(least) if covered < least => {
            Some(format!("{covered:.1}% of the lines ran, which is less than the {least}% of --fail-under"))
        }
        _ => None,
    }
}

/// The scripts to test: those of a folder alone, or those of the configuration.
fn scripts(asked: &Test, environment: &Environment) -> Result<settings::Policy> {
    match &asked.folder {
        Some(folder) => Ok(settings::Policy { folder: Some(folder.clone()), ..settings::Policy::default() }),
        None => Ok(asked.source.chosen(environment).load()?.settings.policy),
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=100.0).contains(number));
    number.ok_or_else(|| "it must be a number from 0 to 100".to_owned())
}
