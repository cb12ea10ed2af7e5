//! A glob as steps that a text is led through. Knows what patterns look like, and never a text.

use std::iter::Peekable;
use std::str::Chars;

/// Deepest nesting of braces.
const MAX_NESTING: usize = 8;

/// A parsed pattern. A text that leads behind its last step matches.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) steps: Vec<Step>,
    /// What one character may have to be compared with: the steps, and the ranges in them.
    pub(super) parts: usize,
}

/// One step; the next is the one behind it, unless it says otherwise.
#[derive(Debug)]
pub(super) enum Step {
    /// This character.
    One(char),
    /// Any character.
    Any,
    /// A character of these ranges, or one of none.
    Of { ranges: Vec<(char, char)>, negated: bool },
    /// Any characters.
    Star,
    /// Goes on at all of these steps, and takes no character.
    Either(Vec<usize>),
    /// Goes on at this step, and takes no character.
    Jump(usize),
}

impl Step {
    fn parts(&self) -> usize {
        match self {
            Self::Of { ranges, .. } => 1 + ranges.len(),
            _ => 1,
        }
    }

    /// Whether this step is done by `c`.
    pub(super) fn takes(&self, c: char) -> bool {
        match self {
            Self::One(own) => *own == c,
            Self::Any => true,
            Self::Of { ranges, negated } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
            Self::Star | Self::Either(_) | Self::Jump(_) => false,
        }
    }
}

impl Pattern {
    /// Reads `text`, or says in words what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { rest: text.chars().peekable(), position: 0, depth: 0, steps: Vec::new() };
        parser.sequence()?;
        match parser.take() {
            None => Ok(Self { parts: parser.steps.iter().map(Step::parts).sum(), steps: parser.steps }),
            Some(_) => Err(format!("pattern: the }} at character {} closes nothing", parser.position)),
        }
    }
}

struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
    /// Characters taken.
    position: usize,
    /// Open braces.
    depth: usize,
    steps: Vec<Step>,
}

impl Parser<'_> {
    fn take(&mut self) -> Option<char> {
        self.position += 1;
        self.rest.next()
    }

    fn takes(&mut self, c: char) -> bool {
        let there = self.rest.peek() == Some(&c);
        if there {
            self.take();
        }
        there
    }

    /// Up to the end, or to what ends an alternative.
    fn sequence(&mut self) -> Result<(), String> {
        while let Some(&c) = self.rest.peek() {
            if c == '}' || (c == ',' && self.depth > 0) {
                break;
            }
            self.take();
            self.step(c)?;
        }
        Ok(())
    }

    fn step(&mut self, c: char) -> Result<(), String> {
        let step = match c {
            '*' if matches!(self.steps.last(), Some(Step::Star)) => return Ok(()),
            '*' => Step::Star,
            '?' => Step::Any,
            '[' => self.set()?,
            '{' => return self.alternatives(),
            '\\' => Step::One(self.quoted()?),
            other => Step::One(other),
        };
        self.steps.push(step);
        Ok(())
    }

    fn quoted(&mut self) -> Result<char, String> {
        self.take().ok_or_else(|| "pattern: nothing follows the \\ at its end".to_owned())
    }

    /// `[a-z_]`, whose bracket is taken. A bracket that closes stands for itself where it comes first.
    fn set(&mut self) -> Result<Step, String> {
        let open = self.position;
        let negated = self.takes('!');
        let mut ranges = Vec::new();
        while self.rest.peek() != Some(&']') || ranges.is_empty() {
            let first = self.member(open)?;
            let place = self.position;
            let mut ahead = self.rest.clone();
            let last = match (ahead.next(), ahead.next()) {
                (Some('-'), Some(after)) if after != ']' => {
                    self.take();
                    self.member(open)?
                }
                _ => first,
            };
            if last < first {
                return Err(format!("pattern: {first}-{last} at character {place} runs backwards"));
            }
            ranges.push((first, last));
        }
        self.take();
        Ok(Step::Of { ranges, negated })
    }

    fn member(&mut self, open: usize) -> Result<char, String> {
        match self.take() {
            Some('\\') => self.quoted(),
            Some(c) => Ok(c),
            None => Err(format!("pattern: the [ at character {open} is not closed")),
        }
    }

    /// `{a,b}`, whose brace is taken: one step that goes to the start of each, and one behind each that goes to the
    /// end of all.
    fn alternatives(&mut self) -> Result<(), String> {
        let open = self.position;
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(format!("pattern: the {{ at character {open} nests more than {MAX_NESTING} deep"));
        }
        let (fork, mut starts, mut ends) = (self.hold(), Vec::new(), Vec::new());
        let end = loop {
            starts.push(self.steps.len());
            self.sequence()?;
            ends.push(self.hold());
            match self.take() {
                Some(',') => {}
                Some(_) => break self.steps.len(),
                None => return Err(format!("pattern: the {{ at character {open} is not closed")),
            }
        };
        self.set_step(fork, Step::Either(starts));
        ends.into_iter().for_each(|place| self.set_step(place, Step::Jump(end)));
        self.depth -= 1;
        Ok(())
    }

    /// Makes room for a step that is known later.
    fn hold(&mut self) -> usize {
        self.steps.push(Step::Jump(0));
        self.steps.len() - 1
    }

    fn set_step(&mut self, place: usize, step: Step) {
        if let Some(held) = self.steps.get_mut(place) {
            *held = step;
        }
    }
}
