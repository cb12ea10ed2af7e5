//! Types as people and editors write them.

use super::Type;

impl Type {
    /// In Luau's own notation, which luau-lsp reads.
    pub(in crate::policy) fn luau(self) -> String {
        match self {
            Self::List(of) => format!("{{ {} }}", of.luau()),
            Self::Optional(of) => optional(of, of.luau()),
            Self::Either(types) => types.iter().map(|of| of.luau()).collect::<Vec<_>>().join(" | "),
            plain => plain.word(),
        }
    }

    /// In the notation of LuaLS annotations.
    pub(in crate::policy) fn luals(self) -> String {
        match self {
            Self::List(of) => format!("{}[]", of.luals()),
            Self::Optional(of) => optional(of, of.luals()),
            Self::Either(types) => types.iter().map(|of| of.luals()).collect::<Vec<_>>().join("|"),
            plain => plain.word().replace(" | ", "|"),
        }
    }

    /// What is written alike everywhere.
    fn word(self) -> String {
        match self {
            Self::Boolean => "boolean".to_owned(),
            Self::Number => "number".to_owned(),
            Self::String => "string".to_owned(),
            Self::Fact(kind) => kind.name.to_owned(),
            Self::Word(words) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" | "),
            compound @ (Self::List(_) | Self::Optional(_) | Self::Either(_)) => compound.luau(),
        }
    }
}

fn optional(of: &Type, written: String) -> String {
    match of {
        Type::Word(_) | Type::Either(_) => format!("({written})?"),
        _ => format!("{written}?"),
    }
}
