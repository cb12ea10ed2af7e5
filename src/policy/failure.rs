//! What a script did wrong, in words for the person who has to mend it: from Lua's errors to file, line and reason.

use std::borrow::Cow;
use std::fmt;
use std::iter;
use std::sync::Arc;

use mlua::debug::Debug;
use mlua::{Function, Lua, Value};
use serde::{Deserialize, Serialize};

use super::depth;

/// Longest message, in characters: a script chooses its own words.
const MAX_TEXT: usize = 500;

/// Longest line of a script that is shown with an error, in characters.
const MAX_EXCERPT: usize = 160;

/// Lines that are taken from before one message: more than coroutines nest, and fewer than a script can write.
const MAX_LINES: usize = 250;

/// Deepest frame that is searched for the script's line.
const MAX_FRAMES: usize = 10;

/// Why a decision came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[error("{}: {message}{}", Location(file, *line), Beside(excerpt.as_deref()))]
pub struct Failure {
    /// What kind of failure, for metrics.
    pub kind: FailureKind,
    /// The policy's name.
    pub file: String,
    /// Where it happened, counted from 1.
    pub line: Option<usize>,
    /// What happened, and what to do.
    pub message: String,
    /// The text of that line, if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

/// Why a script is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}{}", Location(file, *line), Below(excerpt.as_deref()))]
pub struct LoadError {
    /// The policy's name.
    pub file: String,
    /// Where it went wrong, counted from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
    /// The text of that line, if there is any.
    pub excerpt: Option<String>,
}

impl Failure {
    /// What went wrong at line `line` of `text`, which is the file called `file`.
    pub(super) fn at(file: &str, line: Option<usize>, complaint: Complaint, text: &str) -> Self {
        let Complaint { kind, text: message, .. } = complaint;
        Self { kind, file: file.to_owned(), line, message, excerpt: excerpt(text, line) }
    }
}

impl LoadError {
    /// The error of line `line` in `text`, which is the file called `file`.
    pub(super) fn at(file: &str, line: Option<usize>, message: String, text: &str) -> Self {
        Self { file: file.to_owned(), line, message, excerpt: excerpt(text, line) }
    }
}

/// The kinds of failure, a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It took longer than it may.
    Time,
    /// It needed more memory than it may.
    Memory,
    /// Its calls nested deeper than they may.
    Recursion,
    /// The script raised an error.
    Error,
    /// What it answered is no route.
    BadRoute,
}

impl FailureKind {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Time, Self::Memory, Self::Recursion, Self::Error, Self::BadRoute];

    /// The word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Recursion => "recursion",
            Self::Error => "error",
            Self::BadRoute => "bad_route",
        }
    }

    /// Whether the engine stopped the script, rather than the script itself.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::Time | Self::Memory | Self::Recursion)
    }
}

/// What an engine's script and its modules are called in Lua's messages, the script first; kept in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunks(pub(super) Arc<[String]>);

/// A line of the script or of one of its modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// Which of the engine's [`Chunks`].
    pub(super) chunk: usize,
    /// Counted from 1.
    pub(super) line: usize,
}

/// A failure on its way through Lua. Its text can be caught and printed by the script.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(super) struct Complaint {
    pub(super) kind: FailureKind,
    pub(super) spot: Option<Spot>,
    pub(super) text: String,
}

impl Complaint {
    /// Bounds `text` and makes it printable: it may come from a viewer by way of the script.
    pub(super) fn new(kind: FailureKind, spot: Option<Spot>, text: &str) -> Self {
        Self { kind, spot, text: printable(text.trim_end(), MAX_TEXT) }
    }

    /// As [`Self::new`], to be raised in the script at the line that runs now.
    pub(super) fn raised(lua: &Lua, kind: FailureKind, text: &str) -> mlua::Error {
        mlua::Error::external(Self::new(kind, spot_now(lua), text))
    }

    /// Whether this is the complaint that was made of `text`.
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == printable(text.trim_end(), MAX_TEXT)
    }

    /// Reads what came out of the script of `chunks`.
    pub(super) fn from_lua(error: &mlua::Error, chunks: &Chunks) -> Self {
        match error {
            mlua::Error::CallbackError { cause, traceback } => {
                let mut complaint = Self::from_lua(cause, chunks);
                complaint.spot = complaint.spot.or_else(|| chunks.spot_in(traceback));
                complaint
            }
            mlua::Error::ExternalError(cause) => match cause.downcast_ref::<Self>() {
                Some(complaint) => complaint.clone(),
                None => Self::new(FailureKind::Error, None, &cause.to_string()),
            },
            mlua::Error::MemoryError(text) => Self::new(FailureKind::Memory, None, text),
            // Memory for a stack was what there was not enough of: what this relay pushes is little.
            mlua::Error::StackError => Self::new(FailureKind::Memory, None, "not enough memory"),
            mlua::Error::RuntimeError(text) => Self::from_text(text, chunks),
            other => Self::new(FailureKind::Error, None, &other.to_string()),
        }
    }

    /// Reads `chunk:12: message`, with or without a traceback below it.
    fn from_text(text: &str, chunks: &Chunks) -> Self {
        let (head, traceback) = text.split_once("\nstack traceback:").unwrap_or((text, ""));
        let (spot, message) = match chunks.located(head) {
            Some((spot, message)) => (Some(spot), message),
            // The library's guards are Lua too; the script's line is the one that called them.
            None => (chunks.spot_in(traceback), outermost(head, super::library::CHUNK).map_or(head, |(_, text)| text)),
        };
        // Lua's own words, which is all that is left of a memory error once it crossed a coroutine. A stack flows over
        // for want of memory: calls are stopped long before they fill one.
        match message {
            "not enough memory" | "stack overflow" | "stack overflow (not enough stack slots available)" => {
                Self::new(FailureKind::Memory, spot, message)
            }
            "C stack overflow" => Self::new(FailureKind::Recursion, spot, depth::NESTED),
            _ => Self::new(FailureKind::Error, spot, message),
        }
    }
}

