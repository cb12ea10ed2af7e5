//! What a policy is asked and told: a request that wants a route, and a stream that has ended. Values of the session's,
//! borrowed for one call.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Known;
use crate::names::{BuildId, Zone};
use crate::registry::Build;
use crate::route::Tags;
use crate::tls::Identity;

/// Everything that one decision may depend on. The same request gets the same route from the same script.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The line that the viewer sent, trailing blanks and line end removed.
    pub query: &'a str,
    /// The build it names, known or not.
    pub uuid: Option<&'a BuildId>,
    /// What is known of that build; `None` if it is unknown.
    pub build: Option<&'a Arc<Build>>,
    /// What was known when the request came.
    pub known: Known<'a>,
    /// The name of the listener that took it.
    pub listener: &'a str,
    /// The viewer's address.
    pub peer: IpAddr,
    /// The server name (SNI) the viewer asked for.
    pub server_name: Option<&'a str>,
    /// Who the viewer proved to be.
    pub identity: Option<&'a Arc<Identity>>,
    /// Orders gateways that are equally good. A fresh random number a request spreads load; a kept one replays.
    pub seed: u64,
}

/// A stream that has ended, as its record has it.
#[derive(Debug, Clone, Copy)]
pub struct Ended<'a> {
    /// The name of the listener that took it.
    pub listener: &'a str,
    /// The viewer's address.
    pub peer: IpAddr,
    /// The server name (SNI) the viewer asked for.
    pub server_name: Option<&'a str>,
    /// The subject of the certificate by which the viewer proved who it is.
    pub identity: Option<&'a str>,
    /// The build that was asked for, known or not.
    pub uuid: Option<&'a BuildId>,
    /// That build's tenant.
    pub tenant: Option<&'a str>,
    /// The zone that build ran in.
    pub zone: Option<&'a Zone>,
    /// Host and port of the target that was reached last.
    pub target: Option<&'a str>,
    /// That target's kind: `direct`, `gateway` or `connect`.
    pub kind: Option<&'static str>,
    /// Targets that were tried, the one that was reached included.
    pub tried: usize,
    /// Bytes that the viewer's connection took.
    pub bytes: u64,
    /// How long it lasted, from accept to its end.
    pub lasted: Duration,
    /// `complete`, `replied`, `refused`, or a fault's label.
    pub ending: &'static str,
    /// Whose fault the end was: `nobody`, `viewer`, `registry`, `policy`, `upstream` or `relay`.
    pub blame: &'static str,
    /// What the policy called it: the tags of `accept` and of `route`.
    pub tags: &'a Tags,
}
