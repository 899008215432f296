//! From the bytes of a key to a series, without reading them.
//!
//! A fingerprint is the 128-bit xxh3 of a key under a seed that is drawn anew for each process and mixed with the seed
//! of the batch's naming. Two different keys are taken for one another only if their lengths agree in 16 bits and they
//! collide in all 128 bits under a seed that nobody outside knows: with ten million keys the chance is below 2^-80, and
//! it cannot be prepared. A fingerprint is never written to disk, and who a *new* key means is decided by comparing labels.
//!
//! Senders repeat themselves: each alias remembers which alias followed it last time, so a steady sender costs one
//! comparison a series and no probe of the table. Where the table is asked, its own hash only leads to candidates.

use std::sync::atomic::{AtomicU32, Ordering};

use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::model::{Fingerprint, Lane};

use super::super::index::places::Places;
use super::super::index::segments::Segments;

/// Aliases kept; beyond, the oldest places are used again.
const ALIASES_MAX: usize = 16 << 20;
/// Aliases that are looked through at once, and given up at once where there are too many.
pub(crate) const SWEEP_ALIASES: u32 = 4096;
const NOBODY: u32 = u32::MAX;

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The series.
    pub(crate) id: u32,
    /// The lane of the key's replica.
    pub(crate) lane: Lane,
}

/// Keys met by this process, as many as there is room for.
pub(crate) struct Aliases {
    seed: u64,
    /// Bits of a fingerprint that the table looks at; tests let all of them collide.
    mask: u64,
    max: usize,
    known: Segments<Alias>,
    free: Vec<u32>,
    table: Places,
    /// Series that left memory, and whose aliases were not looked for yet.
    gone: RoaringBitmap,
    /// Where room is made next.
    hand: u32,
}

/// 28 bytes a key.
struct Alias {
    fingerprint: [u32; 4],
    /// The series; [`NOBODY`] in a place that is free.
    id: u32,
    /// The alias that came after this one last time.
    next: AtomicU32,
    /// The length of the key, its low 16 bits.
    key_bytes: u16,
    lane: Lane,
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

fn words(fingerprint: Fingerprint) -> [u32; 4] {
    let word = |place: u32| (fingerprint.0 >> (32 * place)) as u32;
    [word(0), word(1), word(2), word(3)]
}

impl Aliases {
    pub(crate) fn new(seed: u64) -> Self {
        Aliases {
            seed,
            mask: u64::MAX,
            max: ALIASES_MAX,
            known: Segments::default(),
            free: Vec::new(),
            table: Places::default(),
            gone: RoaringBitmap::new(),
            hand: 0,
        }
    }

    /// The table's hash of an alias.
    fn hash_of(&self, fingerprint: [u32; 4]) -> u64 {
        (u64::from(fingerprint[0]) | u64::from(fingerprint[1]) << 32) & self.mask
    }

    /// The fingerprint of a key under the seed of its naming.
    pub(crate) fn fingerprint(&self, key: &[u8], naming_seed: u64) -> Fingerprint {
        Fingerprint(xxh3_128_with_seed(key, self.seed ^ naming_seed.rotate_left(32)))
    }

    /// Who is behind a key, if it was met before.
    pub(crate) fn find(&self, walk: &mut Walk, fingerprint: Fingerprint, key_bytes: usize) -> Option<Target> {
        let fingerprint = words(fingerprint);
        let is = |place: u32| {
            let alias = &self.known[place];
            alias.fingerprint == fingerprint && alias.key_bytes == key_bytes as u16 && alias.id != NOBODY
        };
        let last = self.known.get(walk.last);
        let guess = last.map(|last| last.next.load(Ordering::Relaxed)).filter(|next| *next != NOBODY);
        let place = match guess.filter(|place| is(*place)) {
            Some(place) => place,
            None => {
                let place = self.table.find(self.hash_of(fingerprint), is)?;
                if let Some(last) = last {
                    last.next.store(place, Ordering::Relaxed);
                }
                place
            }
        };
        walk.last = place;
        let Alias { id, lane, .. } = self.known[place];
        (self.gone.is_empty() || !self.gone.contains(id)).then_some(Target { id, lane })
    }

