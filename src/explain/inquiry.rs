//! What somebody wants to have explained, and what they suppose to be different from how things are. It decides
//! nothing.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::findings::in_zone;
use crate::config::settings::Settings;
use crate::names::Zone;
use crate::request::Query;
use crate::tls::Identity;

/// A request to be explained.
#[derive(Debug)]
pub struct Inquiry {
    /// What a viewer would ask.
    pub query: Query,
    /// What is to be different in the other decision. Nothing: there is no other.
    pub supposed: Supposition,
}

/// What is different from an unknown viewer's request on the first listener of the relay as it is configured.
#[derive(Debug, Default)]
pub struct Supposition {
    /// Other scripts: a file, or a folder of them.
    pub policy: Option<PathBuf>,
    /// Another zone of the relay's own; `Some(None)` for none.
    pub zone: Option<Option<Zone>>,
    /// Where the viewer is, instead of on this machine.
    pub viewer: Option<IpAddr>,
    /// The listener that it came to.
    pub listener: Option<String>,
    /// The server name (SNI) that it asked for.
    pub server_name: Option<String>,
    /// The certificate that it showed, taken as verified.
    pub identity: Option<Arc<Identity>>,
    /// When it asked.
    pub at: Option<SystemTime>,
}

/// A listener that is not configured.
#[derive(Debug, thiserror::Error)]
#[error("there is no listener {wanted:?}; configured are: {configured}")]
pub struct NoSuchListener {
    wanted: String,
    configured: String,
}

impl Supposition {
    /// Whether everything is as it is.
    pub fn is_nothing(&self) -> bool {
        self.words().is_empty()
    }

    /// Whether a relay with `settings` could be asked in this way.
    ///
    /// # Errors
    /// [`NoSuchListener`], with those that there are.
    pub fn check(&self, settings: &Settings) -> Result<(), NoSuchListener> {
        let names = || settings.listeners.iter().map(|listener| listener.name.as_str());
        match &self.listener {
            Some(wanted) if !names().any(|name| name == wanted) => {
                Err(NoSuchListener { wanted: wanted.clone(), configured: names().collect::<Vec<_>>().join(", ") })
            }
            _ => Ok(()),
        }
    }

    fn words(&self) -> Vec<String> {
        let Self { policy, zone, viewer, listener, server_name, identity, at } = self;
        let words = [
            policy.as_ref().map(|path| format!("the policy {}", path.display())),
            zone.as_ref().map(|zone| format!("the relay {}", in_zone(zone.as_ref()))),
            viewer.map(|address| format!("the viewer at {address}")),
            listener.as_ref().map(|name| format!("the listener {name}")),
            server_name.as_ref().map(|name| format!("the server name {name:?}")),
            identity.as_ref().map(|identity| format!("the certificate of {:?}", identity.subject)),
            at.map(|at| format!("the time {}", humantime::format_rfc3339_seconds(at))),
        ];
        words.into_iter().flatten().collect()
    }
}

impl fmt::Display for Supposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut label = "with";
        for words in self.words() {
            writeln!(f, "{label:8} {words}")?;
            label = "";
        }
        Ok(())
    }
}
