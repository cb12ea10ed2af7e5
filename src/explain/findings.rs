//! What a decision rests on: the registry, the build, and the gateways of the zone it runs in. It decides nothing.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::names::Zone;
use crate::registry::{Build, Gateway, Snapshot};
use crate::request::Query;

/// What was asked, and what is known of it.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) query: Query,
    pub(super) build: Option<Arc<Build>>,
    pub(super) snapshot: Arc<Snapshot>,
    /// The relay's own.
    pub(super) zone: Option<Zone>,
}

impl Findings {
    fn write_registry(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = match self.snapshot.age(Instant::now()) {
            None => "never read whole; this build was read directly".to_owned(),
            Some(Duration::ZERO) => "live".to_owned(),
            Some(age) => format!("last known state, {} old", humantime::format_duration(age)),
        };
        let (builds, gateways) = (self.snapshot.builds.len(), self.snapshot.components.gateways.len());
        writeln!(f, "registry {builds} builds, {gateways} gateways; {age}")
    }

    fn write_build(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = match (&self.build, &self.query.build) {
            (Some(build), _) => build,
            (None, Some(uuid)) => return writeln!(f, "build    {uuid}: not in the registry"),
            (None, None) => return writeln!(f, "query    {:?}, which names no build", self.query.line),
        };
        let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        writeln!(f, "build    {}", build.uuid)?;
        writeln!(
            f,
            "         tenant {}, pipeline {}, state {}",
            word(&build.tenant),
            word(&build.pipeline),
            word(&build.state)
        )?;
        writeln!(f, "         asked for {}", in_zone(build.zone.as_ref()))?;
        match &build.worker {
            None => writeln!(f, "worker   none yet: no executor has taken it"),
            Some(worker) => {
                let port = worker.log_port.map_or_else(|| "no port".to_owned(), |port| port.to_string());
                writeln!(f, "worker   {}:{port}, runs {}", worker.hostname, in_zone(worker.zone.as_ref()))
            }
        }
    }

    /// The zone that the build runs in.
    fn worker_zone(&self) -> Option<&Zone> {
        self.build.as_ref()?.worker.as_ref()?.zone.as_ref()
    }

    /// Those of the zone that the build runs in, best state first.
    pub(super) fn gateways(&self) -> impl Iterator<Item = &Arc<Gateway>> {
        self.worker_zone().into_iter().flat_map(|zone| self.snapshot.components.gateways_of(zone))
    }

    fn write_gateways(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(zone) = self.worker_zone() else { return Ok(()) };
        let mut label = "gateways";
        for gateway in self.gateways() {
            let port = gateway.public_port.map_or_else(|| "no port".to_owned(), |port| port.to_string());
            let tls = if gateway.use_ssl { ", TLS" } else { "" };
            writeln!(f, "{label:8} {}:{port}{tls}, {} ({})", gateway.hostname, gateway.state.as_str(), gateway.id)?;
            label = "";
        }
        if label.is_empty() { Ok(()) } else { writeln!(f, "gateways none in zone {zone}") }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_registry(f)?;
        self.write_build(f)?;
        self.write_gateways(f)?;
        writeln!(f, "relay    {}", in_zone(self.zone.as_ref()))
    }
}

/// Where something is, in words.
pub(super) fn in_zone(zone: Option<&Zone>) -> String {
    zone.map_or_else(|| "in no zone".to_owned(), |zone| format!("in zone {zone}"))
}
