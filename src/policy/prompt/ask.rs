//! The global `ask`: what somebody at the prompt asks the policy. It asks as a stream does, and dials nobody.

mod question;

use std::sync::Arc;

use mlua::{Lua, Value};

use crate::admission::Admission;
use crate::policy::answer::{Decision, Made};
use crate::policy::call::{self, Held};
use crate::policy::description::{Arguments, Function, Name, Namespace, Parameter, Phases, Type, name, parameter};
use crate::policy::facts::{Allowed, Described as _, Fact, RequestFacts};
use crate::policy::failure::Complaint;
use crate::policy::{Explained, FailureKind, Known, Policy};
use crate::registry::Build;
use crate::route::{Route, Way};
use question::{Question, Viewer};

/// Most places that are told of one input.
const MAX_DECIDED: usize = 10;

const TEXT: Type = Type::Optional(&Type::String);
const ASKED: Type = Type::Either(&[Type::String, Type::Fact(<Arc<Build>>::KIND)]);
const QUERY: Parameter = parameter("query", ASKED, "a build's uuid, any other line that a viewer may send, or a build");
const VIEWER: Parameter = parameter(
    "viewer",
    Type::Optional(&Type::Options(&[
        option("listener", "The name of the listener; the first of the configuration unless given."),
        option("peer", "The viewer's address; ::1 unless given."),
        option("server_name", "The server name (SNI) that the viewer asked for over TLS."),
        option("subject", "The subject of the certificate by which the viewer proved who it is."),
    ])),
    "a table such as { peer = \"192.0.2.7\" }",
);

/// What somebody at the prompt asks the policy.
pub(super) const ASK: Namespace = Namespace {
    name: "ask",
    about: "What somebody asks the policy at the prompt of `fingerpost policy repl`, which alone has it.",
    constants: &[],
    functions: &[ROUTE, ACCEPT, INVARIANT, REQUEST],
    inner: &[],
};

const ROUTE: Function = Function {
    returns: Type::Fact(Made::KIND),
    ..asking(
        "route",
        "Asks the policy for the way of one request, and tells which line made it. That the policy fails is an error, in \
         its own words.",
        &[QUERY, VIEWER],
        |lua, given| {
            let question = Question::read(lua, given).map_err(|why| wrong(lua, "route", &why))?;
            let decided = with(lua, |desk, known| desk.policy.explain(&question.request(known)));
            let explained = decided.map_err(|why| wrong(lua, "route", &why))?;
            note(lua, &explained);
            made(lua, explained.route)
        },
    )
};

const ACCEPT: Function = Function {
    returns: Type::Either(&[Type::Fact(Allowed::KIND), Type::Fact(Made::KIND)]),
    ..asking(
        "accept",
        "Asks the policy whether a connection may ask: a Route whose kind is refuse, or an Admission. Without a function \
         accept everybody may.",
        &[VIEWER],
        |lua, given| {
            let viewer = Viewer::read(lua, given.at(0)).map_err(|why| wrong(lua, "accept", &why))?;
            let admission = with(lua, |desk, known| desk.policy.accept(&viewer.connection(), &known));
            match admission.map_err(|why| wrong(lua, "accept", &why))? {
                Admission::Allow { limits, tags } => {
                    lua.create_userdata(Fact(Allowed { limits, tags })).map(Value::UserData)
                }
                Admission::Refuse { text, tags } => made(lua, Route { way: Way::Refuse(text), tags }),
            }
        },
    )
};

const INVARIANT: Function = Function {
    returns: TEXT,
    ..asking(
        "invariant",
        "Asks the policy's invariant about a build and a route: nil if it holds, or there is none; else what is wrong.",
        &[
            parameter("build", ASKED, "a build, or the uuid of one that the registry knows"),
            parameter("route", Type::Fact(Made::KIND), "a route, such as ask.route returns"),
        ],
        |lua, given| {
            let problem = broken(lua, given).map_err(|why| wrong(lua, "invariant", &why))?;
            problem.map_or(Ok(Value::Nil), |problem| lua.create_string(problem).map(Value::String))
        },
    )
};

