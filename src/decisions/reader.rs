//! Reads decisions back, one line at a time, from a log of whatever length. What cannot be read is told with its line
//! and passed over; it never spoils what comes after it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::entry::{Decision, Line, Name, Relay, VERSION};
use crate::registry::Components;

/// Longest line, in bytes: the components of a site that has hundred thousands of them.
const MAX_LINE: u64 = 64 << 20;

/// A log that is read.
pub struct Reader<R = BufReader<File>> {
    from: R,
    line: usize,
    /// The version that is written from here on.
    version: u32,
    relays: HashMap<Name, Arc<Relay>>,
    components: HashMap<Name, Arc<Components>>,
    ended: bool,
}

/// A decision, with what it names.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// The decision itself.
    pub decision: Decision,
    /// Who made it.
    pub relay: Arc<Relay>,
    /// The components that it was made on.
    pub components: Arc<Components>,
    /// Its line, counted from 1.
    pub line: usize,
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Reader {
    /// Opens `file`.
    ///
    /// # Errors
    /// If that cannot be done.
    pub fn open(file: &Path) -> Result<Self, OpenError> {
        let opened = File::open(file).map_err(|source| OpenError { file: file.to_owned(), source })?;
        Ok(Self::new(BufReader::new(opened)))
    }
}

/// A log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the decision log {}: {source}", file.display())]
pub struct OpenError {
    file: PathBuf,
    source: io::Error,
}

impl<R: BufRead> Reader<R> {
    /// Reads from the beginning of a file.
    pub fn new(from: R) -> Self {
        let (relays, components) = (HashMap::new(), HashMap::new());
        Self { from, line: 0, version: VERSION, relays, components, ended: false }
    }

    /// The next line that is not empty, its end included; `None` after the last.
    fn next_line(&mut self) -> Option<Result<Vec<u8>, String>> {
        let mut bytes = Vec::new();
        self.line += 1;
        match self.from.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes) {
            Ok(0) => None,
            Ok(_) if bytes.ends_with(b"\n") || (bytes.len() as u64) < MAX_LINE => Some(Ok(bytes)),
            Ok(_) => {
                // What follows is still the same line, wherever it ends.
                self.ended = true;
                Some(Err(format!("it is longer than {MAX_LINE} bytes; nothing after it was read")))
            }
            Err(error) => {
                self.ended = true;
                Some(Err(format!("cannot be read: {error}")))
            }
        }
    }

    /// Takes a line in; a decision comes out.
    fn take(&mut self, bytes: &[u8]) -> Result<Option<Logged>, String> {
        if self.version != VERSION && !bytes.starts_with(br#"{"log":"#) {
            return Err(format!("is of version {} of the log, and this program reads version {VERSION}", self.version));
        }
        match serde_json::from_slice::<Line<'_>>(bytes).map_err(|error| described(&error))? {
            Line::Log { version, .. } => self.version = version,
            Line::Relay { name, is } => drop(self.relays.insert(name, Arc::new(is.into_owned()))),
            Line::Components { name, are } => drop(self.components.insert(name, Arc::new(are.into_owned()))),
            Line::Decision { relay, components, made } => {
                let unknown = |what: &str| format!("names {what} that no line before it has");
                let relay = self.relays.get(&relay).ok_or_else(|| unknown("a relay"))?;
                let components = self.components.get(&components).ok_or_else(|| unknown("components"))?;
                let (relay, components) = (Arc::clone(relay), Arc::clone(components));
                return Ok(Some(Logged { decision: made.into_owned(), relay, components, line: self.line }));
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Logged, Unread>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let line = self.next_line()?;
            let taken = line.and_then(|bytes| if bytes == b"\n" { Ok(None) } else { self.take(&bytes) });
            match taken {
                Ok(None) => {}
                Ok(Some(logged)) => return Some(Ok(logged)),
                Err(why) => return Some(Err(Unread { line: self.line, why })),
            }
        }
        None
    }
}

/// Without the position in the line, which is the only one.
fn described(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    format!("is no line of a decision log: {}", text.get(..end).unwrap_or(&text))
}
