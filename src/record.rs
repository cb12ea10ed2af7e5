//! One record a stream: who asked, for what, which way it went, what was carried, how it ended and whose fault that
//! was. It is written, counted and told when the record is dropped, so that no stream ends unrecorded, however it
//! ended.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use crate::fault::{Blame, Fault};
use crate::metrics::{COMPLETE, Metrics, Traffic};
use crate::names::{BuildId, Hostname, Zone};
use crate::policy;
use crate::registry::Build;
use crate::request::Query;
use crate::route::{Tags, TargetKind};
use crate::stream::Meter;
use crate::upstream::{self, Unreached};

/// What is known of one stream, growing from accept to end. There are thousands of them at a time, most with nothing to
/// do for hours: what others keep is shared and not copied, and text is made when the stream has ended.
#[derive(Debug)]
pub struct Record {
    /// Counts the bytes as they reach the viewer.
    pub meter: Meter,
    metrics: Arc<Metrics>,
    /// The listener's.
    traffic: Arc<Traffic>,
    viewer: Viewer,
    asked: Asked,
    way: Way,
    /// In a box, for which streams that nobody tags need no room.
    tags: Option<Box<Given>>,
    audience: Option<Audience>,
    /// In a box, for which streams that go on need no room.
    ended: Option<Box<Ended>>,
}

/// How a stream came to a good end.
#[derive(Debug)]
pub enum Ending {
    /// The whole log was carried.
    Complete,
    /// The policy answered in the place of a log, and the viewer got all of it.
    Replied,
    /// The policy refused with this text.
    Refused(String),
}

