//! The global `relay`: what this relay knows, and the makers of routes. What each name does stands in the room below.

mod admission;
mod any;
mod clock;
mod every;
mod options;
mod order;
mod params;
mod registry;
mod routes;
mod seen;
mod shared;

use mlua::Value;

pub(super) use options::{limit, number};
pub(super) use shared::{VALUE, kept, shown};

use super::description::{Constant, Namespace, Type, name};
use super::facts;
use super::program::Surroundings;

/// What this relay knows, and the makers of routes.
pub(super) const RELAY: Namespace = Namespace {
    name: "relay",
    about: "What this relay knows, and the makers of routes.",
    constants: &[
        Constant {
            name: name(
                "zone",
                Type::Optional(&Type::String),
                "The zone that this relay serves; nil if it serves none.",
            ),
            value: |lua| match lua.app_data_ref::<Surroundings>() {
                Some(around) => facts::zone(lua, around.place.zone.as_ref()),
                None => Ok(Value::Nil),
            },
        },
        Constant {
            name: name(
                "params",
                Type::Map(&Type::Any),
                "The params of the configuration: text, numbers, booleans, lists and maps by name; read-only.",
            ),
            value: params::read,
        },
        Constant {
            name: name("hostname", Type::String, "The name that this relay is registered under."),
            value: |lua| match lua.app_data_ref::<Surroundings>() {
                Some(around) => facts::text(lua, around.place.hostname.as_str()),
                None => Ok(Value::Nil),
            },
        },
    ],
    functions: &[
        registry::GATEWAYS,
        registry::ZONES,
        registry::EXECUTORS,
        registry::BUILD_BY_UUID,
        registry::BUILDS,
        registry::TENANTS,
        registry::BUILD_COUNT,
        registry::RUNNING_COUNT,
        registry::AGE,
        seen::SEEN,
        routes::DIRECT,
        routes::VIA,
        routes::REFUSE,
        routes::REPLY,
        routes::CONNECT,
        any::ANY,
        routes::HAND_OVER,
        admission::ALLOW,
        clock::NOW,
        every::EVERY,
    ],
    inner: &[shared::SHARED],
};
