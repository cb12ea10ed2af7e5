//! Follows ZooKeeper over one connection: watches first, reads second, so that nothing falls between. It never looks at
//! the busy neighbours of the build requests, and takes an event as word that a znode changed, never how.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;
use zookeeper_client::{AddWatchMode, Client, Error, EventType, MultiReadResult, PersistentWatcher, WatchedEvent};

use crate::names::Zone;
use crate::registry::malformed::{Defect, Malformed};

use super::paths::{COMPONENTS, Place, ZONES, requests};
use super::picture::Picture;

/// How many znodes are read in one request. At most [`WINDOW`] such requests are under way.
const BATCH: usize = 64;

/// How many requests are under way at once: enough to keep ZooKeeper busy over a long way.
const WINDOW: usize = 8;

/// How many events are taken as one change.
const BURST: usize = 10_000;

/// The picture as one connection keeps it.
#[derive(Debug)]
pub(super) struct Mirror<'a> {
    client: &'a Client,
    malformed: &'a Malformed,
    patience: Duration,
    picture: &'a mut Picture,
    watches: Watches,
}

/// A request under way.
type Answers<'a> = Pin<Box<dyn Future<Output = Result<Vec<MultiReadResult>, Error>> + Send + 'a>>;

#[derive(Debug, Default)]
struct Watches {
    fixed: Vec<PersistentWatcher>,
    zones: BTreeMap<Zone, PersistentWatcher>,
}

/// What a burst of events touched.
#[derive(Debug, Default)]
struct Touched {
    /// Whether the last event there said that the znode is gone.
    places: HashMap<Place, bool>,
    zones: bool,
}

impl<'a> Mirror<'a> {
    /// Asks to hear of everything. `patience` is the longest wait for one answer.
    pub(super) async fn watch(
        client: &'a Client,
        malformed: &'a Malformed,
        patience: Duration,
        picture: &'a mut Picture,
    ) -> Result<Self, Error> {
        let mut mirror = Self { client, malformed, patience, picture, watches: Watches::default() };
        // The server may lag behind the one of the last connection; nothing may seem to go back in time.
        mirror.within(client.sync(ZONES)).await?;
        for (path, mode) in [
            (COMPONENTS.to_owned(), AddWatchMode::PersistentRecursive),
            (requests(None), AddWatchMode::PersistentRecursive),
            (ZONES.to_owned(), AddWatchMode::Persistent),
        ] {
            let watcher = mirror.within(client.watch(&path, mode)).await?;
            mirror.watches.fixed.push(watcher);
        }
        Ok(mirror)
    }

    /// Reads everything. What vanished while nobody looked is forgotten only when all is read.
    pub(super) async fn load(&mut self) -> Result<(), Error> {
        let mut listed = self.components().await?;
        self.follow_zones().await?;
        listed.extend(self.queue(None).await?);
        let zones: Vec<Zone> = self.watches.zones.keys().cloned().collect();
        for zone in zones {
            listed.extend(self.queue(Some(zone)).await?);
        }
        self.read(listed.clone()).await?;
        self.picture.keep_only(&listed);
        Ok(())
    }

    /// Waits for the next events, takes all that are there, and says whether they changed the picture.
    pub(super) async fn change(&mut self) -> Result<bool, Error> {
        let touched = self.watches.burst(self.malformed).await?;
        let mut changed = false;
        if touched.zones {
            for zone in self.follow_zones().await? {
                let listed = self.queue(Some(zone)).await?;
                self.read(listed).await?;
            }
            changed = true;
        }
        let (gone, written): (Vec<_>, Vec<_>) = touched.places.into_iter().partition(|(_, gone)| *gone);
        for (place, _) in gone {
            changed |= self.take(&place, None);
        }
        changed |= self.read(written.into_iter().map(|(place, _)| place)).await?;
        Ok(changed)
    }

    /// What is known now.
    pub(super) fn picture(&mut self) -> &mut Picture {
        self.picture
    }

    /// Watches the zones that exist, and no others. Returns those that are new to this connection.
    async fn follow_zones(&mut self) -> Result<Vec<Zone>, Error> {
        let mut zones = BTreeSet::new();
        for name in self.children(ZONES).await? {
            match Zone::parse(&name) {
                Some(zone) => _ = zones.insert(zone),
                None => self.malformed.report(&format!("{ZONES}/{name}"), Defect::BadName),
            }
        }
        self.watches.zones.retain(|zone, _| zones.contains(zone));
        let new: Vec<Zone> = zones.iter().filter(|zone| !self.watches.zones.contains_key(zone)).cloned().collect();
        for zone in &new {
            let path = requests(Some(zone));
            let watcher = self.within(self.client.watch(&path, AddWatchMode::PersistentRecursive)).await?;
            self.watches.zones.insert(zone.clone(), watcher);
        }
        self.picture.set_zones(zones);
        Ok(new)
    }

