//! INI text as Python's `configparser.ConfigParser` reads it with its default settings, which is how Zuul reads
//! `zuul.conf`; and the line of each option. It knows no option.
//!
//! Facts from Python 3.11's `configparser.py`: names of options are case-insensitive; `=` or `:`, whichever comes
//! first; comments are whole lines; a line indented deeper than its option continues the value; every section also
//! shows the options of `[DEFAULT]`; `%(name)s` is another option's value, at most ten deep.

use std::collections::{BTreeMap, BTreeSet};

/// The section that shows through in all others.
const DEFAULT: &str = "DEFAULT";

/// Python's `MAX_INTERPOLATION_DEPTH`.
const DEEPEST: usize = 10;

/// A parsed file.
#[derive(Debug, Default)]
pub(super) struct Ini {
    sections: BTreeMap<String, Options>,
    /// The lines of the sections' headers.
    headers: BTreeMap<String, usize>,
    defaults: Options,
}

/// A section's options, by their name in lower case.
type Options = BTreeMap<String, Opt>;

/// One option as it stands in the file.
#[derive(Debug, Clone)]
struct Opt {
    /// Counted from 1; `None` for what was handed in.
    line: Option<usize>,
    /// The value's lines, before interpolation.
    lines: Vec<String>,
}

/// A line that Python would refuse to read, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Counted from 1.
    pub(super) line: usize,
    /// What is wrong with it.
    pub(super) text: String,
}

impl Ini {
    /// Reads `text`. The options of `defaults` stand in `[DEFAULT]` before the file is read, as Zuul's environment
    /// does.
    ///
    /// # Errors
    /// Every line that Python would refuse.
    pub(super) fn parse(text: &str, defaults: impl Iterator<Item = (String, String)>) -> Result<Self, Vec<Fault>> {
        let handed_in = defaults.map(|(name, value)| (name.to_lowercase(), Opt { line: None, lines: vec![value] }));
        let mut reader = Reader { ini: Self { defaults: handed_in.collect(), ..Self::default() }, ..Reader::default() };
        // Python's text files know three ends of a line.
        for (index, line) in text.replace("\r\n", "\n").replace('\r', "\n").split('\n').enumerate() {
            reader.number = index + 1;
            reader.line(line);
        }
        if reader.faults.is_empty() { Ok(reader.ini) } else { Err(reader.faults) }
    }

    /// The value of `option` in `section`, after interpolation; `None` if neither it nor `[DEFAULT]` has it, or if
    /// there is no such section.
    ///
    /// # Errors
    /// Why a `%` in it means nothing.
    pub(super) fn get(&self, section: &str, option: &str) -> Option<Result<String, String>> {
        let section = self.sections.get(section)?;
        let raw = self.option(section, option)?.value();
        let mut value = String::new();
        Some(self.interpolate(section, &raw, &mut value, 1).map(|()| value))
    }

    /// Where `option` stands, in `section` or in `[DEFAULT]`.
    pub(super) fn line(&self, section: &str, option: &str) -> Option<usize> {
        self.option(self.sections.get(section)?, option)?.line
    }

    /// Where `section` begins.
    pub(super) fn header(&self, section: &str) -> Option<usize> {
        self.headers.get(section).copied()
    }

    /// The options that stand in `section` itself, with their lines.
    pub(super) fn options(&self, section: &str) -> impl Iterator<Item = (&str, Option<usize>)> {
        let options = self.sections.get(section).into_iter().flatten();
        options.map(|(name, option)| (name.as_str(), option.line))
    }

    fn option<'a>(&'a self, section: &'a Options, name: &str) -> Option<&'a Opt> {
        section.get(name).or_else(|| self.defaults.get(name))
    }

    fn interpolate(&self, section: &Options, raw: &str, into: &mut String, depth: usize) -> Result<(), String> {
        // As in Python, a value without a reference is never too deep.
        if depth > DEEPEST && raw.contains('%') {
            return Err(format!("refers to itself, or more than {DEEPEST} deep"));
        }
        let mut rest = raw;
        while let Some((before, after)) = rest.split_once('%') {
            into.push_str(before);
            rest = if let Some(after) = after.strip_prefix('%') {
                into.push('%');
                after
            } else {
                let (name, after) = reference(after).ok_or_else(|| stray(after))?;
                let found = self.option(section, &name.to_lowercase());
                let value = found.ok_or_else(|| format!("refers to %({name})s, which is set nowhere"))?.value();
                self.interpolate(section, &value, into, depth + 1)?;
                after
            };
        }
        into.push_str(rest);
        Ok(())
    }
}

impl Opt {
    fn value(&self) -> String {
        self.lines.join("\n").trim_end().to_owned()
    }
}

/// Splits `(name)s…`, which followed a `%`, into the name and what comes after.
fn reference(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('(')?.split_once(')')?;
    Some((name, after.strip_prefix('s')?)).filter(|_| !name.is_empty())
}

fn stray(after: &str) -> String {
    format!("has \"%{after}\", where % means a reference such as %(name)s; write %% for a percent sign")
}

