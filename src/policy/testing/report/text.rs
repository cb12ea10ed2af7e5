//! What came of tests, for people.

use std::fmt;

use super::{Case, Coverage, File, Flaw, Outcome};

/// What its cases came to, one a line.
impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for Case { name, flaw, printed, .. } in &self.cases {
            writeln!(f, "  {:6}  {name}", if flaw.is_some() { "FAILED" } else { "ok" })?;
            printed.iter().try_for_each(|line| writeln!(f, "          | {line}"))?;
        }
        Ok(())
    }
}

/// Where, what, and what there is to see.
impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        self.details.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// Every failure in full, the counts, and the coverage.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            let failed = file.cases.iter().filter_map(|case| Some((&case.name, case.flaw.as_ref()?)));
            failed.into_iter().try_for_each(|(name, flaw)| writeln!(f, "\n{}: {name}\n  {flaw}", file.title))?;
        }
        let (passed, failed) = self.counts();
        let (cases, files) = (count(passed + failed, "case"), count(self.files.len(), "file"));
        write!(f, "\n{cases} in {files}: {passed} passed")?;
        if failed > 0 {
            write!(f, ", {failed} failed")?;
        }
        writeln!(f)?;
        write!(f, "{}", self.coverage())
    }
}

/// A line a script, and one for all.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.files.is_empty() {
            return Ok(());
        }
        writeln!(f, "\ncoverage of lines")?;
        for file in &self.files {
            write!(f, "  {:5.1}%  {}", file.percent(), file.title)?;
            if !file.missed.is_empty() {
                write!(f, "  never run: {}", file.ranges())?;
            }
            writeln!(f)?;
        }
        if self.files.len() > 1 { writeln!(f, "  {:5.1}%  all", self.percent()) } else { Ok(()) }
    }
}

fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
