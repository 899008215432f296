//! What was read of open parts a moment ago: blocks, and what was made of them. All parts of a store share one bounded
//! number of bytes, so that a dashboard finds its day in memory, however many other days are open.
//!
//! Parts never change, so nothing here is ever wrong; what is left of a part that is gone is pushed out by what comes.
//! Room is made by the clock algorithm (Corbató, 1968): a hand goes round and takes the first thing that was not used
//! since it last came by.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::directory::DirectoryBlock;
use super::labels::LabelsBlock;

/// Bytes of blocks as they stand in files.
const BLOCKS_BYTES: usize = 16 << 20;
/// Bytes of decoded blocks of directories.
const DIRECTORY_BYTES: usize = 16 << 20;
/// Bytes of decoded blocks of labels.
const LABELS_BYTES: usize = 16 << 20;
/// Bytes of decoded values: eight million of them.
const VALUES_BYTES: usize = 64 << 20;
/// Locks of each kind, so that readers seldom meet.
const SHARDS: usize = 16;
/// Keys that a shard remembers to have met once.
const MET: usize = 2048;
/// No thing may take more than one of so many bytes of its shard.
const SHARE_MAX: usize = 8;

/// Which thing of which part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// As [`Kept::part`] gave it out.
    pub(super) part: u64,
    /// Where it stands in the file.
    pub(super) offset: u64,
    /// Which piece of what stands there.
    pub(super) piece: u32,
}

/// What all parts of a store keep in memory, by kind.
pub(crate) struct Kept {
    parts: AtomicU64,
    pub(super) blocks: Cache<[u8]>,
    pub(super) directory: Cache<DirectoryBlock>,
    pub(super) labels: Cache<LabelsBlock>,
    pub(super) values: Cache<[f64]>,
}

impl Default for Kept {
    fn default() -> Self {
        Kept {
            parts: AtomicU64::new(0),
            blocks: Cache::new(BLOCKS_BYTES),
            directory: Cache::new(DIRECTORY_BYTES),
            labels: Cache::new(LABELS_BYTES),
            values: Cache::new(VALUES_BYTES),
        }
    }
}

impl Kept {
    /// A number for a part that is being opened. The part's own would not do: a file may be opened again.
    pub(super) fn part(&self) -> u64 {
        self.parts.fetch_add(1, Ordering::Relaxed)
    }
}

/// Things of one kind in a bounded number of bytes.
pub(super) struct Cache<T: ?Sized> {
    shards: Box<[Mutex<Shard<T>>]>,
    shard_bytes_max: usize,
}

struct Shard<T: ?Sized> {
    /// Where in `slots` a thing stands.
    places: HashMap<Key, usize, FixedState>,
    slots: Vec<Slot<T>>,
    /// Where the hand of the clock stands.
    hand: usize,
    bytes: usize,
    /// Hashes of keys that were met and are not here, each in a place of its own.
    met: Box<[u32]>,
}

struct Slot<T: ?Sized> {
    key: Key,
    thing: Arc<T>,
    bytes: usize,
    /// Since the hand last came by.
    used: bool,
}

impl<T: ?Sized> Cache<T> {
    fn new(bytes_max: usize) -> Self {
        let shard = || {
            Mutex::new(Shard {
                places: HashMap::default(),
                slots: Vec::new(),
                hand: 0,
                bytes: 0,
                met: vec![0; MET].into(),
            })
        };
        Cache { shards: (0..SHARDS).map(|_| shard()).collect(), shard_bytes_max: bytes_max / SHARDS }
    }

    fn shard(&self, hash: u64) -> &Mutex<Shard<T>> {
        // The upper bits: the map uses the lower ones.
        &self.shards[(hash >> 40) as usize % SHARDS]
    }

    pub(super) fn get(&self, key: Key) -> Option<Arc<T>> {
        let mut shard = self.shard(hash(key)).lock();
        let place = *shard.places.get(&key)?;
        let slot = &mut shard.slots[place];
        slot.used = true;
        Some(slot.thing.clone())
    }

    /// As [`get`](Self::get); where it is not here, whether it is worth making to be kept: that is when it was asked for
    /// before, so that what is read once, by a query of a year, pushes nothing out.
    pub(super) fn get_or_wish(&self, key: Key) -> Result<Arc<T>, bool> {
        let hash = hash(key);
        let mut shard = self.shard(hash).lock();
        if let Some(place) = shard.places.get(&key).copied() {
            let slot = &mut shard.slots[place];
            slot.used = true;
            return Ok(slot.thing.clone());
        }
        let (mark, met) = ((hash >> 32) as u32, &mut shard.met[hash as usize % MET]);
        Err(std::mem::replace(met, mark) == mark)
    }

