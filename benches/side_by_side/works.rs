//! What is done with the peers, a file for each kind of work. A work says what it measures and what is asked of it.

mod bulk;
mod first_byte;
mod idle;
mod lines;
mod mirror;
mod reload;
mod short;
mod start;

use crate::rounds::Pace;
use crate::site::Site;
use crate::table::Row;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// One large log, as fast as it goes.
    Bulk,
    /// Four at once.
    Four,
    /// One over TLS towards the viewer.
    Tls,
    /// One through two zones.
    TwoHops,
    /// Short logs, many at a time.
    Short,
    /// The same over TLS.
    ShortTls,
    /// The first byte of a short log, one at a time.
    FirstByte,
    /// Lines of many running builds, as they are written.
    Lines,
    /// Memory of viewers that wait.
    Idle,
    /// A registry of a hundred thousand builds: start and memory.
    Start,
    /// How far the registry's mirror is behind Zuul.
    Mirror,
    /// A policy's reload under lines of many builds.
    Reload,
}

impl Work {
    /// In the order of the table.
    pub const ALL: [Self; 12] = [
        Self::Bulk,
        Self::Four,
        Self::Tls,
        Self::TwoHops,
        Self::Short,
        Self::ShortTls,
        Self::FirstByte,
        Self::Lines,
        Self::Idle,
        Self::Start,
        Self::Mirror,
        Self::Reload,
    ];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Four => "bulk-four",
            Self::Tls => "bulk-tls",
            Self::TwoHops => "bulk-two-hops",
            Self::Short => "short",
            Self::ShortTls => "short-tls",
            Self::FirstByte => "first-byte",
            Self::Lines => "lines",
            Self::Idle => "idle",
            Self::Start => "start",
            Self::Mirror => "mirror",
            Self::Reload => "reload",
        }
    }

    /// Does it, with all peers that can.
    pub async fn measure(self, site: &Site, pace: &Pace) -> Vec<Row> {
        match self {
            Self::Bulk => bulk::ONE.measure(site, pace).await,
            Self::Four => bulk::FOUR.measure(site, pace).await,
            Self::Tls => bulk::TLS.measure(site, pace).await,
            Self::TwoHops => bulk::TWO_HOPS.measure(site, pace).await,
            Self::Short => short::plain(site, pace).await,
            Self::ShortTls => short::tls(site, pace).await,
            Self::FirstByte => first_byte::measure(site, pace).await,
            Self::Lines => lines::measure(site, pace).await,
            Self::Idle => idle::measure(site, pace).await,
            Self::Start => start::measure(site, pace).await,
            Self::Mirror => mirror::measure(site, pace).await,
            Self::Reload => reload::measure(site, pace).await,
        }
    }
}
