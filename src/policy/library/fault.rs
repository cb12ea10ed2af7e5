//! Why a function of the library failed: in words for the script's author, or because Lua itself failed.

/// A failure on its way to the script. The words follow the function's name and a colon.
#[derive(Debug)]
pub(super) enum Fault {
    /// What the script did wrong.
    Words(String),
    /// What is not the script's mistake, memory above all: it stays what it is.
    Lua(mlua::Error),
}

impl From<String> for Fault {
    fn from(words: String) -> Self {
        Self::Words(words)
    }
}

impl From<mlua::Error> for Fault {
    fn from(error: mlua::Error) -> Self {
        Self::Lua(error)
    }
}

/// Fails if `text`, an argument called `name`, has more than `most` bytes.
pub(super) fn bounded(name: &str, text: &[u8], most: usize) -> Result<(), Fault> {
    match text.len() {
        length if length > most => Err(format!("{name} has {length} bytes, and may have {most}").into()),
        _ => Ok(()),
    }
}
