//! Where log lines go and which are written: standard error, as text or JSON, by a filter that can change while the
//! relay runs. Must never see a secret: keys have no textual form anywhere.

mod clock;
mod fields;
mod lines;
mod number;
mod text;

use std::io;

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

use self::clock::Clock;
use self::fields::Fields;
use self::lines::Scribe;
use self::text::Text;
use crate::config::settings::{Log, LogFormat};

/// The target of stream records, which can be switched off alone.
const RECORDS: &str = "fingerpost::record";

/// The ZooKeeper library tells of every connection it tries, loudly; what matters of that the registry says itself.
const QUIET: &str = "zookeeper_client=error";

/// Changes what is written, while it is written.
///
/// Lines are gathered and written by a thread of their own, a few milliseconds late at most, for as long as this lives;
/// once it is dropped, all of them have been written, and later ones are at once. Standard error that nobody reads
/// stops who says something as soon as 1 MiB has gathered; that wait has no deadline, as the write itself has none.
#[derive(Debug)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    _scribe: Scribe,
}

/// Why logging could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter's text is not a filter.
    #[error("log.level {text:?} is not a level or filter: {source}; write for example info, or fingerpost=debug")]
    Filter {
        /// What was configured.
        text: String,
        /// What the parser says.
        source: ParseError,
    },
    /// The process already logs elsewhere.
    #[error("logging is already set up in this process")]
    Taken(#[from] TryInitError),
    /// There can be no thread that writes.
    #[error("cannot start the thread that writes the log: {0}; is the limit on processes or memory too low?")]
    Thread(#[from] io::Error),
    /// The subscriber is gone.
    #[error("the log filter can no longer be changed")]
    Gone(#[from] reload::Error),
}

impl Logging {
    /// Starts logging for the whole process.
    pub fn start(settings: &Log) -> Result<Self, LoggingError> {
        let (filter, handle) = reload::Layer::new(filter(settings)?);
        let (lines, scribe) = lines::start(io::stderr())?;
        let layer = fmt::layer().with_writer(lines);
        let layer = match settings.format {
            LogFormat::Text => layer.with_ansi(false).fmt_fields(Fields).event_format(Text::new()).boxed(),
            // Not flattened: a record's `target` is another thing than the event's.
            LogFormat::Json => layer.with_timer(Clock::default()).json().with_span_list(false).boxed(),
        };
        tracing_subscriber::registry().with(filter).with(layer).try_init()?;
        Ok(Self { filter: handle, _scribe: scribe })
    }

    /// Writes by the new settings from the next line on. The format stays as it was at the start.
    pub fn change(&self, settings: &Log) -> Result<(), LoggingError> {
        Ok(self.filter.reload(filter(settings)?)?)
    }
}

/// Checks `settings` without using them.
pub fn check(settings: &Log) -> Result<(), LoggingError> {
    filter(settings).map(drop)
}

fn filter(settings: &Log) -> Result<EnvFilter, LoggingError> {
    let records = if settings.records { "info" } else { "off" };
    // The last word on a target counts, so the operator's filter may still name the library.
    let text = format!("{QUIET},{},{RECORDS}={records}", settings.level);
    EnvFilter::try_new(text).map_err(|source| LoggingError::Filter { text: settings.level.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(level: &str) -> Log {
        Log { level: level.to_owned(), ..Log::default() }
    }

    #[test]
    fn levels_and_filters_are_taken() {
        for good in ["info", "debug", "fingerpost=debug,warn"] {
            check(&log(good)).unwrap();
        }
    }

    #[test]
    fn nonsense_is_named() {
        let error = check(&log("fingerpost=loud")).unwrap_err().to_string();
        assert!(error.contains("fingerpost=loud"), "{error}");
    }
}
