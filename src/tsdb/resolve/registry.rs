//! Who the series are: labels to id and back, for every series in memory.
//!
//! Identity is decided by comparing labels, never by a hash. A series that is not in memory is looked for in the
//! catalogue, so that it keeps its id however long it was silent.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet, HashTable};

use crate::model::{Labels, Replica};
use crate::store::{Refused, StoreError};

use super::super::catalogue::{KeyValue, keys};
use super::super::index::Index;
use super::alias::Target;
use super::lanes::Groups;

/// A series in memory.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    /// Its labels.
    pub(crate) labels: Labels,
    /// Its HA group.
    pub(crate) group: u32,
}

/// The series in memory, their index, and the HA groups.
#[derive(Default)]
pub(crate) struct Registry {
    series: HashMap<u32, Series, FixedState>,
    by_labels: HashTable<u32>,
    hasher: FixedState,
    pub(crate) index: Index,
    pub(crate) groups: Groups,
    /// Series that the catalogue does not hold yet, or that came back from it.
    fresh: HashSet<u32, FixedState>,
    next_id: u32,
    /// Whether the catalogue may know series that are not in memory.
    some_elsewhere: bool,
}

impl Registry {
    pub(crate) fn get(&self, id: u32) -> Option<&Series> {
        self.series.get(&id)
    }

    /// How many series are in memory.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    pub(crate) fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Ids below `next` were given out before.
    pub(crate) fn raise_next_id(&mut self, next: u32) {
        self.next_id = self.next_id.max(next);
        self.some_elsewhere |= next > 0;
    }

    /// The id under these labels, if they are in memory.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        let hash = self.hasher.hash_one(labels);
        self.by_labels.find(hash, |id| self.series[id].labels == *labels).copied()
    }

    /// The series with these labels and the lane of `replica` in it; made where it is new.
    pub(crate) fn find_or_make(
        &mut self,
        labels: &Labels,
        replica: Option<&Replica>,
        catalogue: &dyn KeyValue,
        series_max: usize,
    ) -> Result<Result<Target, Refused>, StoreError> {
        let id = match self.find(labels) {
            Some(id) => id,
            None => {
                if self.series.len() >= series_max || self.next_id == u32::MAX {
                    return Ok(Err(Refused::TooManySeries { limit: series_max }));
                }
                let known = if self.some_elsewhere { find_in_catalogue(labels, catalogue)? } else { None };
                match known {
                    Some((id, group)) => {
                        self.insert(id, labels.clone(), group);
                        // The parts that named it may be gone: the log names it again, so that losing the catalogue costs
                        // no sample.
                        self.fresh.insert(id);
                        id
                    }
                    None => {
                        let group = self.groups.group_for(replica);
                        let id = self.next_id;
                        self.insert(id, labels.clone(), group);
                        self.fresh.insert(id);
                        id
                    }
                }
            }
        };
        let group = self.series[&id].group;
        Ok(Ok(Target { id, lane: self.groups.lane_for(group, replica) }))
    }

    /// Takes a series as the log names it. The catalogue may not know it yet.
    pub(crate) fn restore(&mut self, id: u32, group: u32, labels: &Labels) {
        if !self.series.contains_key(&id) {
            self.insert(id, labels.clone(), group);
            self.fresh.insert(id);
        }
    }

    /// Brings a series of the catalogue into memory; tells whether it is known there.
    pub(crate) fn recall(&mut self, id: u32, catalogue: &dyn KeyValue) -> Result<bool, StoreError> {
        if self.series.contains_key(&id) {
            return Ok(true);
        }
        let row = catalogue.get(&keys::series(id))?;
        let Some((group, labels)) = row.as_deref().and_then(keys::decode_series) else { return Ok(false) };
        self.insert(id, labels, group);
        Ok(true)
    }

    fn insert(&mut self, id: u32, labels: Labels, group: u32) {
        self.index.insert(id, &labels);
        let hash = self.hasher.hash_one(&labels);
        self.series.insert(id, Series { labels, group });
        let (series, hasher) = (&self.series, &self.hasher);
        self.by_labels.insert_unique(hash, id, |id| hasher.hash_one(&series[id].labels));
        self.next_id = self.next_id.max(id.saturating_add(1));
        let group = group as usize;
        if self.groups.all().len() <= group {
            self.groups.restore(group as u32, "", &[]);
        }
    }

    /// Drops series from memory that `keep` does not want; the catalogue still knows them. Series that it does not
    /// know yet stay.
    pub(crate) fn forget(&mut self, keep: impl Fn(u32) -> bool) -> HashSet<u32, FixedState> {
        let known = self.series.keys().copied().filter(|id| !self.fresh.contains(id));
        let idle: HashSet<u32, FixedState> = known.filter(|id| !keep(*id)).collect();
        for id in &idle {
            let Some(series) = self.series.remove(id) else { continue };
            let hash = self.hasher.hash_one(&series.labels);
            if let Ok(entry) = self.by_labels.find_entry(hash, |known| known == id) {
                entry.remove();
            }
            self.index.remove(*id, &series.labels);
        }
        self.some_elsewhere |= !idle.is_empty();
        idle
    }

    /// The series that the catalogue does not hold yet.
    pub(crate) fn fresh(&self) -> Vec<(u32, Series)> {
        self.fresh.iter().filter_map(|id| Some((*id, self.series.get(id)?.clone()))).collect()
    }

    /// Whether there are such series.
    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Whether only the log can name this series.
    pub(crate) fn is_fresh(&self, id: u32) -> bool {
        self.fresh.contains(&id)
    }

    /// The catalogue holds these now.
    pub(crate) fn catalogued(&mut self, ids: &[u32]) {
        for id in ids {
            self.fresh.remove(id);
        }
    }
}

/// The hash in the key only leads to candidates; their labels are compared.
fn find_in_catalogue(labels: &Labels, catalogue: &dyn KeyValue) -> Result<Option<(u32, u32)>, StoreError> {
    let candidates = catalogue.get(&keys::by_labels(labels))?;
    for id in candidates.as_deref().and_then(keys::decode_ids).unwrap_or_default() {
        let row = catalogue.get(&keys::series(id))?;
        if let Some((group, known)) = row.as_deref().and_then(keys::decode_series)
            && known == *labels
        {
            return Ok(Some((id, group)));
        }
    }
    Ok(None)
}
