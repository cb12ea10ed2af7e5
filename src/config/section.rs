//! One mapping of a configuration file, read key by key: notes what is wrong and goes on, so that everything is told at
//! once. It knows how to read, not what there is to read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::node::{self, Node, Spot};
use crate::config::problem::{Line, Place, Problem, Sources};
use crate::config::value;

/// What has been found in one file so far.
#[derive(Debug)]
pub(super) struct Report {
    file: PathBuf,
    text: String,
    places: RefCell<BTreeMap<String, Place>>,
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    /// Problems of files that this one names, in the order in which they were read.
    elsewhere: RefCell<Vec<Problem>>,
}

/// A mapping. When it goes out of scope, it reports the keys that nobody asked for: ask for all of them before leaving.
#[derive(Debug)]
pub(super) struct Section<'r> {
    report: &'r Report,
    name: String,
    spot: Spot,
    /// Keys with a value other than `null`.
    given: Vec<String>,
    /// What nobody has asked for yet.
    entries: Vec<Entry>,
    asked: Vec<&'static str>,
}

/// One value of a mapping or list whose keys are its author's own.
#[derive(Debug)]
pub(super) struct Item<'r> {
    report: &'r Report,
    name: String,
    spot: Spot,
    pub(super) node: Node,
}

#[derive(Debug)]
struct Entry {
    key: String,
    node: Node,
    spot: Spot,
}

impl Report {
    pub(super) fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: text.to_owned(),
            places: RefCell::default(),
            problems: RefCell::default(),
            warnings: RefCell::default(),
            elsewhere: RefCell::default(),
        }
    }

    /// The whole file as a section; `None`, and a problem, if it is not one.
    pub(super) fn root(&self) -> Option<Section<'_>> {
        let node = match node::parse(&self.text) {
            Ok(node) => node,
            Err((line, text)) => {
                self.problems.borrow_mut().push(self.at_line(line, "", text));
                return None;
            }
        };
        Section::new(self, String::new(), Vec::new(), node)
    }

    /// Reports that the file as a whole cannot be used.
    pub(super) fn unusable(&self, text: String) {
        self.problems.borrow_mut().push(self.at_line(None, "", text));
    }

    /// Where every setting stands that was asked for, and what was found wrong, both in the order of the file; after
    /// that, what was found wrong in other files.
    pub(super) fn into_parts(self) -> (Sources, Vec<Problem>, Vec<Problem>) {
        let sources = Sources::new(&self.file, &self.text, self.places.into_inner());
        let (mut problems, mut warnings) = (self.problems.into_inner(), self.warnings.into_inner());
        problems.sort_by_key(|problem| problem.line);
        warnings.sort_by_key(|problem| problem.line);
        problems.extend(self.elsewhere.into_inner());
        (sources, problems, warnings)
    }

    fn problem(&self, key: &str, spot: &[usize], text: String) {
        let problem = self.at(key, spot, text);
        self.problems.borrow_mut().push(problem);
    }

    fn at(&self, key: &str, spot: &[usize], text: String) -> Problem {
        self.at_line(node::line_of(&self.text, spot), key, text)
    }

    fn at_line(&self, line: Option<usize>, key: &str, text: String) -> Problem {
        Problem { file: self.file.clone(), line, key: key.to_owned(), text }
    }
}

impl<'r> Section<'r> {
    fn new(report: &'r Report, name: String, spot: Spot, node: Node) -> Option<Self> {
        let map = match node {
            Node::Map(map) => map,
            Node::Null => Vec::new(),
            other => {
                report.problem(&name, &spot, format!("expected keys and values, found {other}"));
                return None;
            }
        };
        let given = map.iter().filter(|(_, node)| *node != Node::Null).map(|(key, _)| key.clone()).collect();
        let mut section = Self { report, name, spot, given, entries: Vec::new(), asked: Vec::new() };
        for (index, (key, node)) in map.into_iter().enumerate() {
            section.add(index, key, node);
        }
        Some(section)
    }

    fn add(&mut self, index: usize, key: String, node: Node) {
        let spot = [self.spot.as_slice(), &[index]].concat();
        if self.entries.iter().any(|entry| entry.key == key) {
            self.report.problem(&self.path(&key), &spot, "is here a second time; remove one of the two".to_owned());
        } else {
            self.entries.push(Entry { key, node, spot });
        }
    }

    /// Reads the value of `key`; `None` if it is missing, `null`, or wrong.
    pub(super) fn value<T>(&mut self, key: &'static str, parse: impl FnOnce(&Node) -> Result<T, String>) -> Option<T> {
        let entry = self.take(key)?;
        self.parsed(&self.path(key), &entry.spot, parse(&entry.node))
    }