/// Who is told how the stream ended; once, because it is used up by that.
struct Audience(Box<dyn FnOnce(&policy::Ended<'_>) + Send + Sync>);

/// An address as the standard library writes it, the quick way.
struct Spelled(SocketAddr);

#[derive(Debug)]
struct Viewer {
    address: SocketAddr,
    server_name: Option<Box<str>>,
    identity: Option<Box<str>>,
}

#[derive(Debug, Default)]
struct Asked {
    query: Option<Box<str>>,
    uuid: Option<BuildId>,
    generation: Option<u64>,
    by_candidate: bool,
    build: Option<Arc<Build>>,
}

#[derive(Debug, Default)]
struct Way {
    target: Option<Reached>,
    tried: usize,
    /// Those of `tried` that belonged to routes of which nothing came.
    in_vain: usize,
}

/// Whose log it is.
#[derive(Debug)]
struct Reached {
    host: Hostname,
    port: u16,
    kind: TargetKind,
}

/// What the policy called the stream, each time that it was asked.
#[derive(Debug, Default)]
struct Given {
    admitted: Tags,
    routed: Tags,
}

#[derive(Debug)]
struct Ended {
    label: &'static str,
    blame: Blame,
    why: Option<String>,
    /// Host and port of the target that was reached last.
    target: Option<String>,
    /// How long the stream lasted.
    after: Duration,
}

impl Record {
    /// Opens the record of a connection just accepted, and counts it as an open stream.
    pub fn open(metrics: Arc<Metrics>, listener: &str, address: SocketAddr) -> Self {
        let traffic = metrics.streams.of(listener);
        traffic.open.inc();
        Self {
            meter: Meter::new(),
            metrics,
            traffic,
            viewer: Viewer { address, server_name: None, identity: None },
            asked: Asked::default(),
            way: Way::default(),
            tags: None,
            audience: None,
            ended: None,
        }
    }

    /// Notes who the viewer turned out to be in the handshake.
    pub fn greeted(&mut self, address: SocketAddr, server_name: Option<&str>, identity: Option<&str>) {
        self.viewer.address = address;
        self.viewer.server_name = server_name.map(Box::from);
        self.viewer.identity = identity.map(Box::from);
    }

    /// The viewer's address, as far as it is known.
    pub fn viewer(&self) -> SocketAddr {
        self.viewer.address
    }

    /// Notes what the policy called the connection when it let it in, or did not.
    pub fn admitted(&mut self, tags: Tags) {
        if !tags.is_empty() {
            self.tags.get_or_insert_default().admitted = tags;
        }
    }

    /// Has `audience` told once, when the stream has ended, in the place of whoever was to be told before.
    pub fn tell(&mut self, audience: impl FnOnce(&policy::Ended<'_>) + Send + Sync + 'static) {
        self.audience = Some(Audience(Box::new(audience)));
    }

    /// Notes what was asked, and which generation decides it.
    pub fn asked(&mut self, query: &Query, generation: u64) {
        self.asked.query = query.build.is_none().then(|| query.line.as_str().into());
        self.asked.uuid.clone_from(&query.build);
        self.asked.generation = Some(generation);
    }

    /// Notes which build it is: whose, and where it runs.
    pub fn found(&mut self, build: Option<&Arc<Build>>) {
        self.asked.build = build.cloned();
        // The same text, but the registry's own.
        self.asked.uuid = build.map(|build| build.uuid.clone()).or_else(|| self.asked.uuid.take());
    }

    /// Notes whether the policy on trial decided, or the active one.
    pub fn decided(&mut self, by_candidate: bool) {
        self.asked.by_candidate = by_candidate;
    }

    /// Notes what the policy called the stream when it decided its route.
    pub fn routed(&mut self, tags: &Tags) {
        if self.tags.is_some() || !tags.is_empty() {
            self.tags.get_or_insert_default().routed.clone_from(tags);
        }
    }

    /// Notes the way that was taken.
    pub fn reached(&mut self, reached: &upstream::Reached) {
        let target = &reached.target;
        self.way.target = Some(Reached { host: target.host.clone(), port: target.port, kind: target.kind });
        self.way.tried = self.way.in_vain + reached.tried;
    }

    /// Notes that a whole route came to nothing.
    pub fn unreached(&mut self, unreached: &Unreached) {
        self.way.in_vain += unreached.attempts.len();
        self.way.tried = self.way.in_vain;
    }

    /// Notes how it ended, and that it ended now. Without this call, the record says that the relay stopped.
    pub fn ended(&mut self, result: &Result<Ending, Fault>) {
        let (label, blame, why) = match result {
            Ok(Ending::Complete) => (COMPLETE, Blame::Nobody, None),
            Ok(Ending::Replied) => ("replied", Blame::Nobody, None),
            Ok(Ending::Refused(text)) => ("refused", Blame::Nobody, Some(text.clone())),
            Err(fault) => (fault.label(), fault.blame(), Some(fault.to_string())),
        };
        let target = self.way.target.as_ref().map(Reached::host_and_port);
        self.ended = Some(Box::new(Ended { label, blame, why, target, after: self.meter.elapsed() }));
    }

    fn count(&self, ended: &Ended, tags: &Tags) {
        let streams = &self.metrics.streams;
        if self.meter.spliced() {
            streams.spliced.inc();
        }
        self.traffic.ended(ended.label, ended.blame.as_str());
        self.traffic.bytes.inc_by(self.meter.bytes());
        streams.tagged.count(tags);
        // Last: who sees a stream gone finds all that was counted of it.
        self.traffic.open.dec();
    }

    fn write(&self, ended: &Ended, tags: &Tags) {
        let tags = (!tags.is_empty()).then(|| tags.json());
        info!(
            target: "fingerpost::record",
            listener = %self.traffic.listener,
            viewer = %Spelled(self.viewer.address),
            server_name = self.viewer.server_name.as_deref(),
            identity = self.viewer.identity.as_deref(),
            build = self.asked.uuid.as_ref().map(BuildId::as_str),
            query = self.asked.query.as_deref(),
            generation = self.asked.generation,
            candidate = self.asked.by_candidate.then_some(true),
            zone = self.asked.zone().map(Zone::as_str),
            target = ended.target.as_deref(),
            kind = self.way.kind(),
            tried = self.way.tried,
            bytes = self.meter.bytes(),
            seconds = ended.after.as_secs_f64(),
            first_byte_seconds = self.meter.first_byte().map(|after| after.as_secs_f64()),
            ending = ended.label,
            blame = ended.blame.as_str(),
            why = ended.why.as_deref(),
            tags = tags.map(tracing::field::display),
            "stream ended"
        );
    }

    fn told<'a>(&'a self, ended: &'a Ended, tags: &'a Tags) -> policy::Ended<'a> {
        policy::Ended {
            listener: &self.traffic.listener,
            peer: self.viewer.address.ip(),
            server_name: self.viewer.server_name.as_deref(),
            identity: self.viewer.identity.as_deref(),
            uuid: self.asked.uuid.as_ref(),
            tenant: self.asked.build.as_ref().and_then(|build| build.tenant.as_deref()),
            zone: self.asked.zone(),
            target: ended.target.as_deref(),
            kind: self.way.kind(),
            tried: self.way.tried,
            bytes: self.meter.bytes(),
            lasted: ended.after,
            ending: ended.label,
            blame: ended.blame.as_str(),
            tags,
        }
    }
}

impl Asked {
    /// The zone that the build runs in.
    fn zone(&self) -> Option<&Zone> {
        self.build.as_ref()?.worker.as_ref()?.zone.as_ref()
    }
}

impl Reached {
    fn host_and_port(&self) -> String {
        [self.host.as_str(), ":", itoa::Buffer::new().format(self.port)].concat()
    }
}

impl Way {
    fn kind(&self) -> Option<&'static str> {
        self.target.as_ref().map(|target| target.kind.as_str())
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.ended(&Err(Fault::Stopping));
        }
        let Some(ended) = self.ended.take() else { return };
        let Given { admitted, routed } = self.tags.take().map(|given| *given).unwrap_or_default();
        let tags = admitted.joined(routed);
        self.write(&ended, &tags);
        if let Some(Audience(tell)) = self.audience.take() {
            tell(&self.told(&ended, &tags));
        }
        // Last: whoever sees it gone from the metrics finds everything else that came of it.
        self.count(&ended, &tags);
    }
}

impl fmt::Display for Spelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(SocketAddr::V4(address)) = self else { return self.0.fmt(f) };
        let mut digits = itoa::Buffer::new();
        let [first, rest @ ..] = address.ip().octets();
        f.write_str(digits.format(first))?;
        for octet in rest {
            f.write_str(".")?;
            f.write_str(digits.format(octet))?;
        }
        f.write_str(":")?;
        f.write_str(digits.format(address.port()))
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audience")
    }
}

#[cfg(test)]
mod tests;
