//! A policy's background work in a test: what it finds outside, and running it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Bytes;
use mlua::{Lua, Table, Value};
use tokio_util::sync::CancellationToken;

use super::in_case;
use crate::fetch::Response;
use crate::policy::description::{Function, Name, Type, parameter};
use crate::policy::testing::bench::{Desk, Wrong, at_desk};
use crate::policy::testing::elsewhere::{Asked, Visited};
use crate::policy::testing::forms::{Form, NUMBER, TEXT, option};
use crate::policy::{Known, Outside};

const ANSWER: [Name; 4] = [
    option("status", NUMBER, "Its status; 200 unless given."),
    option("headers", Type::Optional(&Type::Map(&Type::String)), "Its headers, by name in lower case."),
    option("body", TEXT, "Its body; empty unless given."),
    option("fails", TEXT, "That there is no answer, and why."),
];

const ASKED: [Name; 3] = [
    option("method", Type::String, "Such as GET."),
    option("url", Type::String, "What was asked for."),
    option("body", Type::String, "What was sent along."),
];

pub(super) const HTTP: Function = in_case(
    "http",
    "Says what servers answer to background work, by URL. To ask for any other is an error of the job.",
    &[parameter(
        "answers",
        Type::Map(&Type::Options(&ANSWER)),
        "a table such as { [\"https://calendar.example/\"] = { body = \"[]\" } }",
    )],
    Type::Nothing,
    |lua, given| {
        at_desk(lua, "test.http", |desk| -> Result<(), Wrong> {
            desk.scene.elsewhere.answers = entries(given.at(0), |table: Table| answer(&Form(&table)))?;
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

pub(super) const DNS: Function = in_case(
    "dns",
    "Says which addresses hosts have for background work. To look up any other is an error of the job.",
    &[parameter(
        "addresses",
        Type::Map(&Type::List(&Type::String)),
        "a table such as { [\"gw.example\"] = { \"192.0.2.7\" } }",
    )],
    Type::Nothing,
    |lua, given| {
        at_desk(lua, "test.dns", |desk| -> Result<(), Wrong> {
            desk.scene.elsewhere.names = entries(given.at(0), |list: Vec<String>| {
                list.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()
            })?;
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

pub(super) const FILES: Function = in_case(
    "files",
    "Says what background work finds in files, by path from the policies' folder on. Real files are not read.",
    &[parameter("files", Type::Map(&Type::String), "a table such as { [\"drained.txt\"] = \"eu\" }")],
    Type::Nothing,
    |lua, given| {
        at_desk(lua, "test.files", |desk| -> Result<(), Wrong> {
            let content = |text: mlua::LuaString| Ok(text.as_bytes().to_vec());
            desk.scene.elsewhere.files = entries(given.at(0), content)?;
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

pub(super) const BACKGROUND: Function = in_case(
    "background",
    "Runs every job that the policy asked for by relay.every once, in their order, whenever they would be due. Returns the \
     HTTP requests that they sent. That a job fails is an error, in its own words.",
    &[],
    Type::List(&Type::Options(&ASKED)),
    |lua, _| {
        let asked = at_desk(lua, "test.background", run)?;
        list(lua, &asked)
    },
);

/// Runs the jobs of the policy under test, and no other's.
fn run(desk: &mut Desk) -> Result<Vec<Asked>, Wrong> {
    let policy = desk.policy()?;
    let name = desk.subject.name();
    let begun = || policy.jobs(&CancellationToken::new()).into_iter().find(|jobs| jobs.policy() == name);
    let Some(mut jobs) = desk.scene.jobs.take().or_else(begun) else {
        return Err(Wrong::from("the policy has no background work; relay.every gives it some".to_owned()));
    };
    let visited = Visited::new(desk.scene.elsewhere.clone(), desk.scene.at);
    let outside: Arc<dyn Outside> = visited.clone();
    let known: Known<'_> = desk.scene.known();
    let outcomes: Vec<_> = (0..jobs.len()).map(|job| jobs.run(job, &known, &outside)).collect();
    desk.scene.jobs = Some(jobs);
    match outcomes.into_iter().find_map(Result::err) {
        Some(failure) => Err(failure.into()),
        None => Ok(visited.take_asked()),
    }
}

/// The entries of a table, each read; errors say which it was.
fn entries<V: mlua::FromLua, T>(
    given: &Value,
    read: impl Fn(V) -> Result<T, String>,
) -> Result<BTreeMap<String, T>, String> {
    let pairs = given.as_table().into_iter().flat_map(|table| table.pairs::<String, V>().flatten().collect::<Vec<_>>());
    pairs.map(|(key, value)| Ok((key.clone(), read(value).map_err(|why| format!("{key}: {why}"))?))).collect()
}

fn answer(form: &Form<'_>) -> Result<Result<Response, String>, String> {
    if let Some(why) = form.text("fails") {
        return Ok(Err(why));
    }
    let status = form.number("status").unwrap_or(200.0);
    if !(100.0..=599.0).contains(&status) {
        return Err(format!("status must be from 100 to 599, not {status}"));
    }
    let headers = form.table("headers");
    let headers = headers.iter().flat_map(|headers| headers.pairs::<String, String>().flatten());
    let headers = headers.map(|(name, value)| (name.to_lowercase(), Bytes::from(value))).collect();
    Ok(Ok(Response { status: status as u16, headers, body: form.bytes("body").into() }))
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("\"{text}\" is no address"))
}

fn list(lua: &Lua, asked: &[Asked]) -> mlua::Result<Value> {
    let list = lua.create_table()?;
    for Asked { method, url, body } in asked {
        let entry = lua.create_table()?;
        entry.raw_set("method", method.as_str())?;
        entry.raw_set("url", url.as_str())?;
        entry.raw_set("body", lua.create_string(body)?)?;
        list.raw_push(entry)?;
    }
    Ok(Value::Table(list))
}
