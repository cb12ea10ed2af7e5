//! Types as people and editors write them.

use super::{Name, Type};

impl Type {
    /// In Luau's own notation, which luau-lsp reads.
    pub(in crate::policy) fn luau(self) -> String {
        match self {
            Self::List(of) => format!("{{ {} }}", of.luau()),
            Self::Map(of) => format!("{{ [string]: {} }}", of.luau()),
            Self::Optional(of) => optional(of, of.luau()),
            Self::Either(types) => types.iter().map(|of| of.luau()).collect::<Vec<_>>().join(" | "),
            Self::Options(names) => record(names, Self::luau),
            plain => plain.word(),
        }
    }

    /// In the notation of LuaLS annotations.
    pub(in crate::policy) fn luals(self) -> String {
        match self {
            Self::List(of) => format!("{}[]", of.luals()),
            Self::Map(of) => format!("table<string, {}>", of.luals()),
            Self::Optional(of) => optional(of, of.luals()),
            Self::Either(types) => types.iter().map(|of| of.luals()).collect::<Vec<_>>().join("|"),
            Self::Options(names) => record(names, Self::luals),
            Self::Function => "fun()".to_owned(),
            plain => plain.word().replace(" | ", "|"),
        }
    }

    /// The keys of a table of options, or of one that may be left out.
    pub(in crate::policy) fn options(self) -> &'static [Name] {
        match self {
            Self::Options(names) => names,
            Self::Optional(of) => of.options(),
            _ => &[],
        }
    }

    /// What is written alike everywhere.
    fn word(self) -> String {
        match self {
            Self::Any => "any".to_owned(),
            Self::Nothing => "()".to_owned(),
            Self::Boolean => "boolean".to_owned(),
            Self::Number => "number".to_owned(),
            Self::String => "string".to_owned(),
            Self::Function => "() -> ()".to_owned(),
            Self::Fact(kind) => kind.name.to_owned(),
            Self::Word(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" | "),
            compound @ (Self::List(_) | Self::Map(_) | Self::Optional(_) | Self::Options(_) | Self::Either(_)) => {
                compound.luau()
            }
        }
    }
}

fn record(names: &[Name], write: fn(Type) -> String) -> String {
    let fields: Vec<_> = names.iter().map(|of| format!("{}: {}", of.name, write(of.of))).collect();
    format!("{{ {} }}", fields.join(", "))
}

fn optional(of: &Type, written: String) -> String {
    match of {
        Type::Word(_) | Type::Either(_) | Type::Function => format!("({written})?"),
        _ => format!("{written}?"),
    }
}
