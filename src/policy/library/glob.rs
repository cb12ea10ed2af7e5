//! Whether a text looks like a pattern: `*` any characters or none, `?` one character, `[a-z]` one of these, `[!a-z]`
//! one of all others, `{a,b}` either, and `\` takes the next character as it is. Never tries one way after the other:
//! all ways advance together, so no pattern can make it slow.
//!
//! A pattern means the whole text, upper and lower case differ, and no character is special in the text: `*` passes
//! over dots and slashes.

mod pattern;

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use mlua::{Lua, Value};

use super::call::{answer, pure, text};
use super::fault::{Fault, bounded};
use crate::policy::description::{Namespace, Type, parameter};
use pattern::{Pattern, Step};

/// Longest pattern, in bytes.
const MAX_PATTERN: usize = 512;

/// Characters times parts of a pattern of one match, at worst: a few milliseconds.
const MAX_WORK: usize = 1 << 18;

/// Patterns kept compiled.
const MAX_KEPT: usize = 64;

/// The library `glob`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "glob",
    about: "Texts that look like a pattern.",
    constants: &[],
    functions: &[pure(
        "match",
        "Whether the whole text matches: `*` is any characters or none, dots and slashes too, `?` one, `[a-z]` one of \
         these, `[!a-z]` one of all others, `{a,b}` either, and a backslash takes the next character as it is.",
        &[
            parameter("pattern", Type::String, "a pattern of up to 512 bytes, such as *.example.com"),
            parameter("text", Type::String, "a text"),
        ],
        Type::Boolean,
        |lua, given| answer(lua, "glob.match", matches(lua, &text(given, 0), &text(given, 1))),
    )],
    inner: &[],
};

/// Prepares `lua` for the functions of this file.
pub(super) fn prepare(lua: &Lua) {
    lua.set_app_data(Globs::default());
}

fn matches(lua: &Lua, pattern: &[u8], text: &[u8]) -> Result<Value, Fault> {
    match lua.app_data_mut::<Globs>() {
        Some(mut globs) => globs.matches(pattern, text).map(Value::Boolean),
        None => Globs::default().matches(pattern, text).map(Value::Boolean),
    }
}

/// The patterns that one engine used last; a MiB at the very most.
#[derive(Debug, Default)]
struct Globs(HashMap<Vec<u8>, Arc<Pattern>>);

impl Globs {
    /// Whether all of `text` matches `pattern`. Bytes that are not UTF-8 match `?` and `*` only.
    fn matches(&mut self, pattern: &[u8], text: &[u8]) -> Result<bool, Fault> {
        let pattern = self.compiled(pattern)?;
        let (length, parts) = (text.len(), pattern.parts);
        if length.saturating_mul(parts) > MAX_WORK {
            let problem = format!("{length} bytes against a pattern of {parts} parts is more than one call may do");
            return Err(problem.into());
        }
        Ok(pattern.matches(&String::from_utf8_lossy(text)))
    }

    fn compiled(&mut self, text: &[u8]) -> Result<Arc<Pattern>, Fault> {
        if let Some(known) = self.0.get(text) {
            return Ok(Arc::clone(known));
        }
        bounded("pattern", text, MAX_PATTERN)?;
        let words = std::str::from_utf8(text).map_err(|_| "pattern is not UTF-8".to_owned())?;
        let pattern = Arc::new(Pattern::parse(words)?);
        // Whoever makes patterns of what viewers send would fill any memory: all go, and those in use come back.
        if self.0.len() >= MAX_KEPT {
            self.0.clear();
        }
        self.0.insert(text.to_vec(), Arc::clone(&pattern));
        Ok(pattern)
    }
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        let (mut now, mut next) = (Places::new(self), Places::new(self));
        now.reach(self, 0);
        for c in text.chars() {
            now.reached.iter().for_each(|&place| next.follow(self, place, c));
            mem::swap(&mut now, &mut next);
            next.clear();
            if now.reached.is_empty() {
                return false;
            }
        }
        now.reached.contains(&self.steps.len())
    }
}

/// Where in a pattern the text so far may have led, each place once.
struct Places {
    reached: Vec<usize>,
    known: Vec<bool>,
    /// Empty but while a place is reached.
    ahead: Vec<usize>,
}

impl Places {
    fn new(pattern: &Pattern) -> Self {
        Self { reached: Vec::new(), known: vec![false; pattern.steps.len() + 1], ahead: Vec::new() }
    }

    fn clear(&mut self) {
        for place in self.reached.drain(..) {
            if let Some(known) = self.known.get_mut(place) {
                *known = false;
            }
        }
    }

    /// Adds what `c` leads to from `place`.
    fn follow(&mut self, pattern: &Pattern, place: usize, c: char) {
        match pattern.steps.get(place) {
            Some(Step::Star) => self.reach(pattern, place),
            Some(step) if step.takes(c) => self.reach(pattern, place + 1),
            _ => {}
        }
    }

