//! A policy's text and its bytecode, with everything else that an engine is started from. Never runs it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mlua::Lua;
use mlua::chunk::{Chunk, ChunkMode, Compiler};

use super::failure::{Chunks, Complaint, Failure, LoadError, Spot};
use super::modules::Modules;
use super::sources::{BUILT_IN, Source};
use super::testing::Probe;
use super::{FailureKind, Place};
use crate::config::settings;

/// Longest name in Lua's messages, in characters; Luau cuts its own at 255 bytes.
const MAX_CHUNK_NAME: usize = 60;

/// Luau's level of coverage that counts statements and the lines within them.
const EVERY_LINE: u8 = 2;

/// What every engine of a policy is started from.
#[derive(Clone, PartialEq)]
pub(super) struct Program {
    /// For operators: the file as configured.
    pub(super) title: String,
    /// For Lua, which puts it before its messages.
    pub(super) chunks: Chunks,
    pub(super) surroundings: Surroundings,
    pub(super) time_limit: Duration,
    pub(super) memory_limit: usize,
    /// What the configuration calls these two.
    pub(super) keys: Keys,
    pub(super) recursion_limit: usize,
    pub(super) background: settings::Background,
    text: String,
    /// Made from `text` by the compiler below and by nothing else: Luau trusts bytecode blindly.
    bytecode: Vec<u8>,
}

/// What limits are called in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) time: &'static str,
    pub(super) memory: &'static str,
}

/// What all scripts of one policy folder have in common.
#[derive(Clone, PartialEq)]
pub(super) struct Surroundings {
    pub(super) place: Place,
    pub(super) modules: Arc<Modules>,
    /// Of all policies, in order.
    pub(super) names: Arc<[String]>,
    pub(super) params: Arc<settings::Params>,
    /// Sees what scripts do, where somebody wants to see it.
    pub(super) probe: Option<Probe>,
}

impl Program {
    pub(super) fn compile(
        source: Source,
        surroundings: Surroundings,
        limits: &settings::Policy,
    ) -> Result<Self, LoadError> {
        let title = source.title();
        let chunk = source.path.as_deref().map_or_else(|| plain_chunk(&source.name), chunk_name);
        let chunks = [chunk].into_iter().chain(surroundings.modules.chunks()).collect();
        Ok(Self {
            bytecode: compile(&title, &source.text, surroundings.probe.is_some())?,
            title,
            chunks: Chunks(chunks),
            surroundings,
            time_limit: limits.time_limit,
            memory_limit: limits.memory_limit,
            keys: Keys { time: "time_limit", memory: "memory_limit" },
            recursion_limit: limits.recursion_limit,
            background: limits.background.clone(),
            text: source.text,
        })
    }

    /// The same script for a relay that stands elsewhere.
    pub(super) fn placed(&self, place: Place) -> Self {
        Self { surroundings: Surroundings { place, ..self.surroundings.clone() }, ..self.clone() }
    }

    /// The same script, where `probe` sees what it does.
    pub(super) fn watched(&self, probe: Probe) -> Self {
        Self { surroundings: Surroundings { probe: Some(probe), ..self.surroundings.clone() }, ..self.clone() }
    }

    /// The same script with the limits of background work.
    pub(super) fn in_background(&self) -> Self {
        let settings::Background { time_limit, memory_limit, .. } = self.background;
        let keys = Keys { time: "background.time_limit", memory: "background.memory_limit" };
        Self { time_limit, memory_limit, keys, ..self.clone() }
    }

    /// The script, to be run in `lua`.
    pub(super) fn chunk<'a>(&'a self, lua: &Lua) -> Chunk<'a> {
        let name = self.chunks.0.first().map_or("", String::as_str);
        lua.load(self.bytecode.as_slice()).set_mode(ChunkMode::Binary).set_name(format!("={name}"))
    }

    /// The file and line of `spot`; the script itself where there is none.
    pub(super) fn locate(&self, spot: Option<Spot>) -> (String, Option<usize>) {
        let (title, _) = self.file_of(spot);
        (title.to_owned(), spot.map(|spot| spot.line))
    }

    pub(super) fn load_error(&self, complaint: Complaint) -> LoadError {
        let (file, text) = self.file_of(complaint.spot);
        let line = complaint.spot.map(|spot| spot.line);
        LoadError::at(file, line, complaint.text, text)
    }

    pub(super) fn failure(&self, complaint: Complaint) -> Failure {
        let (file, text) = self.file_of(complaint.spot);
        let line = complaint.spot.map(|spot| spot.line);
        Failure::at(file, line, complaint, text)
    }

    /// The title and text of what `spot` lies in.
    fn file_of(&self, spot: Option<Spot>) -> (&str, &str) {
        let chunk = spot.filter(|spot| spot.chunk > 0).and_then(|spot| self.chunks.0.get(spot.chunk));
        let module = chunk.and_then(|chunk| self.surroundings.modules.of_chunk(chunk));
        module.map_or((&self.title, &self.text), |module| (&module.title, &module.text))
    }
}

/// Compiles `text`, which errors call `title`. Lines that are `counted` take longer.
pub(super) fn compile(title: &str, text: &str, counted: bool) -> Result<Vec<u8>, LoadError> {
    let level = if counted { EVERY_LINE } else { 0 };
    Compiler::new().set_coverage_level(level).compile(text).map_err(|error| {
        let words = match &error {
            mlua::Error::SyntaxError { message, .. } => message.clone(),
            other => other.to_string(),
        };
        // The compiler does not know the chunk's name: its messages begin with the line alone.
        let (line, message) = match words.split_once(": ") {
            Some((line, message)) if line.parse::<usize>().is_ok() => (line.parse().ok(), message),
            _ => (None, words.as_str()),
        };
        LoadError::at(title, line, Complaint::new(FailureKind::Error, None, message).text, text)
    })
}

fn plain_chunk(name: &str) -> String {
    if name == BUILT_IN { "default.lua".to_owned() } else { format!("{name}.lua") }
}

fn chunk_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.chars().filter(|c| !c.is_control()).take(MAX_CHUNK_NAME).collect()
}
