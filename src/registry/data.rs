//! The registry as data: one form for a registry file, a saved snapshot and a decision log, in YAML and in JSON. What
//! is written can be read again; what a person may leave out has its default here, and nothing unknown is passed over.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use serde::{Deserialize, Deserializer};

use crate::names::{Hostname, Zone};
use crate::registry::model::{self, Build, Freshness, Snapshot, State};

/// Everything that a registry file may hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Picture {
    #[serde(default)]
    builds: Vec<Build>,
    #[serde(default)]
    gateways: Vec<model::Gateway>,
    #[serde(default)]
    executors: Vec<model::Executor>,
    /// Those that have no builds.
    #[serde(default)]
    zones: Vec<Zone>,
    model_api: Option<i64>,
}

/// A gateway, as far as somebody cared to write it down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Gateway {
    id: Option<String>,
    hostname: Hostname,
    #[serde(deserialize_with = "given")]
    public_port: Option<u16>,
    zone: Option<Zone>,
    #[serde(default)]
    use_ssl: bool,
    #[serde(default = "running")]
    state: State,
    version: Option<String>,
}

/// An executor, as far as somebody cared to write it down.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Executor {
    id: Option<String>,
    hostname: Hostname,
    zone: Option<Zone>,
    #[serde(default = "running")]
    state: State,
}

/// Components in any order.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Components {
    #[serde(default)]
    gateways: Vec<model::Gateway>,
    #[serde(default)]
    executors: Vec<model::Executor>,
    model_api: Option<i64>,
}

impl From<Picture> for Snapshot {
    /// What was just read is live. The revision is 0: a publisher counts.
    fn from(picture: Picture) -> Self {
        let Picture { builds, gateways, executors, mut zones, model_api } = picture;
        zones.extend(builds.iter().filter_map(|build| build.zone.clone()));
        zones.sort();
        zones.dedup();
        Self {
            builds: builds.into_iter().map(Arc::new).collect(),
            components: Arc::new(Components { gateways, executors, model_api }.into()),
            zones: Arc::new(zones),
            freshness: Freshness::Live,
            revision: 0,
        }
    }
}

impl Serialize for Snapshot {
    /// Writes what was known, by uuid and in the components' order; its age and revision are of its moment, and stay.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut builds: Vec<&Build> = self.builds.iter().map(Arc::as_ref).collect();
        builds.sort_unstable_by(|a, b| a.uuid.cmp(&b.uuid));
        let components = &*self.components;
        let mut picture = to.serialize_struct("Picture", 5)?;
        picture.serialize_field("builds", &builds)?;
        picture.serialize_field("gateways", &List(&components.gateways))?;
        picture.serialize_field("executors", &List(&components.executors))?;
        picture.serialize_field("zones", &*self.zones)?;
        picture.serialize_field("model_api", &components.model_api)?;
        picture.end()
    }
}

impl From<Components> for model::Components {
    fn from(Components { gateways, executors, model_api }: Components) -> Self {
        let mut gateways: Vec<_> = gateways.into_iter().map(Arc::new).collect();
        let mut executors: Vec<_> = executors.into_iter().map(Arc::new).collect();
        gateways.sort_by(|a, b| (a.state, &a.id).cmp(&(b.state, &b.id)));
        executors.sort_by(|a, b| a.id.cmp(&b.id));
        Self { gateways, executors, model_api }
    }
}

impl From<Gateway> for model::Gateway {
    fn from(Gateway { id, hostname, public_port, zone, use_ssl, state, version }: Gateway) -> Self {
        let port = public_port.map_or_else(String::new, |port| format!(":{port}"));
        let id = id.unwrap_or_else(|| format!("{hostname}{port}")).into();
        Self { id, hostname, zone, public_port, use_ssl, state, version }
    }
}

impl From<Executor> for model::Executor {
    fn from(Executor { id, hostname, zone, state }: Executor) -> Self {
        let id = id.as_deref().unwrap_or(hostname.as_str()).into();
        Self { id, hostname, zone, state }
    }
}

/// A list of shared values, written as the values.
struct List<'l, T>(&'l [Arc<T>]);

impl<T: Serialize> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(Arc::as_ref))
    }
}

pub(super) fn list<T: Serialize, S: Serializer>(list: &[Arc<T>], to: S) -> Result<S::Ok, S::Error> {
    List(list).serialize(to)
}

pub(super) fn text<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// Reads what may be `null` and may not be left out: a port that nobody knows is said to be unknown, and one that was
/// forgotten is missed.
pub(super) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<T>, D::Error> {
    Option::deserialize(from)
}

/// Nobody keeps a hand-written file's states up to date, so that none means running.
fn running() -> State {
    State::Running
}