    /// Remembers who is behind a key.
    pub(crate) fn learn(&mut self, fingerprint: Fingerprint, key_bytes: usize, target: Target) {
        if self.gone.contains(target.id) {
            // It came back before its old aliases were looked for: it is learnt when they are gone.
            return;
        }
        if self.find(&mut Walk::new(), fingerprint, key_bytes).is_some() {
            return;
        }
        if self.table.len() >= self.max {
            let first = self.hand;
            self.sweep_from(first, |_| true);
            self.hand = if (first + SWEEP_ALIASES) as usize >= self.known.len() { 0 } else { first + SWEEP_ALIASES };
        }
        let fingerprint = words(fingerprint);
        let (id, lane) = (target.id, target.lane);
        let alias = Alias { fingerprint, id, next: AtomicU32::new(NOBODY), key_bytes: key_bytes as u16, lane };
        let place = match self.free.pop() {
            Some(place) => {
                self.known[place] = alias;
                place
            }
            None => self.known.push(alias),
        };
        let hash = self.hash_of(fingerprint);
        let (known, mask) = (&self.known, self.mask);
        self.table.insert(hash, place, |place| {
            let fingerprint = known[place].fingerprint;
            (u64::from(fingerprint[0]) | u64::from(fingerprint[1]) << 32) & mask
        });
    }

    /// From now on no key leads to these series. Their aliases take room until they are [swept](Self::sweep).
    pub(crate) fn forget(&mut self, gone: &RoaringBitmap) {
        self.gone |= gone;
    }

    /// Which series' aliases are to be swept.
    pub(crate) fn gone(&self) -> RoaringBitmap {
        self.gone.clone()
    }

    /// Takes aliases of `gone` out, from a place on; tells where to go on.
    pub(crate) fn sweep(&mut self, first: u32, gone: &RoaringBitmap) -> Option<u32> {
        self.sweep_from(first, |id| gone.contains(id));
        Some(first + SWEEP_ALIASES).filter(|next| (*next as usize) < self.known.len())
    }

    fn sweep_from(&mut self, first: u32, is_gone: impl Fn(u32) -> bool) {
        let end = self.known.len().min((first + SWEEP_ALIASES) as usize) as u32;
        for place in first..end {
            let alias = &self.known[place];
            if alias.id != NOBODY && is_gone(alias.id) {
                let hash = self.hash_of(alias.fingerprint);
                self.table.remove(hash, place);
                self.known[place].id = NOBODY;
                self.free.push(place);
            }
        }
    }

    /// All aliases of `gone` are out: these series may be met again.
    pub(crate) fn swept(&mut self, gone: &RoaringBitmap) {
        self.gone -= gone;
    }

    /// How many keys are known.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Memory taken, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.known.len() * size_of::<Alias>() + self.table.heap_bytes() + 4 * self.free.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: u32) -> Target {
        Target { id, lane: Lane(0) }
    }

    fn meet(aliases: &mut Aliases, key: &[u8], id: u32) {
        let fingerprint = aliases.fingerprint(key, 1);
        aliases.learn(fingerprint, key.len(), target(id));
    }

    fn who(aliases: &Aliases, key: &[u8]) -> Option<Target> {
        aliases.find(&mut Walk::new(), aliases.fingerprint(key, 1), key.len())
    }

    #[test]
    fn a_key_is_found_with_and_without_its_predecessor() {
        assert_eq!(size_of::<Alias>(), 28);
        for mask in [u64::MAX, 0] {
            let mut aliases = Aliases { mask, ..Aliases::new(7) };
            for (id, key) in [b"one", b"two", b"six"].iter().enumerate() {
                meet(&mut aliases, *key, id as u32);
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

    #[test]
    fn no_key_leads_to_a_series_that_left_until_it_is_learnt_again() {
        let mut aliases = Aliases::new(7);
        (0..10_000_u32).for_each(|id| meet(&mut aliases, &id.to_le_bytes(), id));
        let gone: RoaringBitmap = (0..10_000).step_by(2).collect();
        aliases.forget(&gone);
        meet(&mut aliases, &0_u32.to_le_bytes(), 0);
        for id in 0..10_000_u32 {
            assert_eq!(who(&aliases, &id.to_le_bytes()), (id % 2 == 1).then(|| target(id)));
        }
        let mut next = Some(0);
        while let Some(first) = next {
            next = aliases.sweep(first, &gone);
        }
        aliases.swept(&gone);
        assert_eq!(aliases.len(), 5_000);
        (0..10_000_u32).step_by(2).for_each(|id| meet(&mut aliases, &id.to_le_bytes(), id + 10_000));
        assert_eq!(aliases.known.len(), 10_000, "places are used again");
        for id in 0..10_000_u32 {
            assert_eq!(who(&aliases, &id.to_le_bytes()), Some(target(if id % 2 == 1 { id } else { id + 10_000 })));
        }
    }

    #[test]
    fn the_oldest_keys_make_room_for_new_ones() {
        let mut aliases = Aliases { max: 10_000, ..Aliases::new(7) };
        (0..50_000_u32).for_each(|id| meet(&mut aliases, &id.to_le_bytes(), id));
        assert!(aliases.len() <= 10_000 && aliases.known.len() <= 10_000);
        assert!((49_000..50_000_u32).all(|id| who(&aliases, &id.to_le_bytes()) == Some(target(id))));
    }
}
