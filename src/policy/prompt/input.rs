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

    /// Compiles them as an expression, or else as statements.
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
        let meant = if self.lacks_lines(&value) || self.is_no_statement(&statement) { value } else { statement };
        Err(self.error(meant.line, meant.message))
    }

    /// Whether more lines could mend what is wrong.
    fn lacks_lines(&self, error: &LoadError) -> bool {
        let ends_early = TOO_EARLY.iter().any(|words| error.message.ends_with(words));
        ends_early || (error.message.contains(OPEN) && self.is_open_at_brackets())
    }

    /// Whether a text goes on that began with brackets: unlike one in quotes, it may have many lines.
    fn is_open_at_brackets(&self) -> bool {
        let typed = self.typed().trim_end();
        let forms = [format!("return {typed}]]"), format!("{typed}]]")];
        let is_open = |text: &String| compile(TITLE, text, false).is_err_and(|error| error.message.contains(OPEN));
        !forms.iter().any(is_open)
    }

    /// Whether `error` says that no statement begins so, or that what was typed is a value.
    fn is_no_statement(&self, error: &LoadError) -> bool {
        let first = error.message.rsplit_once("got ").map(|(_, token)| token.trim_matches('\''));
        error.message.starts_with(IDLE) || first.is_some_and(|token| self.typed().trim_start().starts_with(token))
    }
}
