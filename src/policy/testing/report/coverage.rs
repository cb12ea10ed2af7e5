//! Which lines of the tested scripts ran, in numbers. Only lines with code count: blank ones and comments cannot run.

use crate::policy::testing::probe::Lines;

/// Which lines ran, of all scripts in the folder that can be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// By path.
    pub files: Vec<Covered>,
}

/// Which lines of one script ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The script's path.
    pub title: String,
    /// Lines with code.
    pub lines: usize,
    /// Those that never ran, counted from 1, in order.
    pub missed: Vec<usize>,
}

impl Coverage {
    pub(in crate::policy::testing) fn of(lines: &Lines) -> Self {
        let files = lines.iter().map(|(title, lines)| Covered {
            title: title.clone(),
            lines: lines.len(),
            missed: lines.iter().filter(|(_, hits)| **hits == 0).map(|(line, _)| *line).collect(),
        });
        Self { files: files.collect() }
    }

    /// How many percent of all lines with code ran; 100 if there is none.
    pub fn percent(&self) -> f64 {
        let (lines, missed) =
            self.files.iter().fold((0, 0), |(lines, missed), file| (lines + file.lines, missed + file.missed.len()));
        percent(lines, missed)
    }
}

impl Covered {
    /// How many percent of the lines with code ran; 100 if there is none.
    pub fn percent(&self) -> f64 {
        percent(self.lines, self.missed.len())
    }

    /// The lines that never ran, neighbours taken together: `12-14, 20`.
    pub fn ranges(&self) -> String {
        let mut ranges: Vec<(usize, usize)> = Vec::new();
        for line in &self.missed {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == *line => *last = *line,
                _ => ranges.push((*line, *line)),
            }
        }
        let words = ranges.into_iter().map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        });
        words.collect::<Vec<_>>().join(", ")
    }
}

fn percent(lines: usize, missed: usize) -> f64 {
    match lines {
        0 => 100.0,
        // Rounded down to tenths: what is not whole never looks so.
        _ => ((lines - missed) as f64 * 1000.0 / lines as f64).floor() / 10.0,
    }
}
