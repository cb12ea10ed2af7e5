//! The `params` of the configuration: values whose names and kinds are the business of scripts.

use crate::config::node::Node;
use crate::config::section::{Item, Section};
use crate::config::settings::{Param, Params};

/// Lua's numbers are doubles: whole ones are exact up to here.
const LARGEST: i64 = 1 << 53;

/// Reads a mapping of values. Wrong ones are left out and reported.
pub(super) fn params(mut section: Section<'_>) -> Params {
    let entries = section.rest().into_iter();
    entries.filter_map(|(key, item)| param(item).map(|value| (key, value))).collect()
}

fn param(item: Item<'_>) -> Option<Param> {
    let simple = match &item.node {
        Node::Bool(value) => Ok(Param::Bool(*value)),
        Node::Integer(value) => whole(*value),
        Node::Float(value) if value.is_finite() => Ok(Param::Number(*value)),
        Node::Float(value) => Err(format!("expected a finite number, found {value}")),
        Node::Text(value) => Ok(Param::Text(value.clone())),
        Node::Null => Err("has no value; give it one, or remove the key".to_owned()),
        Node::List(_) => return Some(Param::List(item.items().into_iter().filter_map(param).collect())),
        Node::Map(_) => return item.section().map(params).map(Param::Map),
    };
    simple.map_err(|text| item.problem(text)).ok()
}

fn whole(value: i128) -> Result<Param, String> {
    let exact = i64::try_from(value).ok().filter(|value| (-LARGEST..=LARGEST).contains(value));
    exact.map(Param::Integer).ok_or_else(|| {
        format!("Lua holds whole numbers exactly from -{LARGEST} to {LARGEST} only, found {value}; quote it as text")
    })
}
