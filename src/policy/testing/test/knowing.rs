//! What a case's relay knows: the registry, the table that scripts share, and what was seen of targets.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, Value};

use super::in_case;
use crate::names::Hostname;
use crate::policy::description::{Function, Name, Type, parameter};
use crate::policy::facts::quote;
use crate::policy::relay::{VALUE, kept, number, shown};
use crate::policy::shared::Entry;
use crate::policy::testing::bench::{Wrong, at_desk};
use crate::policy::testing::forms::{FLAG, Form, NUMBER, TEXT, option, seconds};
use crate::registry::{Build, Components, Executor, Gateway, Snapshot, State, Worker};
use crate::upstream::{Observed, Seen};

const STATE: Type = Type::Optional(&Type::Word(&["running", "paused", "initializing", "stopped", "unknown"]));

const WORKER: [Name; 3] = [
    option("hostname", Type::String, "The executor's host name."),
    option("log_port", NUMBER, "The port of its log streamer; none that can be dialled unless given."),
    option("zone", TEXT, "The zone that it works in."),
];

const BUILD: [Name; 6] = [
    option("uuid", Type::String, "The build's uuid: up to 64 hexadecimal digits."),
    option("zone", TEXT, "The zone that it was asked to run in."),
    option("tenant", TEXT, "Zuul's tenant."),
    option("pipeline", TEXT, "Zuul's pipeline."),
    option("state", TEXT, "Its state, in Zuul's words; running unless given."),
    option("worker", Type::Optional(&Type::Options(&WORKER)), "Who runs it; nobody unless given."),
];

const GATEWAY: [Name; 7] = [
    option("id", TEXT, "The registry's own name of it; made of host name and port unless given."),
    option("hostname", Type::String, "Its host name."),
    option("zone", TEXT, "The zone that it serves."),
    option("public_port", NUMBER, "The port to dial; none that can be dialled unless given."),
    option("use_ssl", FLAG, "Whether it speaks TLS; it does not unless given."),
    option("state", STATE, "What it says of itself; running unless given."),
    option("version", TEXT, "Its version."),
];

const EXECUTOR: [Name; 4] = [
    option("id", TEXT, "The registry's own name of it; its host name unless given."),
    option("hostname", Type::String, "Its host name."),
    option("zone", TEXT, "The zone that it works in."),
    option("state", STATE, "What it says of itself; running unless given."),
];

const TARGET: [Name; 9] = [
    option("host", Type::String, "The target's host name."),
    option("port", Type::Number, "Its port."),
    option("tls", FLAG, "Whether it is spoken to in TLS."),
    option("open_streams", NUMBER, "Streams of this relay that it carries."),
    option("consecutive_failures", NUMBER, "How often in a row it failed."),
    option("last_error", TEXT, "The last failure in a word."),
    option("failed_ago", NUMBER, "How many seconds ago that was."),
    option("reached_ago", NUMBER, "How many seconds ago it was last sent a request."),
    option("round_trip", NUMBER, "The time of a segment and its acknowledgement, in seconds."),
];