const REQUEST: Function = Function {
    returns: Type::Fact(RequestFacts::KIND),
    ..asking(
        "request",
        "The request that a policy would be asked about, and asks nobody.",
        &[QUERY, VIEWER],
        |lua, given| {
            let question = Question::read(lua, given).map_err(|why| wrong(lua, "request", &why))?;
            let facts = with(lua, |_, known| Ok::<_, String>(RequestFacts::new(&question.request(known))));
            lua.create_userdata(Fact(facts.map_err(|why| wrong(lua, "request", &why))?)).map(Value::UserData)
        },
    )
};

/// Who is asked, and what is to be told beside the answers; kept in the engine.
pub(super) struct Desk {
    policy: Policy,
    listener: String,
    /// Where policies decided since somebody looked, each place once.
    pub(super) decided: Vec<String>,
}

impl Desk {
    pub(super) fn new(policy: Policy, listener: String) -> Self {
        Self { policy, listener, decided: Vec::new() }
    }

    fn tell(&mut self, place: String) {
        if self.decided.len() < MAX_DECIDED && !self.decided.contains(&place) {
            self.decided.push(place);
        }
    }
}

fn broken(lua: &Lua, given: &Arguments) -> Result<Option<String>, String> {
    let Question { build, viewer, query } = Question::read(lua, given)?;
    let build = build.ok_or_else(|| format!("the registry knows no build \"{}\"", query.line))?;
    let made = given.at(1).as_userdata().and_then(|it| it.borrow_scoped(|made: &Fact<Made>| made.0.clone()).ok());
    let Some(Decision::Route(route)) = made.map(|made| made.decision) else {
        return Err("a hand-over is no route yet".to_owned());
    };
    with(lua, |desk, known| desk.policy.broken_invariant(&viewer.listener, &build, &route, &known))
}

/// Lets `work` ask the policy with what is known now.
fn with<T, E: ToString>(lua: &Lua, work: impl FnOnce(&Desk, Known<'_>) -> Result<T, E>) -> Result<T, String> {
    let (desk, held) = (lua.app_data_ref::<Desk>(), call::held(lua));
    let Some((desk, held)) = desk.zip(held) else { return Err("nothing is known now".to_owned()) };
    let Held { snapshot, world, at } = &held;
    work(&desk, Known { snapshot, world, at: *at }).map_err(|why| why.to_string())
}

/// Takes note of where a decision was made.
fn note(lua: &Lua, explained: &Explained) {
    let Some(mut desk) = lua.app_data_mut::<Desk>() else { return };
    for step in &explained.handed_over {
        desk.tell(format!("handed over to {} at {}", step.to, place(&step.file, step.line)));
    }
    desk.tell(format!("decided at {}", place(&explained.file, explained.line)));
}

fn place(file: &str, line: Option<usize>) -> String {
    line.map_or_else(|| file.to_owned(), |line| format!("{file}:{line}"))
}

fn made(lua: &Lua, route: Route) -> mlua::Result<Value> {
    let made = Made { decision: Decision::Route(route), spot: None };
    lua.create_userdata(Fact(made)).map(Value::UserData)
}

fn wrong(lua: &Lua, function: &str, why: &str) -> mlua::Error {
    Complaint::raised(lua, FailureKind::Error, &format!("ask.{function}: {why}"))
}

/// Describes a function that only somebody at the prompt calls.
const fn asking(
    name: &'static str,
    about: &'static str,
    parameters: &'static [Parameter],
    call: fn(&Lua, &Arguments) -> mlua::Result<Value>,
) -> Function {
    let returns = Type::Nothing;
    Function { name, about, parameters, returns, phases: Phases::TRYING, blame: FailureKind::Error, call }
}

const fn option(name: &'static str, about: &'static str) -> Name {
    self::name(name, TEXT, about)
}
