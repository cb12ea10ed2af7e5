//! What a policy says in the place of a log. Its bytes are what the viewer gets, nothing added, nothing left out.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A policy's own answer: from 1 byte to [`Reply::MAX_LEN`] of text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Reply(Arc<str>);

/// A text that cannot be a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// Nothing to say.
    #[error(
        "the reply is empty, which a viewer would take for a build with an empty log; refuse with a reason instead"
    )]
    Empty,
    /// More than a reply may hold.
    #[error("the reply has {0} bytes, and may have {max}", max = Reply::MAX_LEN)]
    TooLong(usize),
}

impl Reply {
    /// Longest reply, in bytes: a list of some hundred builds.
    pub const MAX_LEN: usize = 64 << 10;

    /// Takes `text` as it is.
    ///
    /// # Errors
    /// [`BadReply`] if it is empty or longer than [`Self::MAX_LEN`].
    pub fn new(text: &str) -> Result<Self, BadReply> {
        match text.len() {
            0 => Err(BadReply::Empty),
            1..=Self::MAX_LEN => Ok(Self(text.into())),
            longer => Err(BadReply::TooLong(longer)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_within_the_limit_stays_as_it_is() {
        for text in ["\n", "two\r\nlines", "ünïcode", &"x".repeat(Reply::MAX_LEN)] {
            assert_eq!(Reply::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn no_text_and_too_much_of_it_are_refused_in_words() {
        let said = Reply::new("").unwrap_err().to_string();
        assert!(said.starts_with("the reply is empty, which a viewer would take for"), "{said}");
        let said = Reply::new(&"x".repeat(Reply::MAX_LEN + 1)).unwrap_err().to_string();
        assert_eq!(said, "the reply has 65537 bytes, and may have 65536");
    }
}
