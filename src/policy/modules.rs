//! What scripts may `require`: their neighbours, compiled when the policy is loaded and run in each engine that asks
//! for one, once. No file is read here.

use std::collections::BTreeMap;

use mlua::chunk::ChunkMode;
use mlua::{Lua, Table, Value};

use super::FailureKind;
use super::failure::{Complaint, LoadError};
use super::program::{self, Surroundings};
use super::sources::Source;
use super::spelling;
use super::testing::probe;

/// What the table of the modules that ran is called in an engine.
const RAN: &str = "fingerpost.modules";

/// All modules of a folder, by the name that `require` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Modules(BTreeMap<String, Result<Module, LoadError>>);

/// One module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Module {
    pub(super) title: String,
    pub(super) text: String,
    /// Made from `text` by our compiler and by nothing else: Luau trusts bytecode blindly.
    bytecode: Vec<u8>,
}

impl Modules {
    /// Compiles them; see [`program::compile`] for lines that are `counted`.
    pub(super) fn compile(sources: BTreeMap<String, Result<Source, LoadError>>, counted: bool) -> Self {
        let compiled = sources.into_iter().map(|(name, source)| {
            let module = source.and_then(|source| {
                let title = source.title();
                let bytecode = program::compile(&title, &source.text, counted)?;
                Ok(Module { title, text: source.text, bytecode })
            });
            (name, module)
        });
        Self(compiled.collect())
    }

    /// The first module that cannot be used, as an error.
    pub(super) fn all_usable(&self) -> Result<(), LoadError> {
        self.0.values().try_for_each(|module| module.as_ref().map(|_| ()).map_err(Clone::clone))
    }

    /// What the modules are called in Lua's messages.
    pub(super) fn chunks(&self) -> impl Iterator<Item = String> {
        self.0.keys().map(|name| format!("{name}.lua"))
    }

    /// The module whose chunk is called `chunk` in Lua's messages.
    pub(super) fn of_chunk(&self, chunk: &str) -> Option<&Module> {
        self.0.get(chunk.strip_suffix(".lua")?)?.as_ref().ok()
    }
}

/// The table that remembers which modules ran.
pub(super) fn prepare(lua: &Lua) -> mlua::Result<()> {
    lua.set_named_registry_value(RAN, lua.create_table()?)
}

/// The value of the module called `name`, which runs now if it never did in this engine.
pub(super) fn require(lua: &Lua, name: &str) -> mlua::Result<Value> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let ran: Table = lua.named_registry_value(RAN)?;
    match ran.raw_get(name)? {
        Value::Nil => {}
        Value::Boolean(false) => {
            return Err(wrong(lua, &format!("the module \"{name}\" requires itself, directly or through another")));
        }
        value => return Ok(value),
    }
    // While it runs.
    ran.raw_set(name, false)?;
    let value = run(lua, name);
    ran.raw_set(name, value.as_ref().map_or(&Value::Nil, |value| value))?;
    value
}

fn run(lua: &Lua, name: &str) -> mlua::Result<Value> {
    let chunk = match lua.app_data_ref::<Surroundings>().map(|around| around.modules.load(lua, name)) {
        Some(Ok(chunk)) => chunk,
        Some(Err(problem)) => return Err(wrong(lua, &problem)),
        None => return Ok(Value::Nil),
    };
    let value: Value = chunk.call(())?;
    match &value {
        Value::Nil | Value::Boolean(false) => {
            return Err(wrong(lua, &format!("the module \"{name}\" returned nothing; end it with: return module")));
        }
        // One module is for all scripts of the engine: none may change it for the others.
        Value::Table(table) => table.set_readonly(true),
        _ => {}
    }
    Ok(value)
}

impl Modules {
    fn load(&self, lua: &Lua, name: &str) -> Result<mlua::Function, String> {
        let Some(module) = self.0.get(name) else {
            let hint = spelling::hint(name, self.0.keys().map(String::as_str));
            return Err(format!("there is no module \"{name}\"{hint}"));
        };
        let module = module.as_ref().map_err(|error| format!("the module \"{name}\" cannot be used: {error}"))?;
        let chunk = lua.load(module.bytecode.as_slice()).set_mode(ChunkMode::Binary).set_name(format!("={name}.lua"));
        let chunk = chunk.into_function().map_err(|error| error.to_string())?;
        probe::watch(lua, &module.title, &chunk);
        Ok(chunk)
    }
}

fn wrong(lua: &Lua, problem: &str) -> mlua::Error {
    Complaint::raised(lua, FailureKind::Error, &format!("require: {problem}"))
}
