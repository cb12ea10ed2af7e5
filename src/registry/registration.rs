//! The relay as Zuul's other components see it: one ephemeral znode, there as long as the relay is, saying what it
//! does.
//!
//! It must never harm Zuul. Every component takes the lowest `model_api` that any shows as the version of the system's
//! data, and crashes when it starts beside a znode without a whole content. So the znode is created with all of it at
//! once, and shows a version above everybody's: a higher one has no effect (`zuul/zk/components.py`).

mod clerk;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info_span, warn};

use crate::names::{Hostname, Zone};
use crate::registry::Registry;
use crate::registry::model::State;
use crate::registry::zookeeper::library::Client;
use crate::tasks::Tasks;

use clerk::Clerk;

/// What the relay says of itself, but for its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The name to dial and to verify.
    pub hostname: Hostname,
    /// The zone it serves.
    pub zone: Option<Zone>,
    /// The port to dial. Shown only with a zone, as Zuul's own gateway does.
    pub public_port: u16,
    /// Whether that port speaks TLS.
    pub use_ssl: bool,
}

/// The relay's registration, kept up by a task until [`Registration::withdraw`].
#[derive(Debug)]
pub struct Registration {
    wish: watch::Sender<Wish>,
    announced: watch::Sender<Announcement>,
    link: watch::Receiver<Option<Client>>,
    names: watch::Receiver<Names>,
}

/// What the znode is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Show(State),
    Nothing,
}

/// What the znode is called now, and was called lately.
#[derive(Debug, Clone, Default)]
struct Names {
    current: Option<Arc<str>>,
    past: Vec<Arc<str>>,
}

/// The names by which a relay finds itself among the gateways. The default has none: a relay that is not registered.
#[derive(Debug, Clone, Default)]
pub struct OwnNames(Option<watch::Receiver<Names>>);

impl OwnNames {
    /// Names that never change, for tests of what looks at them.
    #[cfg(test)]
    pub(crate) fn always(id: &str) -> Self {
        Self(Some(watch::Sender::new(Names { current: Some(id.into()), past: Vec::new() }).subscribe()))
    }

    /// Whether the gateway called `id` is this relay. A znode of a session that was just lost counts as well, since
    /// mirrors may still show it.
    pub fn contain(&self, id: &str) -> bool {
        self.0.as_ref().is_some_and(|names| {
            let names = names.borrow();
            names.current.iter().chain(&names.past).any(|own| &**own == id)
        })
    }
}

impl Registration {
    /// Registers as `initializing`, now or as soon as ZooKeeper is there, and again whenever a session was lost.
    /// `None` if `registry` has no ZooKeeper to register with.
    pub fn start(registry: &Registry, announcement: Announcement, tasks: &Tasks) -> Option<Self> {
        let zookeeper = registry.zookeeper.clone()?;
        let wish = watch::Sender::new(Wish::Show(State::Initializing));
        let names = watch::Sender::new(Names::default());
        let announced = watch::Sender::new(announcement);
        let link = zookeeper.client();
        let clerk = Clerk {
            registry: registry.clone(),
            announced: announced.subscribe(),
            link: link.clone(),
            changes: registry.changes(),
            wish: wish.subscribe(),
            names,
            znode: None,
            leaves_traces: false,
        };
        let names = clerk.names.subscribe();
        tasks.spawn_until_stopped(info_span!("registration"), clerk.work());
        Some(Self { wish, announced, link, names })
    }

    /// Shows something else of the relay. The host name stays as it was in the path until the next session.
    pub fn announce(&self, announcement: Announcement) {
        self.announced.send_if_modified(|announced| {
            let changed = *announced != announcement;
            *announced = announcement;
            changed
        });
    }

    /// Shows another state.
    pub fn state(&self, state: State) {
        self.wish.send_if_modified(|wish| std::mem::replace(wish, Wish::Show(state)) != Wish::Show(state));
    }

    /// The last part of the znode's path; `None` until there is one.
    pub fn id(&self) -> Option<Arc<str>> {
        self.names.borrow().current.clone()
    }

    /// What the relay's own znodes are called, now and from now on.
    pub fn own_names(&self) -> OwnNames {
        OwnNames(Some(self.names.clone()))
    }

    /// Removes the znode, for at most `deadline`. Must come before the tasks are told to stop. While ZooKeeper is away
    /// nobody waits for it: the znode goes as soon as it is back, or with its session.
    pub async fn withdraw(self, deadline: Duration) {
        self.wish.send_replace(Wish::Nothing);
        let (mut names, mut link) = (self.names, self.link);
        let gone = async { while names.changed().await.is_ok() {} };
        let watched = async {
            tokio::select! {
                biased;
                () = gone => {}
                Ok(_none) = link.wait_for(Option::is_none) => {
                    warn!("ZooKeeper is away; the registration is removed as soon as it is back");
                }
            }
        };
        if timeout(deadline, watched).await.is_err() {
            warn!("could not remove the registration in time; trying on");
        }
    }
}
