//! Tables that tests write, read into what they stand for. Their keys and types were checked by their descriptions;
//! what is left to check is what the values say.

use std::sync::Arc;
use std::time::Duration;

use mlua::{FromLua, Table, Value};

use crate::config::settings::{Param, Params};
use crate::names::{BuildId, Hostname, Zone};
use crate::policy::description::{Name, Type, name};
use crate::policy::facts::quote;

pub(super) const TEXT: Type = Type::Optional(&Type::String);
pub(super) const NUMBER: Type = Type::Optional(&Type::Number);
pub(super) const FLAG: Type = Type::Optional(&Type::Boolean);
pub(super) const PARAMS: Type = Type::Optional(&Type::Map(&Type::Any));

/// Deepest tables in params.
const MAX_DEPTH: usize = 16;

/// One table.
pub(super) struct Form<'a>(pub(super) &'a Table);

impl Form<'_> {
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let text: mlua::LuaString = self.get(key)?;
        Some(text.to_string_lossy())
    }

    pub(super) fn bytes(&self, key: &str) -> Vec<u8> {
        let text: Option<mlua::LuaString> = self.get(key);
        text.map(|text| text.as_bytes().to_vec()).unwrap_or_default()
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.get(key)
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.get(key).unwrap_or(false)
    }

    pub(super) fn build_id(&self, key: &str) -> Result<Option<BuildId>, String> {
        self.parsed(key, BuildId::parse, "a uuid of hexadecimal digits")
    }

    pub(super) fn zone(&self, key: &str) -> Result<Option<Zone>, String> {
        self.parsed(key, Zone::parse, "the name of a zone")
    }

    pub(super) fn hostname(&self, key: &str) -> Result<Option<Hostname>, String> {
        self.parsed(key, Hostname::parse, "the name of a host")
    }

    /// The host name at `key`, which its description requires.
    pub(super) fn host(&self, key: &str) -> Result<Hostname, String> {
        self.hostname(key)?.ok_or_else(|| format!("{key} is missing"))
    }

    pub(super) fn port(&self, key: &str) -> Result<Option<u16>, String> {
        let Some(number) = self.number(key) else { return Ok(None) };
        let port = (1.0..=65535.0).contains(&number) && number.fract() == 0.0;
        if port { Ok(Some(number as u16)) } else { Err(format!("{key} must be a port from 1 to 65535, not {number}")) }
    }

    pub(super) fn whole(&self, key: &str) -> Result<u64, String> {
        let Some(number) = self.number(key) else { return Ok(0) };
        let whole = number >= 0.0 && number.fract() == 0.0 && number < 9e15;
        if whole { Ok(number as u64) } else { Err(format!("{key} must be a whole number, not {number}")) }
    }

    pub(super) fn seconds(&self, key: &str) -> Result<Option<Duration>, String> {
        self.number(key).map(|number| seconds(key, number)).transpose()
    }

    pub(super) fn texts(&self, key: &str) -> Vec<String> {
        let list: Vec<mlua::LuaString> = self.get(key).unwrap_or_default();
        list.iter().map(mlua::LuaString::to_string_lossy).collect()
    }

    pub(super) fn zones(&self, key: &str) -> Result<Vec<Zone>, String> {
        let zone = |text: &String| Zone::parse(text).ok_or_else(|| format!("{key}: \"{text}\" is no name of a zone"));
        self.texts(key).iter().map(zone).collect()
    }

    pub(super) fn params(&self, key: &str) -> Result<Option<Params>, String> {
        let table: Option<Table> = self.get(key);
        table.map(|table| params(&table, MAX_DEPTH).map_err(|why| format!("{key}: {why}"))).transpose()
    }

    pub(super) fn table(&self, key: &str) -> Option<Table> {
        self.get(key)
    }

    /// Reads each table of the list at `key`; errors say which it was.
    pub(super) fn list<T>(&self, key: &str, read: fn(&Form<'_>) -> Result<T, String>) -> Result<Vec<T>, String> {
        let list: Vec<Table> = self.get(key).unwrap_or_default();
        let read = |(index, table): (usize, &Table)| {
            read(&Form(table)).map_err(|why| format!("number {} of {key}: {why}", index + 1))
        };
        list.iter().enumerate().map(read).collect()
    }

    /// As [`Self::list`], each shared.
    pub(super) fn shared<T>(&self, key: &str, read: fn(&Form<'_>) -> Result<T, String>) -> Result<Vec<Arc<T>>, String> {
        Ok(self.list(key, read)?.into_iter().map(Arc::new).collect())
    }

    fn parsed<T>(&self, key: &str, parse: fn(&str) -> Option<T>, what: &str) -> Result<Option<T>, String> {
        let Some(text) = self.text(key) else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| format!("{key} must be {what}, not \"{text}\""))
    }

    fn get<T: FromLua>(&self, key: &str) -> Option<T> {
        self.0.raw_get::<Option<T>>(key).ok().flatten()
    }
}

/// Time in seconds, called `key` in errors.
pub(super) fn seconds(key: &str, number: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number).map_err(|_| format!("{key} must be seconds from 0 on, not {number}"))
}

/// Describes an option.
pub(super) const fn option(name: &'static str, of: Type, about: &'static str) -> Name {
    self::name(name, of, about)
}

fn params(table: &Table, depth: usize) -> Result<Params, String> {
    let pairs = table.pairs::<Value, Value>().flatten();
    pairs
        .map(|(key, value)| {
            let name = key.as_string().map(|key| key.to_string_lossy());
            let name = name.ok_or_else(|| format!("the key {} is no text", quote(&key)))?;
            let param = param(&value, depth).map_err(|why| format!("{name}: {why}"))?;
            Ok((name, param))
        })
        .collect()
}

fn param(value: &Value, depth: usize) -> Result<Param, String> {
    match value {
        Value::Boolean(value) => Ok(Param::Bool(*value)),
        Value::Integer(number) => Ok(Param::Integer(*number)),
        Value::Number(number) if number.is_finite() => Ok(Param::Number(*number)),
        Value::String(text) => Ok(Param::Text(text.to_string_lossy())),
        Value::Table(_) if depth == 0 => Err("the tables in it are too deep".to_owned()),
        Value::Table(table) if table.raw_len() > 0 => {
            let values = table.sequence_values::<Value>().flatten();
            values.map(|value| param(&value, depth - 1)).collect::<Result<_, _>>().map(Param::List)
        }
        Value::Table(table) => params(table, depth - 1).map(Param::Map),
        other => Err(format!("it must be text, a number, a boolean, a list or a map, not {}", quote(other))),
    }
}
