//! What came of tests, as values; shown to people and to CI by the files below. It judges nothing.

mod coverage;
mod junit;
mod text;

use std::time::Duration;

use super::probe::Lines;
use crate::policy::LoadError;
pub use coverage::{Coverage, Covered};

/// What came of all tests.
#[derive(Debug, Default)]
pub struct Outcome {
    /// In the order of their names; those without a case that was wanted are not here.
    pub files: Vec<File>,
    lines: Lines,
}

/// What came of one file.
#[derive(Debug)]
pub struct File {
    /// Its path.
    pub title: String,
    /// In the order in which they ran.
    pub cases: Vec<Case>,
}

/// What came of one case.
#[derive(Debug)]
pub struct Case {
    /// As its file names it.
    pub name: String,
    /// How long it ran.
    pub took: Duration,
    /// What was printed meanwhile, by the policy and by the test.
    pub printed: Vec<String>,
    /// What was wrong; `None` if it passed.
    pub flaw: Option<Flaw>,
}

/// Why a case failed.
#[derive(Debug)]
pub struct Flaw {
    /// Where, and what is wrong, with the line of the test.
    pub error: LoadError,
    /// What there is to see, line by line.
    pub details: Vec<String>,
}

impl Outcome {
    pub(super) fn new(files: Vec<File>, lines: Lines) -> Self {
        Self { files, lines }
    }

    /// How many cases passed, and how many failed.
    pub fn counts(&self) -> (usize, usize) {
        let cases = || self.files.iter().flat_map(|file| &file.cases);
        let failed = cases().filter(|case| case.flaw.is_some()).count();
        (cases().count() - failed, failed)
    }

    /// What was wrong with the cases that failed, in order.
    pub fn failures(&self) -> impl Iterator<Item = &Flaw> {
        self.files.iter().flat_map(|file| &file.cases).filter_map(|case| case.flaw.as_ref())
    }

    /// All of it but the coverage as JUnit XML.
    pub fn junit(&self) -> String {
        junit::document(self)
    }

    /// Which lines of the scripts under test ran.
    pub fn coverage(&self) -> Coverage {
        Coverage::of(&self.lines)
    }
}
