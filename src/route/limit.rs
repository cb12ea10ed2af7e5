//! A time that a policy sets. It can hold only what every clock and every timer of the relay can count.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time limit that a policy set, from 1 ms to 24 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "f64", try_from = "f64")]
pub struct Limit(Duration);

/// A time that cannot be a limit.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} s is no time limit: it must be from 0.001 s to {max} s, which is 24 days", max = Limit::MAX.as_secs())]
pub struct BadLimit(f64);

impl Limit {
    /// Shortest limit: timers count milliseconds.
    pub const MIN: Duration = Duration::from_millis(1);

    /// Longest limit, the same as that of every duration in the configuration.
    pub const MAX: Duration = Duration::from_secs(24 * 24 * 3600);

    /// Takes `time` if it is from [`Self::MIN`] to [`Self::MAX`].
    ///
    /// # Errors
    /// [`BadLimit`] if it is not: a limit of zero would end everything, and none at all is said by setting none.
    pub fn new(time: Duration) -> Result<Self, BadLimit> {
        if (Self::MIN..=Self::MAX).contains(&time) { Ok(Self(time)) } else { Err(BadLimit(time.as_secs_f64())) }
    }

    /// Takes a number of seconds, as scripts write times.
    ///
    /// # Errors
    /// [`BadLimit`] as for [`Self::new`], and for what is no time at all: negative, infinite, not a number.
    pub fn seconds(seconds: f64) -> Result<Self, BadLimit> {
        Self::new(Duration::try_from_secs_f64(seconds).map_err(|_| BadLimit(seconds))?)
    }

    /// The time.
    pub fn get(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_timers_can_count_are_taken() {
        assert_eq!(Limit::seconds(1.5).unwrap().get(), Duration::from_millis(1500));
        for good in [Limit::MIN, Limit::MAX] {
            assert_eq!(Limit::new(good).unwrap().get(), good);
        }
    }

    #[test]
    fn everything_else_is_refused_in_words() {
        for bad in [0.0, 0.000_9, -1.0, 2_073_600.5, 1e300, f64::INFINITY, f64::NAN] {
            let said = Limit::seconds(bad).unwrap_err().to_string();
            let expected = format!("{bad} s is no time limit: it must be from 0.001 s to 2073600 s, which is 24 days");
            assert_eq!(said, expected);
        }
    }
}