    /// Reads the value of `key`, which has no default: it is a problem if it is missing.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        self.expect(key);
        self.value(key, parse)
    }

    /// Reads a path, which starts at the directory of the configuration file if it is relative.
    pub(super) fn path_value(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.value(key, value::text)?;
        Some(self.report.file.parent().unwrap_or_else(|| Path::new("")).join(text))
    }

    /// Reads a path that has no default.
    pub(super) fn required_path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.expect(key);
        self.path_value(key)
    }

    /// Reads a list, item by item; wrong items are left out and reported.
    pub(super) fn list<T>(&mut self, key: &'static str, parse: impl Fn(&Node) -> Result<T, String>) -> Option<Vec<T>> {
        let items = self.items(key)?;
        let parsed = items.into_iter().filter_map(|(name, spot, node)| self.parsed(&name, &spot, parse(&node)));
        Some(parsed.collect())
    }

    /// The mapping below `key`; `None` if it is missing, `null`, or none.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Self> {
        let entry = self.take(key)?;
        Self::new(self.report, self.path(key), entry.spot, entry.node)
    }

    /// The mapping below `key`, as [`Self::section`] gives it, for a key whose presence says something: without a value
    /// it is a problem, which `instead` goes on to tell the way out of.
    pub(super) fn filled_section(&mut self, key: &'static str, instead: &str) -> Option<Self> {
        if self.entries.iter().any(|entry| entry.key == key && entry.node == Node::Null) {
            let section = self.section(key);
            self.problem(key, format!("is empty; {instead}"));
            return section;
        }
        self.section(key)
    }

    /// The list of mappings below `key`; `None` if it is missing, `null`, or no list.
    pub(super) fn sections(&mut self, key: &'static str) -> Option<Vec<Self>> {
        let items = self.items(key)?;
        Some(items.into_iter().filter_map(|(name, spot, node)| Self::new(self.report, name, spot, node)).collect())
    }

    /// Takes every entry that nobody asked for: its keys are the author's own.
    pub(super) fn rest(&mut self) -> Vec<(String, Item<'r>)> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let item = |entry: Entry| {
            let name = self.path(&entry.key);
            (entry.key, Item { report: self.report, name, spot: entry.spot, node: entry.node })
        };
        entries.map(item).collect()
    }

    /// Reports what was found in a file that this one names.
    pub(super) fn found_elsewhere(&self, problems: Vec<Problem>) {
        self.report.elsewhere.borrow_mut().extend(problems);
    }

    /// Whether the file gives `key` a value, which may be a wrong one.
    pub(super) fn has(&self, key: &str) -> bool {
        self.given.iter().any(|given| given == key)
    }

    /// Reports that `key`, or what it lacks, is wrong.
    pub(super) fn problem(&self, key: &str, text: impl Into<String>) {
        let problem = self.finding(key, text.into());
        self.report.problems.borrow_mut().push(problem);
    }

    /// Reports that `key` will not do what it seems to ask for.
    pub(super) fn warn(&self, key: &str, text: impl Into<String>) {
        let warning = self.finding(key, text.into());
        self.report.warnings.borrow_mut().push(warning);
    }

    /// A finding at `key`, or at the section if the file does not have the key.
    fn finding(&self, key: &str, text: String) -> Problem {
        let name = self.path(key);
        let line = self.report.places.borrow().get(&name).map(|place| place.line.clone());
        match line {
            Some(Line::Yaml(spot)) => self.report.at(&name, &spot, text),
            _ => self.report.at(&name, &self.spot, text),
        }
    }

    fn expect(&self, key: &'static str) {
        if !self.has(key) {
            self.report.problem(&self.path(key), &self.spot, "is missing; it has no default".to_owned());
        }
    }

    /// Takes the entry of `key` out, and remembers that it was asked for, and where it stands.
    fn take(&mut self, key: &'static str) -> Option<Entry> {
        self.asked.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key);
        let entry = index.map(|index| self.entries.swap_remove(index));
        let spot = entry.as_ref().map(|entry| entry.spot.clone());
        self.place(self.path(key), spot);
        entry.filter(|entry| entry.node != Node::Null)
    }

    fn items(&mut self, key: &'static str) -> Option<Vec<(String, Spot, Node)>> {
        let entry = self.take(key)?;
        let name = self.path(key);
        let Node::List(list) = entry.node else {
            self.report.problem(&name, &entry.spot, format!("expected a list, found {}", entry.node));
            return None;
        };
        let numbered = list.into_iter().enumerate().map(|(index, node)| {
            let spot = [entry.spot.as_slice(), &[index]].concat();
            (format!("{name}[{index}]"), spot, node)
        });
        let items: Vec<_> = numbered.collect();
        for (name, spot, _) in &items {
            self.place(name.clone(), Some(spot.clone()));
        }
        Some(items)
    }

    fn place(&self, name: String, spot: Option<Spot>) {
        let place = Place { name: name.clone(), line: spot.map_or(Line::Nowhere, Line::Yaml) };
        self.report.places.borrow_mut().insert(name, place);
    }

    fn parsed<T>(&self, name: &str, spot: &[usize], parsed: Result<T, String>) -> Option<T> {
        parsed.map_err(|text| self.report.problem(name, spot, text)).ok()
    }

    fn path(&self, key: &str) -> String {
        match (self.name.as_str(), key) {
            ("", key) => key.to_owned(),
            (name, "") => name.to_owned(),
            (name, key) => format!("{name}.{key}"),
        }
    }
}

impl<'r> Item<'r> {
    /// Reports that this value is wrong.
    pub(super) fn problem(&self, text: String) {
        self.report.problem(&self.name, &self.spot, text);
    }

    /// The mapping that this is; `None`, and a problem, if it is none.
    pub(super) fn section(self) -> Option<Section<'r>> {
        Section::new(self.report, self.name, self.spot, self.node)
    }

    /// The items of the list that this is; none if it is no list.
    pub(super) fn items(self) -> Vec<Self> {
        let Node::List(list) = self.node else { return Vec::new() };
        let numbered = list.into_iter().enumerate().map(|(index, node)| {
            let spot = [self.spot.as_slice(), &[index]].concat();
            Self { report: self.report, name: format!("{}[{index}]", self.name), spot, node }
        });
        numbered.collect()
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        for entry in std::mem::take(&mut self.entries) {
            let text = value::unknown("key", &entry.key, &self.asked);
            self.report.problem(&self.path(&entry.key), &entry.spot, text);
        }
    }
}