    /// Adds `place`, and all others that no character parts from it.
    fn reach(&mut self, pattern: &Pattern, place: usize) {
        self.ahead.push(place);
        while let Some(place) = self.ahead.pop() {
            match self.known.get_mut(place) {
                Some(known) if !*known => *known = true,
                _ => continue,
            }
            self.reached.push(place);
            match pattern.steps.get(place) {
                Some(Step::Star) => self.ahead.push(place + 1),
                Some(Step::Either(starts)) => self.ahead.extend(starts),
                Some(Step::Jump(there)) => self.ahead.push(*there),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Globs::default().matches(pattern.as_bytes(), text.as_bytes()).unwrap()
    }

    fn words(outcome: Result<bool, Fault>) -> String {
        match outcome {
            Err(Fault::Words(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_pattern_means_the_whole_text() {
        for (pattern, fits, others) in [
            ("", &[""][..], &["a"][..]),
            ("abc", &["abc"], &["ab", "abcd", "ABC", ""]),
            ("*", &["", "a", "a/b.c", "ä"], &[]),
            ("a*", &["a", "ab", "a/b"], &["", "ba"]),
            ("*.example", &[".example", "a.example", "a.b.example"], &["example", "a.example.com"]),
            ("a*b*c", &["abc", "axxbyyc", "abbcc"], &["acb", "ab"]),
            ("**", &["", "abc"], &[]),
            ("?", &["a", "ä", "/"], &["", "ab"]),
            ("gw??", &["gw01"], &["gw1", "gw001"]),
            ("[abc]", &["a", "b", "c"], &["d", "", "ab"]),
            ("gw[0-9]", &["gw0", "gw9"], &["gwa", "gw", "gw10"]),
            ("[!0-9]x", &["ax", "-x"], &["1x", "x"]),
            ("[]]", &["]"], &["["]),
            ("[!]]", &["a"], &["]"]),
            ("[a-]", &["a", "-"], &["b"]),
            ("[*]", &["*"], &["a"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("[\\]a]", &["]", "a"], &["\\"]),
            ("{a,bc}", &["a", "bc"], &["b", "abc", ""]),
            ("{a,}b", &["ab", "b"], &["a"]),
            ("x{a,b{c,d}e}y", &["xay", "xbcey", "xbdey"], &["xbey", "xy"]),
            ("{*.a,b?}", &["x.a", "bx"], &["b", "xa"]),
            ("a,b", &["a,b"], &[]),
            ("{a\\,b}", &["a,b"], &["a"]),
        ] {
            for text in fits {
                assert!(matches(pattern, text), "{pattern} {text}");
            }
            for text in others {
                assert!(!matches(pattern, text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn texts_need_not_be_utf8() {
        assert!(Globs::default().matches(b"a?b", b"a\xffb").unwrap());
        assert!(Globs::default().matches(b"a*b", b"a\xff\xfeb").unwrap());
    }

    #[test]
    fn patterns_with_a_mistake_are_refused_in_words() {
        for (pattern, problem) in [
            ("[abc", "[ at character 1 is not closed"),
            ("a[", "[ at character 2 is not closed"),
            ("[]", "[ at character 1 is not closed"),
            ("a{b,c", "{ at character 2 is not closed"),
            ("a}", "} at character 2 closes nothing"),
            ("[z-a]", "z-a at character 2 runs backwards"),
            ("a\\", "nothing follows the \\ at its end"),
            ("{{{{{{{{{a}}}}}}}}}", "nests more than 8 deep"),
        ] {
            let words = words(Globs::default().matches(pattern.as_bytes(), b"x"));
            assert!(words.contains(problem), "{pattern}: {words}");
        }
        assert!(words(Globs::default().matches(b"\xff", b"x")).contains("not UTF-8"));
        assert!(words(Globs::default().matches(&[b'a'; 513], b"x")).contains("513 bytes"));
    }

    #[test]
    fn no_pattern_is_slow() {
        // Each of these would take an engine that tries one way after the other longer than the universe is old.
        let text = "a".repeat(500);
        for pattern in ["*a".repeat(200) + "b", "{a,aa}".repeat(80) + "b", "{*,*,*}".repeat(50) + "b"] {
            assert!(!matches(&pattern, &text), "{pattern}");
        }
        let long = "a".repeat(1 << 18);
        assert!(matches("*", &long));
        assert!(words(Globs::default().matches(b"*a", long.as_bytes())).contains("more than one call may do"));
    }

    #[test]
    fn only_so_many_patterns_are_kept() {
        let mut globs = Globs::default();
        for n in 0..1000 {
            assert!(globs.matches(format!("{n}*").as_bytes(), format!("{n}x").as_bytes()).unwrap());
            assert!(globs.0.len() <= MAX_KEPT);
        }
    }
}
