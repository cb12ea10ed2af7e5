//! stunnel, which takes TLS off and does nothing else.

use super::hop::{self, Hop};
use super::{Peer, Process, Running, Topology};
use crate::site::{Build, Site};

/// What does not depend on where things are.
const COMMON: &str = "\
foreground = yes
pid =
; As little as it can: a line for each connection would cost it.
debug = warning
; The others send at once too.
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1

[logs]
sslVersion = TLSv1.3
ciphersuites = TLS_AES_256_GCM_SHA384
; Asks for a viewer's certificate, and refuses whoever has none.
verifyChain = yes
; Viewers never resume a session, so that none need be kept.
options = NO_TICKET
sessionResume = no
; A log may be silent for long.
TIMEOUTidle = 3600
; The end of a log ends the connection, as with the others; it would wait for the viewer's farewell first.
TIMEOUTclose = 0
";

/// stunnel before the executor of `build`, for viewers that speak TLS.
pub async fn start(site: &Site, topology: Topology, build: &Build) -> Running {
    assert_eq!(topology, Topology::Tls, "stunnel only takes TLS off, so there is nothing for it to do here");
    hop::start(Peer::Stunnel, site, topology, build, serve).await
}

async fn serve(hop: Hop) -> Process {
    let file = hop.program.write("stunnel.conf", &format!("{COMMON}{}", places(&hop)));
    hop.program.start(&["stunnel", &file]).await
}

fn places(hop: &Hop) -> String {
    format!(
        "accept = {}\nconnect = {}\ncert = {}\nkey = {}\nCAfile = {}\n",
        hop.program.address,
        hop.next,
        hop.identity.cert.display(),
        hop.identity.key.display(),
        hop.ca.display(),
    )
}