    async fn components(&self) -> Result<HashSet<Place>, Error> {
        let mut places = HashSet::new();
        for kind in self.children(COMPONENTS).await? {
            let ids = self.children(&format!("{COMPONENTS}/{kind}")).await?;
            places.extend(ids.into_iter().map(|id| Place::Component(kind.as_str().into(), id.into())));
        }
        Ok(places)
    }

    async fn queue(&self, zone: Option<Zone>) -> Result<HashSet<Place>, Error> {
        let parent = requests(zone.as_ref());
        let names = self.children(&parent).await?;
        let places = names.iter().filter_map(|name| interesting(&format!("{parent}/{name}"), self.malformed));
        Ok(places.collect())
    }

    async fn children(&self, path: &str) -> Result<Vec<String>, Error> {
        match self.within(self.client.list_children(path)).await {
            Err(Error::NoNode) => Ok(Vec::new()),
            answer => answer,
        }
    }

    /// Reads znodes with several requests under way at once, and says whether any of them changed the picture.
    async fn read(&mut self, places: impl IntoIterator<Item = Place>) -> Result<bool, Error> {
        let mut places = places.into_iter();
        let mut batches = std::iter::from_fn(|| Some(places.by_ref().take(BATCH).collect::<Vec<_>>()));
        let mut waiting = VecDeque::new();
        let mut changed = false;
        loop {
            let room = WINDOW - waiting.len();
            for batch in batches.by_ref().take(room).take_while(|batch| !batch.is_empty()) {
                waiting.push_back((self.ask(&batch)?, batch));
            }
            let Some((answer, batch)) = waiting.pop_front() else { return Ok(changed) };
            let answers = self.within(answer).await?;
            for (place, answer) in batch.iter().zip(answers) {
                changed |= self.answer(place, answer);
            }
        }
    }

    /// Sends a request for `batch` now; only its answer is waited for later.
    fn ask(&self, batch: &[Place]) -> Result<Answers<'a>, Error> {
        let mut reader = self.client.new_multi_reader();
        batch.iter().try_for_each(|place| reader.add_get_data(&place.path()))?;
        Ok(Box::pin(reader.commit()))
    }

    fn answer(&mut self, place: &Place, answer: MultiReadResult) -> bool {
        match answer {
            MultiReadResult::Data { data, .. } => self.take(place, Some(&data)),
            MultiReadResult::Error { err: Error::NoNode } => self.take(place, None),
            _ => {
                self.malformed.report(&place.path(), Defect::Unreadable);
                false
            }
        }
    }

    fn take(&mut self, place: &Place, data: Option<&[u8]>) -> bool {
        match self.picture.take(place, data) {
            Ok(changed) => {
                self.malformed.forget(&place.path());
                changed
            }
            Err(defect) => {
                self.malformed.report(&place.path(), defect);
                false
            }
        }
    }

    async fn within<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        timeout(self.patience, answer).await.unwrap_or(Err(Error::Timeout))
    }
}

impl Watches {
    /// Waits for one event, then takes all that have arrived with it.
    async fn burst(&mut self, malformed: &Malformed) -> Result<Touched, Error> {
        let mut touched = Touched::default();
        touched.note(&self.next().await, malformed)?;
        for _more in 1..BURST {
            // `next` gives everything that has arrived before it waits.
            let Some(event) = ready(self.next()) else { break };
            touched.note(&event, malformed)?;
        }
        Ok(touched)
    }

    /// The next event of any watch. Loses none when dropped.
    async fn next(&mut self) -> WatchedEvent {
        std::future::poll_fn(|cx| {
            let mut watchers = self.fixed.iter_mut().chain(self.zones.values_mut());
            let ready = watchers.find_map(|watcher| match pin!(watcher.changed()).poll(cx) {
                Poll::Ready(event) => Some(event),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl Touched {
    fn note(&mut self, event: &WatchedEvent, malformed: &Malformed) -> Result<(), Error> {
        if event.event_type == EventType::Session {
            // This client's only connection is no longer what it was.
            return Err(Error::ConnectionLoss);
        }
        if event.path == ZONES {
            self.zones = true;
        } else if let Some(place) = interesting(&event.path, malformed) {
            self.places.insert(place, event.event_type == EventType::NodeDeleted);
        }
        Ok(())
    }
}

fn interesting(path: &str, malformed: &Malformed) -> Option<Place> {
    Place::of(path).unwrap_or_else(|defect| {
        malformed.report(path, defect);
        None
    })
}

/// The output of `future` if it needs no wait.
fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
