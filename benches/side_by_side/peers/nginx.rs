//! nginx's stream module.

use super::hop::{self, Hop, Tls};
use super::{Peer, Process, Running, Topology};
use crate::site::{Build, Site};

/// What does not depend on the topology.
const COMMON: &str = "\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
pid pid;
error_log stderr warn;
# As many as the table's machine has cores; Fingerpost finds that out by itself.
worker_processes 2;
# Two file descriptors for each stream. The kernel may give one worker nearly all of them.
worker_rlimit_nofile 20000;
events {
    worker_connections 18000;
}

stream {
    # A log may be silent for long.
    proxy_connect_timeout 10s;
    proxy_timeout 1h;
    # Viewers never resume a session, so that none need be kept, and no tickets sent.
    ssl_session_cache off;
    ssl_session_tickets off;
    ssl_conf_command NumTickets 0;
    ssl_protocols TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;
    server {
        # A socket for each worker, as nginx advises for many short connections, and room for thousands at once.
";

/// nginx before the executor of `build`; of two hops, each zone has one.
pub async fn start(site: &Site, topology: Topology, build: &Build) -> Running {
    hop::start(Peer::Nginx, site, topology, build, serve).await
}

async fn serve(hop: Hop) -> Process {
    hop.program.write("nginx.conf", &format!("{COMMON}{}    }}\n}}\n", server(&hop)));
    let dir = hop.program.dir().to_owned();
    hop.program.start(&["nginx", "-p", &dir, "-c", "nginx.conf", "-e", "stderr"]).await
}

fn server(hop: &Hop) -> String {
    let listen = format!("listen {} reuseport backlog=4096", hop.program.address);
    let (next, ca) = (hop.next, hop.ca.display());
    let (cert, key) = (hop.identity.cert.display(), hop.identity.key.display());
    match hop.tls {
        Tls::Nowhere => format!("{listen}; proxy_pass {next};\n"),
        Tls::Behind => format!(
            "{listen} ssl; proxy_pass {next};\n\
             ssl_certificate {cert}; ssl_certificate_key {key};\n\
             ssl_client_certificate {ca}; ssl_verify_client on;\n"
        ),
        Tls::Ahead => format!(
            "{listen}; proxy_pass {next}; proxy_ssl on;\n\
             proxy_ssl_certificate {cert}; proxy_ssl_certificate_key {key};\n\
             proxy_ssl_trusted_certificate {ca}; proxy_ssl_verify on;\n"
        ),
    }
}
