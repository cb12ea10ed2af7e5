//! What jobs reach of the world outside: HTTP, names, files of the policies' folder, and the clock. The names are
//! described here and done by whoever implements [`Outside`], so that a test of a policy can make the world up.

mod dns;
mod files;
mod http;
pub(super) mod live;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, Value};

use super::call;
use super::description::Namespace;
use super::failure::Complaint;
use super::leash::Leash;
use super::{FailureKind, Moment};
use crate::config::settings::KeyPairFiles;
use crate::fetch::{Request, Response};

pub(super) use http::ResponseFacts;

/// The libraries that reach outside; every function of theirs is for background work only.
pub(super) const NAMESPACES: [&Namespace; 3] = [&dns::NAMESPACE, &files::NAMESPACE, &http::NAMESPACE];

/// Longest wait for an answer unless the script says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The world outside, as jobs see it. Every function may block its thread for as long as it says.
pub trait Outside: Send + Sync {
    /// The present. It is asked when a run begins, and after each wait.
    fn now(&self) -> Moment;

    /// Asks for what a URL names, within the request's own timeout and within `left`, the rest of the run's time.
    fn fetch(&self, fetch: Fetch, left: Duration) -> Result<Response, Unanswered>;

    /// The addresses of `host`, within `timeout` and within `left`, the rest of the run's time.
    fn look_up(&self, host: &str, timeout: Duration, left: Duration) -> Result<Vec<IpAddr>, Unanswered>;

    /// The whole of the file `name` of the policies' folder.
    fn read(&self, name: &str) -> Result<Vec<u8>, Unanswered>;
}

/// A request, with the files that TLS needs for it. Its own `tls` is `None`.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// What is asked for.
    pub request: Request,
    /// Whom to trust and what to show over HTTPS; `None` is as the system does.
    pub tls: Option<TlsFiles>,
}

/// Files by name from the policies' folder on, or with an absolute path that the configuration has among its params.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CA that the server's certificate comes from; `None` trusts the system's.
    pub ca: Option<PathBuf>,
    /// What is shown to the server.
    pub identity: Option<KeyPairFiles>,
}

/// Why there is nothing to give to the script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unanswered {
    /// In words that follow the function's name.
    Failed(String),
    /// The run has no time left, or nobody wants it any more.
    OutOfTime,
}

/// The way outside for one run; kept in the engine while it goes on.
#[derive(Clone)]
pub(super) struct Reach {
    pub(super) outside: Arc<dyn Outside>,
    pub(super) leash: Arc<Leash>,
}

/// Reaches outside by `work`, and lets time pass for the script. What fails is raised in the name of `function`.
fn reach<T>(lua: &Lua, function: &str, work: impl FnOnce(&Reach) -> Result<T, Unanswered>) -> mlua::Result<T> {
    let Some(reach) = lua.app_data_ref::<Reach>().map(|reach| reach.clone()) else {
        return Err(failed(lua, function, "there is no world outside here"));
    };
    reach.leash.check(lua)?;
    let outcome = work(&reach);
    call::waited(lua, reach.outside.now());
    outcome.map_err(|unanswered| match unanswered {
        Unanswered::Failed(why) => failed(lua, function, &why),
        Unanswered::OutOfTime => reach.leash.strike(lua),
    })
}

fn failed(lua: &Lua, function: &str, why: &str) -> mlua::Error {
    Complaint::raised(lua, FailureKind::Error, &format!("{function}: {why}"))
}

/// The text `value`; empty if it is none, which no check lets pass.
fn text(value: &Value) -> String {
    value.as_string().map(|text| text.to_string_lossy()).unwrap_or_default()
}
