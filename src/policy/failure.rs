//! What a script did wrong, in words for the person who has to mend it: from Lua's errors to file, line and reason.

use std::borrow::Cow;
use std::fmt;
use std::iter;

use mlua::Lua;
use mlua::debug::Debug;

use super::depth;

/// Longest message, in characters: a script chooses its own words.
const MAX_TEXT: usize = 500;

/// Deepest frame that is searched for the script's line.
const MAX_FRAMES: usize = 10;

/// Why a decision came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", Location(file, *line))]
pub struct Failure {
    /// What kind of failure, for metrics.
    pub kind: FailureKind,
    /// The policy's name.
    pub file: String,
    /// Where it happened, counted from 1.
    pub line: Option<usize>,
    /// What happened, and what to do.
    pub message: String,
}

/// Why a script is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}{}", Location(file, *line), Excerpt(excerpt.as_deref()))]
pub struct LoadError {
    /// The policy's name.
    pub file: String,
    /// Where it went wrong, counted from 1.
    pub line: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
    /// The text of that line.
    pub excerpt: Option<String>,
}

/// The kinds of failure, a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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

/// What an engine's script is called in Lua's messages; kept in the engine.
pub(super) struct ScriptName(pub(super) String);

/// A failure on its way through Lua. Its text can be caught and printed by the script.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{text}")]
pub(super) struct Complaint {
    pub(super) kind: FailureKind,
    pub(super) line: Option<usize>,
    pub(super) text: String,
}

impl Complaint {
    /// Bounds `text` and makes it printable: it may come from a viewer by way of the script.
    pub(super) fn new(kind: FailureKind, line: Option<usize>, text: &str) -> Self {
        Self { kind, line, text: printable(text.trim_end(), MAX_TEXT) }
    }

    /// As [`Self::new`], to be raised in the script at the line that runs now.
    pub(super) fn raised(lua: &Lua, kind: FailureKind, text: &str) -> mlua::Error {
        mlua::Error::external(Self::new(kind, line_now(lua), text))
    }

    /// Reads what came out of the script called `chunk`.
    pub(super) fn from_lua(error: &mlua::Error, chunk: &str) -> Self {
        match error {
            mlua::Error::CallbackError { cause, traceback } => {
                let mut complaint = Self::from_lua(cause, chunk);
                complaint.line = complaint.line.or_else(|| line_in(traceback, chunk));
                complaint
            }
            mlua::Error::ExternalError(cause) => match cause.downcast_ref::<Self>() {
                Some(complaint) => complaint.clone(),
                None => Self::new(FailureKind::Error, None, &cause.to_string()),
            },
            mlua::Error::MemoryError(text) => Self::new(FailureKind::Memory, None, text),
            mlua::Error::RuntimeError(text) => Self::from_text(text, chunk),
            other => Self::new(FailureKind::Error, None, &other.to_string()),
        }
    }

    /// Reads `chunk:12: message`, with or without a traceback below it.
    fn from_text(text: &str, chunk: &str) -> Self {
        let (head, traceback) = text.split_once("\nstack traceback:").unwrap_or((text, ""));
        let (line, message) = match located(head, chunk) {
            Some((line, message)) => (Some(line), message),
            // The library's guards are Lua too; the script's line is the one that called them.
            None => (line_in(traceback, chunk), located(head, super::library::CHUNK).map_or(head, |(_, text)| text)),
        };
        // Lua's own words, which is all that is left of a memory error once it crossed a coroutine.
        match message {
            "not enough memory" => Self::new(FailureKind::Memory, line, message),
            "C stack overflow" | "stack overflow" => Self::new(FailureKind::Recursion, line, depth::NESTED),
            _ => Self::new(FailureKind::Error, line, message),
        }
    }
}

/// The line of the script that runs now. Other frames are the library's guards, or functions in Rust.
pub(super) fn line_now(lua: &Lua) -> Option<usize> {
    let script = lua.app_data_ref::<ScriptName>()?;
    (0..MAX_FRAMES).find_map(|level| {
        let line =
            |frame: &Debug<'_>| frame.current_line().filter(|_| frame.source().short_src.as_deref() == Some(&script.0));
        lua.inspect_stack(level, line).flatten()
    })
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

/// Where in `chunk` an error comes from, and its text. Every coroutine and every `error` that an error's text came
/// through has put its own line before it: the last is where it began.
fn located<'a>(text: &'a str, chunk: &str) -> Option<(usize, &'a str)> {
    let outermost = |text: &'a str| {
        let (line, message) = text.strip_prefix(chunk)?.strip_prefix(':')?.split_once(": ")?;
        Some((line.parse().ok()?, message))
    };
    iter::successors(outermost(text), |(_, message)| outermost(message)).last()
}

/// The first line of `traceback` that lies in `chunk`.
fn line_in(traceback: &str, chunk: &str) -> Option<usize> {
    traceback.lines().find_map(|frame| {
        let digits = frame.trim_start().strip_prefix(chunk)?.strip_prefix(':')?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits.get(..end)?.parse().ok()
    })
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

struct Excerpt<'a>(Option<&'a str>);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |line| write!(f, "\n    {line}"))
    }
}
