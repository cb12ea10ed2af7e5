//! What is wrong with a configuration and where: `file:line: key: problem`. It decides nothing.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::config::node::{self, Spot};

/// One thing that is wrong, or suspicious, at one place of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The configuration file.
    pub file: PathBuf,
    /// The line in it, counted from 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// The setting, as the file spells it; empty where none is meant.
    pub key: String,
    /// What is wrong with it, with the value found, and what to do.
    pub text: String,
}

/// Everything that keeps a configuration from being used. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// Where each setting stands.
#[derive(Debug, Clone)]
pub struct Sources {
    file: PathBuf,
    text: String,
    /// By the setting's path in [`crate::config::settings::Settings`], such as `listeners[0].tls`.
    places: BTreeMap<String, Place>,
}

/// Where one setting stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The setting as the file spells it.
    pub(super) name: String,
    /// Its line.
    pub(super) line: Line,
}

/// A line, or how to find it.
#[derive(Debug, Clone)]
pub(super) enum Line {
    /// Counted from 1.
    Known(usize),
    /// In YAML, whose parser tells lines of errors only: found when somebody asks.
    Yaml(Spot),
    /// The file does not say it: a default, or from the environment.
    Nowhere,
}

impl Sources {
    pub(super) fn new(file: &Path, text: &str, places: BTreeMap<String, Place>) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), places }
    }

    /// The configuration file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Points at `setting`, a path such as `listeners[0].tls.certificates[0].cert`, or, where the file leaves it out,
    /// at the nearest setting around it that the file has.
    pub fn problem(&self, setting: &str, text: impl Into<String>) -> Problem {
        let text = text.into();
        let around = self.around(setting);
        let key = around.map_or_else(|| setting.to_owned(), |(_, place)| place.name.clone());
        let line = around.and_then(|(_, place)| self.line(&place.line));
        Problem { file: self.file.clone(), line, key, text }
    }

    /// Every setting that was asked for, and whether the file has it.
    #[cfg(test)]
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, bool)> {
        self.places.iter().map(|(setting, place)| (setting.as_str(), !matches!(place.line, Line::Nowhere)))
    }

    fn around<'a>(&'a self, setting: &'a str) -> Option<(&'a str, &'a Place)> {
        let mut name = setting;
        loop {
            if let Some(place) = self.places.get(name).filter(|place| !matches!(place.line, Line::Nowhere)) {
                return Some((name, place));
            }
            name = name.get(..name.rfind(['.', '['])?)?;
        }
    }

    fn line(&self, line: &Line) -> Option<usize> {
        match line {
            Line::Known(line) => Some(*line),
            Line::Yaml(spot) => node::line_of(&self.text, spot),
            Line::Nowhere => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.text)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl Error for Problem {}

impl Error for Problems {}
