//! Where and when a case is: the relay, and the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mlua::Value;

use super::in_case;
use crate::policy::description::{Function, Type, parameter};
use crate::policy::library;
use crate::policy::relay::number;
use crate::policy::testing::bench::{Wrong, at_desk};
use crate::policy::testing::forms::{Form, PARAMS, TEXT, option, seconds};
use crate::policy::testing::scene;

pub(super) const RELAY: Function = in_case(
    "relay",
    "Says where the relay stands, and what its configuration tells scripts. What is left out is as it is at the beginning \
     of a case.",
    &[parameter(
        "options",
        Type::Options(&[
            option("zone", TEXT, "The zone that it serves; none unless given."),
            option("hostname", TEXT, "The name that it is registered under; relay.example unless given."),
            option("params", PARAMS, "What relay.params holds; what test.policy was given unless given."),
        ]),
        "a table such as { zone = \"eu\" }",
    )],
    Type::Nothing,
    |lua, given| {
        let Some(table) = given.at(0).as_table() else { return Ok(Value::Nil) };
        let form = Form(table);
        at_desk(lua, "test.relay", |desk| -> Result<(), Wrong> {
            let mut place = scene::place();
            place.zone = form.zone("zone")?;
            place.hostname = form.hostname("hostname")?.unwrap_or(place.hostname);
            desk.scene.params = form.params("params")?.unwrap_or_else(|| desk.subject.params().clone());
            desk.scene.place = place;
            (desk.scene.policy, desk.scene.jobs) = (None, None);
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

pub(super) const NOW: Function = in_case(
    "now",
    "Sets the time of day. What expires or ages does so by test.advance alone.",
    &[parameter(
        "time",
        Type::Either(&[Type::String, Type::Number]),
        "a time such as \"2026-11-21T10:00:00Z\", or seconds since 1970",
    )],
    Type::Nothing,
    |lua, given| {
        let written = given.at(0).as_string().map(|text| library::read_time(&text.as_bytes()));
        at_desk(lua, "test.now", |desk| -> Result<(), Wrong> {
            let since = written.transpose()?.or_else(|| number(given.at(0))).unwrap_or_default();
            desk.scene.turn(moment(since)?);
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

pub(super) const ADVANCE: Function = in_case(
    "advance",
    "Lets time pass: what expires by then is gone, and a registry without its source is older.",
    &[parameter("seconds", Type::Number, "how many seconds, from 0 on")],
    Type::Nothing,
    |lua, given| {
        let time = number(given.at(0)).unwrap_or_default();
        at_desk(lua, "test.advance", |desk| -> Result<(), Wrong> {
            desk.scene.advance(seconds("seconds", time)?);
            Ok(())
        })?;
        Ok(Value::Nil)
    },
);

/// The time `since` seconds after 1970 began.
fn moment(since: f64) -> Result<SystemTime, String> {
    let time = Duration::try_from_secs_f64(since).ok().and_then(|since| UNIX_EPOCH.checked_add(since));
    time.ok_or_else(|| format!("time must be seconds since 1970, not {since}"))
}
