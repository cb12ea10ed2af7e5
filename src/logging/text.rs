//! A line of text for each event, in the very form of tracing-subscriber's own without colours. It puts a line together
//! before the library's writer sees it, because that takes a call for every word; never leaves out a part of a line.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use super::clock::Clock;
use super::fields::{self, Fields};

/// Room for most lines, in bytes. A record takes about 400.
const ROOM: usize = 512;

/// Formats events as lines of text.
#[derive(Debug)]
pub(super) struct Text {
    clock: Clock,
    /// For events of the `log` crate, which have their target, level and place in fields.
    library: Format<Full, Clock>,
}

impl Text {
    pub(super) fn new() -> Self {
        Self { clock: Clock::default(), library: format::format().with_timer(Clock::default()).with_ansi(false) }
    }
}

impl<S> FormatEvent<S, Fields> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, Fields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if metadata.target() == "log" {
            return self.library.format_event(context, writer, event);
        }
        let mut line = String::with_capacity(ROOM);
        self.clock.write(&mut line)?;
        line.push_str(level(*metadata.level()));
        spans(context, &mut line);
        line.push_str(metadata.target());
        line.push_str(": ");
        fields::write(event, &mut line)?;
        line.push('\n');
        writer.write_str(&line)
    }
}

/// The level with what stands around it, all of one width.
fn level(level: Level) -> &'static str {
    match level {
        Level::TRACE => " TRACE ",
        Level::DEBUG => " DEBUG ",
        Level::INFO => "  INFO ",
        Level::WARN => "  WARN ",
        Level::ERROR => " ERROR ",
    }
}

/// The spans that the event is in, the outermost first.
fn spans<S>(context: &FmtContext<'_, S, Fields>, line: &mut String)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(scope) = context.event_scope() else { return };
    for span in scope.from_root() {
        line.push_str(span.name());
        if let Some(fields) = span.extensions().get::<FormattedFields<Fields>>().filter(|fields| !fields.is_empty()) {
            line.push('{');
            line.push_str(fields);
            line.push('}');
        }
        line.push(':');
    }
    line.push(' ');
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::{Dispatch, debug, error, info, info_span, trace, warn};
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

    impl Page {
        /// What was said, without the times, which differ from one saying to the next.
        fn timeless(&self) -> Vec<String> {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let lines = text.lines().map(|line| match line.split_once("Z ") {
                Some((time, rest)) if time.starts_with("20") => format!("{} {rest}", time.len()),
                _ => line.to_owned(),
            });
            lines.collect()
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer \x1b[1m")]
    struct Outer(#[from] io::Error);

    /// Fields of every kind, with and without a message, inside and outside of spans.
    fn say() {
        let peer = "127.0.0.1:79";
        warn!("alone");
        let span = info_span!("stream", %peer, late = tracing::field::Empty, later = tracing::field::Empty);
        let _entered = span.enter();
        let (nested, text) = (Outer(io::Error::other("inner")), "a \"b\"\n\x1b[31m");
        info!(text, shown = %text, number = 1, real = 1.5, yes = true, none = None::<&str>, some = Some("x"), "said {text}");
        info!(
            empty = "",
            back = r"\",
            tab = "\t",
            delete = "\x7f",
            wide = "é\u{202e}",
            quote = "'",
            low = -3,
            "\u{9b}\u{7}"
        );
        span.record("late", text);
        span.record("later", 2);
        info!(only = ?[1, 2]);
        info!(message = 5_u64, more = true);
        info!(message = 0.5);
        debug!(target: "elsewhere", "message alone");
        let _inner = info_span!("inner").entered();
        trace!(huge = u64::MAX, wider = u128::MAX, tiny = i64::MIN, "numbers");
        info!(r#type = "raw", "raw");
        error!(error = &nested as &(dyn Error + 'static), "failed");
        error!(error = &nested.0 as &(dyn Error + 'static));
    }

    #[test]
    fn lines_have_the_form_of_the_library_without_colours() {
        let (ours, theirs) = (Page::default(), Page::default());
        let (one, other) = (ours.clone(), theirs.clone());
        let layers: [Dispatch; 2] = [
            tracing_subscriber::registry()
                .with(layer().fmt_fields(Fields).event_format(Text::new()).with_writer(move || one.clone()))
                .into(),
            tracing_subscriber::registry()
                .with(layer().with_timer(Clock::default()).with_ansi(false).with_writer(move || other.clone()))
                .into(),
        ];
        for layer in &layers {
            tracing::dispatcher::with_default(layer, say);
        }
        let (ours, theirs) = (ours.timeless(), theirs.timeless());
        assert_eq!(ours, theirs);
        assert_eq!(ours.iter().filter(|line| line.contains(" stream{peer=127.0.0.1:79")).count(), 10, "{ours:?}");
    }
}
