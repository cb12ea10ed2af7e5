//! `relay.params`: the configuration's words to its scripts.

use std::sync::Arc;

use mlua::{Lua, Value};

use crate::config::settings::{Param, Params};
use crate::policy::facts;
use crate::policy::program::Surroundings;

/// All of them, read-only.
pub(super) fn read(lua: &Lua) -> mlua::Result<Value> {
    let params = lua.app_data_ref::<Surroundings>().map(|around| Arc::clone(&around.params)).unwrap_or_default();
    map(lua, &params)
}

fn map(lua: &Lua, params: &Params) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    params.iter().try_for_each(|(name, value)| table.raw_set(name.as_str(), param(lua, value)?))?;
    table.set_readonly(true);
    Ok(Value::Table(table))
}

fn param(lua: &Lua, param: &Param) -> mlua::Result<Value> {
    match param {
        Param::Bool(value) => Ok(Value::Boolean(*value)),
        // Exact: the configuration takes no whole number that is not.
        Param::Integer(value) => Ok(Value::Number(*value as f64)),
        Param::Number(value) => Ok(Value::Number(*value)),
        Param::Text(value) => facts::text(lua, value),
        Param::Map(values) => map(lua, values),
        Param::List(values) => {
            let list = lua.create_table()?;
            values.iter().try_for_each(|value| list.raw_push(self::param(lua, value)?))?;
            list.set_readonly(true);
            Ok(Value::Table(list))
        }
    }
}
