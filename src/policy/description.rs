//! One description of every name that a script may use. The binding and its checks, the editor's type definitions,
//! the reference and the terminal's help are all made from it, so that none of them can say anything else.
//!
//! It describes and never does: what a name means is done by the function that stands beside its description.

mod binding;
mod notation;
mod types;

use mlua::{Lua, Table, Value};

use super::FailureKind;
pub(super) use binding::{Arguments, table};
pub(super) use types::Type;

/// Something that has a value: a field of a fact, a constant, an option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) of: Type,
    /// One sentence.
    pub(super) about: &'static str,
}

/// A type of which scripts get values and make none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Whether a value is one of these.
    pub(super) is: fn(&Value) -> bool,
    /// Whether a list holds these and nothing else, in a row. Quicker than to take them out, which pins each; where it
    /// says no, a closer look may still find a list of these.
    pub(super) fill: fn(&Table) -> bool,
}

/// A kind with all that a script can read of it.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) fields: Vec<Name>,
}

/// A table of functions and constants.
#[derive(Debug)]
pub(super) struct Namespace {
    /// As scripts write it, with the namespaces around it: `relay.shared`.
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) constants: &'static [Constant],
    pub(super) functions: &'static [Function],
    pub(super) inner: &'static [Self],
}

/// A value that stays the same for as long as the policy lives; nil where there is none.
#[derive(Debug)]
pub(super) struct Constant {
    pub(super) name: Name,
    pub(super) value: fn(&Lua) -> mlua::Result<Value>,
}

/// A function that scripts may call.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) returns: Type,
    pub(super) phases: Phases,
    /// What a wrong argument is: a mistake in a route, or elsewhere.
    pub(super) blame: FailureKind,
    /// Called with arguments that are what the parameters say.
    pub(super) call: fn(&Lua, &Arguments) -> mlua::Result<Value>,
}

/// One argument of a function.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) of: Type,
    /// What it must be, in words that follow "must be".
    pub(super) expects: &'static str,
}

/// A function that the relay calls: a key of the policy's table.
#[derive(Debug)]
pub(super) struct Hook {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) returns: Type,
}

/// What a script is doing when it calls a function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its file runs for the first time, and nothing is decided yet.
    #[default]
    Loading,
    /// `route` or `invariant` runs: it reads, and changes nothing.
    Deciding,
    /// `accept` runs.
    Accepting,
    /// `ended` runs.
    Noting,
    /// A job of `relay.every` runs, on an engine of its own.
    Background,
    /// A case of a test runs, which makes up what others are to know.
    Testing,
}

/// The phases in which a function may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Phases {
    phases: &'static [Phase],
    words: &'static str,
}

impl Phases {
    /// At any time: it is a pure function of its arguments.
    pub(super) const ALWAYS: Self = Self {
        phases: &[Phase::Loading, Phase::Deciding, Phase::Accepting, Phase::Noting, Phase::Background, Phase::Testing],
        words: "at any time",
    };
    /// Whenever there is something to know.
    pub(super) const KNOWING: Self = Self {
        phases: &[Phase::Deciding, Phase::Accepting, Phase::Noting, Phase::Background],
        words: "in every function that the relay calls, not while the file is loaded",
    };
    /// Wherever a script may leave something behind.
    pub(super) const WRITING: Self = Self {
        phases: &[Phase::Accepting, Phase::Noting, Phase::Background],
        words: "in accept, in ended and in background work",
    };
    /// Where nobody waits for the script.
    pub(super) const BACKGROUND: Self = Self { phases: &[Phase::Background], words: "in background work" };
    /// While a test makes up a world, and asks the policy in it.
    pub(super) const TESTING: Self = Self { phases: &[Phase::Testing], words: "in a case" };
    /// While somebody tries things out at the prompt, which reads as `route` does.
    pub(super) const TRYING: Self =
        Self { phases: &[Phase::Deciding], words: "at the prompt of `fingerpost policy repl`" };
    /// Once, before anything is decided.
    pub(super) const LOADING: Self = Self { phases: &[Phase::Loading], words: "while the file is loaded" };

    /// When that is, in words that follow "may be called".
    pub(super) fn words(self) -> &'static str {
        self.words
    }

    fn are_all(self) -> bool {
        self.phases.len() == Self::ALWAYS.phases.len()
    }

    pub(super) fn include(self, phase: Phase) -> bool {
        self.phases.contains(&phase)
    }
}

impl Phase {
    /// Where a script is, in words that follow "cannot be called".
    fn place(self) -> &'static str {
        match self {
            Self::Loading => "while the file is loaded",
            Self::Deciding => "in route, which only reads",
            Self::Accepting => "in accept",
            Self::Noting => "in ended",
            Self::Background => "in background work",
            Self::Testing => "in a case",
        }
    }
}

/// Describes a value.
pub(super) const fn name(name: &'static str, of: Type, about: &'static str) -> Name {
    Name { name, of, about }
}

/// Describes an argument.
pub(super) const fn parameter(name: &'static str, of: Type, expects: &'static str) -> Parameter {
    Parameter { name, of, expects }
}