    /// A thing by its key; `make` makes it, and tells its bytes, where it is not here. Two that miss it at once both do.
    pub(super) fn get_or_make<E>(
        &self,
        key: Key,
        make: impl FnOnce() -> Result<(Arc<T>, usize), E>,
    ) -> Result<Arc<T>, E> {
        if let Some(thing) = self.get(key) {
            return Ok(thing);
        }
        let (thing, bytes) = make()?;
        self.keep(key, &thing, bytes);
        Ok(thing)
    }

    /// Keeps a thing of so many bytes, if it is not too large; others go for it.
    pub(super) fn keep(&self, key: Key, thing: &Arc<T>, bytes: usize) {
        let bytes = bytes + size_of::<Slot<T>>() + size_of::<(Key, usize)>();
        if bytes > self.shard_bytes_max / SHARE_MAX {
            return;
        }
        let shard = &mut *self.shard(hash(key)).lock();
        if shard.places.contains_key(&key) {
            return;
        }
        while shard.bytes + bytes > self.shard_bytes_max {
            shard.drop_one();
        }
        shard.places.insert(key, shard.slots.len());
        shard.slots.push(Slot { key, thing: thing.clone(), bytes, used: false });
        shard.bytes += bytes;
    }
}

impl<T: ?Sized> Shard<T> {
    fn drop_one(&mut self) {
        loop {
            self.hand = if self.hand < self.slots.len() { self.hand } else { 0 };
            if !std::mem::take(&mut self.slots[self.hand].used) {
                break;
            }
            self.hand += 1;
        }
        let gone = self.slots.swap_remove(self.hand);
        self.places.remove(&gone.key);
        self.bytes -= gone.bytes;
        if let Some(moved) = self.slots.get(self.hand) {
            self.places.insert(moved.key, self.hand);
        }
    }
}

fn hash(key: Key) -> u64 {
    FixedState::default().hash_one(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(offset: u64) -> Key {
        Key { part: 1, offset, piece: 0 }
    }

    fn keep(cache: &Cache<[u8]>, offset: u64, bytes: usize) {
        cache.keep(key(offset), &vec![offset as u8; bytes].into(), bytes);
    }

    fn held(cache: &Cache<[u8]>) -> usize {
        cache.shards.iter().map(|shard| shard.lock().slots.iter().map(|slot| slot.thing.len()).sum::<usize>()).sum()
    }

    #[test]
    fn what_is_kept_is_found_by_its_whole_key_until_room_is_needed() {
        let cache = Cache::new(1 << 20);
        (0..10_000).for_each(|offset| keep(&cache, offset, 1000));
        assert!((1 << 19..1 << 20).contains(&held(&cache)), "{} bytes", held(&cache));
        let found: Vec<u64> = (0..10_000).filter(|offset| cache.get(key(*offset)).is_some()).collect();
        assert!(found.iter().all(|offset| cache.get(key(*offset)).is_some_and(|thing| thing[0] == *offset as u8)));
        assert!(found.len() > 500 && cache.get(Key { piece: 1, ..key(found[0]) }).is_none());
    }

    #[test]
    fn what_is_used_outlives_what_is_not() {
        let cache = Cache::new(1 << 20);
        (0..100).for_each(|offset| keep(&cache, offset, 1000));
        for offset in 100..10_000 {
            (0..100).for_each(|used| assert!(cache.get(key(used)).is_some(), "{used} is gone at {offset}"));
            keep(&cache, offset, 1000);
        }
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let cache = Cache::new(1 << 20);
        keep(&cache, 7, 100_000);
        assert!(cache.get(key(7)).is_none() && held(&cache) == 0);
    }

    #[test]
    fn the_second_wish_is_worth_fulfilling() {
        let cache: Cache<[u8]> = Cache::new(1 << 20);
        assert_eq!(cache.get_or_wish(key(3)), Err(false));
        assert_eq!(cache.get_or_wish(key(3)), Err(true));
        keep(&cache, 3, 10);
        assert!(cache.get_or_wish(key(3)).is_ok());
    }
}
