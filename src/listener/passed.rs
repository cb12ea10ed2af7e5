//! Sockets that systemd bound and passed on (`LISTEN_FDS`), found by name or by index.
//!
//! They stay systemd's: a listener gets a duplicate, so that it can be removed and added again by reloads.

use std::error::Error;
use std::net::TcpListener;

use listenfd::ListenFd;

use super::bind::{self, Bound};
use crate::config::settings::Stream;

/// The sockets that were passed, in their order. The default is none.
#[derive(Debug, Default)]
pub struct Passed {
    sockets: Vec<Given>,
}

#[derive(Debug)]
struct Given {
    name: String,
    /// Why it is of no use, where it is none that viewers can connect to.
    socket: Result<TcpListener, String>,
}

/// A socket was configured that is not there, or not usable.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error("it passed no sockets at all: start the relay by its .socket unit, or bind an address instead")]
    Nothing,
    #[error("it passed {0}: set FileDescriptorName= in the .socket unit, or use one of these names or an index")]
    Unknown(String),
    #[error("it passed {0} sockets of this name: use their indexes, in {1}")]
    Ambiguous(usize, String),
    #[error("it is not a listening TCP socket: {0}")]
    Unusable(String),
}

impl Passed {
    /// Takes what systemd passed to this process. `names` is the value of `LISTEN_FDNAMES`, if there is one.
    ///
    /// It changes the environment: call it while the process has one thread.
    pub fn from_systemd(names: Option<&str>) -> Self {
        let mut fds = ListenFd::from_env();
        let mut names = names.unwrap_or_default().split(':');
        let sockets = (0..fds.len()).map(|index| Given {
            name: names.next().unwrap_or_default().to_owned(),
            socket: match fds.take_tcp_listener(index) {
                Ok(Some(socket)) => Ok(socket),
                Ok(None) => Err("it was taken before".to_owned()),
                Err(error) => Err(error.to_string()),
            },
        });
        Self { sockets: sockets.collect() }
    }

    /// A duplicate of the socket called `wanted`, or of the one at that index where none has the name.
    pub(super) fn socket(&self, wanted: &str, stream: &Stream) -> Result<Bound, Box<dyn Error + Send + Sync>> {
        let socket = self.find(wanted)?.socket.as_ref().map_err(|reason| Missing::Unusable(reason.clone()))?;
        Ok(bind::adopt(socket.try_clone()?, stream)?)
    }

    fn find(&self, wanted: &str) -> Result<&Given, Missing> {
        let mut named = self.sockets.iter().filter(|given| given.name == wanted);
        match (named.next(), named.count()) {
            (Some(given), 0) => Ok(given),
            (Some(_), others) => Err(Missing::Ambiguous(others + 1, self.listing())),
            (None, _) if self.sockets.is_empty() => Err(Missing::Nothing),
            (None, _) => {
                let at_index = wanted.parse().ok().and_then(|index: usize| self.sockets.get(index));
                at_index.ok_or_else(|| Missing::Unknown(self.listing()))
            }
        }
    }

    fn listing(&self) -> String {
        let names = self.sockets.iter().enumerate().map(|(index, given)| format!("{index}={:?}", given.name));
        names.collect::<Vec<_>>().join(", ")
    }
}
