//! The one hash that orders and spreads: fast, the same on every machine, and no secret. Never changes: replays of old
//! decisions, and what sites spread by it, depend on every bit.

/// Where FNV-1a begins, and what it multiplies by, for 64 bits.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// A number that any two texts and any two seeds scatter differently. FNV-1a, then the finalizer of splitmix64, because
/// FNV alone hardly scatters texts that differ at their end.
pub(crate) fn rank(seed: u64, text: &[u8]) -> u64 {
    let mixed = text.iter().fold(seed ^ FNV_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME));
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_release_changes_a_rank() {
        // FNV-1a of nothing is its basis, which the finalizer of splitmix64 makes this.
        assert_eq!(rank(0, b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(rank(0, b"gw1.example"), 0xf117_a19f_c2ee_b040);
        assert_eq!(rank(7, b"gw1.example"), 0xaddc_3f9a_8054_9e35);
    }
}
