//! Entries of the registry that cannot be used: counted every time, logged once, and never in anybody's way.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tracing::warn;

use crate::metrics::{self, ByReason};

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// Larger than any entry can sensibly be.
    #[error("larger than 1 MiB")]
    TooLarge,
    /// A field without which the entry is of no use.
    #[error("{0} is missing or of the wrong kind")]
    BadField(&'static str),
    /// Its name cannot be what such an entry is called.
    #[error("not a name that Zuul gives")]
    BadName,
    /// The source shows its name and not its content.
    #[error("not readable; does its ACL allow it?")]
    Unreadable,
}

/// The memory of what was complained about.
#[derive(Debug)]
pub struct Malformed {
    logged: Mutex<HashSet<Box<str>>>,
    metrics: metrics::Registry,
}

impl Defect {
    fn label(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::TooLarge => "too_large",
            Self::BadField(_) => "bad_field",
            Self::BadName => "bad_name",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Malformed {
    /// How many paths are remembered. Beyond them, bad entries are only counted.
    const MEMORY: usize = 1000;

    /// Nothing was complained about yet.
    pub fn new(metrics: metrics::Registry) -> Self {
        Self { logged: Mutex::default(), metrics }
    }

    /// Counts a bad entry, and logs it if its path was not logged before.
    pub fn report(&self, path: &str, defect: Defect) {
        self.metrics.malformed.get_or_create(&ByReason { reason: defect.label() }).inc();
        if self.remember(path) {
            warn!(path, %defect, "an entry of the registry cannot be used");
        }
    }

    /// Forgets a path whose entry is gone or good again.
    pub fn forget(&self, path: &str) {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    fn remember(&self, path: &str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.len() < Self::MEMORY && logged.insert(path.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_logged_once_until_it_was_good_again() {
        let malformed = Malformed::new(metrics::Registry::default());
        assert!(malformed.remember("/a"));
        assert!(!malformed.remember("/a"));
        malformed.forget("/a");
        assert!(malformed.remember("/a"));
    }

    #[test]
    fn memory_is_bounded_and_counting_is_not() {
        let metrics = metrics::Registry::default();
        let malformed = Malformed::new(metrics.clone());
        for number in 0..2 * Malformed::MEMORY {
            malformed.report(&format!("/{number}"), Defect::NotJson);
        }
        assert_eq!(malformed.logged.lock().unwrap().len(), Malformed::MEMORY);
        assert_eq!(metrics.malformed.get_or_create(&ByReason { reason: "not_json" }).get(), 2000);
    }
}
