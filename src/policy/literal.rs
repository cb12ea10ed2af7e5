//! Texts and names as Lua writes them, for whoever shows values. It only writes, and reads nothing back.

use super::failure::{beginning, printable};

/// `text` in quotes, on one line, cut after `max` characters.
pub(super) fn quoted(text: &[u8], max: usize) -> String {
    let text = beginning(text, max).replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", printable(&text, max))
}

/// Whether `text` may stand as a key without quotes.
pub(super) fn is_name(text: &[u8]) -> bool {
    let begins = text.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    begins && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}
