//! HAProxy in TCP mode, as its manual would have it for large logs in plain TCP; its buffers have the size that the
//! manual asks for.

use super::hop::{self, Hop, Tls};
use super::{Peer, Process, Running, Topology};
use crate::site::{Build, Site};

/// What does not depend on the topology.
const COMMON: &str = "\
global
    # As many as the table's machine has cores; Fingerpost finds that out by itself.
    nbthread 2
    # Two file descriptors for each stream, and two for each pipe: together they fit into the usual 20 000.
    maxconn 8000
    maxpipes 1000
    # Sixteen times the kernel's size: fewer and larger splices.
    tune.pipesize 1048576
    # Viewers never resume a session, so that none need be kept.
    tune.ssl.cachesize 0
    ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
    ssl-default-bind-ciphersuites TLS_AES_256_GCM_SHA384
    ssl-default-server-options ssl-min-ver TLSv1.3
    ssl-default-server-ciphersuites TLS_AES_256_GCM_SHA384

defaults
    mode tcp
    # Always, where both sides are plain TCP; splice-auto would only do so by an estimate of its own.
    option splice-request
    option splice-response
    # A packet less for each connection: viewers speak at once, and so does HAProxy to executors.
    option tcp-smart-accept
    option tcp-smart-connect
    # A log may be silent for long.
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
";

/// HAProxy before the executor of `build`; of two hops, each zone has one.
pub async fn start(site: &Site, topology: Topology, build: &Build) -> Running {
    hop::start(Peer::HaProxy, site, topology, build, serve).await
}

async fn serve(hop: Hop) -> Process {
    let file = hop.program.write("haproxy.cfg", &format!("{COMMON}{}", listen(&hop)));
    // Without -db it would leave the foreground.
    hop.program.start(&["haproxy", "-db", "-f", &file]).await
}

fn listen(hop: &Hop) -> String {
    let store = format!("{}/identity.pem", hop.program.dir());
    hop.identity.key_store(store.as_ref());
    let tls = format!("ssl crt {store} ca-file {} verify required", hop.ca.display());
    let (bind, server) = match hop.tls {
        Tls::Nowhere => ("", ""),
        Tls::Behind => (tls.as_str(), ""),
        Tls::Ahead => ("", tls.as_str()),
    };
    format!("\nlisten logs\n    bind {} {bind}\n    server next {} {server}\n", hop.program.address, hop.next)
}
