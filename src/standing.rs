//! How the relay stands with its files: which generation serves, since when and by what, and what was wrong with the
//! last change if it did not take effect. It remembers for whoever asks; it loads nothing and refuses nothing.

use std::fmt;
use std::time::SystemTime;

use humantime::format_rfc3339_seconds;

/// The generation that serves, and the change that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The number of the generation that serves.
    pub generation: u64,
    /// Since when it does.
    pub since: SystemTime,
    /// What it was loaded for: the files that changed, a signal, a command, or the start.
    pub by: String,
    /// Keys that it has with their old values, because only a restart can change them.
    pub needs_restart: Vec<&'static str>,
    /// The last attempt to replace it, which failed.
    pub refused: Option<Refused>,
}

/// An attempt to load a generation of which nothing came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When.
    pub at: SystemTime,
    /// What it was tried for, as in [`Standing::by`].
    pub by: String,
    /// All that was wrong, in lines: each problem with its file and line, and the text of a script's line below it.
    pub why: String,
}

impl Standing {
    /// The generation `generation` serves from now on, because of `by`. Nothing is refused any more.
    pub fn on(generation: u64, by: &str, needs_restart: Vec<&'static str>) -> Self {
        Self { generation, since: SystemTime::now(), by: by.to_owned(), needs_restart, refused: None }
    }

    /// The same generation serves on, because what `by` led to was refused just now.
    #[must_use]
    pub fn refusing(&self, by: &str, why: &str) -> Self {
        let refused = Refused { at: SystemTime::now(), by: by.to_owned(), why: why.to_owned() };
        Self { refused: Some(refused), ..self.clone() }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { generation, since, by, needs_restart, refused } = self;
        write!(f, "generation {generation} serves since {}, by {by}", format_rfc3339_seconds(*since))?;
        if !needs_restart.is_empty() {
            write!(f, "\nwaiting for a restart: {}", needs_restart.join(", "))?;
        }
        match refused {
            Some(Refused { at, by, why }) => {
                write!(f, "\nrefused at {}, by {by}:\n{why}", format_rfc3339_seconds(*at))
            }
            None => Ok(()),
        }
    }
}
