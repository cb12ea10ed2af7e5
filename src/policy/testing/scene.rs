//! The world that one case makes up: where the relay stands, what it knows, and what time it is. It holds values and
//! asks nobody.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::elsewhere::Elsewhere;
use crate::config::settings::Params;
use crate::names::Hostname;
use crate::policy::shared::{Entry, SharedError};
use crate::policy::{Jobs, Known, Moment, Place, Policy, World};
use crate::registry::{Freshness, Snapshot};
use crate::upstream::Seen;

/// When a case begins: 2026-01-01T12:00:00Z, a Thursday.
const NOON: Duration = Duration::from_secs(1_767_268_800);

/// How far the clock that never jumps is from its own beginning, so that what is that old can be told.
const PAST: Duration = Duration::from_secs(366 * 24 * 3600);

/// One case's world.
pub(super) struct Scene {
    pub(super) place: Place,
    pub(super) params: Params,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) world: Arc<World>,
    pub(super) at: Moment,
    /// What is outside of the relay.
    pub(super) elsewhere: Elsewhere,
    /// The policy in it, once it was asked, and its background work, once that ran.
    pub(super) policy: Option<Policy>,
    pub(super) jobs: Option<Jobs>,
}

impl Scene {
    /// How every case begins.
    pub(super) fn new(params: Params) -> Self {
        let snapshot = Snapshot { freshness: Freshness::Live, ..Snapshot::default() };
        Self {
            place: place(),
            params,
            snapshot: snapshot.into(),
            world: Arc::default(),
            at: Moment { wall: UNIX_EPOCH + NOON, tick: Instant::now() + PAST },
            elsewhere: Elsewhere::default(),
            policy: None,
            jobs: None,
        }
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known { snapshot: &self.snapshot, world: &self.world, at: self.at }
    }

    /// Lets `snapshot` be what is known, from a source that has been away for `age`.
    pub(super) fn learn(&mut self, snapshot: Snapshot, age: Duration) {
        let freshness = match self.at.tick.checked_sub(age) {
            Some(since) if !age.is_zero() => Freshness::StaleSince(since),
            _ => Freshness::Live,
        };
        self.snapshot = Snapshot { freshness, ..snapshot }.into();
    }

    /// Turns the clock of people, and leaves the other alone.
    pub(super) fn turn(&mut self, wall: SystemTime) {
        self.at.wall = wall;
    }

    /// Lets `time` pass.
    pub(super) fn advance(&mut self, time: Duration) {
        let Moment { wall, tick } = self.at;
        // What no clock can show never comes.
        self.at = Moment { wall: wall.checked_add(time).unwrap_or(wall), tick: tick.checked_add(time).unwrap_or(tick) };
    }

    /// Lets targets have been `seen` so.
    pub(super) fn observe(&mut self, seen: Seen) {
        self.world = World { seen, ..(*self.world).clone() }.into();
    }

    /// Puts `entry` into the shared table.
    pub(super) fn share(&self, entry: Entry) -> Result<(), SharedError> {
        self.world.shared.set(&entry.key, entry.value, entry.expires_in, self.at.tick)
    }
}

/// Where the relay of a case stands at its beginning.
pub(super) fn place() -> Place {
    #[expect(clippy::expect_used, reason = "a constant that a test parses")]
    let hostname = Hostname::parse("relay.example").expect("a host name");
    Place { zone: None, hostname }
}
