//! Where lines come from: a terminal, with editing, history and completion, or any other input, as it comes. It knows
//! nothing of what they mean. Nothing of a session is written to a file.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};

use anyhow::{Context as _, Result, ensure};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Editor, Helper};

use crate::policy::{prompt, reference};

const PROMPT: &str = "> ";
const PROMPT_WITHIN: &str = "… ";

/// Longest line that is not typed, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// The words of the prompt's own orders.
const ORDERS: [&str; 5] = [":help", ":quit", ":reference", ":refresh", ":reload"];

/// Standard input.
pub(super) enum Lines {
    Typed {
        editor: Box<Editor<Names, DefaultHistory>>,
        /// Of what was pasted, the lines after the one that came last.
        rest: VecDeque<String>,
    },
    Piped,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    /// What was typed so far is not meant.
    Cancelled,
    End,
}

/// Every name that can be completed.
pub(super) struct Names {
    /// Those that may be typed in Lua.
    usable: Vec<String>,
    /// Those that the reference explains.
    explained: Vec<String>,
}

impl Lines {
    /// Editing is for where both ends are a terminal's.
    pub(super) fn of_standard_input() -> Result<Self> {
        if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
            return Ok(Self::Piped);
        }
        let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
        let mut editor = Editor::with_config(config).context("cannot use the terminal")?;
        editor.set_helper(Some(Names { usable: prompt::names(), explained: reference::names() }));
        Ok(Self::Typed { editor: Box::new(editor), rest: VecDeque::new() })
    }

    /// Whether a person types them.
    pub(super) fn are_typed(&self) -> bool {
        matches!(self, Self::Typed { .. })
    }

    /// The next line, which goes on with the one before if that is `unfinished`. Waits for it as long as it takes.
    ///
    /// # Errors
    /// If the input cannot be read, or is no text.
    pub(super) fn next(&mut self, unfinished: bool) -> Result<Line> {
        match self {
            Self::Piped => piped(),
            Self::Typed { editor, rest } => match rest.pop_front() {
                Some(line) => Ok(Line::Text(line)),
                None => typed(editor, rest, if unfinished { PROMPT_WITHIN } else { PROMPT }),
            },
        }
    }
}

/// What is typed next; if it is more than a line, because it was pasted, the others are added to `rest`.
fn typed(editor: &mut Editor<Names, DefaultHistory>, rest: &mut VecDeque<String>, prompt: &str) -> Result<Line> {
    match editor.readline(prompt) {
        Ok(text) => {
            let mut lines = text.split('\n').map(str::to_owned);
            let first = lines.next().unwrap_or_default();
            rest.extend(lines);
            Ok(Line::Text(first))
        }
        Err(ReadlineError::Interrupted) => Ok(Line::Cancelled),
        Err(ReadlineError::Eof) => Ok(Line::End),
        Err(error) => Err(error).context("cannot read from the terminal"),
    }
}

fn piped() -> Result<Line> {
    let mut line = String::new();
    let read = io::stdin().lock().take(MAX_LINE).read_line(&mut line).context("cannot read standard input")?;
    ensure!((read as u64) < MAX_LINE, "a line of standard input is longer than {MAX_LINE} bytes");
    let text = line.strip_suffix('\n').unwrap_or(&line);
    Ok(if read == 0 { Line::End } else { Line::Text(text.strip_suffix('\r').unwrap_or(text).to_owned()) })
}

impl Names {
    /// Where the word begins that ends at `position` of `line`, and all that it may become.
    fn of(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = line.get(..position).unwrap_or(line);
        let start = before.rfind(|c: char| !(c.is_ascii_alphanumeric() || "_.:".contains(c))).map_or(0, |at| at + 1);
        let word = before.get(start..).unwrap_or_default();
        let begins = |name: &&str| name.starts_with(word) && !word.is_empty();
        let known: Vec<&str> = match before.trim_start() {
            order if order.starts_with(":reference ") => self.explained.iter().map(String::as_str).collect(),
            order if order.starts_with(':') => ORDERS.to_vec(),
            _ => self.usable.iter().map(String::as_str).collect(),
        };
        (start, known.into_iter().filter(begins).map(str::to_owned).collect())
    }
}

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.of(line, position))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(line: &str) -> (usize, Vec<String>) {
        Names { usable: prompt::names(), explained: reference::names() }.of(line, line.len())
    }

    #[test]
    fn names_of_relay_are_completed_wherever_they_stand() {
        assert_eq!(completed("x = relay.gate"), (4, vec!["relay.gateways".to_owned()]));
        assert_eq!(completed("f(string.fo"), (2, vec!["string.format".to_owned()]));
        assert_eq!(completed("ask.ro"), (0, vec!["ask.route".to_owned()]));
        assert_eq!(completed("x = "), (4, Vec::new()));
    }

    #[test]
    fn orders_and_what_the_reference_explains_are_completed() {
        assert_eq!(completed(":ref").1, [":reference", ":refresh"]);
        assert_eq!(completed(":reference Worker.log"), (11, vec!["Worker.log_port".to_owned()]));
        assert!(completed("Worker.log").1.is_empty(), "no value has that name");
    }

    #[test]
    fn what_may_be_typed_is_what_only_policies_and_the_prompt_have() {
        let (usable, explained) = (prompt::names(), reference::names());
        assert!(usable.contains(&"relay.shared.get".to_owned()) && usable.contains(&"json.decode".to_owned()));
        assert!(!usable.iter().any(|name| name.starts_with("expect")));
        assert!(explained.contains(&"expect.equal".to_owned()) && explained.contains(&"ask.route".to_owned()));
    }
}
