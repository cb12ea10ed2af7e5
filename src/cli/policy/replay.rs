//! `fingerpost policy replay`: what another policy would have decided on the traffic of the past.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::cli::{Exit, Source};
use crate::config::Environment;
use crate::config::settings;
use crate::decisions::Reader;
use crate::trial::replay::{self, Candidate};

/// The arguments of `fingerpost policy replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  nothing would change, or --allow-differences was given
  1  something would
  2  bad arguments or configuration, FILE is no policy, or there is no decision that could be judged

Examples:
  fingerpost policy replay --log decisions.jsonl --policy ./new.lua
  fingerpost policy replay --log /var/lib/fingerpost/decisions.jsonl* --config ./fingerpost.yaml")]
pub struct Replay {
    /// Decision logs: the file that a relay writes, those that were full, or any of their lines.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub log: Vec<PathBuf>,

    /// The other policy: a script in the place of all policies and rules, or a folder in the place of the configured
    /// one, with the same rules and overlays. Unless given, the policy of the configuration.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["config", "zuul_conf"])]
    pub policy: Option<PathBuf>,

    /// Exit with 0 whatever would change.
    #[arg(long)]
    pub allow_differences: bool,

    /// Whose rules, limits and params apply. Unless given, there are no rules, the limits are the defaults, and params
    /// are those of the log.
    #[command(flatten)]
    pub source: Source,
}

/// Compares, and shows the difference on `out`, or on `err` why there is nothing to compare.
///
/// # Errors
/// If the configuration or the policy cannot be used, or one of the two takes no more.
pub(super) fn replay(
    asked: &Replay,
    environment: &Environment,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit> {
    let mut replay = replay::Replay::new(candidate(asked, environment)?);
    for file in &asked.log {
        let reader = match Reader::open(file) {
            Ok(reader) => reader,
            Err(error) => {
                writeln!(err, "fingerpost: {error}").context("cannot write what is wrong")?;
                return Ok(Exit::Unusable);
            }
        };
        for line in reader {
            match line {
                Ok(logged) => replay.take(file, logged)?,
                Err(unread) => replay.pass_over(file, &unread),
            }
        }
    }
    let found = replay.found();
    writeln!(out, "{found}").context("cannot write the difference")?;
    if found.decisions == 0 {
        // Which must not pass for finding no difference.
        writeln!(err, "fingerpost: there was no decision that could be judged")
            .context("cannot write what is wrong")?;
        return Ok(Exit::Unusable);
    }
    let same = found.changed == 0 || asked.allow_differences;
    Ok(if same { Exit::Done } else { Exit::Failed })
}

/// The configuration counts only if it was named: where a site's changes are tested there is none of a relay's own.
fn candidate(asked: &Replay, environment: &Environment) -> Result<Candidate> {
    let named = asked.source.config.is_some() || asked.source.zuul_conf.is_some();
    let configured = match named {
        true => asked.source.chosen(environment).load()?.settings.policy,
        false => settings::Policy::default(),
    };
    let settings = match &asked.policy {
        Some(policy) => configured.instead(policy),
        None => configured,
    };
    Ok(Candidate { settings, params_of_log: !named })
}
