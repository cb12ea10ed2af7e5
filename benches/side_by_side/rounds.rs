//! Rounds: each peer does the same work once in every round, so that whatever else the machine does falls on all of
//! them alike.

use std::time::Duration;

use crate::peers::{Peer, Running};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Rounds of each work.
    pub rounds: usize,
    /// What amounts of work are divided by.
    pub divisor: u32,
}

/// What each peer did in each round.
pub type Samples<T = f64> = Vec<(Peer, Vec<T>)>;

impl Pace {
    /// Seven rounds of everything.
    pub fn full() -> Self {
        Self { rounds: 7, divisor: 1 }
    }

    /// One round of an eighth.
    pub fn quick() -> Self {
        Self { rounds: 1, divisor: 8 }
    }

    /// How long something goes on that takes `whole` at the full pace.
    pub fn time(&self, whole: Duration) -> Duration {
        whole / self.divisor
    }

    /// Does `work` with all of `running` in every round, after one round that nobody counts. Who goes first
    /// changes from round to round, and so does who comes after whom.
    pub async fn interleave<T>(&self, running: &[Running], mut work: impl AsyncFnMut(&Running) -> T) -> Samples<T> {
        let mut samples: Samples<T> = running.iter().map(|running| (running.peer, Vec::new())).collect();
        let turns = (0..=self.rounds).flat_map(|round| (0..running.len()).map(move |turn| (round, turn)));
        for (round, turn) in turns {
            let step = if round % 2 == 0 { turn } else { running.len() - turn };
            let at = (round + step) % running.len();
            let figure = work(&running[at]).await;
            if round > 0 {
                samples[at].1.push(figure);
            }
        }
        samples
    }
}

/// What peers add to [`Peer::Direct`], round by round; its own figures stay.
pub fn added_to_direct(mut samples: Samples) -> Samples {
    let direct = samples.iter().find(|(peer, _)| *peer == Peer::Direct).expect("a peer of this work").1.clone();
    for (_, figures) in samples.iter_mut().filter(|(peer, _)| *peer != Peer::Direct) {
        figures.iter_mut().zip(&direct).for_each(|(figure, direct)| *figure -= direct);
    }
    samples
}

/// The middle of `figures`.
pub fn median(figures: &[f64]) -> f64 {
    quantile(figures, 0.5)
}

/// The value that a `share` of `figures` does not exceed.
pub fn quantile(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = (last as f64 * share).round() as usize;
    sorted[at]
}
