//! What was typed, line by line: which lines belong together, and what they are compiled to. It never runs them.

use super::TITLE;
use crate::policy::LoadError;
use crate::policy::program::compile;

/// How Luau ends its words where a text ends too early: where more was to come, or within a comment of many lines.
const TOO_EARLY: [&str; 2] = ["got <eof>", "got unfinished comment"];

/// What Luau says of a text in quotes or brackets that does not end.
const OPEN: &str = "alformed string";

/// How Luau begins its words for a value that does nothing.
const IDLE: &str = "Incomplete statement";

/// All lines so far. Each keeps its number for good, so that a function that fails later is found where it was typed.
#[derive(Debug, Default)]
pub(super) struct Input {
    text: String,
    lines: usize,
    /// Where the lines that belong together begin, in bytes, and how many lines are before them.
    start: usize,
    above: usize,
}

impl Input {
    /// Adds a line to those that are not finished.
    pub(super) fn add(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.lines += 1;
    }

    /// Counts a line that is nothing of Lua's.
    pub(super) fn pass_over(&mut self) {
        self.add("");
        self.finish();
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.start < self.text.len()
    }

    /// Compiles the lines that belong together, as an expression if they are one. `None` if there must be more of them;
    /// nothing in the place of the bytecode if there is nothing in them.
    pub(super) fn compile(&mut self) -> Option<Result<Option<Vec<u8>>, LoadError>> {
        if self.typed().trim().is_empty() {
            self.finish();
            return Some(Ok(None));
        }
        let compiled = self.either();
        if compiled.as_ref().is_err_and(|error| self.lacks_lines(error)) {
            return None;
        }
        self.finish();
        Some(compiled.map(Some))
    }

    /// Lets go of what is not finished, and says what it lacked.
    pub(super) fn give_up(&mut self) -> Option<LoadError> {
        let lacking = self.is_unfinished().then(|| self.either().err()).flatten();
        self.finish();
        lacking
    }

    /// What went wrong at `line` of all that was typed. Luau counts the end of a text as a line.
    pub(super) fn error(&self, line: Option<usize>, message: String) -> LoadError {
        LoadError::at(TITLE, line.map(|line| line.min(self.lines)), message, &self.text)
    }

    fn typed(&self) -> &str {
        self.text.get(self.start..).unwrap_or_default()
    }

    fn finish(&mut self) {
        (self.start, self.above) = (self.text.len(), self.lines);
    }

    fn lacks_lines(&self, error: &LoadError) -> bool {
        let ends = |words: &&str| error.message.ends_with(*words);
        // What brackets would end may go on in the next line, unlike what a quote would.
        let closed = || compile(TITLE, &format!("return {}]]", self.typed().trim_end()), false);
        let in_brackets = || closed().err().is_none_or(|error| !error.message.contains(OPEN));
        TOO_EARLY.iter().any(ends) || (error.message.contains(OPEN) && in_brackets())
    }

    fn either(&self) -> Result<Vec<u8>, LoadError> {
        let (above, typed) = ("\n".repeat(self.above), self.typed());
        let value = match compile(TITLE, &format!("{above}return {typed}"), false) {
            Ok(bytecode) => return Ok(bytecode),
            Err(error) => error,
        };
        let statement = match compile(TITLE, &format!("{above}{typed}"), false) {
            Ok(bytecode) => return Ok(bytecode),
            Err(error) => error,
        };
        // Of the two, the one that says what is wrong with what was meant.
        let meant = if statement.message.starts_with(IDLE) { value } else { statement };
        Err(self.error(meant.line, meant.message))
    }
}
