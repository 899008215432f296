//! A hash table of places that never stops the world to grow.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Tables that share the work: each grows alone, so that the longest growth moves a thousandth of all places.
const SHARDS: usize = 1024;

/// Places (4 bytes each) by hash. What a place stands for is the owner's: who looks something up compares there.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    shards: Box<[HashTable<u32>]>,
    len: usize,
}

/// Hashes for places. Nothing that they decide is visible outside: equal things are told apart by comparing them.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    state: FixedState,
    /// All ones; tests let everything collide.
    mask: u64,
}

impl Hashing {
    pub(crate) fn new(seed: u64) -> Self {
        Hashing { state: FixedState::with_seed(seed), mask: u64::MAX }
    }

    /// Hashes of which only the bits in `mask` differ.
    #[cfg(test)]
    pub(crate) fn colliding(mask: u64) -> Self {
        Hashing { state: FixedState::default(), mask }
    }

    pub(crate) fn of(&self, what: impl Hash) -> u64 {
        self.state.hash_one(what) & self.mask
    }
}

impl Default for Places {
    fn default() -> Self {
        Places { shards: (0..SHARDS).map(|_| HashTable::new()).collect(), len: 0 }
    }
}

/// The table looks at the lowest and the highest bits of a hash; these are between.
fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

impl Places {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The place under `hash` that `is` the one.
    pub(crate) fn find(&self, hash: u64, mut is: impl FnMut(u32) -> bool) -> Option<u32> {
        self.shards[shard_of(hash)].find(hash, |place| is(*place)).copied()
    }

    /// Adds a place that is not there; `hash_of` tells the hash of any other.
    pub(crate) fn insert(&mut self, hash: u64, place: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[shard_of(hash)].insert_unique(hash, place, |place| hash_of(*place));
        self.len += 1;
    }

    /// Takes a place out; tells whether it was there.
    pub(crate) fn remove(&mut self, hash: u64, place: u32) -> bool {
        let found = self.shards[shard_of(hash)].find_entry(hash, |known| *known == place);
        let found = found.map(|entry| entry.remove()).is_ok();
        self.len -= usize::from(found);
        found
    }

    /// Memory taken, in bytes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.allocation_size()).sum::<usize>() + SHARDS * size_of::<HashTable<u32>>()
    }
}