pub(super) const REGISTRY: Function = in_case(
    "registry",
    "Says what the registry knows. What is left out is not there.",
    &[parameter(
        "options",
        Type::Options(&[
            option("builds", Type::Optional(&Type::List(&Type::Options(&BUILD))), "All builds."),
            option("gateways", Type::Optional(&Type::List(&Type::Options(&GATEWAY))), "All gateways."),
            option("executors", Type::Optional(&Type::List(&Type::Options(&EXECUTOR))), "All executors."),
            option("zones", Type::Optional(&Type::List(&Type::String)), "Zones that have a place for build requests."),
            option("model_api", NUMBER, "The highest model_api that any component shows."),
            option("age", NUMBER, "How many seconds its source has been away; it is not unless given."),
        ]),
        "a table such as { builds = { { uuid = \"01ab\", tenant = \"acme\" } } }",
    )],
    Type::Nothing,
    |lua, given| {
        let Some(table) = given.at(0).as_table() else { return Ok(Value::Nil) };
        let form = Form(table);
        at_desk(lua, "test.registry", |desk| -> Result<(), Wrong> {
            let age = form.seconds("age")?.unwrap_or_default();
            desk.scene.learn(snapshot(&form)?, age);
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

pub(super) const SHARED: Function = in_case(
    "shared",
    "Puts entries into the table behind relay.shared, and returns all that is in it, by key.",
    &[
        parameter("entries", Type::Optional(&Type::Map(&VALUE)), "a table such as { [\"drain/eu\"] = true }"),
        parameter("ttl", NUMBER, "how many seconds these entries are kept; without it for ever"),
    ],
    Type::Map(&VALUE),
    |lua, given| {
        let entries = at_desk(lua, "test.shared", |desk| -> Result<Vec<Entry>, Wrong> {
            let ttl = number(given.at(1)).map(|ttl| seconds("ttl", ttl)).transpose()?;
            for entry in given.at(0).as_table().into_iter().flat_map(|table| table.pairs().flatten()) {
                desk.scene.share(self::entry(entry, ttl)?).map_err(|error| error.to_string())?;
            }
            Ok(desk.scene.world.shared.entries(desk.scene.at.tick))
        })?;
        all(lua, entries)
    },
);

pub(super) const SEEN: Function = in_case(
    "seen",
    "Says what this relay has seen of its targets; all others were never dialled.",
    &[parameter(
        "targets",
        Type::List(&Type::Options(&TARGET)),
        "a list of tables such as { host = \"gw\", port = 7979, consecutive_failures = 3 }",
    )],
    Type::Nothing,
    |lua, given| {
        let list: Vec<_> =
            given.at(0).as_table().into_iter().flat_map(|table| table.sequence_values().flatten()).collect();
        at_desk(lua, "test.seen", |desk| -> Result<(), Wrong> {
            let read = list.iter().enumerate().map(|(index, table)| {
                observation(&Form(table)).map_err(|why| format!("number {} of the list: {why}", index + 1))
            });
            desk.scene.observe(Seen::of_observations(read.collect::<Result<Vec<_>, _>>()?));
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

fn snapshot(form: &Form<'_>) -> Result<Snapshot, String> {
    let builds = form.shared("builds", build)?;
    let mut gateways = form.shared("gateways", gateway)?;
    gateways.sort_by(|a, b| (a.state, &a.id).cmp(&(b.state, &b.id)));
    let mut executors = form.shared("executors", executor)?;
    executors.sort_by(|a, b| a.id.cmp(&b.id));
    let model_api = form.number("model_api").map(|number| number as i64);
    let zones = form.zones("zones")?;
    let mut zones: Vec<_> = zones.into_iter().chain(builds.iter().filter_map(|build| build.zone.clone())).collect();
    zones.sort();
    zones.dedup();
    Ok(Snapshot {
        builds: builds.into_iter().collect(),
        components: Arc::new(Components { gateways, executors, model_api }),
        zones: Arc::new(zones),
        ..Snapshot::default()
    })
}

fn build(form: &Form<'_>) -> Result<Build, String> {
    let worker = form.table("worker").map(|table| worker(&Form(&table)).map_err(|why| format!("worker: {why}")));
    Ok(Build {
        uuid: form.build_id("uuid")?.ok_or("uuid is missing")?,
        zone: form.zone("zone")?,
        tenant: form.text("tenant"),
        pipeline: form.text("pipeline"),
        state: Some(form.text("state").unwrap_or_else(|| "running".to_owned())),
        worker: worker.transpose()?,
    })
}

fn worker(form: &Form<'_>) -> Result<Worker, String> {
    Ok(Worker { hostname: form.host("hostname")?, log_port: form.port("log_port")?, zone: form.zone("zone")? })
}

fn gateway(form: &Form<'_>) -> Result<Gateway, String> {
    let (hostname, public_port) = (form.host("hostname")?, form.port("public_port")?);
    let port = public_port.map_or_else(String::new, |port| format!(":{port}"));
    Ok(Gateway {
        id: form.text("id").unwrap_or_else(|| format!("{hostname}{port}")).into(),
        hostname,
        zone: form.zone("zone")?,
        public_port,
        use_ssl: form.flag("use_ssl"),
        state: state(form),
        version: form.text("version"),
    })
}

fn executor(form: &Form<'_>) -> Result<Executor, String> {
    let hostname = form.host("hostname")?;
    let id = form.text("id").unwrap_or_else(|| hostname.to_string()).into();
    Ok(Executor { id, hostname, zone: form.zone("zone")?, state: state(form) })
}

fn state(form: &Form<'_>) -> State {
    form.text("state").map_or(State::Running, |word| State::parse(&word))
}

fn observation(form: &Form<'_>) -> Result<((Hostname, u16, bool), Observed), String> {
    let peer = (form.host("host")?, form.port("port")?.ok_or("port is missing")?, form.flag("tls"));
    let count = |key| form.whole(key).map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let observed = Observed {
        open_streams: count("open_streams")?,
        consecutive_failures: count("consecutive_failures")?,
        last_error: form.text("last_error").map(Cow::Owned),
        failed_ago: form.seconds("failed_ago")?,
        reached_ago: form.seconds("reached_ago")?,
        round_trip: form.seconds("round_trip")?,
    };
    Ok((peer, observed))
}

fn entry((key, value): (Value, Value), expires_in: Option<Duration>) -> Result<Entry, String> {
    let name = key.as_string().map(|key| key.to_string_lossy());
    let key = name.ok_or_else(|| format!("the key {} is no text", quote(&key)))?;
    Ok(Entry { key, value: kept(&value), expires_in })
}

fn all(lua: &Lua, entries: Vec<Entry>) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    for Entry { key, value, .. } in entries {
        table.raw_set(key, shown(lua, &value)?)?;
    }
    Ok(Value::Table(table))
}
