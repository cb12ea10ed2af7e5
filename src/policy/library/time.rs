//! Points in time as seconds since 1970, and what calendars and clocks on the wall say of them. Never asks what time it
//! is: a policy is told. Knows UTC and fixed offsets from it; the rules of named time zones change by law, and are not
//! here.

mod hours;

use mlua::{Lua, Table, Value};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset, Weekday};

use super::call::{answer, number, pure, string, text};
use super::fault::Fault;
use crate::policy::description::{Name, Namespace, Parameter, Type, name, parameter};
use crate::policy::failure::{beginning, printable};

/// Longest text that is read as a time or an offset, in bytes.
const MAX_WRITTEN: usize = 64;

/// The days of the week, as scripts call them.
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// A day of the week.
const DAY: Type = Type::Word(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]);

/// What `time.utc` returns.
const CALENDAR: [Name; 7] = [
    name("year", Type::Number, "From 0 to 9999."),
    name("month", Type::Number, "From 1 to 12."),
    name("day", Type::Number, "From 1 to 31."),
    name("hour", Type::Number, "From 0 to 23."),
    name("minute", Type::Number, "From 0 to 59."),
    name("second", Type::Number, "From 0 to 59."),
    name("weekday", DAY, "The day of the week."),
];

/// The library `time`.
pub(super) const NAMESPACE: Namespace = Namespace {
    name: "time",
    about: "What calendars and clocks say of a time that a policy was told, in UTC or at a fixed offset from it. Named time \
            zones are not known.",
    constants: &[],
    functions: &[
        pure("utc", "What calendar and clock say, in UTC.", &[SECONDS], Type::Options(&CALENDAR), |lua, given| {
            answer(lua, "time.utc", utc(lua, number(given, 0)).map(Value::Table))
        }),
        pure(
            "parse",
            "The seconds since 1970 of a written time (RFC 3339); an error if it is none.",
            &[parameter("text", Type::String, "a time such as 2026-11-21T08:00:00Z or 2026-11-21T09:00:00+01:00")],
            Type::Number,
            |lua, given| answer(lua, "time.parse", parse(&text(given, 0)).map(Value::Number)),
        ),
        pure(
            "format",
            "The time as it is written in UTC (RFC 3339), in whole seconds.",
            &[SECONDS],
            Type::String,
            |lua, given| answer(lua, "time.format", format(number(given, 0)).and_then(|text| string(lua, text))),
        ),
        pure(
            "within",
            "Whether the time lies in these hours of the week. What is not given bounds nothing. Hours that end no later \
             than they begin go on over midnight, and belong to the day on which they began.",
            &[
                SECONDS,
                parameter(
                    "hours",
                    Type::Options(&hours::OPTIONS),
                    "a table such as { days = { \"mon\", \"fri\" }, from = \"08:00\", to = \"18:00\", offset = \"+01:00\" }",
                ),
            ],
            Type::Boolean,
            |lua, given| {
                let hours = given.at(1).as_table();
                let inside = hours.map_or(Ok(false), |hours| hours::within(number(given, 0), hours));
                answer(lua, "time.within", inside.map(Value::Boolean))
            },
        ),
    ],
    inner: &[],
};

const SECONDS: Parameter = parameter("seconds", Type::Number, "a time in seconds since 1970");

/// What calendar and clock say at `seconds` since 1970, in UTC.
fn utc(lua: &Lua, seconds: f64) -> Result<Table, Fault> {
    let at = moment(seconds)?;
    let table = lua.create_table()?;
    table.raw_set("year", at.year())?;
    table.raw_set("month", u8::from(at.month()))?;
    table.raw_set("day", at.day())?;
    table.raw_set("hour", at.hour())?;
    table.raw_set("minute", at.minute())?;
    table.raw_set("second", at.second())?;
    table.raw_set("weekday", weekday_name(at.weekday()))?;
    Ok(table)
}

/// The seconds since 1970 of a time in the format of RFC 3339, such as `2026-11-21T08:00:00Z` or with an offset
/// `+02:00`; fractions of a second are kept.
fn parse(text: &[u8]) -> Result<f64, Fault> {
    let at = written(text).and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let at = at.ok_or_else(|| format!("\"{}\" is no time such as 2026-11-21T08:00:00Z", shown(text)))?;
    Ok(at.unix_timestamp() as f64 + f64::from(at.nanosecond()) / 1e9)
}

/// The seconds since 1970 of a time written as [`parse`] reads it; or why it is none.
pub(in crate::policy) fn read(text: &[u8]) -> Result<f64, String> {
    parse(text).map_err(|fault| match fault {
        Fault::Words(words) => words,
        Fault::Lua(error) => error.to_string(),
    })
}

