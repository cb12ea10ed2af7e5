//! `fingerpost policy diff`: what another policy would change.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Builder;

use crate::cli::{Exit, Source};
use crate::config::Environment;
use crate::config::settings::Settings;
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
  2  bad arguments or configuration, or FILE is no policy

Examples:
  fingerpost policy diff ./new.lua
  fingerpost policy diff --config ./fingerpost.yaml ./new.lua")]
pub struct Diff {
    /// The other policy: a script in the place of all policies and rules, or a folder in the place of the configured
    /// one, with the same rules and overlays.
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

async fn compare(settings: Settings, candidate: &Path) -> Result<Comparison> {
    let other = settings.policy.instead(candidate);
    let place = Place { zone: settings.zone.clone(), hostname: settings.hostname.clone() };
    let live = explain::Live::open(settings).await?;
    ensure!(live.complete, "{}", live.unread());
    let candidate = Policy::load(&other, place, live.metrics.policy.clone())?;
    let snapshot = live.registry.snapshot();
    let known = Known { snapshot: &snapshot, world: &Arc::default(), at: Moment::now() };
    let listeners = &live.generation.settings.listeners;
    let found = Trial::new(&live.generation, &candidate, listeners, known).run(Instant::now() + PATIENCE);
    live.close().await;
    Ok(found)
}
