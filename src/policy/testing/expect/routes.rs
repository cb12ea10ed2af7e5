//! What must hold of routes.

use mlua::Value;

use super::plain::Plain;
use super::values::{both, expectation};
use crate::policy::answer::{Decision, Made};
use crate::policy::description::{Function, Parameter, Type, parameter};
use crate::policy::facts::{Allowed, Described as _, Fact};
use crate::policy::testing::bench::unmet;
use crate::route::{Route, Way};

const ROUTE: Parameter = parameter("route", Type::Fact(Made::KIND), "a route, as test.route returns it");
const ANSWER: Parameter = parameter(
    "answer",
    Type::Either(&[Type::Fact(Made::KIND), Type::Fact(Allowed::KIND)]),
    "what test.route or test.accept returns",
);
const TEXT: Parameter = parameter("text", Type::String, "the whole text");

pub(super) const TARGETS: Function = expectation(
    "targets",
    "The route tries these targets, in this order.",
    &[
        ROUTE,
        parameter(
            "targets",
            Type::List(&Type::String),
            "a list of targets as `fingerpost explain` writes them, such as \"gateway gw.us:7979 over TLS\"",
        ),
    ],
    |lua, given| {
        let expected: Vec<String> =
            given.at(1).as_table().into_iter().flat_map(|list| list.sequence_values().flatten()).collect();
        let got: Vec<String> = match made(given.at(0)) {
            Some(Way::Targets(targets)) => targets.iter().map(ToString::to_string).collect(),
            other => return Err(unmet(lua, "the route has no targets", vec![said(other.as_ref())])),
        };
        if got == expected {
            return Ok(Value::Nil);
        }
        let mut details = vec!["got".to_owned()];
        details.extend(got.iter().map(|target| format!("  {target}")));
        details.push("expected".to_owned());
        details.extend(expected.iter().map(|target| format!("  {target}")));
        Err(unmet(lua, "other targets than expected", details))
    },
);

pub(super) const REFUSED: Function =
    expectation("refused", "The route or the admission refuses with this text.", &[ANSWER, TEXT], |lua, given| {
        match made(given.at(0)) {
            Some(Way::Refuse(text)) => same(lua, &text, given.at(1)),
            Some(other) => Err(unmet(lua, "it is no refusal", vec![said(Some(&other))])),
            None => Err(unmet(lua, "it is no refusal", vec![format!("got       {}", Plain::of(given.at(0)))])),
        }
    });

pub(super) const REPLIED: Function =
    expectation("replied", "The route replies this text.", &[ROUTE, TEXT], |lua, given| match made(given.at(0)) {
        Some(Way::Reply(reply)) => same(lua, reply.as_str(), given.at(1)),
        other => Err(unmet(lua, "it is no reply", vec![said(other.as_ref())])),
    });

fn same(lua: &mlua::Lua, got: &str, expected: &Value) -> mlua::Result<Value> {
    let (got, expected) = (Plain::Text(got.as_bytes().to_vec()), Plain::of(expected));
    match got == expected {
        true => Ok(Value::Nil),
        false => Err(unmet(lua, "another text than expected", both(&got, &expected))),
    }
}

fn made(value: &Value) -> Option<Way> {
    let made = value.as_userdata()?.borrow_scoped(|made: &Fact<Made>| made.0.decision.clone()).ok()?;
    match made {
        Decision::Route(Route { way, .. }) => Some(way),
        Decision::HandOver(_) => None,
    }
}

fn said(way: Option<&Way>) -> String {
    match way {
        Some(Way::Targets(targets)) => {
            let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
            format!("got       targets: {}", targets.join(", "))
        }
        Some(Way::Reply(reply)) => format!("got       a reply: {}", Plain::Text(reply.as_str().as_bytes().to_vec())),
        Some(Way::Refuse(text)) => format!("got       a refusal: {}", Plain::Text(text.as_bytes().to_vec())),
        None => "got       a hand-over".to_owned(),
    }
}