/// `seconds` since 1970 in the format of RFC 3339, in whole seconds, in UTC.
fn format(seconds: f64) -> Result<String, Fault> {
    let at = moment(seconds)?;
    at.format(&Rfc3339).map_err(|_| out_of_range(seconds).into())
}

/// The second in which `seconds` lies.
fn moment(seconds: f64) -> Result<OffsetDateTime, String> {
    let whole = seconds.floor();
    // What is no number fails here, and what is none of these years below.
    if !(-1e12..1e12).contains(&whole) {
        return Err(out_of_range(seconds));
    }
    let at = OffsetDateTime::from_unix_timestamp(whole as i64).ok().filter(|at| (0..=9999).contains(&at.year()));
    at.ok_or_else(|| out_of_range(seconds))
}

fn out_of_range(seconds: f64) -> String {
    format!("seconds must be a time between the years 0 and 9999, in seconds since 1970, not {seconds}")
}

/// An offset from UTC: `Z`, or `+01:00` and the like.
fn offset(text: &[u8]) -> Result<UtcOffset, String> {
    let known = written(text).and_then(|text| match text.as_bytes() {
        b"Z" => Some(UtcOffset::UTC),
        [sign @ (b'+' | b'-'), ..] => {
            let (hours, minutes) = clock(text.get(1..)?)?;
            let sign = if *sign == b'-' { -1 } else { 1 };
            (hours < 24).then(|| UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok())?
        }
        _ => None,
    });
    known.ok_or_else(|| {
        let shown = shown(text);
        format!("offset is one from UTC such as \"+01:00\", or \"Z\", not \"{shown}\"; named time zones are not known")
    })
}

/// Hours and minutes of `08:30`, up to `24:00`.
fn clock(text: &str) -> Option<(i8, i8)> {
    let digits = |text: &str| match text.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => i8::try_from((tens - b'0') * 10 + ones - b'0').ok(),
        _ => None,
    };
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (minutes < 60 && (hours, minutes) <= (24, 0)).then_some((hours, minutes))
}

fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == day).map_or("", |(name, _)| name)
}

fn written(text: &[u8]) -> Option<&str> {
    if text.len() <= MAX_WRITTEN { std::str::from_utf8(text).ok() } else { None }
}

fn shown(text: &[u8]) -> String {
    printable(&beginning(text, MAX_WRITTEN), MAX_WRITTEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0.0),
            ("2026-11-21T08:00:00Z", 1_795_248_000.0),
            ("2000-02-29T23:59:59Z", 951_868_799.0),
            ("1969-12-31T23:59:59Z", -1.0),
            ("0000-01-01T00:00:00Z", -62_167_219_200.0),
            ("9999-12-31T23:59:59Z", 253_402_300_799.0),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), seconds, "{text}");
            assert_eq!(format(seconds).unwrap(), text);
        }
        assert_eq!(parse(b"2026-11-21T10:00:00+02:00").unwrap(), 1_795_248_000.0);
        assert_eq!(parse(b"2026-11-21T02:30:00-05:30").unwrap(), 1_795_248_000.0);
        assert_eq!(parse(b"1970-01-01T00:00:00.25Z").unwrap(), 0.25);
        assert_eq!(format(-0.5).unwrap(), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_refused_in_words() {
        for text in ["", "now", "2026-11-21", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-11-21T08:00:00"] {
            match parse(text.as_bytes()) {
                Err(Fault::Words(words)) => assert!(words.contains(&format!("\"{text}\" is no time")), "{words}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(parse(&[b'1'; 1 << 20]).is_err());
        for seconds in [f64::NAN, f64::INFINITY, -f64::INFINITY, 1e300, 253_402_300_800.0, -62_167_219_201.0] {
            assert!(format(seconds).is_err(), "{seconds}");
        }
    }

    #[test]
    fn offsets_are_fixed() {
        for (text, minutes) in [("Z", 0), ("+00:00", 0), ("+02:00", 120), ("-05:30", -330), ("+14:00", 840)] {
            assert_eq!(offset(text.as_bytes()).unwrap().whole_minutes(), minutes, "{text}");
        }
        for text in ["", "+1", "+1:00", "02:00", "+24:00", "+01:60", "Europe/Berlin", "+-1:00"] {
            let problem = offset(text.as_bytes()).unwrap_err();
            assert!(problem.contains("named time zones are not known"), "{text}: {problem}");
        }
    }

    #[test]
    fn a_calendar_is_a_table() {
        let lua = Lua::new();
        let table = utc(&lua, 951_868_799.9).unwrap();
        let read = |key: &str| table.raw_get::<f64>(key).unwrap();
        assert_eq!([read("year"), read("month"), read("day")], [2000.0, 2.0, 29.0]);
        assert_eq!([read("hour"), read("minute"), read("second")], [23.0, 59.0, 59.0]);
        assert_eq!(table.raw_get::<String>("weekday").unwrap(), "tue");
    }
}
