//! What all peers stand in: one ZooKeeper over TLS with the builds of a large Zuul in it, and certificates.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use serde_json::json;
use tokio::task::JoinSet;
use zookeeper_client::{Acls, Client, CreateMode};

use crate::peers::Peer;
use crate::support::authority::Authority;
use crate::support::viewer::client_config;
use crate::support::world::{World, uuid};

/// Running builds that are in the registry during every work.
pub const BUILDS: usize = 10_000;

/// The zone of viewers, and of executors that are reached in one hop.
pub const HERE: &str = "here";

/// Where Zuul keeps builds that asked for no zone.
const REQUESTS: &str = "/zuul/executor/unzoned/requests";
/// Builds that are written at a time.
const AT_A_TIME: usize = 64;

/// The registry and the certificates.
pub struct Site {
    /// A Zuul of our own; its authority signed for all peers and viewers.
    pub world: World,
    /// Who is measured.
    pub peers: Vec<Peer>,
    /// Another build of Fingerpost to measure beside this one.
    pub before: Option<PathBuf>,
}

/// A build that runs.
#[derive(Debug, Clone)]
pub struct Build {
    /// Its name, which viewers ask for.
    pub uuid: String,
    /// Where its log is.
    pub executor: SocketAddr,
}

impl Site {
    /// Starts a ZooKeeper and fills it.
    pub async fn start(peers: Vec<Peer>, before: Option<PathBuf>) -> Self {
        let site = Self { world: World::alone().await, peers, before };
        site.populate(BUILDS).await;
        site
    }

    /// Submits a build by Zuul's own classes, which `executor` runs in `zone`.
    pub async fn build(&self, zone: &str, executor: SocketAddr) -> Build {
        let worker = json!({"hostname": executor.ip().to_string(), "log_port": executor.port(), "zone": zone});
        Build { uuid: self.world.build(worker).await, executor }
    }

    /// Adds running builds that nobody asks for: copies of one that Zuul wrote.
    pub async fn populate(&self, count: usize) {
        let first = self.build(HERE, ([127, 0, 0, 1], 7900).into()).await;
        let hosts = self.world.zookeeper().lock().await.hosts();
        let client = Client::connect(&hosts).await.expect("ZooKeeper");
        let (data, _) = client.get_data(&format!("{REQUESTS}/{}", first.uuid)).await.expect("what Zuul wrote");
        let text = String::from_utf8(data).expect("JSON");
        let mut writers = JoinSet::new();
        for writer in 0..AT_A_TIME {
            let uuids = (writer..count).step_by(AT_A_TIME).map(|_| uuid()).collect();
            writers.spawn(write(client.clone(), uuids, text.clone(), first.uuid.clone()));
        }
        writers.join_all().await;
    }

    /// Who signed for every peer and every viewer.
    pub fn authority(&self) -> &Authority {
        self.world.authority()
    }

    /// How viewers speak TLS: with a client certificate, and a full handshake each time. All peers choose TLS 1.3
    /// with AES-256-GCM, which is the first of what this offers.
    pub fn tls(&self) -> Arc<ClientConfig> {
        let mut config = Arc::unwrap_or_clone(client_config(self.authority(), Some(self.world.client())));
        config.resumption = Resumption::disabled();
        Arc::new(config)
    }
}

async fn write(client: Client, uuids: Vec<String>, text: String, original: String) {
    let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
    for uuid in uuids {
        let data = text.replace(&original, &uuid);
        client.create(&format!("{REQUESTS}/{uuid}"), data.as_bytes(), &options).await.expect("a build written");
    }
}
