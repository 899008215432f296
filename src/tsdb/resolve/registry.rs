//! Who the series are: labels to id and back, for every series in memory.
//!
//! Labels are lists of label pairs, and each pair is kept once ([`pairs`](super::super::index::pairs)): so two series
//! are the same if their lists are. Identity is decided by that comparison, never by a hash.

use roaring::RoaringBitmap;

use crate::model::{Labels, METRIC_NAME, Replica};
use crate::store::Refused;

use super::super::bytes::put_u64;
use super::super::index::live::Live;
use super::super::index::places::{Hashing, Places};
use super::alias::Target;
use super::lanes::Groups;
use super::limits::Admission;
use super::roster::{self, Roster};

/// A series in memory, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Series {
    /// Its labels.
    pub(crate) labels: Labels,
    /// Its HA group.
    pub(crate) group: u32,
}

/// A series that left memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) id: u32,
    pub(crate) labels: Labels,
}

/// The series in memory, their index, and the HA groups.
pub(crate) struct Registry {
    pub(crate) index: Live,
    pub(crate) groups: Groups,
    roster: Roster,
    by_labels: Places,
    hashing: Hashing,
    /// Series that the catalogue does not hold yet.
    fresh: RoaringBitmap,
    /// Series that came back from the catalogue.
    back: RoaringBitmap,
    next_id: u32,
    /// The labels read last, with their pairs: the next ones share most of them.
    last: (Labels, Vec<u32>),
}

impl Registry {
    pub(crate) fn new(hashing: Hashing) -> Self {
        Registry {
            index: Live::new(hashing.clone()),
            groups: Groups::default(),
            roster: Roster::default(),
            by_labels: Places::default(),
            hashing,
            fresh: RoaringBitmap::new(),
            back: RoaringBitmap::new(),
            next_id: 0,
            last: (Labels::empty(), Vec::new()),
        }
    }

    /// A series in memory; its labels are made for the occasion.
    pub(crate) fn get(&self, id: u32) -> Option<Series> {
        let group = self.roster.group(id)?;
        let pairs = self.roster.pairs(id).map(|pair| self.index.pairs().get(pair));
        Some(Series { labels: Labels::from_sorted(pairs), group })
    }

    /// The HA group of a series in memory.
    pub(crate) fn group(&self, id: u32) -> Option<u32> {
        self.roster.group(id)
    }

    /// Whether a series is in memory.
    pub(crate) fn contains(&self, id: u32) -> bool {
        self.roster.contains(id)
    }

    /// The label pairs of a series, in the order of label names.
    pub(crate) fn pairs(&self, id: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        self.roster.pairs(id)
    }

    /// The series from `first` on, about `limit` of them; and where to go on.
    pub(crate) fn ids_from(&self, first: u32, limit: usize) -> (Vec<u32>, Option<u32>) {
        self.roster.from(first, limit)
    }

    /// How many series are in memory.
    pub(crate) fn len(&self) -> usize {
        self.roster.len()
    }

    pub(crate) fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Ids below `next` were given out before.
    pub(crate) fn raise_next_id(&mut self, next: u32) {
        self.next_id = self.next_id.max(next);
    }

