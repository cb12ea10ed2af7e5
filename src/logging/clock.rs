//! The time at the head of every line. Works the calendar out once a second, not once a line; never writes another form
//! of time than tracing-subscriber's own.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use humantime::format_rfc3339_seconds;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime as Plain};

/// The first second whose year has five digits, since 1970.
const FAR: u64 = 253_402_300_800;

/// Tells the time in UTC, with microseconds.
#[derive(Debug, Default)]
pub(super) struct Clock(Mutex<Second>);

/// The second that was told last, and its text without the `Z`.
#[derive(Debug, Default)]
struct Second {
    number: u64,
    text: String,
}

impl Clock {
    /// Adds the time it is to `line`.
    pub(super) fn write(&self, line: &mut String) -> fmt::Result {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) if since.as_secs() < FAR => self.tell(since, line),
            // A clock set to before 1970 or after 9999.
            _ => return Plain.format_time(&mut Writer::new(line)),
        }
        Ok(())
    }

    fn tell(&self, since: Duration, line: &mut String) {
        match self.0.try_lock() {
            Ok(mut second) => second.tell(since, line),
            // Another thread's turn; waiting for it would take longer.
            Err(_) => Second::default().tell(since, line),
        }
    }
}

impl Second {
    fn tell(&mut self, since: Duration, line: &mut String) {
        if self.number != since.as_secs() || self.text.is_empty() {
            *self = Self::new(since.as_secs());
        }
        line.push_str(&self.text);
        line.push('.');
        let micros = since.subsec_micros();
        for unit in [100_000, 10_000, 1000, 100, 10, 1] {
            line.push(char::from_digit(micros / unit % 10, 10).unwrap_or('0'));
        }
        line.push('Z');
    }

    fn new(number: u64) -> Self {
        let text = format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(number)).to_string();
        Self { number, text: text.trim_end_matches('Z').to_owned() }
    }
}

impl FormatTime for Clock {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text)?;
        w.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(clock: &Clock, since: Duration) -> String {
        let mut text = String::new();
        clock.tell(since, &mut text);
        text
    }

    #[test]
    fn the_time_is_told_in_utc_with_microseconds() {
        let clock = Clock::default();
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00.000000Z"),
            (0, 1_999, "1970-01-01T00:00:00.000001Z"),
            (951_782_400, 123_456_789, "2000-02-29T00:00:00.123456Z"),
            (951_782_399, 999_999_999, "2000-02-28T23:59:59.999999Z"),
            (FAR - 1, 500_000_000, "9999-12-31T23:59:59.500000Z"),
        ] {
            assert_eq!(told(&clock, Duration::new(seconds, nanos)), text);
        }
    }

    #[test]
    fn who_comes_while_another_is_told_the_time_is_told_it_too() {
        let clock = Clock::default();
        let _other = clock.0.lock().unwrap();
        assert_eq!(told(&clock, Duration::from_secs(1)), "1970-01-01T00:00:01.000000Z");
    }

    #[test]
    fn the_form_is_that_of_the_library() {
        let (mut ours, mut theirs) = (String::new(), String::new());
        Clock::default().format_time(&mut Writer::new(&mut ours)).unwrap();
        Plain.format_time(&mut Writer::new(&mut theirs)).unwrap();
        let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(form(&ours), form(&theirs));
        let [ours, theirs] = [ours, theirs].map(|text| humantime::parse_rfc3339(&text).unwrap());
        // Somebody may set the clock in between, but hardly by a day.
        let apart = theirs.duration_since(ours).unwrap_or_else(|back| back.duration());
        assert!(apart < Duration::from_secs(86_400), "{apart:?}");
    }
}
