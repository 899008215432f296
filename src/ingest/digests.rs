//! What stands for bytes that were sent: 128 bits under a seed that nobody outside knows.
//!
//! Two things are taken for one another only if all 128 bits agree; that cannot be prepared, and happens by chance once in
//! 2^80 with ten million of them. Digests name series from request to request and are never written down.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// Makes digests; one for each process.
pub(super) struct Digests {
    seed: u64,
    /// What the members of a sequence are multiplied with, by place; all odd.
    factors: Vec<[u64; 2]>,
}

/// What stands for bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Digest(u128);

impl Digests {
    /// For sequences of up to `members_max`.
    pub(super) fn new(members_max: usize) -> Self {
        let seed = RandomState::default().hash_one(1);
        let factor = |place: usize, half: u64| xxh3_64_with_seed(&place.to_le_bytes(), seed ^ half) | 1;
        Digests { seed, factors: (0..members_max).map(|place| [factor(place, 1), factor(place, 2)]).collect() }
    }

    pub(super) fn of(&self, bytes: &[u8]) -> Digest {
        Digest(xxh3_128_with_seed(bytes, self.seed))
    }

    /// A sequence without members yet.
    pub(super) fn sequence(&self) -> Sequence<'_> {
        Sequence { factors: &self.factors, members: 0, sums: [0; 2] }
    }
}

impl Digest {
    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Digest(u128::from_le_bytes(bytes))
    }
}

/// Digests one after another, which have a digest together: in each half, their sum, each times the factor of its place.
/// Where two sequences differ, the halves of the differing members are random to whoever does not know the seed, and times
/// an odd number they stay so.
pub(super) struct Sequence<'d> {
    factors: &'d [[u64; 2]],
    members: usize,
    sums: [u64; 2],
}

impl Sequence<'_> {
    /// Adds a member; `None` where there are too many.
    #[inline]
    pub(super) fn push(&mut self, digest: Digest) -> Option<()> {
        let [low, high] = self.factors.get(self.members)?;
        self.members += 1;
        self.sums[0] = self.sums[0].wrapping_add((digest.0 as u64).wrapping_mul(*low));
        self.sums[1] = self.sums[1].wrapping_add(((digest.0 >> 64) as u64).wrapping_mul(*high));
        Some(())
    }

    pub(super) fn members(&self) -> usize {
        self.members
    }

    pub(super) fn digest(&self) -> Digest {
        Digest(u128::from(self.sums[0]) | u128::from(self.sums[1]) << 64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    proptest::proptest! {
        /// The same members in the same order, and nothing else, have the same digest.
        #[test]
        fn sequences_are_told_apart(all in proptest::collection::vec(proptest::collection::vec(0..4_u8, 0..6), 1..40)) {
            let digests = Digests::new(6);
            let mut known: HashMap<Digest, Vec<u8>> = HashMap::new();
            for members in all {
                let mut sequence = digests.sequence();
                members.iter().for_each(|member| sequence.push(digests.of(&[*member])).expect("there is room"));
                let first = known.entry(sequence.digest()).or_insert_with(|| members.clone());
                proptest::prop_assert_eq!(&*first, &members);
            }
        }
    }

    #[test]
    fn a_sequence_has_room_for_as_many_as_were_said() {
        let digests = Digests::new(2);
        let mut sequence = digests.sequence();
        assert_eq!([(); 3].map(|()| sequence.push(digests.of(b"a")).is_some()), [true, true, false]);
        assert_eq!(sequence.members(), 2);
    }
}
