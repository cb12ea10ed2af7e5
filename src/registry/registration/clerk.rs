//! The task behind a registration: it makes the znode what it is wished to be, whatever ZooKeeper, its sessions and
//! other people do to it in between. It decides nothing about what is wished.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::{Announcement, Names, Wish};
use crate::names::Zone;
use crate::registry::Registry;
use crate::registry::model::{Freshness, Snapshot, State};
use crate::registry::zookeeper::library::{Acls, Client, CreateMode, CreateOptions, Error, SessionId};
use crate::registry::zookeeper::{COMPONENTS, EXECUTOR, QUEUE_PARTS};

/// The task that keeps the znode as it is wished.
pub(super) struct Clerk {
    pub(super) registry: Registry,
    pub(super) announced: watch::Receiver<Announcement>,
    pub(super) link: watch::Receiver<Option<Client>>,
    pub(super) changes: watch::Receiver<u64>,
    pub(super) wish: watch::Receiver<Wish>,
    pub(super) names: watch::Sender<Names>,
    pub(super) znode: Option<Znode>,
    /// Whether a znode of ours may exist: one was to be created, and nobody has confirmed yet that it is gone.
    pub(super) leaves_traces: bool,
}

/// What is in ZooKeeper, as far as we know.
#[derive(Debug)]
pub(super) struct Znode {
    path: String,
    session: SessionId,
    /// Empty where it is not known, which no content ever is.
    content: Vec<u8>,
}

impl Clerk {
    /// The parent of all gateways, this one too.
    const PARENT: &str = "/zuul/components/fingergw";

    /// The kinds of components whose parents Zuul expects.
    const KINDS: [&str; 6] = ["scheduler", "executor", "merger", "fingergw", "web", "launcher"];

    /// Higher than any data-model version that Zuul will have for a long time (38 in 14.3.0).
    const MODEL_API: i64 = 1_000_000;

    /// Longest wait for one step, and the pause after one that failed.
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_secs(1);

    /// How many names of former znodes are remembered.
    const MEMORY: usize = 8;

    pub(super) async fn work(mut self) {
        loop {
            let wish = *self.wish.borrow_and_update();
            self.announced.mark_unchanged();
            let client = self.link.borrow_and_update().clone();
            let settled = match client {
                Some(client) => self.settle(&client, wish).await,
                None => Ok(()),
            };
            match settled {
                Ok(()) if wish == Wish::Nothing && !self.leaves_traces => return,
                Ok(()) => self.cause_to_act().await,
                Err(error) => {
                    warn!(%error, "could not register; trying again");
                    let _sooner = timeout(Self::PAUSE, self.cause_to_act()).await;
                }
            }
        }
    }

    /// Waits until the znode may not be as it should be. Nobody who is gone has another wish: not the owner after a
    /// withdrawal, nor the connection when all tasks end.
    async fn cause_to_act(&mut self) {
        loop {
            tokio::select! {
                Ok(()) = self.wish.changed() => return,
                Ok(()) = self.announced.changed() => return,
                Ok(()) = self.link.changed() => return,
                Ok(()) = self.changes.changed() => {
                    if self.outdated(&self.registry.snapshot()) {
                        return;
                    }
                }
                else => return std::future::pending().await,
            }
        }
    }

    /// Whether what others see is not what it should be.
    fn outdated(&self, snapshot: &Snapshot) -> bool {
        let (Some(znode), Wish::Show(state)) = (&self.znode, *self.wish.borrow()) else { return false };
        let seen = snapshot.components.gateways.iter().any(|gateway| self.is_current(&gateway.id));
        let vanished = snapshot.freshness == Freshness::Live && !seen;
        vanished || znode.content != self.content(state)
    }

    fn is_current(&self, id: &str) -> bool {
        self.names.borrow().current.as_deref() == Some(id)
    }

    async fn settle(&mut self, client: &Client, wish: Wish) -> Result<(), Error> {
        let settling = async {
            self.recognize(client).await?;
            match wish {
                Wish::Nothing => self.remove(client).await,
                Wish::Show(state) => self.show(client, state).await,
            }
        };
        timeout(Self::PATIENCE, settling).await.unwrap_or(Err(Error::Timeout))
    }

    /// Finds out which znode is ours: a create may have succeeded though its answer was lost, and anybody may have
    /// deleted the one we made. Removes what an older session of ours left behind.
    async fn recognize(&mut self, client: &Client) -> Result<(), Error> {
        client.sync(Self::PARENT).await?;
        let mut own = client.list_ephemerals(Self::PARENT).await?;
        own.sort();
        if let Some(old) = self.znode.as_ref().filter(|known| known.session != client.session_id()) {
            discard(client, old).await?;
        }
        let last = own.pop();
        for surplus in own {
            absent(client.delete(&surplus, None).await)?;
        }
        // Not before all that has succeeded: what is forgotten is removed by nobody.
        let known = self.znode.take();
        let Some(path) = last else { return Ok(()) };
        let content = known.filter(|known| known.path == path).map(|known| known.content).unwrap_or_default();
        self.call(&path);
        self.znode = Some(Znode { path, session: client.session_id(), content });
        Ok(())
    }

