//! What scripts read of the registry: builds, workers, gateways, executors.

use std::sync::Arc;

use mlua::Value;

use super::{Described, Field, NUMBER, STRING, TEXT, fact, field, optional, text, zone};
use crate::policy::description::Type;
use crate::policy::hand::Of;
use crate::registry::{Build, Executor, Gateway, Worker};

/// What a component says of itself.
const STATE: Type = Type::Word(&["running", "paused", "initializing", "stopped", "unknown"]);

impl Described for Arc<Build> {
    const NAME: &'static str = "Build";
    const ABOUT: &'static str = "A build that Zuul asked its executors for.";
    const AT_HAND: Option<Of> = Some(Of::Build);
    const FIELDS: &'static [Field<Self>] = &[
        field("uuid", STRING, "The build's own uuid, 32 hexadecimal digits.", |lua, build| {
            text(lua, build.uuid.as_str())
        }),
        field("tenant", TEXT, "Zuul's tenant.", |lua, build| optional(lua, build.tenant.as_deref())),
        field("pipeline", TEXT, "Zuul's pipeline.", |lua, build| optional(lua, build.pipeline.as_deref())),
        field(
            "zone",
            TEXT,
            "The zone that it was asked to run in, which is not always where it runs: see worker.zone.",
            |lua, build| zone(lua, build.zone.as_ref()),
        ),
        field(
            "state",
            TEXT,
            "Zuul's word: requested, hold, running, paused, completed, or what a later Zuul adds.",
            |lua, build| optional(lua, build.state.as_deref()),
        ),
        field(
            "worker",
            Type::Optional(&Type::Fact(Worker::KIND)),
            "Who runs it; nil until an executor took it.",
            |lua, build| fact(lua, build.worker.as_ref()),
        ),
    ];
}

impl Described for Worker {
    const NAME: &'static str = "Worker";
    const ABOUT: &'static str = "The executor that runs a build.";
    const AT_HAND: Option<Of> = Some(Of::Worker);
    const FIELDS: &'static [Field<Self>] = &[
        field("hostname", STRING, "The executor's host name.", |lua, worker| text(lua, worker.hostname.as_str())),
        field("log_port", NUMBER, "The port of its log streamer; nil if it registered none.", |_, worker| {
            port(worker.log_port)
        }),
        field("zone", TEXT, "The zone that the build runs in; nil outside of every zone.", |lua, worker| {
            zone(lua, worker.zone.as_ref())
        }),
    ];
}

impl Described for Arc<Gateway> {
    const NAME: &'static str = "Gateway";
    const ABOUT: &'static str = "A relay, or Zuul's own gateway, that is registered for a zone.";
    const FIELDS: &'static [Field<Self>] = &[
        field("id", STRING, "Its name in the registry, which no other gateway shares.", |lua, gateway| {
            text(lua, &gateway.id)
        }),
        field("hostname", STRING, "The name to dial, and to verify.", |lua, gateway| {
            text(lua, gateway.hostname.as_str())
        }),
        field("port", NUMBER, "The port to dial; nil if it registered none.", |_, gateway| port(gateway.public_port)),
        field("zone", TEXT, "The zone that it serves; nil outside of every zone.", |lua, gateway| {
            zone(lua, gateway.zone.as_ref())
        }),
        field("tls", Type::Boolean, "Whether it speaks TLS.", |_, gateway| Ok(Value::Boolean(gateway.use_ssl))),
        field("state", STATE, "What it says of itself.", |lua, gateway| text(lua, gateway.state.as_str())),
        field("version", TEXT, "Its version, or Zuul's.", |lua, gateway| optional(lua, gateway.version.as_deref())),
    ];
}

impl Described for Arc<Executor> {
    const NAME: &'static str = "Executor";
    const ABOUT: &'static str = "An executor, as it is registered, whether or not it runs a build.";
    const FIELDS: &'static [Field<Self>] = &[
        field("id", STRING, "Its name in the registry, which no other executor shares.", |lua, executor| {
            text(lua, &executor.id)
        }),
        field("hostname", STRING, "Its host name.", |lua, executor| text(lua, executor.hostname.as_str())),
        field("zone", TEXT, "The zone that it works in; nil outside of every zone.", |lua, executor| {
            zone(lua, executor.zone.as_ref())
        }),
        field("state", STATE, "What it says of itself.", |lua, executor| text(lua, executor.state.as_str())),
    ];
}

fn port(number: Option<u16>) -> mlua::Result<Value> {
    Ok(number.map_or(Value::Nil, |number| Value::Number(f64::from(number))))
}
