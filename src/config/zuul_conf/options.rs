//! Typed options of one section of `zuul.conf`, by the rules of Zuul's `get_default`: notes what is wrong and goes on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::ini::{Fault, Ini};
use crate::config::problem::{Line, Place, Problem, Problems, Sources};
use crate::config::settings::Settings;
use crate::config::value;
use crate::config::{Draft, Loaded};

/// One file while it is read.
#[derive(Debug)]
pub(super) struct Reading<'i> {
    file: &'i Path,
    ini: &'i Ini,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

/// One section of it.
#[derive(Debug)]
pub(super) struct Options<'r> {
    reading: &'r Reading<'r>,
    section: &'static str,
}

/// Says of every line that Python would refuse why it would.
pub(super) fn refused(file: &Path, faults: Vec<Fault>) -> Problems {
    let problem =
        |fault: Fault| Problem { file: file.to_owned(), line: Some(fault.line), key: String::new(), text: fault.text };
    Problems(faults.into_iter().map(problem).collect())
}

/// The address to bind for `host`, the first that is `preferred`, or else the first.
///
/// # Errors
/// Why the resolver has none.
pub(super) fn resolve(host: &str, port: u16, preferred: impl Fn(&SocketAddr) -> bool) -> Result<SocketAddr, String> {
    if host.is_empty() {
        return Err("is empty; name an address, such as :: for all".to_owned());
    }
    let unknown = |why: String| format!("cannot be bound: {host:?}: {why}");
    let addresses: Vec<_> = (host, port).to_socket_addrs().map_err(|error| unknown(error.to_string()))?.collect();
    let best = addresses.iter().find(|address| preferred(address)).or_else(|| addresses.first());
    best.copied().ok_or_else(|| unknown("it has no address".to_owned()))
}

/// Python's `os.path.expanduser` for one's own home.
///
/// # Errors
/// If it means the home of another user, or `home` is not known.
pub(super) fn expand_user(path: &str, home: Option<&Path>) -> Result<PathBuf, String> {
    let Some(rest) = path.strip_prefix('~') else { return Ok(PathBuf::from(path)) };
    let below = rest.strip_prefix('/').or_else(|| Some(rest).filter(|rest| rest.is_empty()));
    match (below, home) {
        (Some(below), Some(home)) => Ok(home.join(below)),
        _ => Err(format!("has a ~ that cannot be resolved: {path:?}; write the whole path")),
    }
}

impl<'i> Reading<'i> {
    pub(super) fn new(file: &'i Path, ini: &'i Ini) -> Self {
        Self { file, ini, problems: RefCell::default(), warnings: RefCell::default() }
    }

    /// A section, in which all options but `known` ones are named in a warning.
    pub(super) fn section(&'i self, section: &'static str, known: &[&'static str]) -> Options<'i> {
        let options = Options { reading: self, section };
        for (name, _) in self.ini.options(section).filter(|(name, _)| !known.contains(name) && *name != "log_config") {
            options.warn(name, format!("has no effect: {}", value::unknown("option", name, known)));
        }
        options
    }

    /// The outcome. `places` says which option is which setting.
    pub(super) fn finish(self, settings: Option<Settings>, text: &str, places: &[(&str, &str, &str)]) -> Draft {
        let place = |(setting, section, option): &(&str, &str, &str)| {
            let line = self.ini.line(section, option).map_or(Line::Nowhere, Line::Known);
            ((*setting).to_owned(), Place { name: name(section, option), line })
        };
        let places: BTreeMap<_, _> = places.iter().map(place).collect();
        let sources = Sources::new(self.file, text, places);
        let (mut problems, mut warnings) = (self.problems.into_inner(), self.warnings.into_inner());
        problems.sort_by_key(|problem| problem.line);
        warnings.sort_by_key(|problem| problem.line);
        Draft { problems, loaded: settings.map(|settings| Loaded { settings, warnings, sources }) }
    }
}

impl Options<'_> {
    /// The value of `option`, which may be empty; `None` if it is not set, or wrong.
    pub(super) fn get(&self, option: &str) -> Option<String> {
        let value = self.reading.ini.get(self.section, option)?;
        self.check(option, value)
    }

    /// The value of `option`; an empty one counts as none, as it does for Python's truth.
    pub(super) fn text(&self, option: &str) -> Option<String> {
        self.get(option).filter(|value| !value.is_empty())
    }

    /// The value of `option`, without which `problem` is reported.
    pub(super) fn required(&self, option: &str, problem: &str) -> Option<String> {
        let value = self.text(option);
        // A value that is there but wrong has been reported already.
        if value.is_none() && !matches!(self.reading.ini.get(self.section, option), Some(Err(_))) {
            self.problem(option, problem.to_owned());
        }
        value
    }

    /// A boolean in the words of Python's `configparser`.
    pub(super) fn boolean(&self, option: &str) -> Option<bool> {
        let value = self.get(option)?;
        let parsed = match value.to_lowercase().as_str() {
            "1" | "yes" | "true" | "on" => Ok(true),
            "0" | "no" | "false" | "off" => Ok(false),
            _ => Err(format!("expected true or false, found {value:?}")),
        };
        self.check(option, parsed)
    }

    /// A port, or 0.
    pub(super) fn number(&self, option: &str) -> Option<u16> {
        let value = self.get(option)?;
        let parsed = value.trim().parse().map_err(|_| format!("expected a port from 0 to 65535, found {value:?}"));
        self.check(option, parsed)
    }

    /// A number of seconds that ZooKeeper can count, possibly with a fraction.
    pub(super) fn seconds(&self, option: &str) -> Option<Duration> {
        let value = self.get(option)?;
        let seconds = value.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let fits = seconds.filter(|seconds| !seconds.is_zero() && i32::try_from(seconds.as_millis()).is_ok());
        self.check(option, fits.ok_or_else(|| format!("expected a number of seconds, such as 120.0, found {value:?}")))
    }

    /// Warns if `option` is set, which cannot be honoured.
    pub(super) fn ignored(&self, option: &str, why: &str) {
        if self.reading.ini.options(self.section).any(|(name, _)| name == option) {
            self.warn(option, why);
        }
    }

    /// Takes what was read from `option`, or reports what is wrong with it.
    pub(super) fn check<T>(&self, option: &str, parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|text| self.problem(option, text)).ok()
    }

    pub(super) fn warn(&self, option: &str, text: impl Into<String>) {
        let warning = self.finding(option, text.into());
        self.reading.warnings.borrow_mut().push(warning);
    }

    fn problem(&self, option: &str, text: String) {
        let problem = self.finding(option, text);
        let mut problems = self.reading.problems.borrow_mut();
        // An option that serves two settings is wrong once.
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    fn finding(&self, option: &str, text: String) -> Problem {
        let line = self.reading.ini.line(self.section, option).or_else(|| self.reading.ini.header(self.section));
        Problem { file: self.reading.file.to_owned(), line, key: name(self.section, option), text }
    }
}

/// An option as problems name it.
fn name(section: &str, option: &str) -> String {
    format!("[{section}] {option}")
}
