//! Certificates, keys, CAs and revocation lists, from files to values; or everything that is wrong with them, at once.
//!
//! It must never stop at the first problem, and never let a key into a message.

mod key_pair;
mod trust;

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;

pub(super) use key_pair::KeyPair;

use super::certificate::system_time;

/// Yields a file's content: from disk, or from wherever its text was made.
pub type ReadFile<'a> = dyn Fn(&Path) -> io::Result<Vec<u8>> + 'a;

/// Why a certificate, key, CA or CRL file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct LoadError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, and what to do.
    pub reason: String,
}

/// What is used although it should be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub struct LoadWarning {
    /// The file.
    pub file: PathBuf,
    /// What is the matter with it, and what to do.
    pub reason: String,
}

/// What loading found out beside the values.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What is used although it should be changed.
    pub(super) warnings: Vec<LoadWarning>,
    /// The first moment at which something in a file expires.
    pub(super) expiries: Vec<(PathBuf, SystemTime)>,
}

/// Reads one side's files, and remembers everything that is wrong with any of them.
pub(super) struct Loader<'a> {
    read: &'a ReadFile<'a>,
    now: SystemTime,
    problems: Vec<LoadError>,
    report: Report,
}

/// A certificate's time is not now.
enum Untimely {
    NotYet(SystemTime),
    Expired(SystemTime),
}

/// Reads `path` from disk, up to a size that no certificate file reaches.
pub(super) fn from_disk(path: &Path) -> io::Result<Vec<u8>> {
    const LIMIT: u64 = 16 * 1024 * 1024;
    let mut content = Vec::new();
    let read = File::open(path)?.take(LIMIT + 1).read_to_end(&mut content)?;
    match u64::try_from(read) {
        Ok(0..=LIMIT) => Ok(content),
        _ => Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB")),
    }
}

impl LoadError {
    pub(super) fn new(file: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self { file: file.into(), reason: reason.into() }
    }
}

impl<'a> Loader<'a> {
    /// How long before its end a certificate is warned about.
    const SOON: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Takes `read` as the file system, and the present as the time.
    pub(super) fn new(read: &'a ReadFile<'a>) -> Self {
        Self { read, now: SystemTime::now(), problems: Vec::new(), report: Report::default() }
    }

    /// Gives `value` out if it and all that was read with it is sound.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<(T, Report), Vec<LoadError>> {
        match value {
            Some(value) if self.problems.is_empty() => Ok((value, self.report)),
            _ => Err(self.problems),
        }
    }

    /// What `read` makes of the first certificate in `file`.
    pub(super) fn first_certificate<T>(
        &mut self,
        file: &Path,
        read: impl Fn(&CertificateDer<'_>) -> Option<T>,
    ) -> Option<T> {
        let chain: Vec<CertificateDer<'static>> = self.sections(file, "certificate")?;
        let found = chain.first().and_then(read);
        if found.is_none() {
            self.problem(file, "its first certificate cannot be parsed");
        }
        found
    }

    fn problem(&mut self, file: &Path, reason: impl Into<String>) {
        self.problems.push(LoadError::new(file, reason));
    }

    fn warn(&mut self, file: &Path, reason: impl Into<String>) {
        self.report.warnings.push(LoadWarning { file: file.to_owned(), reason: reason.into() });
    }

    fn content(&mut self, file: &Path) -> Option<Vec<u8>> {
        match (self.read)(file) {
            Ok(content) => Some(content),
            Err(error) => {
                self.problem(file, format!("cannot be read: {error}; check its path and who may read it"));
                None
            }
        }
    }

    /// Every PEM section of one kind in `file`, of which there must be one; `what` names the kind.
    fn sections<T: PemObject>(&mut self, file: &Path, what: &str) -> Option<Vec<T>> {
        let content = self.content(file)?;
        match T::pem_slice_iter(&content).collect::<Result<Vec<T>, _>>() {
            Ok(sections) if sections.is_empty() => {
                self.problem(file, format!("holds no {what} in PEM; convert it, or name another file"));
                None
            }
            Ok(sections) => Some(sections),
            Err(error) => {
                self.problem(file, format!("is broken PEM: {error}; it may have been cut short"));
                None
            }
        }
    }

    /// Notes when something in `file` expires, of which the earliest counts, and warns if that is soon.
    fn expires(&mut self, file: &Path, what: &str, at: SystemTime) {
        if at.duration_since(self.now).is_ok_and(|left| left < Self::SOON) {
            self.warn(file, format!("{what} expires on {}; replace it before", day(at)));
        }
        match self.report.expiries.iter_mut().find(|(known, _)| known == file) {
            Some((_, first)) => *first = at.min(*first),
            None => self.report.expiries.push((file.to_owned(), at)),
        }
    }

    fn timely(&self, certificate: &X509Certificate<'_>) -> Result<SystemTime, Untimely> {
        let not_before = system_time(certificate.validity().not_before);
        let not_after = system_time(certificate.validity().not_after);
        match self.now {
            now if now < not_before => Err(Untimely::NotYet(not_before)),
            now if now > not_after => Err(Untimely::Expired(not_after)),
            _ => Ok(not_after),
        }
    }
}

impl Untimely {
    fn advice(&self) -> &'static str {
        match self {
            Self::NotYet(_) => "check the clock",
            Self::Expired(_) => "replace it",
        }
    }
}

impl fmt::Display for Untimely {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet(from) => write!(f, "is valid only from {} on", day(*from)),
            Self::Expired(on) => write!(f, "expired on {}", day(*on)),
        }
    }
}

fn day(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}
