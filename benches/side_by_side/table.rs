//! The table: medians, ratios, and whether they are what was asked for. As Markdown for people, as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::peers::Peer;
use crate::rounds::{Pace, Samples, median};

/// One kind of work, and what came out of it.
#[derive(Debug)]
pub struct Row {
    /// What was done, in a few words.
    pub work: String,
    /// What a figure counts: `MiB/s`, `KiB` …
    pub unit: &'static str,
    /// Every peer's figures, Fingerpost's among them.
    pub samples: Samples,
    /// What Fingerpost has to reach.
    pub targets: Vec<Target>,
}

/// What Fingerpost has to reach.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At least so many times what a peer does.
    Times(f64, Peer),
    /// At most so many times what a peer takes.
    Share(f64, Peer),
    /// At most so much.
    AtMost(f64),
}

impl Row {
    fn median(&self, peer: Peer) -> Option<f64> {
        let (_, figures) = self.samples.iter().find(|(sampled, _)| *sampled == peer)?;
        (!figures.is_empty()).then(|| median(figures))
    }

    fn own(&self) -> f64 {
        self.median(Peer::Fingerpost).expect("Fingerpost is in every row")
    }

    /// What a target says, and whether it is met; a ratio is that of medians. `None` where the other peer was left out.
    fn verdict(&self, target: Target) -> Option<(String, bool)> {
        let own = self.own();
        match target {
            Target::Times(times, peer) => {
                let ratio = own / self.median(peer)?;
                Some((format!("{ratio:.2} × {peer} (≥ {times})"), ratio >= times))
            }
            Target::Share(share, peer) => {
                let other = self.median(peer)?;
                // What is added to `direct` is less than nothing where that one was slow by chance.
                let words = if own.min(other) > 0.0 {
                    format!("{:.2} × {peer} (≤ {share})", own / other)
                } else {
                    format!("{} beside {} of {peer} (≤ {share})", short(own), short(other))
                };
                Some((words, own <= share * other))
            }
            Target::AtMost(limit) => Some((format!("{} (≤ {limit})", short(own)), own <= limit)),
        }
    }

    fn markdown(&self, peers: &[Peer]) -> String {
        let mut line = format!("| {} | {} |", self.work, self.unit);
        for peer in peers {
            let cell = self.median(*peer).map_or_else(|| "–".to_owned(), short);
            let _ = write!(line, " {cell} |");
        }
        let verdicts = self.targets.iter().filter_map(|target| self.verdict(*target));
        let verdicts = verdicts.map(|(text, met)| if met { text } else { format!("**{text}: missed**") });
        let before = self.median(Peer::Before).map(|before| format!("{:.2} × before", self.own() / before));
        let verdicts = verdicts.chain(before);
        let _ = write!(line, " {} |", verdicts.collect::<Vec<_>>().join("; "));
        line
    }

    fn json(&self) -> Value {
        let peers = self.samples.iter().filter(|(_, figures)| !figures.is_empty()).map(|(peer, figures)| {
            let value = json!({"median": median(figures), "rounds": figures});
            (peer.to_string(), value)
        });
        let verdicts = self.targets.iter().filter_map(|target| self.verdict(*target));
        let targets = verdicts.map(|(text, met)| json!({"target": text, "met": met}));
        let (peers, targets): (serde_json::Map<_, _>, Vec<_>) = (peers.collect(), targets.collect());
        json!({"work": self.work, "unit": self.unit, "peers": peers, "targets": targets})
    }
}

/// The whole table.
pub fn markdown(rows: &[Row]) -> String {
    let measured = |peer: &Peer| rows.iter().any(|row| row.median(*peer).is_some());
    let peers: Vec<_> = Peer::ALL.into_iter().filter(measured).collect();
    let names: Vec<_> = peers.iter().map(ToString::to_string).collect();
    let rule = "---:|".repeat(peers.len());
    let head = format!("| work | unit | {} | Fingerpost's ratios (asked) |\n|---|---|{rule}---|", names.join(" | "));
    let lines = rows.iter().map(|row| row.markdown(&peers));
    [head].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}

/// The same with the figures of every round.
pub fn json(rows: &[Row], pace: &Pace) -> String {
    let rows: Vec<_> = rows.iter().map(Row::json).collect();
    format!("{:#}\n", json!({"rounds": pace.rounds, "divisor": pace.divisor, "rows": rows}))
}

/// Three digits that matter.
fn short(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        middle if middle >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}
