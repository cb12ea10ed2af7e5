//! Hours of the week, such as those of an office, as a script writes them in a table. Never guesses: a time of day that
//! it cannot read is an error.

use mlua::{Table, Value};
use time::{OffsetDateTime, UtcOffset, Weekday};

use super::super::fault::Fault;
use super::{DAY, WEEKDAYS, clock, moment, offset};
use crate::policy::description::{Name, Type, name};
use crate::policy::facts::quote;

const TEXT: Type = Type::Optional(&Type::String);

/// What a table of hours may hold.
pub(super) const OPTIONS: [Name; 4] = [
    name("days", Type::Optional(&Type::List(&DAY)), "The days on which the hours begin; all if it is not given."),
    name("from", TEXT, "When they begin, such as `08:00`; at midnight if it is not given."),
    name("to", TEXT, "When they end, such as `18:00`; at `24:00` if it is not given."),
    name("offset", TEXT, "The offset from UTC of what the clock shows, such as `+01:00`; none if it is not given."),
];

/// Most days of a list; more than a week says nothing.
const MAX_DAYS: usize = 7;

const MINUTES_A_DAY: u16 = 24 * 60;

/// Hours on some days of the week.
#[derive(Debug)]
struct Hours {
    /// The days on which they begin.
    days: Vec<Weekday>,
    /// Minutes after midnight; the hours end before `to`, on the next day if that is no later than `from`.
    from: u16,
    to: u16,
    offset: UtcOffset,
}

/// Whether `seconds` since 1970 lie in the hours of a table such as
/// `{ days = { "mon", "fri" }, from = "08:00", to = "18:00", offset = "+01:00" }`. What is not given bounds nothing:
/// every day, from `00:00` to `24:00`, in UTC. Hours that end no later than they begin go on over midnight, and belong
/// to the day on which they began.
pub(super) fn within(seconds: f64, table: &Table) -> Result<bool, Fault> {
    let hours = Hours::read(table)?;
    let at = moment(seconds)?.checked_to_offset(hours.offset).ok_or_else(|| super::out_of_range(seconds))?;
    Ok(hours.hold(at))
}

impl Hours {
    fn read(table: &Table) -> Result<Self, Fault> {
        Ok(Self {
            days: days(&table.raw_get("days")?)?,
            from: minutes("from", &table.raw_get("from")?, 0)?,
            to: minutes("to", &table.raw_get("to")?, MINUTES_A_DAY)?,
            offset: match table.raw_get("offset")? {
                Value::Nil => UtcOffset::UTC,
                Value::String(text) => offset(&text.as_bytes())?,
                other => return Err(format!("offset is a text such as \"+01:00\", not {}", quote(&other)).into()),
            },
        })
    }

    fn hold(&self, at: OffsetDateTime) -> bool {
        let minute = u16::from(at.hour()) * 60 + u16::from(at.minute());
        let (today, yesterday) = (at.weekday(), at.weekday().previous());
        if self.from < self.to {
            return self.days.contains(&today) && (self.from..self.to).contains(&minute);
        }
        (minute >= self.from && self.days.contains(&today)) || (minute < self.to && self.days.contains(&yesterday))
    }
}

fn days(value: &Value) -> Result<Vec<Weekday>, Fault> {
    let list = match value {
        Value::Nil => return Ok(WEEKDAYS.iter().map(|(_, day)| *day).collect()),
        Value::Table(list) if (1..=MAX_DAYS).contains(&list.raw_len()) => list,
        other => {
            let problem =
                format!("days is a list of one to {MAX_DAYS} days, such as {{ \"mon\" }}, not {}", quote(other));
            return Err(problem.into());
        }
    };
    (1..=list.raw_len()).map(|position| Ok(day(&list.raw_get(position)?)?)).collect()
}

fn day(value: &Value) -> Result<Weekday, String> {
    let named = |name: &str| value.as_string().is_some_and(|text| *text == *name);
    let day = WEEKDAYS.iter().find(|(name, _)| named(name)).map(|(_, day)| *day);
    day.ok_or_else(|| format!("{} is no day such as \"mon\"", quote(value)))
}

