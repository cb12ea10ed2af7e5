//! The kinds of streams that are counted, each with a budget of its own.

use std::fmt;
use std::str::FromStr;

/// How the viewer comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// Over plain TCP.
    Plain,
    /// Over TLS 1.3, a full handshake with a client certificate.
    Tls,
}

impl Case {
    /// Every case, in the order in which they are told.
    pub(crate) const ALL: [Self; 2] = [Self::Plain, Self::Tls];

    /// The name in the budget and on the command line.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tls => "tls",
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|case| case.as_str() == name);
        found.ok_or_else(|| anyhow::anyhow!("no case is called {name:?}: there are plain and tls"))
    }
}
