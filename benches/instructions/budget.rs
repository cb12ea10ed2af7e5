//! What a stream may take, as a file that people read and review, and the judgement of a count by it. It counts
//! nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::callgrind::Count;
use crate::case::Case;

/// The file, below the package's folder.
const FILE: &str = "benches/instructions/budget.yaml";

/// What the file says to whoever opens it.
const HEADER: &str = "\
# What one short stream takes, in instructions. Written by
#     cargo bench --profile guard --bench instructions -- record
# and checked by tests/run. Functions are without what they call; those below 0.2 % of their stream are left out.
";

/// How far a count may be from what was recorded, in percent. See README.md for where it comes from.
pub(crate) const TOLERANCE: f64 = 2.0;

/// Functions that are shown where a stream became dearer.
const SHOWN: usize = 15;

/// What was recorded, by the names of cases.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Budget(BTreeMap<String, Recorded>);

/// One stream as it was.
#[derive(Debug, Serialize, Deserialize)]
struct Recorded {
    instructions: u64,
    functions: BTreeMap<String, i64>,
}

/// How a count stands to what was recorded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// As it was, or so little more that it may be chance; with the words for it.
    Good(String),
    /// Dearer than allowed, and what to do about it.
    TooMuch(String),
}

impl Budget {
    /// Reads the file.
    pub(crate) fn load() -> Result<Self> {
        let file = file();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_yaml::from_str(&text).with_context(|| format!("{} is no budget", file.display()))
    }

    /// Takes `count` for what a stream of `case` may take from now on.
    pub(crate) fn record(&mut self, case: Case, count: Count) {
        let Count { instructions, mut functions } = count;
        let mut recorded = Recorded { instructions, functions: BTreeMap::new() };
        functions.retain(|_, cost| *cost >= recorded.least());
        recorded.functions = functions;
        self.0.insert(case.to_string(), recorded);
    }

    /// Writes the file.
    pub(crate) fn save(&self) -> Result<()> {
        let text = HEADER.to_owned() + &serde_yaml::to_string(self)?;
        fs::write(file(), text).with_context(|| format!("cannot write {FILE}"))
    }

    /// Compares `count` with what was recorded for `case`.
    pub(crate) fn judge(&self, case: Case, count: &Count) -> Result<Verdict> {
        let recorded = self.0.get(case.as_str()).with_context(|| format!("{FILE} has no {case}: record it"))?;
        let (now, then) = (count.instructions, recorded.instructions);
        let more = (now as f64 / then as f64 - 1.0) * 100.0;
        let figures = format!("{case}: {now} instructions a stream, {then} recorded, {more:+.1} %");
        Ok(if more > TOLERANCE {
            Verdict::TooMuch(format!("{figures}, and {TOLERANCE} % are allowed\n{}", recorded.growth(count)))
        } else if more < -TOLERANCE {
            Verdict::Good(format!("{figures}; record it anew, or the next change may spend what this one saved"))
        } else {
            Verdict::Good(figures)
        })
    }
}

impl Recorded {
    /// What a function takes at least that is worth a line.
    fn least(&self) -> i64 {
        i64::try_from(self.instructions / 500).unwrap_or(i64::MAX)
    }

    /// The functions that grew most, one a line. One without a line took less than would be worth it.
    fn growth(&self, count: &Count) -> String {
        let before = |function: &String| self.functions.get(function).copied().unwrap_or_else(|| self.least());
        let mut grown: Vec<_> = count.functions.iter().map(|(name, now)| (now - before(name), now, name)).collect();
        grown.retain(|(more, ..)| *more > 0);
        grown.sort_unstable_by(|one, other| other.cmp(one));
        let mut text = "    more     now   function, without what it calls".to_owned();
        for (more, now, function) in grown.into_iter().take(SHOWN) {
            // Writing to a string cannot fail.
            let _written = write!(text, "\n{more:>+8} {now:>7}   {function}");
        }
        text
    }
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(FILE)
}
