//! A policy on trial beside the one that decides, and how it may win the relay over.

use std::time::Duration;

use super::Policy;

/// A policy on trial beside the one that decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its scripts, and what they may use, settled: nothing is left to be looked up in the active one's. It has no
    /// candidate itself.
    pub policy: Box<Policy>,
    /// How many requests it decides.
    pub canary: Canary,
}

/// How many of the requests a candidate decides, from when on, and what ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// Of a hundred requests, at the beginning; with 0 it only decides beside the active policy, without effect.
    pub percent: u8,
    /// What it grows to, one after the other: each greater than the one before, and than `percent`. It stays at the
    /// last.
    pub steps: Vec<u8>,
    /// Shortest time between two of them.
    pub step_every: Duration,
    /// What takes all of them away.
    pub rollback: Rollback,
}

/// What takes a candidate's requests away, and how much must be seen before anything is concluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rollback {
    /// Of a hundred decisions, so many more than the active policy's may be errors.
    pub errors: u8,
    /// Of a hundred streams, so many more than the active policy's may fail.
    pub failures: u8,
    /// Fewest decisions, and fewest streams that ended, from which anything is concluded.
    pub min_streams: u32,
}

impl Default for Canary {
    fn default() -> Self {
        Self { percent: 0, steps: Vec::new(), step_every: Duration::from_secs(600), rollback: Rollback::default() }
    }
}

impl Default for Rollback {
    fn default() -> Self {
        Self { errors: 5, failures: 5, min_streams: 20 }
    }
}
