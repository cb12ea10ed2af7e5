//! The order in which the targets of a route are tried, as its maker's options say. The same request, of the same build
//! and with the same seed, gets the same order while the same is seen of its targets. An order never leaves one out.

use std::sync::Arc;
use std::time::Duration;

use mlua::{Lua, Table, Value};

use super::seen;
use crate::policy::World;
use crate::policy::call;
use crate::policy::description::{Name, Phase, Type, name};
use crate::policy::rank::rank;
use crate::registry::State;
use crate::route::{Tags, Target};

pub(super) const ORDER: Name = name(
    "order",
    Type::Optional(&Type::Word(&["given", "random", "weighted", "least_streams", "round_trip", "hash"])),
    "Which comes first: given, as they stand, unless said otherwise; random; weighted, by chance as weights say; \
     least_streams, who carries the fewest streams of this relay; round_trip, the nearest, but first of all whoever was \
     never dialled, to be measured; hash, always the same for one build, and when one goes only its builds go elsewhere. \
     In every order but given, gateways in a better state come before others.",
);

pub(super) const WEIGHTS: Name = name(
    "weights",
    Type::Optional(&Type::List(&Type::Number)),
    "With order = \"weighted\", a number for each, in their places: who has twice the number of another comes first twice \
     as often, and who has 0 after all others.",
);

/// In which order choices are tried.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    /// As they stand.
    Given,
    Random,
    /// By chance, as these numbers say, one for each choice.
    Weighted(Vec<f64>),
    LeastStreams,
    RoundTrip,
    /// By the build.
    Hash,
}

/// One of several that are put in order.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    /// What it says of itself. No order but the given one puts one that is stopped before one that runs.
    pub(super) state: State,
    /// What it comes to, of which the first stands for it; none if it cannot be dialled.
    pub(super) targets: Vec<Target>,
    pub(super) tags: Tags,
}

/// All that an order may depend on beside the choices.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    seed: u64,
    affinity: u64,
    world: Arc<World>,
}

impl Basis {
    /// The request that is decided now; `None` if none is.
    fn of(lua: &Lua) -> Option<Self> {
        let held = call::held(lua).filter(|_| call::phase(lua) == Phase::Deciding)?;
        Some(Self { seed: call::seed(lua), affinity: call::affinity(lua), world: held.world })
    }
}

impl Order {
    /// The order that `options` ask for, of `count` things called `what`.
    pub(super) fn read(options: &Value, what: &str, count: usize) -> Result<Self, String> {
        let Value::Table(options) = options else { return Ok(Self::Given) };
        let word = options.raw_get::<Option<String>>(ORDER.name).ok().flatten();
        let weights = options.raw_get::<Option<Table>>(WEIGHTS.name).ok().flatten();
        match (word.as_deref(), weights) {
            (Some("weighted"), Some(weights)) => self::weights(&weights, what, count).map(Self::Weighted),
            (Some("weighted"), None) => {
                Err(format!("order \"weighted\" needs weights, a list with a number for each of the {what}"))
            }
            (_, Some(_)) => Err("weights are for order = \"weighted\" only".to_owned()),
            (Some("random"), None) => Ok(Self::Random),
            (Some("least_streams"), None) => Ok(Self::LeastStreams),
            (Some("round_trip"), None) => Ok(Self::RoundTrip),
            (Some("hash"), None) => Ok(Self::Hash),
            _ => Ok(Self::Given),
        }
    }

    /// Puts `choices` in this order, for the request that `lua` decides.
    pub(super) fn arrange(&self, lua: &Lua, choices: Vec<Choice>) -> Result<Vec<Choice>, String> {
        match Basis::of(lua) {
            _ if *self == Self::Given => Ok(choices),
            Some(basis) => Ok(self.sorted(choices, &basis)),
            None => {
                let word = self.word();
                Err(format!("order \"{word}\" is another for each request; make the route in route(request)"))
            }
        }
    }

    fn sorted(&self, choices: Vec<Choice>, basis: &Basis) -> Vec<Choice> {
        let placed = choices.into_iter().enumerate();
        let mut keyed: Vec<_> =
            placed.map(|(place, choice)| ((choice.state, self.key(place, &choice, basis)), choice)).collect();
        keyed.sort_by_key(|(key, _)| *key);
        keyed.into_iter().map(|(_, choice)| choice).collect()
    }

    /// What the choice at `place` is sorted by, and by what among equals.
    fn key(&self, place: usize, choice: &Choice, basis: &Basis) -> (u64, u64) {
        let Some(target) = choice.targets.first() else { return (0, 0) };
        let address = address(target);
        let seen = || seen::noted(&basis.world, target);
        // Of its place too: two choices may begin with one target, and each has a chance of its own.
        let chance = rank(rank(basis.seed, &(place as u64).to_le_bytes()), address.as_bytes());
        match self {
            Self::Given => (place as u64, 0),
            Self::Random => (chance, 0),
            Self::Weighted(weights) => (lot(weights.get(place).copied().unwrap_or_default(), chance), chance),
            Self::LeastStreams => (seen().map_or(0, |seen| u64::from(seen.open_streams)), chance),
            Self::RoundTrip => (seen().map_or(0, |seen| distance(seen.round_trip)), chance),
            // Nothing of chance, not even among equals.
            Self::Hash => (rank(basis.affinity, address.as_bytes()), place as u64),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Random => "random",
            Self::Weighted(_) => "weighted",
            Self::LeastStreams => "least_streams",
            Self::RoundTrip => "round_trip",
            Self::Hash => "hash",
        }
    }
}

/// Where a target is, the same on every relay and for as long as it is there: a gateway that registers again gets
/// another id.
fn address(target: &Target) -> String {
    let Target { host, port, .. } = target;
    match &target.server_name {
        Some(name) => format!("{host}:{port}/{name}"),
        None => format!("{host}:{port}"),
    }
}

/// Sorted by lots, each choice comes first with the probability that its weight is of all (Efraimidis and Spirakis,
/// 2006).
fn lot(weight: f64, chance: u64) -> u64 {
    const STEPS: f64 = (1_u64 << 52) as f64;
    if weight == 0.0 {
        return u64::MAX;
    }
    // Between 0 and 1, and neither.
    let even = ((chance >> 12) as f64 + 0.5) / STEPS;
    // Numbers that are not negative are in the order of their bits.
    (-even.ln() / weight).to_bits()
}

/// Nobody is nearer than who was never dialled, nor farther than who was and could not be measured.
fn distance(round_trip: Option<Duration>) -> u64 {
    round_trip.map_or(u64::MAX, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn weights(list: &Table, what: &str, count: usize) -> Result<Vec<f64>, String> {
    let given = list.raw_len();
    if given != count {
        return Err(format!(
            "weights must have a number for each of the {count} {what}, in their places, and has {given}"
        ));
    }
    let weights: Vec<f64> = (1..=given).map(|place| list.raw_get(place).unwrap_or(f64::NAN)).collect();
    let bad = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0);
    match bad.and_then(|place| Some((place + 1, weights.get(place)?))) {
        Some((place, weight)) => Err(format!("weights: number {place} is {weight}; a weight is 0 or more, and finite")),
        None if weights.iter().all(|weight| *weight == 0.0) => {
            Err("weights: all are 0; at least one must be more".to_owned())
        }
        None => Ok(weights),
    }
}

#[cfg(test)]
mod tests;
