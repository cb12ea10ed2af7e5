//! One connection to ZooKeeper: a server dialled, a tunnel to it, and a client of the library at its near end. It never
//! reconnects; whoever holds it takes another.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::debug;
use zookeeper_client::{Client, Error, SessionInfo, SessionState};

use crate::config::settings::{self, HostPort};
use crate::tasks::Tasks;
use crate::tls;
use crate::transport::Transport;

use super::backoff::dice;
use super::tunnel::{Blocked, Tunnel};

/// Makes connections.
#[derive(Debug)]
pub(super) struct Dialler {
    settings: settings::ZooKeeper,
    tls: Arc<ArcSwapOption<tls::Client>>,
    tasks: Tasks,
}

/// A connection that is up, or was.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    tunnel: Tunnel,
}

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// Every server failed.
    #[error("{0}")]
    Unreachable(String),
    /// The tunnel to a server could not be made.
    #[error(transparent)]
    Blocked(#[from] Blocked),
    /// The session to carry on is gone.
    #[error("the session has expired")]
    SessionExpired,
    /// A server was there and did not become ours.
    #[error("{server}: it was reached and gave no session: {source}")]
    Refused {
        /// The server.
        server: HostPort,
        /// What the library made of it.
        source: Error,
    },
    /// An operation failed that the mirror cannot do without.
    #[error("ZooKeeper could not be read: {0}")]
    Client(Error),
    /// The server closed the connection or fell silent.
    #[error("the connection was lost")]
    Lost,
}

impl Dialler {
    /// Dials by `settings`, with whatever `tls` holds at that moment; `settings.tls` only says that it must be held.
    pub(super) fn new(settings: settings::ZooKeeper, tls: Arc<ArcSwapOption<tls::Client>>, tasks: Tasks) -> Self {
        Self { settings, tls, tasks }
    }

    /// Connects to the first server that answers, in random order, and resumes `session` there if there is one.
    ///
    /// Takes at most `request_timeout` for each server, and as long again for the session.
    pub(super) async fn connect(&self, session: Option<&SessionInfo>) -> Result<Link, Broken> {
        let patience = self.settings.request_timeout;
        let (server, transport) = self.dial_any().await?;
        let tunnel = Tunnel::open(transport, patience, &self.tasks).await?;
        let mut connector = Client::connector()
            .with_session_timeout(self.settings.session_timeout)
            .with_connection_timeout(patience)
            .with_fail_eagerly()
            .with_tls(tunnel.key());
        if let Some(session) = session {
            connector = connector.with_session(session.clone());
        }
        let at = format!("{}{}", tunnel.address(), self.settings.chroot);
        match timeout(patience, connector.connect(&at)).await.unwrap_or(Err(Error::Timeout)) {
            Ok(client) => Ok(Link { client, tunnel }),
            Err(Error::SessionExpired) => Err(Broken::SessionExpired),
            Err(source) => Err(Broken::Refused { server: server.clone(), source }),
        }
    }

    async fn dial_any(&self) -> Result<(&HostPort, Transport), Broken> {
        let mut failures = Vec::new();
        for server in shuffled(&self.settings.hosts) {
            match timeout(self.settings.request_timeout, self.dial(server)).await {
                Ok(Ok(transport)) => return Ok((server, transport)),
                Ok(Err(reason)) => failures.push(format!("{server}: {reason}")),
                Err(_elapsed) => failures.push(format!("{server}: no answer in time")),
            }
        }
        // The order is random, and one outage is to read the same each time.
        failures.sort();
        Err(Broken::Unreachable(failures.join("; ")))
    }

    #[expect(clippy::disallowed_methods, reason = "a server is one name, and dial_any holds the deadline")]
    async fn dial(&self, server: &HostPort) -> Result<Transport, String> {
        let tcp = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(|error| error.to_string())?;
        tcp.set_nodelay(true).map_err(|error| error.to_string())?;
        debug!(%server, "connected");
        match self.tls.load_full() {
            None if self.settings.tls.is_some() => {
                Err("TLS is configured, and its certificates are missing".to_owned())
            }
            None => Ok(Transport::Plain(tcp)),
            Some(tls) => {
                let stream = tls.connect(&server.host, tcp).await.map_err(|error| error.to_string())?;
                Ok(Transport::Tls(Box::new(stream)))
            }
        }
    }
}

impl Link {
    /// Longest wait for ZooKeeper to confirm the end of a session.
    const FAREWELL: Duration = Duration::from_secs(1);

    /// The client, as long as the connection lives.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Resolves when the connection is of no more use.
    pub(super) async fn lost(&self) {
        let mut states = self.client.state_watcher();
        while states.state() == SessionState::SyncConnected {
            states.changed().await;
        }
    }

    /// Breaks the connection off, so that the library cannot end the session when its last client is dropped.
    pub(super) fn cut(self) {
        let Self { client, tunnel } = self;
        drop(tunnel);
        drop(client);
    }

    /// Ends the session, and with it everything ephemeral.
    pub(super) async fn close(self) {
        let Self { client, tunnel } = self;
        drop(client);
        if timeout(Self::FAREWELL, tunnel.ended()).await.is_err() {
            debug!("ZooKeeper did not confirm the end of the session");
        }
    }
}

fn shuffled(hosts: &[HostPort]) -> Vec<&HostPort> {
    let mut hosts: Vec<_> = hosts.iter().map(|host| (dice(), host)).collect();
    hosts.sort_by_key(|(order, _)| *order);
    hosts.into_iter().map(|(_, host)| host).collect()
}
