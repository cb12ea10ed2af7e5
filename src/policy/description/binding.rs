//! From descriptions to what scripts call: read-only tables whose functions check their arguments first.

use mlua::{Lua, MultiValue, Table, Value};

use super::types::Mismatch;
use super::{Function, Namespace, Phase};
use crate::policy::call;
use crate::policy::facts::{self, quote};
use crate::policy::failure::Complaint;
use crate::policy::hand;

/// The arguments of one call, each of which is what its parameter says.
#[derive(Debug)]
pub(in crate::policy) struct Arguments {
    first: Value,
    /// Apart, because a list takes memory, and most functions take one argument.
    more: MultiValue,
}

impl Arguments {
    /// The argument at `position`, counted from 0; nil where none was given.
    pub(in crate::policy) fn at(&self, position: usize) -> &Value {
        const NIL: &Value = &Value::Nil;
        match position.checked_sub(1) {
            None => &self.first,
            Some(position) => self.more.get(position).unwrap_or(NIL),
        }
    }

    fn len(&self) -> usize {
        if self.first.is_nil() && self.more.is_empty() { 0 } else { 1 + self.more.len() }
    }
}

/// Makes the table that scripts know as `namespace`.
pub(in crate::policy) fn table(lua: &Lua, namespace: &'static Namespace) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for constant in namespace.constants {
        table.raw_set(constant.name.name, (constant.value)(lua)?)?;
    }
    for function in namespace.functions {
        let checked = move |lua: &Lua, (first, more)| function.checked(lua, namespace, &Arguments { first, more });
        let checked = lua.create_function(checked)?;
        table.raw_set(function.name, hand::quickened(lua, (namespace.name, function.name), checked)?)?;
    }
    for inner in namespace.inner {
        table.raw_set(inner.last_name(), self::table(lua, inner)?)?;
    }
    let rules = lua.create_table()?;
    rules.raw_set("__index", lua.create_function(|lua, (_, key): (Value, Value)| namespace.absent(lua, &key))?)?;
    rules.raw_set("__metatable", false)?;
    table.set_metatable(Some(rules))?;
    table.set_readonly(true);
    Ok(table)
}

impl Namespace {
    /// What is read of a namespace and is not in its table: a constant that has no value, or a name that does not
    /// exist.
    fn absent(&self, lua: &Lua, key: &Value) -> mlua::Result<Value> {
        let constants = self.constants.iter().map(|constant| constant.name.name);
        if key.as_string().is_some_and(|key| constants.clone().any(|name| *key == *name)) {
            return Ok(Value::Nil);
        }
        let functions = self.functions.iter().map(|function| function.name);
        let names = constants.chain(functions).chain(self.inner.iter().map(Self::last_name));
        Err(facts::unknown_key(lua, self.name, key, names))
    }

    /// The name without those of the namespaces around it.
    pub(in crate::policy) fn last_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }
}

impl Function {
    fn checked(&self, lua: &Lua, namespace: &Namespace, arguments: &Arguments) -> mlua::Result<Value> {
        match self.problem(lua, arguments) {
            None => (self.call)(lua, arguments),
            Some(problem) => {
                let text = format!("{}.{}{problem}", namespace.name, self.name);
                Err(Complaint::raised(lua, self.blame, &text))
            }
        }
    }

    /// What is wrong with a call, in words that follow the function's name.
    fn problem(&self, lua: &Lua, arguments: &Arguments) -> Option<String> {
        if let Some(phase) = self.forbidding_phase(lua) {
            return Some(format!(" cannot be called {}", phase.place()));
        }
        if arguments.len() > self.parameters.len() {
            return Some(self.too_many(arguments.len()));
        }
        self.parameters.iter().enumerate().find_map(|(position, parameter)| {
            let value = arguments.at(position);
            let (name, expects) = (parameter.name, parameter.expects);
            match parameter.of.check(value).err()? {
                Mismatch::Other => Some(format!(": {name} must be {expects}, not {}", quote(value))),
                Mismatch::Within(problem) => Some(format!(": {name} must be {expects}; {problem}")),
            }
        })
    }

    /// The phase that runs, if this must not be called in it.
    fn forbidding_phase(&self, lua: &Lua) -> Option<Phase> {
        if self.phases.are_all() {
            return None;
        }
        let phase = call::phase(lua);
        (!self.phases.include(phase)).then_some(phase)
    }

    fn too_many(&self, given: usize) -> String {
        let names: Vec<&str> = self.parameters.iter().map(|parameter| parameter.name).collect();
        match names.as_slice() {
            [] => format!(" takes no argument, and got {given}"),
            [one] => format!(" takes one argument, {one}, and got {given}"),
            _ => format!(" takes {} arguments ({}), and got {given}", names.len(), names.join(", ")),
        }
    }
}
