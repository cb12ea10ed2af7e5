//! The fields of a line of text, in the very form of tracing-subscriber's own without colours. What is most of a
//! record, names, plain words and numbers, it writes itself; never touches what the library escapes or joins.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{RecordFields, VisitOutput as _};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

use super::number;

/// Formats fields as `name=value`, one space apart.
#[derive(Debug)]
pub(super) struct Fields;

/// Adds `fields` to `line`.
pub(super) fn write<R: RecordFields>(fields: R, line: &mut String) -> fmt::Result {
    let mut visitor = Visitor { line, is_empty: true, result: Ok(()) };
    fields.record(&mut visitor);
    visitor.result
}

struct Visitor<'a> {
    line: &'a mut String,
    is_empty: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    /// Begins a field, up to its value.
    fn name(&mut self, name: &str) {
        self.space();
        self.line.push_str(name);
        self.line.push('=');
    }

    fn space(&mut self) {
        if !self.is_empty {
            self.line.push(' ');
        }
        self.is_empty = false;
    }

    /// Writes a message without its name.
    fn message(&mut self, field: &Field, value: &dyn Debug) -> fmt::Result {
        let (begin, was_empty) = (self.line.len(), self.is_empty);
        self.space();
        let result = write!(self.line, "{value:?}");
        if self.line.get(begin..).is_some_and(|text| text.chars().any(commands)) {
            self.line.truncate(begin);
            self.is_empty = was_empty;
            return self.library(|visitor| visitor.record_debug(field, value));
        }
        result
    }

    /// Leaves one field to the library.
    fn library(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) -> fmt::Result {
        let mut visitor = DefaultVisitor::new(Writer::new(&mut *self.line), self.is_empty);
        record(&mut visitor);
        self.is_empty = false;
        visitor.finish()
    }

    fn note(&mut self, result: fmt::Result) {
        self.result = self.result.and(result);
    }
}

/// Whether a terminal may take it for the begin of a command, which the library therefore escapes in messages.
fn commands(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
}

/// Names that the library changes or leaves out, and those of the `log` crate's own fields.
fn is_special(name: &str) -> bool {
    name == "message" || name.starts_with("r#") || name.starts_with("log.")
}

/// Whether `text` is the same between quotes as it is by [`Debug`]. It does not stop at the first byte that says no:
/// without that branch, compilers look at many bytes at a time.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\'))
}

impl Visit for Visitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        match field.name() {
            name if is_special(name) => self.record_debug(field, &value),
            name => {
                self.name(name);
                let result = number::real(value, self.line);
                self.note(result);
            }
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            name if is_special(name) => self.record_debug(field, &value),
            name => {
                self.name(name);
                number::whole(value, self.line);
            }
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.record_debug(field, &format_args!("{value}")),
            name if is_special(name) || !is_plain(value) => self.record_debug(field, &value),
            name => {
                self.name(name);
                self.line.push('"');
                self.line.push_str(value);
                self.line.push('"');
            }
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let result = self.library(|visitor| visitor.record_error(field, value));
        self.note(result);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let result = match field.name() {
            // What the `log` crate says of a line's place stands elsewhere in it.
            name if name.starts_with("log.") => return,
            "message" => self.message(field, value),
            name if is_special(name) => self.library(|visitor| visitor.record_debug(field, value)),
            name => {
                self.name(name);
                write!(self.line, "{value:?}")
            }
        };
        self.note(result);
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut line = String::new();
        write(fields, &mut line)?;
        writer.write_str(&line)
    }
}
