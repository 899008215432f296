//! From the bytes of a key to a series, without reading them.
//!
//! A fingerprint is the 128-bit xxh3 of a key under a seed that is drawn anew for each process and mixed with the seed
//! of the batch's naming. Two different keys are taken for one another only if they have the same length and collide
//! in all 128 bits under a seed that nobody outside knows: with ten million keys the chance is below 2^-80, and it
//! cannot be prepared. A fingerprint is never written to disk, and who a *new* key means is decided by comparing labels.
//!
//! Senders repeat themselves: each alias remembers which alias followed it last time, so a steady sender costs one
//! comparison a series and no probe of the table.

use std::sync::atomic::{AtomicU32, Ordering};

use foldhash::fast::FixedState;
use hashbrown::{HashSet, HashTable};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::model::{Fingerprint, Lane};

/// Aliases kept; beyond, all are forgotten and learnt again.
const ALIASES_MAX: usize = 16 << 20;
const NOBODY: u32 = u32::MAX;

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The series.
    pub(crate) id: u32,
    /// The lane of the key's replica.
    pub(crate) lane: Lane,
}

/// All keys met by this process.
#[derive(Default)]
pub(crate) struct Aliases {
    seed: u64,
    known: Vec<Alias>,
    table: HashTable<u32>,
}

struct Alias {
    fingerprint: Fingerprint,
    key_bytes: u32,
    target: Target,
    /// The alias that came after this one last time.
    next: AtomicU32,
}

/// Walks along a request, from each alias to its successor.
pub(crate) struct Walk {
    last: u32,
}

impl Walk {
    pub(crate) fn new() -> Self {
        Walk { last: NOBODY }
    }
}

impl Aliases {
    pub(crate) fn new(seed: u64) -> Self {
        Aliases { seed, ..Aliases::default() }
    }

    /// The fingerprint of a key under the seed of its naming.
    pub(crate) fn fingerprint(&self, key: &[u8], naming_seed: u64) -> Fingerprint {
        Fingerprint(xxh3_128_with_seed(key, self.seed ^ naming_seed.rotate_left(32)))
    }

    /// Who is behind a key, if it was met before.
    pub(crate) fn find(&self, walk: &mut Walk, fingerprint: Fingerprint, key_bytes: usize) -> Option<Target> {
        let is = |place: &u32| {
            let alias = &self.known[*place as usize];
            alias.fingerprint == fingerprint && alias.key_bytes as usize == key_bytes
        };
        let last = self.known.get(walk.last as usize);
        let guess = last.map(|last| last.next.load(Ordering::Relaxed)).filter(|next| *next != NOBODY);
        let place = match guess.filter(is) {
            Some(place) => place,
            None => {
                let place = *self.table.find(fingerprint.0 as u64, is)?;
                if let Some(last) = last {
                    last.next.store(place, Ordering::Relaxed);
                }
                place
            }
        };
        walk.last = place;
        Some(self.known[place as usize].target)
    }

    /// Remembers who is behind a key.
    pub(crate) fn learn(&mut self, fingerprint: Fingerprint, key_bytes: usize, target: Target) {
        if self.known.len() >= ALIASES_MAX {
            self.forget_all();
        }
        if self.find(&mut Walk::new(), fingerprint, key_bytes).is_some() {
            return;
        }
        let place = self.known.len() as u32;
        let key_bytes = key_bytes as u32;
        self.known.push(Alias { fingerprint, key_bytes, target, next: AtomicU32::new(NOBODY) });
        let known = &self.known;
        self.table.insert_unique(fingerprint.0 as u64, place, |place| known[*place as usize].fingerprint.0 as u64);
    }

    /// Forgets every key: they are learnt again when they come.
    fn forget_all(&mut self) {
        self.known = Vec::new();
        self.table = HashTable::new();
    }

    /// Forgets the keys that lead to series which left memory.
    pub(crate) fn forget(&mut self, gone: &HashSet<u32, FixedState>) {
        let known = std::mem::take(&mut self.known);
        self.forget_all();
        for alias in known.into_iter().filter(|alias| !gone.contains(&alias.target.id)) {
            self.learn(alias.fingerprint, alias.key_bytes as usize, alias.target);
        }
    }

    /// How many keys are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_with_and_without_its_predecessor() {
        let mut aliases = Aliases::new(7);
        let target = |id| Target { id, lane: Lane(0) };
        for (id, key) in [b"one", b"two", b"six"].iter().enumerate() {
            let fingerprint = aliases.fingerprint(*key, 1);
            aliases.learn(fingerprint, 3, target(id as u32));
        }
        for _ in 0..2 {
            let mut walk = Walk::new();
            for (id, key) in [b"one", b"two", b"six"].iter().enumerate() {
                let found = aliases.find(&mut walk, aliases.fingerprint(*key, 1), 3);
                assert_eq!(found, Some(target(id as u32)));
            }
        }
        let mut walk = Walk::new();
        assert_eq!(aliases.find(&mut walk, aliases.fingerprint(b"one", 2), 3), None, "another naming, another key");
        assert_eq!(aliases.find(&mut walk, aliases.fingerprint(b"one", 1), 4), None, "another length, another key");
    }
}
