//! The index of the series in memory: pairs, and which series carry each.

use roaring::RoaringBitmap;

use crate::store::StoreError;

use super::Postings;
use super::lists::Lists;
use super::pairs::Pairs;
use super::places::Hashing;

/// Pairs that no series carries any more are taken out when they are this many, and an eighth of all.
const UNUSED_PAIRS_MIN: usize = 1024;

/// Pairs by number, and the ids of each.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    all: RoaringBitmap,
    pairs: Pairs,
    lists: Lists,
    /// Pairs whose last series went; some may have one again.
    unused: Vec<u32>,
}

impl Live {
    pub(crate) fn new(hashing: Hashing) -> Self {
        Live { all: RoaringBitmap::new(), pairs: Pairs::new(hashing), lists: Lists::default(), unused: Vec::new() }
    }

    /// Label pairs by number.
    pub(crate) fn pairs(&self) -> &Pairs {
        &self.pairs
    }

    /// The number of a pair, which stays for as long as a series carries it. One that no series will carry after all
    /// has to be given to [`unuse`](Self::unuse).
    pub(crate) fn intern(&mut self, name: &str, value: &str) -> u32 {
        self.pairs.intern(name, value).0
    }

    /// Takes back what [`intern`](Self::intern) gave, where nothing came of it.
    pub(crate) fn unuse(&mut self, pairs: &[u32]) {
        self.unused.extend(pairs.iter().filter(|pair| self.lists.count(**pair) == 0));
    }

    /// How many series carry a pair.
    pub(crate) fn count(&self, name: &str, value: &str) -> u64 {
        self.pairs.find(name, value).map_or(0, |pair| self.lists.count(pair))
    }

    /// Adds a series that is not there.
    pub(crate) fn insert(&mut self, id: u32, pairs: impl IntoIterator<Item = u32>) {
        self.all.insert(id);
        pairs.into_iter().for_each(|pair| self.lists.insert(pair, id));
    }

    /// Takes a series out.
    pub(crate) fn remove(&mut self, id: u32, pairs: impl IntoIterator<Item = u32>) {
        self.all.remove(id);
        for pair in pairs {
            self.lists.remove(pair, id);
            if self.lists.count(pair) == 0 {
                self.unused.push(pair);
            }
        }
    }

    /// Takes out the pairs that no series carries, once they are many.
    pub(crate) fn tidy(&mut self) {
        if self.unused.len() >= UNUSED_PAIRS_MIN.max(self.pairs.len() / 8) {
            self.remove_unused();
        }
    }

    pub(super) fn remove_unused(&mut self) {
        let mut unused = std::mem::take(&mut self.unused);
        unused.sort_unstable();
        unused.dedup();
        unused.retain(|pair| self.lists.count(*pair) == 0);
        self.pairs.remove(&unused);
    }

    /// Memory taken, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.pairs.heap_bytes() + self.lists.heap_bytes() + self.all.serialized_size()
    }
}

impl Postings for Live {
    fn all(&self) -> Result<RoaringBitmap, StoreError> {
        Ok(self.all.clone())
    }

    fn width(&self, name: &str, value: &str) -> u64 {
        self.count(name, value)
    }

    fn with_value(&self, name: &str, value: &str) -> Result<RoaringBitmap, StoreError> {
        Ok(self.pairs.find(name, value).map(|pair| self.lists.get(pair)).unwrap_or_default())
    }

    fn narrow(&self, ids: RoaringBitmap, name: &str, value: &str) -> Result<RoaringBitmap, StoreError> {
        Ok(self.pairs.find(name, value).map(|pair| self.lists.narrow(ids, pair)).unwrap_or_default())
    }

    fn with_any(&self, name: &str, values: &[Box<str>]) -> Result<RoaringBitmap, StoreError> {
        let lists: Vec<u32> = values.iter().filter_map(|value| self.pairs.find(name, value)).collect();
        Ok(self.lists.union(&lists))
    }

    fn with_values(
        &self,
        name: &str,
        prefix: &str,
        passes: &dyn Fn(&str) -> bool,
    ) -> Result<RoaringBitmap, StoreError> {
        let mut lists = Vec::new();
        self.pairs.each(name, prefix, |pair, value| {
            if passes(value) {
                lists.push(pair);
            }
        });
        Ok(self.lists.union(&lists))
    }
}
