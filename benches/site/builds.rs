//! Running builds, made up: always the same, and as far from each other as Zuul's.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use fingerpost::names::{BuildId, Hostname};
use fingerpost::registry::{Build, Worker};

/// How many run.
pub(crate) const BUILDS: usize = 10_000;

/// The build of this number, which `worker` runs.
pub(crate) fn build(number: usize, worker: Worker) -> Result<Arc<Build>> {
    Ok(Arc::new(Build {
        uuid: uuid(number)?,
        zone: worker.zone.clone(),
        tenant: Some("example".to_owned()),
        pipeline: Some("check".to_owned()),
        state: Some("running".to_owned()),
        worker: Some(worker),
    }))
}

/// Scattered as Zuul's are, so that no two begin alike.
pub(crate) fn uuid(number: usize) -> Result<BuildId> {
    let scattered = (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    BuildId::parse(&format!("{scattered:032x}")).context("not a uuid")
}

/// The host of this name.
pub(crate) fn hostname(name: &str) -> Result<Hostname> {
    Hostname::parse(name).context("not a host name")
}