/// The state between two lines.
#[derive(Debug, Default)]
struct Reader {
    ini: Ini,
    faults: Vec<Fault>,
    /// The current line, counted from 1.
    number: usize,
    /// The current section; `None` before the first.
    section: Option<String>,
    /// The option that an indented line would continue.
    option: Option<String>,
    /// How far that option is indented, in characters.
    indent: usize,
    /// Every section and option so far, for duplicates: what `[DEFAULT]` was handed is not among them.
    seen: BTreeSet<(String, String)>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let text = line.trim();
        if text.starts_with(['#', ';']) {
            return;
        }
        if text.is_empty() {
            self.extend("");
            return;
        }
        let indent = line.chars().take_while(|character| character.is_whitespace()).count();
        if self.option.is_some() && indent > self.indent {
            self.extend(text);
            return;
        }
        self.indent = indent;
        match header(text) {
            Some(name) => self.open(name),
            None => self.set(text),
        }
    }

    fn open(&mut self, name: &str) {
        self.option = None;
        self.section = Some(name.to_owned());
        if name != DEFAULT {
            if !self.seen.insert((name.to_owned(), String::new())) {
                self.fault(format!("section [{name}] is here a second time"));
            }
            self.ini.sections.entry(name.to_owned()).or_default();
            self.ini.headers.entry(name.to_owned()).or_insert(self.number);
        }
    }

    fn set(&mut self, text: &str) {
        let Some(section) = self.section.clone() else {
            return self.fault(format!("{text:?} stands before the first [section]"));
        };
        let Some((name, value)) = text.split_once(['=', ':']).filter(|(name, _)| !name.trim().is_empty()) else {
            return self.fault(format!("{text:?} is neither a [section] nor an option with its value"));
        };
        let name = name.trim_end().to_lowercase();
        if !self.seen.insert((section, name.clone())) {
            self.fault(format!("option {name:?} is here a second time"));
        }
        self.option = Some(name.clone());
        let option = Opt { line: Some(self.number), lines: vec![value.trim().to_owned()] };
        if let Some(options) = self.options() {
            options.insert(name, option);
        }
    }

    /// Adds a line to the value that is being read, if one is.
    fn extend(&mut self, text: &str) {
        let Some(name) = self.option.clone() else { return };
        if let Some(option) = self.options().and_then(|options| options.get_mut(&name)) {
            option.lines.push(text.to_owned());
        }
    }

    fn options(&mut self) -> Option<&mut Options> {
        match self.section.as_deref()? {
            DEFAULT => Some(&mut self.ini.defaults),
            name => self.ini.sections.get_mut(name),
        }
    }

    fn fault(&mut self, text: String) {
        self.faults.push(Fault { line: self.number, text });
    }
}

/// The name in `[name]`, up to the last bracket; what follows it does not count.
fn header(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    inner.get(..inner.rfind(']')?).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Ini {
        let environment = [("ZUUL_HOST".to_owned(), "env%%host".to_owned())];
        Ini::parse(text, environment.into_iter()).unwrap()
    }

    fn value(text: &str) -> String {
        parse(&format!("[s]\n{text}")).get("s", "a").unwrap().unwrap()
    }

    #[test]
    fn values_are_what_python_reads() {
        for (text, expected) in [
            ("a = 1", "1"),
            ("a: 1", "1"),
            ("A=1", "1"),
            ("a = b = c", "b = c"),
            ("a : b = c", "b = c"),
            ("a = 1 # no comment", "1 # no comment"),
            ("a = 1\n# comment\n  ; comment\n  2", "1\n2"),
            ("a = 1,\n  2\n\n  3\n\nb = 4", "1,\n2\n\n3"),
            ("  a = 1\n  b = 2", "1"),
            ("  a = 1\n   b = 2", "1\nb = 2"),
            ("a =\n  1", "\n1"),
            ("a =", ""),
            ("a = 50%%", "50%"),
            ("a = %(b)s/%(B)s\nb = x", "x/x"),
            ("a = %(b)s\nb = %(c)s\nc = 1", "1"),
            ("a = %(zuul_host)s", "env%host"),
            ("a = %(ZUUL_HOST)s", "env%host"),
            ("a = 1\r\nb = 2", "1"),
        ] {
            assert_eq!(value(text), expected, "{text:?}");
        }
    }

    #[test]
    fn default_shows_through_sections_that_are_there() {
        let ini = parse("[DEFAULT]\na = 1\n[s]\n[t]\na = 2\n[DEFAULT]\nb = 3\n");
        let get = |section, option| ini.get(section, option).map(Result::unwrap);
        assert_eq!(get("s", "a").as_deref(), Some("1"));
        assert_eq!(get("t", "a").as_deref(), Some("2"));
        assert_eq!(get("t", "b").as_deref(), Some("3"));
        assert_eq!(get("u", "a"), None);
        assert_eq!((ini.line("s", "a"), ini.line("t", "a")), (Some(2), Some(5)));
        assert_eq!(ini.options("t").collect::<Vec<_>>(), [("a", Some(5))]);
    }

    #[test]
    fn bad_references_are_told_when_the_option_is_read() {
        let problem = |text: &str| parse(&format!("[s]\nother = 100%\n{text}")).get("s", "a").unwrap().unwrap_err();
        assert!(problem("a = 100%").contains("write %%"));
        assert!(problem("a = %(b").contains("%(b"));
        assert_eq!(problem("a = %(b)s"), "refers to %(b)s, which is set nowhere");
        assert_eq!(problem("a = %(a)s"), "refers to itself, or more than 10 deep");
    }

    #[test]
    fn every_line_that_python_refuses_is_told_with_its_number() {
        let text = "early = 1\n[s]\nnonsense\n= empty\na = 1\nA = 2\n[t]\n[s]\n[]\n";
        let faults = Ini::parse(text, std::iter::empty()).unwrap_err();
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 3, 4, 6, 8, 9]);
    }
}
