//! The direct read behind the mirror: looks for one build in every zone at once. It answers "there is none" only when
//! ZooKeeper said so for each of them, and waits for nobody who is not there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use zookeeper_client::{Client, Error, MultiReadResult};

use crate::config::settings;
use crate::metrics::{self, ByReason};
use crate::names::{BuildId, Zone};
use crate::registry::Unavailable;
use crate::registry::malformed::Malformed;
use crate::registry::model::Build;
use crate::registry::znode;

use super::paths::{Place, ZONES};

/// Reads builds past the mirror.
#[derive(Debug)]
pub(super) struct Direct {
    client: watch::Receiver<Option<Client>>,
    malformed: Arc<Malformed>,
    metrics: metrics::Registry,
    /// Viewers who ask for builds that do not exist must not flood ZooKeeper.
    permits: Semaphore,
    patience: Duration,
}

/// What one request for several zones brought.
struct Found {
    build: Option<Arc<Build>>,
    /// The zones that exist, where the request asked for them.
    zones: BTreeSet<Zone>,
}

impl Direct {
    /// Reads at one time; more wait for their turn.
    const READS: usize = 64;

    pub(super) fn new(
        client: watch::Receiver<Option<Client>>,
        malformed: Arc<Malformed>,
        metrics: metrics::Registry,
        settings: &settings::ZooKeeper,
    ) -> Self {
        let permits = Semaphore::new(Self::READS);
        Self { client, malformed, metrics, permits, patience: settings.request_timeout }
    }

    /// Looks for `uuid` where the mirror knows `zones`, and in zones that are newer than the mirror.
    pub(super) async fn read(&self, uuid: &BuildId, zones: &[Zone]) -> Result<Option<Arc<Build>>, Unavailable> {
        let result = self.read_connected(uuid, zones).await;
        let reason = match &result {
            Ok(Some(_)) => "found",
            Ok(None) => "missing",
            Err(_) => "failed",
        };
        self.metrics.direct_reads.get_or_create(&ByReason { reason }).inc();
        result
    }

    async fn read_connected(&self, uuid: &BuildId, zones: &[Zone]) -> Result<Option<Arc<Build>>, Unavailable> {
        let mut link = self.client.clone();
        let client = link.borrow_and_update().clone();
        let Some(client) = client else { return Err(Unavailable::Away { uuid: uuid.clone() }) };
        let reading = timeout(self.patience, async {
            // Nobody closes the semaphore; if somebody did, the read would merely be unbounded.
            let _permit = self.permits.acquire().await.ok();
            self.read_everywhere(&client, uuid, zones).await
        });
        tokio::select! {
            biased;
            read = reading => {
                read.unwrap_or_else(|_| Err(Unavailable::Timeout { uuid: uuid.clone(), waited: self.patience }))
            }
            _lost = link.changed() => Err(Unavailable::Away { uuid: uuid.clone() }),
        }
    }

    async fn read_everywhere(
        &self,
        client: &Client,
        uuid: &BuildId,
        zones: &[Zone],
    ) -> Result<Option<Arc<Build>>, Unavailable> {
        // Sent together with the read and before it: the server catches up with its leader first.
        let synced = client.sync(ZONES);
        let places: Vec<Place> = std::iter::once(None)
            .chain(zones.iter().cloned().map(Some))
            .map(|zone| Place::Build(zone, uuid.clone()))
            .collect();
        let asked = self.ask(client, uuid, &places);
        let (synced, found) = tokio::join!(synced, asked);
        synced.map_err(|error| failed(uuid, &error))?;
        let found = found?;
        let new: Vec<Place> = found
            .zones
            .into_iter()
            .filter(|zone| !zones.contains(zone))
            .map(|zone| Place::Build(Some(zone), uuid.clone()))
            .collect();
        if found.build.is_some() || new.is_empty() {
            return Ok(found.build);
        }
        Ok(self.ask(client, uuid, &new).await?.build)
    }

    /// Reads all of `places` and the list of zones in one request.
    async fn ask(&self, client: &Client, uuid: &BuildId, places: &[Place]) -> Result<Found, Unavailable> {
        let mut reader = client.new_multi_reader();
        let mut paths = places.iter().map(Place::path);
        let asked = reader.add_get_children(ZONES).and_then(|()| paths.try_for_each(|path| reader.add_get_data(&path)));
        let answer = match asked {
            Ok(()) => reader.commit().await,
            Err(error) => Err(error),
        };
        let mut answers = answer.map_err(|error| failed(uuid, &error))?.into_iter();
        let zones = match answers.next() {
            Some(MultiReadResult::Children { children }) => {
                children.iter().filter_map(|name| Zone::parse(name)).collect()
            }
            Some(MultiReadResult::Error { err: Error::NoNode }) => BTreeSet::new(),
            other => return Err(unexpected(uuid, other)),
        };
        let mut build = None;
        for (place, answer) in places.iter().zip(answers) {
            build = better(build, self.parse(place, uuid, answer)?);
        }
        Ok(Found { build, zones })
    }

    fn parse(&self, place: &Place, uuid: &BuildId, answer: MultiReadResult) -> Result<Option<Build>, Unavailable> {
        let data = match answer {
            MultiReadResult::Data { data, .. } => data,
            MultiReadResult::Error { err: Error::NoNode } => return Ok(None),
            other => return Err(unexpected(uuid, Some(other))),
        };
        let zone = match place {
            Place::Build(zone, _) => zone.as_ref(),
            Place::Component(..) => None,
        };
        znode::build(uuid, zone, &data).map(Some).map_err(|defect| {
            self.malformed.report(&place.path(), defect);
            Unavailable::Malformed { uuid: uuid.clone(), defect }
        })
    }
}

/// A build that has a worker counts before one that has none.
fn better(one: Option<Arc<Build>>, other: Option<Build>) -> Option<Arc<Build>> {
    match (one, other) {
        (Some(one), Some(other)) if one.worker.is_none() && other.worker.is_some() => Some(Arc::new(other)),
        (None, other) => other.map(Arc::new),
        (one, _) => one,
    }
}

fn failed(uuid: &BuildId, error: &Error) -> Unavailable {
    Unavailable::Failed { uuid: uuid.clone(), reason: error.to_string() }
}

fn unexpected(uuid: &BuildId, answer: Option<MultiReadResult>) -> Unavailable {
    let reason = match answer {
        Some(MultiReadResult::Error { err }) => err.to_string(),
        Some(_) => "the answer is of another kind than the question".to_owned(),
        None => "the answer is incomplete".to_owned(),
    };
    Unavailable::Failed { uuid: uuid.clone(), reason }
}
