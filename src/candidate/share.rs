//! Which requests a candidate decides: never by chance, so that all viewers of one build get one policy, at every
//! relay, and a greater share takes more builds and gives none back.

use crate::policy::{Request, rank};

/// Sets this order of builds apart from those that policies make by the same hash.
const SEED: u64 = u64::from_be_bytes(*b"canary\0\0");

/// Whether `request` is one of the `percent` of a hundred.
pub(super) fn takes(percent: u8, request: &Request<'_>) -> bool {
    let asked = request.uuid.map_or(request.query, |uuid| uuid.as_str());
    place(asked) < u64::from(percent)
}

/// Where among a hundred `asked` stands.
fn place(asked: &str) -> u64 {
    rank(SEED, asked.as_bytes()) % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_release_moves_a_build() {
        let builds = ["4a1c9be27f0e4c06b9d2c8f3a1e5d700", "0123456789abcdef0123456789abcdef", "zones"];
        assert_eq!(builds.map(place), [9, 22, 0]);
    }

    #[test]
    fn builds_spread_evenly() {
        let mut hits = [0; 100];
        for number in 0..100_000_u64 {
            hits[usize::try_from(place(&format!("{number:032x}"))).unwrap()] += 1;
        }
        assert!(hits.iter().all(|hits| (850..1150).contains(hits)), "{hits:?}");
    }
}
