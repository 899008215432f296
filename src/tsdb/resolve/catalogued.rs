//! Names and the catalogue: written once a round, found again when a series comes back, dropped when nothing has it.
//!
//! A series that left memory is found by its labels: a hash leads to a row ([`elsewhere`](super::elsewhere)), the row is
//! read, labels are compared. It keeps its id for as long as a part or the log has rows of it.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::Arc;

use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::model::Labels;
use crate::store::StoreError;

use super::super::catalogue::series::{self, Named, ROW_SERIES, SeriesRow};
use super::super::catalogue::{Change, Durability, KeyValue, keys};
use super::Resolver;
use super::elsewhere::{Elsewhere, row_of};
use super::lanes::encode_preferences;

/// Rows kept as they were read: series that come back come with their neighbours.
const ROWS_CACHED: usize = 8;
/// Rows that are written, or read in parallel, at once.
const ROWS_BATCH: usize = 32;
/// Rows of hashes that one scan reads: they agree in all but the last byte of their number.
const ROWS_SCANNED: u64 = 256;
/// Series of format 1 that are converted at once: they agree in all but the last two bytes of their id.
const IDS_CONVERTED: u64 = 1 << 16;

/// What a round has told the catalogue; it counts once the synced batch behind it is written.
#[derive(Debug, Default)]
pub(crate) struct Catalogued {
    ids: RoaringBitmap,
    groups: Vec<(u32, usize)>,
}

/// Rows read lately.
#[derive(Debug, Default)]
pub(super) struct Rows {
    recent: VecDeque<(u32, Arc<SeriesRow>)>,
}

fn row_key(kind: &[u8], row: u32) -> Vec<u8> {
    keys::numbered(kind, u64::from(row))
}

/// Sets both rows of a number, or takes them away where no series is left.
fn put_row(row: u32, named: &[Named], changes: &mut Vec<Change>) -> Result<(), StoreError> {
    let (names, hashes) = (row_key(keys::SERIES_ROWS, row), row_key(keys::SERIES_HASHES, row));
    if named.is_empty() {
        changes.extend([Change::Remove(names), Change::Remove(hashes)]);
    } else {
        let value = series::encode(named)?;
        changes.extend([Change::Put(names, value), Change::Put(hashes, series::encode_hashes(named))]);
    }
    Ok(())
}

/// The rows in which ids stand, with the ids.
fn by_row(ids: &RoaringBitmap) -> Vec<(u32, Vec<u32>)> {
    let mut rows: Vec<(u32, Vec<u32>)> = Vec::new();
    for id in ids {
        match rows.last_mut() {
            Some((row, ids)) if *row == row_of(id) => ids.push(id),
            _ => rows.push((row_of(id), vec![id])),
        }
    }
    rows
}

impl Resolver {
    /// Writes the series that the catalogue does not hold; with what was written come the rows that belong into the
    /// synced batch that follows: HA groups, and the id of the next series.
    ///
    /// Series go first and in pieces: alone they do no harm, and the synced batch covers them, since the catalogue keeps
    /// the order of writes.
    pub(crate) fn catalogue_names(&self, catalogue: &dyn KeyValue) -> Result<(Catalogued, Vec<Change>), StoreError> {
        let (fresh, mut changes, done) = {
            let registry = self.registry.read();
            let next = keys::encode_number(u64::from(registry.next_id()));
            let mut changes = vec![Change::Put(keys::NEXT_SERIES.to_vec(), next)];
            let groups = registry.groups.uncatalogued();
            for (number, _) in &groups {
                let group = &registry.groups.all()[*number as usize];
                let names = std::iter::once(&group.cluster).chain(&group.replicas).map(String::as_str);
                changes.push(Change::Put(row_key(keys::GROUPS, *number), keys::encode_texts(names)));
                let preferences = registry.groups.preferences(*number);
                if !preferences.is_empty() {
                    changes.push(Change::Put(row_key(keys::RANKS, *number), encode_preferences(preferences)));
                }
            }
            let ids = registry.fresh() | registry.back();
            (registry.fresh().clone(), changes, Catalogued { ids, groups })
        };
        let mut rows = Vec::new();
        for (row, ids) in by_row(&fresh) {
            self.add_to_row(row, &ids, catalogue, &mut rows)?;
            if rows.len() >= 2 * ROWS_BATCH {
                catalogue.write(&std::mem::take(&mut rows), Durability::Buffered)?;
            }
        }
        rows.append(&mut changes);
        Ok((done, rows))
    }