/// The line that runs now. Other frames are the library's guards, or functions in Rust.
pub(super) fn spot_now(lua: &Lua) -> Option<Spot> {
    let chunks = lua.app_data_ref::<Chunks>()?;
    (0..MAX_FRAMES).find_map(|level| {
        let spot = |frame: &Debug<'_>| {
            let line = frame.current_line()?;
            Some(Spot { chunk: chunks.position(frame.source().short_src.as_deref()?)?, line })
        };
        lua.inspect_stack(level, spot).flatten()
    })
}

/// What a script that catches `error` gets: text as of Lua's own errors, with the line before it. All else stays as it
/// is.
pub(super) fn plain(lua: &Lua, error: Value) -> mlua::Result<Value> {
    let (Value::Error(raised), Some(chunks)) = (&error, lua.app_data_ref::<Chunks>()) else { return Ok(error) };
    let Complaint { spot, text, .. } = Complaint::from_lua(raised, &chunks);
    let place = spot.and_then(|Spot { chunk, line }| Some(format!("{}:{line}: ", chunks.0.get(chunk)?)));
    lua.create_string(place.unwrap_or_default() + &text).map(Value::String)
}

/// The line `line` of `text`, as far as it can be shown.
fn excerpt(text: &str, line: Option<usize>) -> Option<String> {
    let line = text.lines().nth(line?.checked_sub(1)?)?.trim();
    (!line.is_empty()).then(|| printable(line, MAX_EXCERPT))
}

/// `text` without control characters, cut after `max` characters.
pub(super) fn printable(text: &str, max: usize) -> String {
    let mut out = String::new();
    for c in text.chars().take(max) {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if text.chars().nth(max).is_some() {
        out.push('…');
    }
    out
}

/// So much of `bytes` that more than `max` characters come of it, if there are so many: to be made [`printable`]
/// without a copy of what is cut.
pub(super) fn beginning(bytes: &[u8], max: usize) -> Cow<'_, str> {
    let enough = max.saturating_add(1).saturating_mul(char::MAX.len_utf8());
    String::from_utf8_lossy(bytes.get(..enough).unwrap_or(bytes))
}

impl Chunks {
    /// Which of these is called `name`.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|own| own == name)
    }

    /// Where `function` begins.
    pub(super) fn beginning(&self, function: &Function) -> Option<Spot> {
        let info = function.info();
        Some(Spot { chunk: self.position(info.short_src.as_deref()?)?, line: info.line_defined? })
    }

    /// Where an error comes from, and its text. Every coroutine and every `error` that an error's text came through has
    /// put its own line before it: the last is where it began.
    fn located<'a>(&self, text: &'a str) -> Option<(Spot, &'a str)> {
        iter::successors(self.outermost(text), |(_, message)| self.outermost(message)).take(MAX_LINES).last()
    }

    fn outermost<'a>(&self, text: &'a str) -> Option<(Spot, &'a str)> {
        self.0
            .iter()
            .enumerate()
            .find_map(|(chunk, name)| outermost(text, name).map(|(line, message)| (Spot { chunk, line }, message)))
    }

    /// The first line of `traceback` that lies in one of these.
    fn spot_in(&self, traceback: &str) -> Option<Spot> {
        traceback.lines().find_map(|frame| {
            self.0.iter().enumerate().find_map(|(chunk, name)| {
                let digits = frame.trim_start().strip_prefix(name.as_str())?.strip_prefix(':')?;
                let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                Some(Spot { chunk, line: digits.get(..end)?.parse().ok()? })
            })
        })
    }
}

fn outermost<'a>(text: &'a str, chunk: &str) -> Option<(usize, &'a str)> {
    let (line, message) = text.strip_prefix(chunk)?.strip_prefix(':')?.split_once(": ")?;
    Some((line.parse().ok()?, message))
}

struct Location<'a>(&'a str, Option<usize>);

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(line) => write!(f, "{}:{line}", self.0),
            None => f.write_str(self.0),
        }
    }
}

/// The line of a script, for errors that people read by themselves.
struct Below<'a>(Option<&'a str>);

impl fmt::Display for Below<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, "\n    {line}"))
    }
}

/// The same for those that end in records, tables and log lines, of which each is one line.
struct Beside<'a>(Option<&'a str>);

impl fmt::Display for Beside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, " | {line}"))
    }
}