fn minutes(key: &str, value: &Value, default: u16) -> Result<u16, Fault> {
    if value.is_nil() {
        return Ok(default);
    }
    let read = value.as_string().and_then(|text| clock(super::written(&text.as_bytes())?));
    let minutes = read.and_then(|(hours, minutes)| u16::try_from(i16::from(hours) * 60 + i16::from(minutes)).ok());
    Ok(minutes.ok_or_else(|| format!("{key} is a time of day such as \"08:00\", not {}", quote(value)))?)
}

#[cfg(test)]
mod tests {
    use mlua::Lua;

    use super::super::parse;
    use super::*;

    fn ask(at: &str, hours: &str) -> Result<bool, Fault> {
        let lua = Lua::new();
        let table: Table = lua.load(hours).eval().unwrap();
        within(parse(at.as_bytes()).unwrap(), &table)
    }

    #[test]
    fn office_hours_are_hours_of_some_days() {
        let office =
            "{ days = { 'mon', 'tue', 'wed', 'thu', 'fri' }, from = '08:00', to = '18:00', offset = '+01:00' }";
        for (at, open) in [
            ("2026-11-20T06:59:59Z", false),
            ("2026-11-20T07:00:00Z", true),
            ("2026-11-20T16:59:59Z", true),
            ("2026-11-20T17:00:00Z", false),
            ("2026-11-21T12:00:00Z", false),
            ("2026-11-22T12:00:00Z", false),
            ("2026-11-23T12:00:00Z", true),
        ] {
            assert_eq!(ask(at, office).unwrap(), open, "{at}");
        }
    }

    #[test]
    fn the_offset_decides_the_day_too() {
        assert!(ask("2026-11-22T23:30:00Z", "{ days = { 'mon' }, offset = '+01:00' }").unwrap());
        assert!(!ask("2026-11-22T23:30:00Z", "{ days = { 'mon' } }").unwrap());
        assert!(ask("2026-11-23T00:30:00Z", "{ days = { 'sun' }, offset = '-01:00' }").unwrap());
    }

    #[test]
    fn hours_over_midnight_belong_to_the_day_they_began() {
        let night = "{ days = { 'fri' }, from = '22:00', to = '06:00' }";
        for (at, inside) in [
            ("2026-11-20T05:00:00Z", false),
            ("2026-11-20T21:59:59Z", false),
            ("2026-11-20T22:00:00Z", true),
            ("2026-11-21T05:59:59Z", true),
            ("2026-11-21T06:00:00Z", false),
            ("2026-11-21T22:30:00Z", false),
        ] {
            assert_eq!(ask(at, night).unwrap(), inside, "{at}");
        }
    }

    #[test]
    fn what_is_not_given_bounds_nothing() {
        for hours in ["{}", "{ from = '00:00', to = '24:00' }", "{ from = '08:00', to = '08:00' }"] {
            for at in ["2026-11-20T00:00:00Z", "2026-11-21T08:00:00Z", "2026-11-22T23:59:59Z"] {
                assert!(ask(at, hours).unwrap(), "{at} {hours}");
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (hours, problem) in [
            ("{ days = { 'monday' } }", "\"monday\" is no day"),
            ("{ days = {} }", "days is a list"),
            ("{ days = 'mon' }", "days is a list"),
            ("{ from = '8:00' }", "from is a time of day such as \"08:00\", not \"8:00\""),
            ("{ to = 18 }", "to is a time of day"),
            ("{ to = '24:01' }", "to is a time of day"),
            ("{ from = '08:60' }", "from is a time of day"),
            ("{ offset = 1 }", "offset is a text"),
            ("{ offset = 'CET' }", "named time zones are not known"),
        ] {
            match ask("2026-11-20T00:00:00Z", hours) {
                Err(Fault::Words(words)) => assert!(words.contains(problem), "{hours}: {words}"),
                other => panic!("{hours}: {other:?}"),
            }
        }
    }
}
