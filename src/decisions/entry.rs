//! What the log holds, line by line, as JSON. A line never depends on another but by naming what it holds; the hash of
//! that is its name, so that files may be joined, and lines of several relays mixed.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::candidate::Decided;
use crate::config::settings::{Params, Settings};
use crate::names::{BuildId, Hostname, Zone};
use crate::policy::{Failure, Journal, Reads, Request};
use crate::registry::{Build, Components};
use crate::route::Route;
use crate::tls::{Identity, digest};

/// The form that this file describes. Readers refuse any later one.
pub(super) const VERSION: u32 = 1;

/// Digits of a name; two things of one log that share them by chance are not to be expected.
const NAME_LENGTH: usize = 16;

/// What a decision counts beside its texts of any length, in bytes.
const WEIGHT: usize = 2048;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and almost all are the large one")]
pub(super) enum Line<'a> {
    /// Somebody begins to write here.
    Log { version: u32, program: Cow<'a, str> },
    /// A relay, as decisions name it.
    Relay { name: Name, is: Cow<'a, Relay> },
    /// Components, as decisions name them.
    Components { name: Name, are: Cow<'a, Components> },
    /// A decision by that relay, on these components.
    Decision { relay: Name, components: Name, made: Cow<'a, Decision> },
}

/// What a line calls something that another line holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Name(String);

/// What all decisions of a relay have in common while it has one configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// The zone it serves.
    pub zone: Option<Zone>,
    /// The name it is registered under.
    pub hostname: Hostname,
    /// What its scripts read as `relay.params`.
    pub params: Params,
}

/// One decision, with all that it depended on but the relay and the components.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// When it was made.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// The generation that made it.
    pub generation: u64,
    /// The script that its rules chose: see [`crate::policy::Policy::name`].
    pub policy: String,
    /// Whether that was a candidate's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub candidate: bool,
    /// What was asked.
    pub asked: Asked,
    /// What scripts read beside, a candidate's included that decided without effect.
    #[serde(default, skip_serializing_if = "is_none")]
    pub reads: Reads,
    /// What was decided.
    pub outcome: Outcome,
}

/// What a policy was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The viewer's line.
    pub query: String,
    /// The build it names, known or not.
    pub uuid: Option<BuildId>,
    /// What was known of that build.
    pub build: Option<Build>,
    /// The listener that took it.
    pub listener: String,
    /// The viewer's address.
    pub peer: IpAddr,
    /// The server name the viewer asked for.
    pub server_name: Option<String>,
    /// Who the viewer proved to be.
    pub identity: Option<Identity>,
    /// What ordered gateways that were equally good: a hexadecimal number, because not every tool's numbers have 64
    /// bits.
    #[serde(with = "hexadecimal")]
    pub seed: u64,
    /// How long the registry's source had been away, in seconds; `None` if it was never read.
    pub registry_age: Option<f64>,
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A route.
    Decided(Route),
    /// Nothing, and why.
    Failed(Failure),
}

impl Name {
    /// The name of whatever has this text.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut name = digest::sha256(text);
        name.truncate(NAME_LENGTH);
        Self(name)
    }
}

impl Line<'_> {
    /// The bytes of the line, its end included.
    pub(super) fn bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl Relay {
    /// The relay of `settings`.
    pub(super) fn of(settings: &Settings) -> Self {
        let Settings { zone, hostname, policy, .. } = settings;
        Self { zone: zone.clone(), hostname: hostname.clone(), params: policy.params.clone() }
    }
}

impl Decision {
    /// What generation `generation` decided about `request`, in a world that was witnessed.
    pub(super) fn of(request: &Request<'_>, generation: u64, decided: &Decided) -> Self {
        let Decided { route, by } = decided;
        Self {
            at: request.known.at.wall,
            generation,
            policy: by.policy().choice(request.listener, request.build).file.to_owned(),
            candidate: by.is_candidate(),
            asked: Asked::of(request),
            reads: request.known.world.journal.as_ref().map(Journal::reads).unwrap_or_default(),
            outcome: route.clone().map_or_else(Outcome::Failed, Outcome::Decided),
        }
    }

    /// About how much memory it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let Asked { query, server_name, identity, .. } = &self.asked;
        let names = identity.iter().flat_map(|it| it.names.iter().chain([&it.subject]));
        let said = match &self.outcome {
            Outcome::Decided(route) => route.way.weight(),
            Outcome::Failed(failure) => failure.message.len(),
        };
        let texts = names.chain(server_name).chain([query]).map(String::len).sum::<usize>();
        WEIGHT + texts + self.reads.weight() + said
    }
}

impl Asked {
    /// What `request` asks.
    fn of(request: &Request<'_>) -> Self {
        let Request { query, uuid, build, known, listener, peer, server_name, identity, seed } = *request;
        Self {
            query: query.to_owned(),
            uuid: uuid.cloned(),
            build: build.map(|build| Build::clone(build)),
            listener: listener.to_owned(),
            peer,
            server_name: server_name.map(str::to_owned),
            identity: identity.map(|identity| Identity::clone(identity)),
            seed,
            registry_age: known.snapshot.age(known.at.tick).as_ref().map(Duration::as_secs_f64),
        }
    }
}

fn is_none(reads: &Reads) -> bool {
    *reads == Reads::default()
}

mod rfc3339 {
    use std::time::SystemTime;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_rfc3339_nanos(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        humantime::parse_rfc3339(&String::deserialize(from)?).map_err(D::Error::custom)
    }
}

mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:016x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        u64::from_str_radix(&String::deserialize(from)?, 16).map_err(D::Error::custom)
    }
}
