//! `fingerpost policy shadow`: how a candidate does beside the policy of a running relay.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::runtime::Builder;

use crate::candidate::View;
use crate::cli::{Exit, Source};
use crate::command::{self, Command};
use crate::config::Environment;

/// The arguments of `fingerpost policy shadow`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  the candidate decided everything as the policy did
  1  it did not, or was rolled back
  2  there is no candidate, no relay that can be asked, or bad arguments or configuration

Examples:
  fingerpost policy shadow
  fingerpost policy shadow --config ./fingerpost.yaml --json")]
pub struct Shadow {
    /// Write one JSON object, for machines.
    #[arg(long)]
    pub json: bool,

    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,
}

/// Asks, and shows the answer on `out`, or on `err` that there is none.
///
/// # Errors
/// If the configuration cannot be read, the relay gives another answer, or one of the two takes no more.
pub(super) fn shadow(
    asked: &Shadow,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let settings = asked.source.chosen(environment).load()?.settings;
    let answer = match settings.process.command_socket {
        Some(socket) => ask(&socket)?,
        None => Err("the relay cannot be asked: give it a process.command_socket, and restart it".to_owned()),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => {
            writeln!(err, "fingerpost: {why}").context("cannot write what is wrong")?;
            return Ok(Exit::Unusable);
        }
    };
    let view: View = serde_json::from_str(&answer)
        .with_context(|| format!("the relay answers {answer:?}, which this version does not know"))?;
    let shown = if asked.json { answer } else { view.to_string() };
    writeln!(out, "{shown}").context("cannot write the answer")?;
    Ok(if view.is_clean() { Exit::Done } else { Exit::Failed })
}

/// The relay's answer, or why there is none.
fn ask(socket: &Path) -> Result<Result<String, String>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let place = socket.display();
    Ok(match runtime.block_on(command::ask(socket, Command::Shadow)) {
        Ok(outcome) => outcome.map_err(|problems| problems.join("\n")),
        Err(error) => Err(format!("the relay cannot be asked on its command socket {place}: {error}; does it run?")),
    })
}
