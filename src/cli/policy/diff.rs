//! `fingerpost policy diff`: what another policy would change.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Builder;

use crate::cli::{Exit, Source};
use crate::config::Environment;
use crate::config::settings::{self, Settings};
use crate::explain;
use crate::policy::{Known, Moment, Place, Policy};
use crate::trial::{Comparison, Trial};

/// Longest time for all decisions.
const PATIENCE: Duration = Duration::from_secs(600);

/// The arguments of `fingerpost policy diff`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status:
  0  nothing would change
  1  something would
  2  bad arguments or configuration

Examples:
  fingerpost policy diff ./new.lua
  fingerpost policy diff --config ./fingerpost.yaml ./new.lua")]
pub struct Diff {
    /// The other policy, or a folder of policies.
    #[arg(value_name = "FILE")]
    pub candidate: PathBuf,

    /// Where the configuration is.
    #[command(flatten)]
    pub source: Source,
}

/// Compares, and shows the difference on `out`.
///
/// # Errors
/// If the configuration, one of the policies or the registry cannot be read, or `out` takes no more.
pub(super) fn diff(asked: &Diff, environment: &Environment, out: &mut dyn Write) -> Result<Exit> {
    let settings = asked.source.chosen(environment).load()?.settings;
    let found = Builder::new_current_thread().enable_all().build()?.block_on(compare(settings, &asked.candidate))?;
    writeln!(out, "{found}").context("cannot write the difference")?;
    Ok(if found.is_empty() { Exit::Done } else { Exit::Failed })
}

/// `configured`, with other scripts: a folder in the place of the folder, or one script in the place of all.
pub(super) fn instead(configured: &settings::Policy, candidate: &Path) -> settings::Policy {
    let candidate = Some(candidate.to_owned());
    if candidate.as_deref().is_some_and(Path::is_dir) {
        return settings::Policy { file: None, folder: candidate, ..configured.clone() };
    }
    let alone =
        settings::Policy { folder: None, overlays: None, default: None, rules: Vec::new(), ..configured.clone() };
    settings::Policy { file: candidate, ..alone }
}

async fn compare(settings: Settings, candidate: &Path) -> Result<Comparison> {
    let other = instead(&settings.policy, candidate);
    let place = Place { zone: settings.zone.clone(), hostname: settings.hostname.clone() };
    let live = explain::Live::open(settings).await?;
    ensure!(live.complete, "{}", live.unread());
    let candidate = Policy::load(&other, place, live.metrics.policy.clone())?;
    let snapshot = live.registry.snapshot();
    let known = Known { snapshot: &snapshot, world: &Arc::default(), at: Moment::now() };
    let found = Trial::new(&live.generation, &candidate, known).run(Instant::now() + PATIENCE);
    live.close().await;
    Ok(found)
}