    async fn show(&mut self, client: &Client, state: State) -> Result<(), Error> {
        let content = self.content(state);
        match &mut self.znode {
            Some(znode) if znode.content == content => {}
            Some(znode) => {
                // What is shown is unknown until the answer is there, which may never come.
                znode.content.clear();
                client.set_data(&znode.path, &content, None).await?;
                znode.content = content;
                debug!(path = znode.path, state = state.as_str(), "registration updated");
            }
            None => self.create(client, content).await?,
        }
        Ok(())
    }

    async fn create(&mut self, client: &Client, content: Vec<u8>) -> Result<(), Error> {
        prepare(client).await?;
        let prefix = format!("{}/{}", Self::PARENT, self.announced.borrow().hostname);
        let mode = CreateMode::EphemeralSequential.with_acls(Acls::anyone_all());
        self.leaves_traces = true;
        let (_stat, sequence) = client.create(&prefix, &content, &mode).await?;
        let path = format!("{prefix}{sequence}");
        info!(path, "registered");
        self.call(&path);
        self.znode = Some(Znode { path, session: client.session_id(), content });
        Ok(())
    }

    async fn remove(&mut self, client: &Client) -> Result<(), Error> {
        if let Some(znode) = &self.znode {
            // Watchers see why it goes, as they do of Zuul's own components.
            let stopped = self.content(State::Stopped);
            absent(client.set_data(&znode.path, &stopped, None).await.map(drop))?;
            absent(client.delete(&znode.path, None).await)?;
            info!(path = znode.path, "registration removed");
        }
        self.znode = None;
        self.leaves_traces = false;
        Ok(())
    }

    /// Remembers the name under which others see us from now on.
    fn call(&self, path: &str) {
        let name: Arc<str> = path.rsplit('/').next().unwrap_or(path).into();
        self.names.send_if_modified(|names| {
            if names.current.as_ref() == Some(&name) {
                return false;
            }
            names.past.extend(names.current.replace(name));
            let surplus = names.past.len().saturating_sub(Self::MEMORY);
            names.past.drain(..surplus);
            true
        });
    }

    /// The whole content, with every key that Zuul's `ComponentRegistry` reads, sorted as Zuul sorts them.
    fn content(&self, state: State) -> Vec<u8> {
        let Announcement { hostname, zone, public_port, use_ssl } = &*self.announced.borrow();
        let shown = self.registry.snapshot().components.model_api;
        json!({
            "hostname": hostname.as_str(),
            "kind": "fingergw",
            "model_api": shown.map_or(Self::MODEL_API, |shown| shown.max(Self::MODEL_API)),
            "public_port": zone.as_ref().map(|_| public_port),
            "state": state.as_str(),
            "use_ssl": use_ssl,
            "version": env!("CARGO_PKG_VERSION"),
            "zone": zone.as_ref().map(Zone::as_str),
        })
        .to_string()
        .into_bytes()
    }
}

/// Creates what Zuul's own gateway creates when it is the first component of a system.
async fn prepare(client: &Client) -> Result<(), Error> {
    let directory: CreateOptions<'_> = CreateMode::Persistent.with_acls(Acls::anyone_all());
    for kind in Clerk::KINDS {
        client.mkdir(&format!("{COMPONENTS}/{kind}"), &directory).await?;
    }
    for part in QUEUE_PARTS {
        client.mkdir(&format!("{EXECUTOR}/unzoned/{part}"), &directory).await?;
    }
    Ok(())
}

/// Deletes a znode that a former session of ours made, if it still is that session's.
async fn discard(client: &Client, old: &Znode) -> Result<(), Error> {
    match client.check_stat(&old.path).await? {
        Some(stat) if stat.ephemeral_owner == old.session.0 => absent(client.delete(&old.path, None).await),
        _ => Ok(()),
    }
}

/// What is not there need not be deleted.
fn absent(deleted: Result<(), Error>) -> Result<(), Error> {
    match deleted {
        Err(Error::NoNode) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics;
    use crate::names::Hostname;
    use crate::registry::Publisher;

    #[tokio::test]
    async fn a_clerk_whose_owner_has_left_waits_for_zookeeper_without_turning_in_circles() {
        let announcement = Announcement {
            hostname: Hostname::parse("relay.example").unwrap(),
            zone: None,
            public_port: 79,
            use_ssl: false,
        };
        let publisher = Publisher::new(metrics::Registry::default());
        let registry = Registry::mirror_of(&publisher);
        let link = watch::Sender::new(None);
        let mut clerk = Clerk {
            announced: watch::Sender::new(announcement).subscribe(),
            link: link.subscribe(),
            changes: registry.changes(),
            registry,
            wish: watch::Sender::new(Wish::Nothing).subscribe(),
            names: watch::Sender::new(Names::default()),
            znode: None,
            leaves_traces: true,
        };
        assert!(timeout(Duration::ZERO, clerk.cause_to_act()).await.is_err());
        link.send_replace(None);
        assert!(timeout(Duration::ZERO, clerk.cause_to_act()).await.is_ok(), "the connection's change is a cause");
        drop((link, publisher));
        assert!(timeout(Duration::ZERO, clerk.cause_to_act()).await.is_err());
    }
}
