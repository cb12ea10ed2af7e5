//! Zuul's ZooKeeper as the registry's source: one connection after another, each read from scratch. The only part of
//! the relay that knows the client library.
//!
//! The library could reconnect by itself, but its pauses grow with the outage, it insists on the last transaction it
//! saw (a ZooKeeper restored from a backup refuses it for ever), and events of the gap are lost (ZOOKEEPER-4698). So
//! one client lives as long as one TCP connection. The next client carries the session on, and with it the ephemeral
//! znodes, but claims to have seen nothing: it reads everything again and watches everything again.

mod backoff;
mod direct;
mod link;
mod mirror;
mod paths;
mod picture;
mod tunnel;

use std::convert::Infallible;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tracing::{debug, info, info_span, warn};
use zookeeper_client::{Client, Error, SessionInfo};

use crate::config::settings;
use crate::names::{BuildId, Zone};
use crate::registry::Unavailable;
use crate::registry::malformed::Malformed;
use crate::registry::model::Build;
use crate::registry::publisher::Publisher;
use crate::tasks::Tasks;
use crate::tls;

use backoff::Backoff;
use direct::Direct;
use link::{Broken, Dialler, Link};
use mirror::Mirror;
use picture::Picture;

pub(crate) use paths::{COMPONENTS, EXECUTOR, QUEUE_PARTS};
pub(crate) use zookeeper_client as library;

/// A handle on the connection; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ZooKeeper {
    tls: Arc<ArcSwapOption<tls::Client>>,
    client: watch::Receiver<Option<Client>>,
    direct: Arc<Direct>,
}

impl ZooKeeper {
    /// Starts to follow ZooKeeper in a task of `tasks`.
    pub(crate) fn start(
        settings: settings::ZooKeeper,
        tls: Option<tls::Client>,
        publisher: Publisher,
        tasks: &Tasks,
    ) -> Self {
        let tls = Arc::new(ArcSwapOption::from(tls.map(Arc::new)));
        let malformed = Arc::new(Malformed::new(publisher.metrics().clone()));
        let link = watch::Sender::new(None);
        let client = link.subscribe();
        let direct = Direct::new(client.clone(), Arc::clone(&malformed), publisher.metrics().clone(), &settings);
        let dialler = Dialler::new(settings.clone(), Arc::clone(&tls), tasks.clone());
        let source = Source { settings, dialler, publisher, malformed, link, picture: Picture::default() };
        let stop = tasks.clone();
        tasks.spawn(info_span!("zookeeper"), async move { source.follow(&stop).await });
        Self { tls, client, direct: Arc::new(direct) }
    }

    /// The present connection's client, and every later one. `None` while there is none.
    pub(crate) fn client(&self) -> watch::Receiver<Option<Client>> {
        self.client.clone()
    }

    /// Reads a build past the mirror. `zones` are those the mirror knows; newer ones are looked for.
    pub(crate) async fn read(&self, uuid: &BuildId, zones: &[Zone]) -> Result<Option<Arc<Build>>, Unavailable> {
        self.direct.read(uuid, zones).await
    }

    /// Uses `tls` from the next connection on.
    pub(crate) fn replace_tls(&self, tls: tls::Client) {
        self.tls.store(Some(Arc::new(tls)));
    }
}

/// The task that owns the connection.
struct Source {
    settings: settings::ZooKeeper,
    dialler: Dialler,
    publisher: Publisher,
    malformed: Arc<Malformed>,
    link: watch::Sender<Option<Client>>,
    picture: Picture,
}

impl Source {
    async fn follow(mut self, tasks: &Tasks) {
        let mut session = None;
        let mut backoff = Backoff::default();
        let mut told = None;
        while let Some(dialled) = unless_stopped(tasks, self.dialler.connect(session.as_ref())).await {
            match dialled {
                Ok(link) => {
                    told = None;
                    session = self.serve(link, session, &mut backoff, tasks).await;
                }
                Err(Broken::SessionExpired) if session.is_some() => {
                    info!("ZooKeeper has forgotten the session; beginning another");
                    session = None;
                    continue;
                }
                Err(broken) => {
                    self.publisher.metrics().unreachable.inc();
                    tell_once(&mut told, &broken);
                }
            }
            if unless_stopped(tasks, backoff.pause()).await.is_none() {
                return;
            }
        }
    }

    /// Serves from one connection until it breaks, and returns the session to carry on.
    async fn serve(
        &mut self,
        link: Link,
        before: Option<SessionInfo>,
        backoff: &mut Backoff,
        tasks: &Tasks,
    ) -> Option<SessionInfo> {
        let session = link.client().session().clone();
        if before.is_none_or(|before| before.id() != session.id()) {
            self.publisher.metrics().sessions.inc();
        }
        info!(session = %session.id(), "connected to ZooKeeper");
        self.link.send_replace(Some(link.client().clone()));
        let ended = unless_stopped(tasks, self.mirror(&link, backoff)).await;
        self.link.send_replace(None);
        if let Some(why) = ended {
            warn!(reason = %why, "lost ZooKeeper; serving what was known");
            link.cut();
            self.publisher.lose();
        } else {
            link.close().await;
        }
        Some(session)
    }

    /// Mirrors until the connection breaks, and says why it did.
    async fn mirror(&mut self, link: &Link, backoff: &mut Backoff) -> Broken {
        tokio::select! {
            ended = self.publish(link.client(), backoff) => match ended {
                Err(error) => Broken::Client(error),
            },
            () = link.lost() => Broken::Lost,
        }
    }

    /// Publishes everything that `client` sees, for as long as it sees anything.
    async fn publish(&mut self, client: &Client, backoff: &mut Backoff) -> Result<Infallible, Error> {
        let Self { settings, publisher, malformed, picture, .. } = self;
        let mut mirror = Mirror::watch(client, malformed, settings.request_timeout, picture).await?;
        mirror.load().await?;
        backoff.reset();
        publisher.publish(|snapshot| mirror.picture().show(snapshot));
        loop {
            if mirror.change().await? {
                publisher.publish(|snapshot| mirror.picture().show(snapshot));
            }
        }
    }
}

/// An outage has hundreds of failed attempts; one line for each reason says it all.
fn tell_once(told: &mut Option<String>, broken: &Broken) {
    let reason = broken.to_string();
    if told.as_ref() == Some(&reason) {
        debug!(%reason, "still no connection to ZooKeeper");
    } else {
        warn!(%reason, "no connection to ZooKeeper");
        *told = Some(reason);
    }
}

async fn unless_stopped<T>(tasks: &Tasks, future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = tasks.stopping() => None,
        done = future => Some(done),
    }
}
