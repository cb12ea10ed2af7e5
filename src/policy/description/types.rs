//! What a value in a script may be, and whether one is. Looks at values and never runs the script's code.

use mlua::{Table, Value};

use super::{Kind, Name};
use crate::policy::facts::quote;
use crate::policy::spelling;

/// Elements of a list that are looked at: reading them all cannot be interrupted.
const MAX_LOOKED_AT: usize = 1024;

/// What a value in a script may be.
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) enum Type {
    /// Any value at all.
    Any,
    /// No value: what a function returns that is called for what it does.
    Nothing,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// Text, or any bytes.
    String,
    /// A function of the script's own, which is called without arguments and returns nothing of interest.
    Function,
    /// A value made by the relay.
    Fact(Kind),
    /// One of these words.
    Word(&'static [&'static str]),
    /// The value, or nil.
    Optional(&'static Self),
    /// Values in order, counted from 1.
    List(&'static Self),
    /// Values by name.
    Map(&'static Self),
    /// A table with these keys and no others.
    Options(&'static [Name]),
    /// Any of these.
    Either(&'static [Self]),
}

/// What is wrong with a value, in words for the script's author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mismatch {
    /// It is something else altogether.
    Other,
    /// Something in it is wrong; the words stand alone.
    Within(String),
}

impl Type {
    /// Says whether `value` is one of these.
    pub(super) fn check(&self, value: &Value) -> Result<(), Mismatch> {
        let fits = match (self, value) {
            (Self::Any, _)
            | (Self::Nothing, Value::Nil)
            | (Self::Optional(_), Value::Nil)
            | (Self::Boolean, Value::Boolean(_))
            | (Self::Number, Value::Number(_) | Value::Integer(_))
            | (Self::String, Value::String(_))
            | (Self::Function, Value::Function(_)) => true,
            (Self::Fact(kind), Value::UserData(_)) => (kind.is)(value),
            (Self::Word(words), Value::String(text)) => words.iter().any(|word| *text == *word),
            (Self::Optional(of), _) => return of.check(value),
            (Self::List(of), Value::Table(table)) => return list(of, table),
            (Self::Either(types), _) => return either(types, value),
            (Self::Map(of), Value::Table(table)) => return map(of, table),
            (Self::Options(names), Value::Table(table)) => return options(names, table),
            _ => false,
        };
        if fits { Ok(()) } else { Err(Mismatch::Other) }
    }
}

impl Type {
    /// Which of its words was meant by `value`, as the end of a message; empty if that is not known.
    fn meant(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Optional(of), _) => of.meant(value),
            (Self::Word(words), Value::String(text)) => {
                let nearest = spelling::nearest(&text.to_string_lossy(), words.iter().copied());
                nearest.map(|word| format!("; did you mean \"{word}\"?")).unwrap_or_default()
            }
            _ => String::new(),
        }
    }
}

fn list(of: &Type, table: &Table) -> Result<(), Mismatch> {
    let length = table.raw_len();
    if length == 0 && !table.is_empty() {
        return Err(Mismatch::Other);
    }
    if length <= MAX_LOOKED_AT && matches!(of, Type::Fact(kind) if (kind.fill)(table)) {
        return Ok(());
    }
    (1..=length.min(MAX_LOOKED_AT)).try_for_each(|position| {
        let value: Value = table.raw_get(position).map_err(|_| Mismatch::Other)?;
        of.check(&value).map_err(|mismatch| match mismatch {
            Mismatch::Other => Mismatch::Within(format!("number {position} of the list is {}", quote(&value))),
            Mismatch::Within(problem) => Mismatch::Within(format!("number {position} of the list: {problem}")),
        })
    })
}

fn map(of: &Type, table: &Table) -> Result<(), Mismatch> {
    table.pairs::<Value, Value>().flatten().take(MAX_LOOKED_AT).try_for_each(|(key, value)| {
        let wrong = |_| Mismatch::Within(format!("{} must be {}, not {}", quote(&key), of.luau(), quote(&value)));
        of.check(&value).map_err(wrong)
    })
}

/// Whether `table` has these keys only, with values that fit.
fn options(names: &[Name], table: &Table) -> Result<(), Mismatch> {
    for (key, _) in table.pairs::<Value, Value>().flatten().take(MAX_LOOKED_AT) {
        let word = key.as_string().map(|key| key.to_string_lossy()).unwrap_or_default();
        if !names.iter().any(|of| of.name == word) {
            let hint = spelling::hint(&word, names.iter().map(|of| of.name));
            return Err(Mismatch::Within(format!("there is no option {}{hint}", quote(&key))));
        }
    }
    names.iter().try_for_each(|of| {
        let value: Value = table.raw_get(of.name).unwrap_or(Value::Nil);
        of.of.check(&value).map_err(|mismatch| match mismatch {
            Mismatch::Other => {
                let meant = of.of.meant(&value);
                Mismatch::Within(format!("{} must be {}, not {}{meant}", of.name, of.of.luau(), quote(&value)))
            }
            Mismatch::Within(problem) => Mismatch::Within(format!("{}: {problem}", of.name)),
        })
    })
}

fn either(types: &[Type], value: &Value) -> Result<(), Mismatch> {
    let mut worst = Mismatch::Other;
    for of in types {
        match of.check(value) {
            Ok(()) => return Ok(()),
            // The more telling of two: the script's author got the outer shape right.
            Err(within @ Mismatch::Within(_)) => worst = within,
            Err(Mismatch::Other) => {}
        }
    }
    Err(worst)
}
