//! What the relay calls of a policy, described and found: the keys of the table that a script returns. It calls none of
//! them.

use std::sync::Arc;

use mlua::{Function, Table, Value};

use super::answer::Made;
use super::description::{Hook, Type, parameter};
use super::facts::{Allowed, ConnectionFacts, Described as _, EndedFacts, RequestFacts, quote};
use super::failure::{Chunks, Complaint};
use super::{FailureKind, spelling};
use crate::registry::Build;

/// The version of the API that a policy is written for.
const API: f64 = 1.0;

/// What the relay calls of a policy.
pub(super) const HOOKS: [Hook; 4] = [
    Hook {
        name: "route",
        about: "Decides the way of one request. A list of routes is tried in order; a refusal stands alone.",
        parameters: &[parameter("request", Type::Fact(RequestFacts::KIND), "what was asked, and by whom")],
        returns: Type::Either(&[Type::Fact(Made::KIND), Type::List(&Type::Fact(Made::KIND))]),
    },
    Hook {
        name: "accept",
        about: "Optional. Decides whether a connection may ask at all, before its request is read: relay.allow(options), \
                relay.refuse(text), or nil to let it in as the configuration says. It may write to relay.shared.",
        parameters: &[parameter("connection", Type::Fact(ConnectionFacts::KIND), "who has connected")],
        returns: Type::Optional(&Type::Either(&[Type::Fact(Allowed::KIND), Type::Fact(Made::KIND)])),
    },
    Hook {
        name: "ended",
        about: "Optional. Is told of the end of every stream that was let in, once; its place to count is relay.shared.",
        parameters: &[parameter("record", Type::Fact(EndedFacts::KIND), "how the stream ended")],
        returns: Type::Nothing,
    },
    Hook {
        name: "invariant",
        about: "Optional. What must hold of every route that the policy gives a running build, checked before a changed \
                policy takes over: true if it holds, else false, or a text that says what is wrong.",
        parameters: &[
            parameter("build", Type::Fact(<Arc<Build>>::KIND), "a running build"),
            parameter("route", Type::Fact(Made::KIND), "the route that it would get"),
        ],
        returns: Type::Either(&[Type::Boolean, Type::String]),
    },
];

/// A policy's own hooks.
pub(super) struct Hooks {
    pub(super) route: Function,
    pub(super) accept: Option<Function>,
    pub(super) ended: Option<Function>,
    pub(super) invariant: Option<Function>,
}

/// Which of the optional hooks a policy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Has {
    pub(super) accept: bool,
    pub(super) ended: bool,
    pub(super) invariant: bool,
}

impl Hooks {
    /// Takes the hooks out of what the script of `chunks` returned, if that is a policy's table and nothing but.
    pub(super) fn of(value: &Value, chunks: &Chunks) -> Result<Self, Complaint> {
        let Value::Table(table) = value else {
            return Err(wrong(&format!("the script returned {}; end it with: return policy", quote(value))));
        };
        table.pairs::<Value, Value>().flatten().try_for_each(|(key, value)| {
            let spot = value.as_function().and_then(|function| chunks.beginning(function));
            known_key(&key).map_err(|complaint| Complaint { spot, ..complaint })
        })?;
        check_version(table)?;
        Ok(Self {
            route: hook(table, "route")?.ok_or_else(|| no_function("route", &Value::Nil))?,
            accept: hook(table, "accept")?,
            ended: hook(table, "ended")?,
            invariant: hook(table, "invariant")?,
        })
    }

    pub(super) fn has(&self) -> Has {
        Has { accept: self.accept.is_some(), ended: self.ended.is_some(), invariant: self.invariant.is_some() }
    }
}

fn hook(table: &Table, name: &str) -> Result<Option<Function>, Complaint> {
    match table.raw_get(name) {
        Ok(Value::Function(hook)) => Ok(Some(hook)),
        Ok(Value::Nil) => Ok(None),
        Ok(other) => Err(no_function(name, &other)),
        Err(error) => Err(wrong(&error.to_string())),
    }
}

fn no_function(name: &str, value: &Value) -> Complaint {
    let hook = HOOKS.iter().find(|hook| hook.name == name);
    let parameters: Vec<_> = hook.into_iter().flat_map(|hook| hook.parameters).map(|of| of.name).collect();
    let parameters = parameters.join(", ");
    wrong(&format!("{name} must be a function, not {}: write function policy.{name}({parameters}) … end", quote(value)))
}

fn known_key(key: &Value) -> Result<(), Complaint> {
    let name = key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default();
    let known = ["api"].into_iter().chain(HOOKS.iter().map(|hook| hook.name));
    match known.clone().any(|known| known == name) {
        true => Ok(()),
        false => Err(wrong(&format!("a policy has no key {}{}", quote(key), spelling::hint(&name, known)))),
    }
}

fn check_version(table: &Table) -> Result<(), Complaint> {
    match table.raw_get("api") {
        Ok(Value::Number(API)) | Ok(Value::Integer(1)) => Ok(()),
        Ok(Value::Nil) => {
            Err(wrong("the policy does not say which API it is written for; write: local policy = { api = 1 }"))
        }
        Ok(other) => {
            Err(wrong(&format!("the policy is written for API {}, and this relay knows only 1", quote(&other))))
        }
        Err(error) => Err(wrong(&error.to_string())),
    }
}

fn wrong(text: &str) -> Complaint {
    Complaint::new(FailureKind::Error, None, text)
}