    /// Adds series in memory to a row. What stands there already stays: an id means the same for ever.
    fn add_to_row(
        &self,
        row: u32,
        ids: &[u32],
        catalogue: &dyn KeyValue,
        changes: &mut Vec<Change>,
    ) -> Result<(), StoreError> {
        let known = read_row(row, catalogue)?;
        let new: Vec<u32> =
            ids.iter().copied().filter(|id| known.as_ref().is_none_or(|known| !known.contains(*id))).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut named = known.map(|known| known.named()).unwrap_or_default();
        {
            let registry = self.registry.read();
            named.extend(new.iter().filter_map(|id| {
                let series = registry.get(*id)?;
                Some((*id, series.group, series.labels))
            }));
        }
        named.sort_by_key(|(id, ..)| *id);
        put_row(row, &named, changes)?;
        self.rows.lock().recent.retain(|(known, _)| *known != row);
        Ok(())
    }

    /// The batch behind [`catalogue_names`](Self::catalogue_names) is written.
    pub(crate) fn catalogued(&self, done: &Catalogued) {
        let mut registry = self.registry.write();
        registry.catalogued(&done.ids);
        registry.groups.catalogued(&done.groups);
    }

    /// Id and group of a series that is not in memory, if the catalogue has it.
    pub(super) fn find_catalogued(
        &self,
        elsewhere: &Elsewhere,
        labels: &Labels,
        catalogue: &dyn KeyValue,
    ) -> Result<Option<(u32, u32)>, StoreError> {
        let hash = series::hash_of(labels);
        let mut rows = elsewhere.rows(hash).peekable();
        if rows.peek().is_none() || self.registry.read().find(labels).is_some() {
            return Ok(None);
        }
        for row in rows {
            if let Some(found) = self.row(row, catalogue)?.and_then(|row| row.find(hash, labels)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn row(&self, number: u32, catalogue: &dyn KeyValue) -> Result<Option<Arc<SeriesRow>>, StoreError> {
        let known = self.rows.lock().recent.iter().find(|(known, _)| *known == number).map(|(_, row)| row.clone());
        if known.is_some() {
            return Ok(known);
        }
        let Some(row) = read_row(number, catalogue)?.map(Arc::new) else { return Ok(None) };
        let recent = &mut self.rows.lock().recent;
        recent.push_front((number, row.clone()));
        recent.truncate(ROWS_CACHED);
        Ok(Some(row))
    }

    /// Brings series of the catalogue into memory, many at once; tells which of them nobody knows.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    pub(crate) fn recall(&self, ids: &RoaringBitmap, catalogue: &dyn KeyValue) -> Result<RoaringBitmap, StoreError> {
        let mut missing: RoaringBitmap = {
            let registry = self.registry.read();
            ids.iter().filter(|id| !registry.contains(*id)).collect()
        };
        for batch in by_row(&missing).chunks(ROWS_BATCH) {
            let read: Vec<_> = batch.par_iter().map(|(row, _)| read_row(*row, catalogue)).collect();
            for ((_, wanted), row) in batch.iter().zip(read) {
                let Some(row) = row? else { continue };
                let mut registry = self.registry.write();
                let (mut pairs, mut wanted) = (vec![None; row.pairs()], wanted.iter().copied().peekable());
                for (id, group, list) in row.series() {
                    while wanted.next_if(|next| *next < id).is_some() {}
                    if wanted.next_if_eq(&id).is_none() {
                        continue;
                    }
                    for local in list {
                        let (name, value) = row.pair(*local);
                        pairs[*local as usize].get_or_insert_with(|| registry.index.intern(name, value));
                    }
                    registry.recall(id, group, list.iter().filter_map(|local| pairs[*local as usize]));
                    missing.remove(id);
                }
            }
        }
        Ok(missing)
    }

    /// Learns from the catalogue which series it has and memory does not.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    pub(crate) fn look_elsewhere(&self, catalogue: &dyn KeyValue) -> Result<(), StoreError> {
        let next = self.registry.read().next_id();
        let mut elsewhere = self.elsewhere.write();
        for first in (0..=u64::from(row_of(next))).step_by(ROWS_SCANNED as usize) {
            let prefix = keys::numbered(keys::SERIES_HASHES, first);
            for (key, value) in catalogue.scan(&prefix[..8])? {
                let Some(row) = keys::number_of(&key).and_then(|row| u32::try_from(row).ok()) else { continue };
                let hashes = match series::decode_hashes(&value) {
                    Some(hashes) => hashes,
                    // They can be made again from what they are beside.
                    None => {
                        let named = read_row(row, catalogue)?.map(|row| row.named()).unwrap_or_default();
                        named.iter().map(|(.., labels)| series::hash_of(labels)).collect()
                    }
                };
                hashes.into_iter().for_each(|hash| elsewhere.add(hash, row));
            }
        }
        Ok(())
    }

    /// Drops the names of series that no part names (`in_parts`) and memory does not have; tells how many. An id that
    /// was given out once is never given out again, though.
    ///
    /// # Errors
    /// Where the catalogue cannot be read or written.
    pub(crate) fn forget_retired(
        &self,
        in_parts: &RoaringBitmap,
        catalogue: &dyn KeyValue,
    ) -> Result<usize, StoreError> {
        let next = self.registry.read().next_id();
        let mut dropped = 0;
        for number in 0..=row_of(next) {
            if in_parts.range_cardinality(ids_of(number)) == u64::from(ROW_SERIES) {
                continue;
            }
            let Some(row) = read_row(number, catalogue)? else { continue };
            if row.series().all(|(id, ..)| in_parts.contains(id)) {
                continue;
            }
            // A series that comes back holds this lock until it is in memory: it is found there, or not at all.
            let mut elsewhere = self.elsewhere.write();
            let (kept, gone): (Vec<Named>, Vec<Named>) = {
                let registry = self.registry.read();
                row.named().into_iter().partition(|(id, ..)| in_parts.contains(*id) || registry.contains(*id))
            };
            if gone.is_empty() {
                continue;
            }
            let mut changes = Vec::new();
            put_row(number, &kept, &mut changes)?;
            catalogue.write(&changes, Durability::Buffered)?;
            self.rows.lock().recent.retain(|(known, _)| *known != number);
            gone.iter().for_each(|(.., labels)| elsewhere.remove(series::hash_of(labels), number));
            dropped += gone.len();
        }
        Ok(dropped)
    }
}

/// The ids of a row.
fn ids_of(row: u32) -> RangeInclusive<u32> {
    let first = row * ROW_SERIES;
    first..=first + (ROW_SERIES - 1)
}

/// A row that makes no sense names nobody: parts still have the labels, and a series that comes back gets a new id.
fn read_row(number: u32, catalogue: &dyn KeyValue) -> Result<Option<SeriesRow>, StoreError> {
    let value = catalogue.get(&row_key(keys::SERIES_ROWS, number))?;
    Ok(value.and_then(|value| SeriesRow::decode(number, &value)))
}

/// Makes rows of many series from the rows of format 1, one for each. To be called at each start: where there are none
/// it costs a look, and what a crash has interrupted goes on.
///
/// # Errors
/// Where the catalogue cannot be read or written.
pub(crate) fn convert(next_id: u64, catalogue: &dyn KeyValue) -> Result<(), StoreError> {
    for first in (0..=next_id).step_by(IDS_CONVERTED as usize) {
        let prefix = keys::numbered(keys::SERIES, first);
        let mut old: Vec<Named> = Vec::new();
        for (key, value) in catalogue.scan(&prefix[..7])? {
            let id = keys::number_of(&key).and_then(|id| u32::try_from(id).ok());
            if let (Some(id), Some((group, labels))) = (id, keys::decode_series(&value)) {
                old.push((id, group, labels));
            }
        }
        for named in old.chunk_by(|left, right| row_of(left.0) == row_of(right.0)) {
            let row = row_of(named[0].0);
            let known = read_row(row, catalogue)?;
            let mut all = known.as_ref().map(SeriesRow::named).unwrap_or_default();
            let is_new = |id: u32| known.as_ref().is_none_or(|known| !known.contains(id));
            all.extend(named.iter().filter(|(id, ..)| is_new(*id)).cloned());
            all.sort_by_key(|(id, ..)| *id);
            let mut changes = Vec::new();
            put_row(row, &all, &mut changes)?;
            for (id, _, labels) in named {
                changes.push(Change::Remove(keys::numbered(keys::SERIES, u64::from(*id))));
                changes.push(Change::Remove(keys::by_labels(labels)));
            }
            catalogue.write(&changes, Durability::Buffered)?;
        }
    }
    Ok(())
}