    /// The id under these labels, if they are in memory.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        let mut encoded = Vec::with_capacity(64);
        for (name, value) in labels {
            put_u64(&mut encoded, u64::from(self.index.pairs().find(name, value)?));
        }
        self.find_encoded(self.hashing.of(&encoded[..]), &encoded)
    }

    fn find_encoded(&self, hash: u64, encoded: &[u8]) -> Option<u32> {
        self.by_labels.find(hash, |id| self.roster.encoded(id) == Some(encoded))
    }

    /// The pairs of these labels, encoded; new pairs are made.
    fn intern(&mut self, labels: &Labels) -> Vec<u8> {
        let (last, last_pairs) = std::mem::take(&mut self.last);
        let mut known = last.iter().zip(&last_pairs);
        let (mut encoded, mut pairs) = (Vec::with_capacity(64), Vec::with_capacity(last_pairs.len()));
        for (name, value) in labels {
            let pair = match known.next() {
                Some((same, pair)) if same == (name, value) => *pair,
                _ => self.index.intern(name, value),
            };
            put_u64(&mut encoded, u64::from(pair));
            pairs.push(pair);
        }
        self.last = (labels.clone(), pairs);
        encoded
    }

    /// The series with these labels and the lane of `replica` in it. Where it is not in memory, `known` tells its id and
    /// group in the catalogue, if it has one there; and `admission` whether there is room for it.
    pub(crate) fn find_or_make(
        &mut self,
        labels: &Labels,
        replica: Option<&Replica>,
        known: Option<(u32, u32)>,
        admission: &mut Admission,
    ) -> Result<Target, Refused> {
        let metric = || self.index.count(METRIC_NAME, labels.metric_name().unwrap_or_default());
        let refusal = admission.refusal(self.len(), metric, known.is_some());
        if let Some(refusal) = refusal {
            // Nothing new is made, not even a pair.
            let id = self.find(labels).ok_or(refusal)?;
            return Ok(self.target(id, replica));
        }
        let encoded = self.intern(labels);
        let hash = self.hashing.of(&encoded[..]);
        if let Some(id) = self.find_encoded(hash, &encoded) {
            return Ok(self.target(id, replica));
        }
        let id = match known {
            // The parts that named it may be gone: the log names it again, so that losing the catalogue costs no sample.
            Some((id, group)) => {
                self.insert(id, group, hash, &encoded);
                self.back.insert(id);
                id
            }
            None => {
                if self.next_id == u32::MAX {
                    self.unintern();
                    return Err(Refused::TooManySeries { limit: u32::MAX as usize });
                }
                admission.made();
                let (id, group) = (self.next_id, self.groups.group_for(replica));
                self.insert(id, group, hash, &encoded);
                self.fresh.insert(id);
                id
            }
        };
        Ok(self.target(id, replica))
    }

    fn target(&mut self, id: u32, replica: Option<&Replica>) -> Target {
        let group = self.roster.group(id).expect("the series was just found");
        Target { id, lane: self.groups.lane_for(group, replica) }
    }

    /// Gives up the pairs that were made last.
    fn unintern(&mut self) {
        let (_, pairs) = std::mem::take(&mut self.last);
        self.index.unuse(&pairs);
    }

    /// Takes a series as the log or a part names it. The catalogue may not know it yet.
    pub(crate) fn restore(&mut self, id: u32, group: u32, labels: &Labels) {
        if !self.contains(id) && id != u32::MAX {
            let encoded = self.intern(labels);
            self.insert(id, group, self.hashing.of(&encoded[..]), &encoded);
            self.fresh.insert(id);
        }
    }

    /// Brings a series of the catalogue into memory, by its pairs.
    pub(crate) fn recall(&mut self, id: u32, group: u32, pairs: impl Iterator<Item = u32>) {
        if !self.contains(id) && id != u32::MAX {
            let mut encoded = Vec::with_capacity(64);
            pairs.for_each(|pair| put_u64(&mut encoded, u64::from(pair)));
            self.insert(id, group, self.hashing.of(&encoded[..]), &encoded);
        }
    }

    fn insert(&mut self, id: u32, group: u32, hash: u64, encoded: &[u8]) {
        self.index.insert(id, roster::decode(encoded));
        self.roster.insert(id, group, encoded);
        let (roster, hashing) = (&self.roster, &self.hashing);
        self.by_labels.insert(hash, id, |id| hashing.of(roster.encoded(id).unwrap_or_default()));
        self.next_id = self.next_id.max(id.saturating_add(1));
        if self.groups.all().len() <= group as usize {
            self.groups.restore(group, "", &[]);
        }
    }

    /// Drops those of these series from memory that the catalogue knows and `keep` does not want.
    pub(crate) fn forget(&mut self, ids: &[u32], keep: impl Fn(u32) -> bool) -> Vec<Forgotten> {
        let mut forgotten = Vec::new();
        for id in ids.iter().copied() {
            if self.is_fresh(id) || keep(id) {
                continue;
            }
            let Some(Series { labels, .. }) = self.get(id) else { continue };
            let encoded = self.roster.encoded(id).unwrap_or_default().to_vec();
            self.by_labels.remove(self.hashing.of(&encoded[..]), id);
            self.index.remove(id, roster::decode(&encoded));
            self.roster.remove(id);
            forgotten.push(Forgotten { id, labels });
        }
        forgotten
    }

    /// Gives back what forgotten series leave behind.
    pub(crate) fn tidy(&mut self) {
        self.unintern();
        self.index.tidy();
    }

    /// The series that the catalogue does not hold yet.
    pub(crate) fn fresh(&self) -> &RoaringBitmap {
        &self.fresh
    }

    /// The series that came back from the catalogue, and that the log names until its next round.
    pub(crate) fn back(&self) -> &RoaringBitmap {
        &self.back
    }

    /// Whether there is something to be told to the catalogue.
    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty() || !self.back.is_empty()
    }

    /// Whether the log has to name this series.
    pub(crate) fn is_fresh(&self, id: u32) -> bool {
        self.fresh.contains(id) || self.back.contains(id)
    }

    /// The catalogue holds these now.
    pub(crate) fn catalogued(&mut self, ids: &RoaringBitmap) {
        self.fresh -= ids;
        self.back -= ids;
    }

    /// Memory taken, in bytes, roughly.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.index.heap_bytes() + self.roster.heap_bytes() + self.by_labels.heap_bytes()
    }
}
