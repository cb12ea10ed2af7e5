//! How many there were and how many of these went wrong, the latest weighing most. Counts only: what wrong means is for
//! others to say.

use std::fmt;

/// So many at most weigh alike: beyond them, what came before counts half, so that a rate tells of lately.
const WINDOW: u64 = 1000;

/// How many there were, and how many went wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    total: u64,
    wrong: u64,
}

/// The same of both policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) active: Tally,
    pub(super) candidate: Tally,
}

impl Tally {
    /// `wrong` of `total`.
    pub(super) fn new(total: u64, wrong: u64) -> Self {
        Self { total, wrong: wrong.min(total) }
    }

    pub(super) fn total(self) -> u64 {
        self.total
    }

    /// Whether the rate is greater than `other`'s by more than `margin` of a hundred. Nothing is a rate of zero.
    pub(super) fn exceeds(self, other: Self, margin: u8) -> bool {
        let [total, other_total] = [self.total, other.total].map(|total| u128::from(total.max(1)));
        let [wrong, other_wrong] = [self.wrong, other.wrong].map(u128::from);
        100 * wrong * other_total > 100 * other_wrong * total + u128::from(margin) * total * other_total
    }

    fn add(&mut self, more: Self) {
        self.total += more.total;
        self.wrong += more.wrong;
        while self.total > WINDOW {
            self.total /= 2;
            self.wrong /= 2;
        }
    }
}

impl Pair {
    /// One stream that the candidate decided, or that it did not.
    pub(super) fn of_stream(by_candidate: bool, failed: bool) -> Self {
        let one = Tally::new(1, u64::from(failed));
        if by_candidate { Self { candidate: one, ..Self::default() } } else { Self { active: one, ..Self::default() } }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.active.add(more.active);
        self.candidate.add(more.candidate);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.wrong, self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_exceeds_another_by_more_than_the_margin() {
        let clean = Tally::new(100, 0);
        assert!(!Tally::new(100, 5).exceeds(clean, 5) && Tally::new(100, 6).exceeds(clean, 5));
        assert!(!Tally::new(20, 3).exceeds(Tally::new(40, 4), 5) && Tally::new(20, 4).exceeds(Tally::new(40, 4), 5));
        assert!(Tally::new(20, 2).exceeds(Tally::default(), 5), "who did nothing did nothing wrong");
        assert!(!Tally::default().exceeds(Tally::default(), 0));
        assert!(!Tally::new(9, 9).exceeds(clean, 100), "no rate exceeds another by all of a hundred");
    }

    #[test]
    fn what_is_long_past_weighs_little() {
        let mut tally = Tally::default();
        tally.add(Tally::new(1_000_000, 0));
        (0..200).for_each(|_| tally.add(Tally::new(1, 1)));
        assert!(tally.exceeds(Tally::default(), 15), "{tally}");
        assert!(tally.total() <= WINDOW);
    }
}
