//! The fields of a line of text, in the very form of tracing-subscriber's own without colours. Leaves out only what
//! choosing no colour costs, which is a third of a record; never touches what the library escapes or joins.

use std::error::Error;
use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{DefaultVisitor, Writer};

/// Formats fields as `name=value`, one space apart.
#[derive(Debug)]
pub(super) struct Fields;

struct Visitor<'a> {
    writer: Writer<'a>,
    is_empty: bool,
    result: fmt::Result,
}

impl Visitor<'_> {
    fn plain(&mut self, name: &str, value: &dyn Debug) -> fmt::Result {
        if !self.is_empty {
            self.writer.write_char(' ')?;
        }
        self.writer.write_str(name)?;
        self.writer.write_char('=')?;
        write!(self.writer, "{value:?}")
    }

    /// Leaves one field to the library.
    fn library(&mut self, record: impl FnOnce(&mut DefaultVisitor<'_>)) -> fmt::Result {
        let mut visitor = DefaultVisitor::new(self.writer.by_ref(), self.is_empty);
        record(&mut visitor);
        tracing_subscriber::field::VisitOutput::finish(visitor)
    }

    fn note(&mut self, result: fmt::Result) {
        self.is_empty = false;
        self.result = self.result.and(result);
    }
}

/// Messages are escaped, and some names are changed.
fn is_special(name: &str) -> bool {
    name == "message" || name.starts_with("r#")
}

impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            let result = self.library(|visitor| visitor.record_str(field, value));
            return self.note(result);
        }
        self.record_debug(field, &value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let result = self.library(|visitor| visitor.record_error(field, value));
        self.note(result);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let result = match field.name() {
            // What the `log` crate says of a line's place stands elsewhere in it.
            name if name.starts_with("log.") => return,
            name if is_special(name) => self.library(|visitor| visitor.record_debug(field, value)),
            name => self.plain(name, value),
        };
        self.note(result);
    }
}

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Visitor { writer, is_empty: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::{error, info, info_span};
    use tracing_subscriber::fmt::layer;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer \x1b[1m")]
    struct Outer(#[from] io::Error);

    /// Fields of every kind, with and without a message.
    fn say() {
        let peer = "127.0.0.1:79";
        let span = info_span!("stream", %peer, late = tracing::field::Empty, later = tracing::field::Empty);
        let _entered = span.enter();
        let (nested, text) = (Outer(io::Error::other("inner")), "a \"b\"\n\x1b[31m");
        info!(text, shown = %text, number = 1, real = 1.5, yes = true, none = None::<&str>, some = Some("x"), "said {text}");
        span.record("late", text);
        span.record("later", 2);
        info!(only = ?[1, 2]);
        info!("message alone");
        info!(r#type = "raw", "raw");
        error!(error = &nested as &(dyn Error + 'static), "failed");
        error!(error = &nested.0 as &(dyn Error + 'static));
    }

    #[test]
    fn fields_have_the_form_of_the_library_without_colours() {
        let (ours, theirs) = (Page::default(), Page::default());
        let (one, other) = (ours.clone(), theirs.clone());
        let plain = layer().without_time().with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(plain.fmt_fields(Fields).with_writer(move || one.clone()));
        tracing::subscriber::with_default(subscriber, say);
        let plain = layer().without_time().with_ansi(false);
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(plain.with_writer(move || other.clone())),
            say,
        );
        let [ours, theirs] = [ours, theirs].map(|page| String::from_utf8(page.0.lock().unwrap().clone()).unwrap());
        assert_eq!(ours, theirs);
        assert_eq!(ours.matches(" stream{peer=127.0.0.1:79").count(), 6, "{ours}");
    }
}
