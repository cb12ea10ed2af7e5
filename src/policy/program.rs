//! A policy's text and its bytecode, with everything else that an engine is started from. Never runs it.

use std::path::Path;
use std::time::Duration;

use mlua::Lua;
use mlua::chunk::{Chunk, ChunkMode, Compiler};

use super::failure::{Complaint, Failure, LoadError};
use super::sources::Sources;
use super::{FailureKind, Place};
use crate::config::settings;

/// Longest name in Lua's messages, in characters; Luau cuts its own at 255 bytes.
const MAX_CHUNK_NAME: usize = 60;

/// What every engine of a policy is started from.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// For operators: the file as configured.
    pub(super) name: String,
    /// For Lua, which puts it before its messages: the file's last part.
    pub(super) chunk: String,
    pub(super) place: Place,
    pub(super) time_limit: Duration,
    pub(super) memory_limit: usize,
    text: String,
    /// Made from `text` by the compiler below and by nothing else: Luau trusts bytecode blindly.
    bytecode: Vec<u8>,
}

impl Program {
    pub(super) fn read(settings: &settings::Policy, place: Place) -> Result<Self, LoadError> {
        let Sources { mut policies, default, .. } = Sources::read(settings)?;
        let Some(source) = policies.remove(&default) else {
            return Err(LoadError {
                file: default,
                line: None,
                message: "there is no such policy".to_owned(),
                excerpt: None,
            });
        };
        let mut program = Self {
            name: source.title(),
            chunk: source.path.as_deref().map_or_else(|| "default.lua".to_owned(), chunk_name),
            place,
            time_limit: settings.time_limit,
            memory_limit: settings.memory_limit,
            text: source.text,
            bytecode: Vec::new(),
        };
        program.bytecode = Compiler::new().compile(&program.text).map_err(|error| program.syntax_error(&error))?;
        Ok(program)
    }

    /// The same script for a relay that stands elsewhere.
    pub(super) fn placed(&self, place: Place) -> Self {
        Self { place, ..self.clone() }
    }

    /// The script, to be run in `lua`.
    pub(super) fn chunk<'a>(&'a self, lua: &Lua) -> Chunk<'a> {
        lua.load(self.bytecode.as_slice()).set_mode(ChunkMode::Binary).set_name(format!("={}", self.chunk))
    }

    pub(super) fn load_error(&self, complaint: Complaint) -> LoadError {
        let excerpt = complaint.line.and_then(|line| self.text.lines().nth(line.checked_sub(1)?));
        LoadError {
            file: self.name.clone(),
            line: complaint.line,
            message: complaint.text,
            excerpt: excerpt.map(|line| line.trim().to_owned()),
        }
    }

    pub(super) fn failure(&self, complaint: Complaint) -> Failure {
        Failure { kind: complaint.kind, file: self.name.clone(), line: complaint.line, message: complaint.text }
    }

    /// The compiler does not know the chunk's name: its messages begin with the line alone.
    fn syntax_error(&self, error: &mlua::Error) -> LoadError {
        let mlua::Error::SyntaxError { message, .. } = error else {
            return self.load_error(Complaint::new(FailureKind::Error, None, &error.to_string()));
        };
        let (line, text) = match message.split_once(": ") {
            Some((line, text)) => (line.parse().ok(), text),
            None => (None, message.as_str()),
        };
        self.load_error(Complaint::new(FailureKind::Error, line, text))
    }
}

fn chunk_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.chars().filter(|c| !c.is_control()).take(MAX_CHUNK_NAME).collect()
}
