//! What happens to the head while nobody waits: it is frozen, written to parts, and its log is dropped.
//!
//! The order of a spill is the whole safety argument: log cut and rows frozen under one gate; parts written, synced and
//! named; one catalogue batch that names them, raises the log floor and catalogues new series; the view swapped; and
//! only then old segments removed. A crash between any two steps leaves either the old state or the new one, and some
//! files that the next start removes.
//!
//! A merge goes on meanwhile, on another thread. The two share three things: numbers of parts, given out one by one
//! ([`numbers`](super::numbers)); the manifest, where the batch of each names only its own parts, one batch at a time;
//! and the view, which each changes by what it did and no more. So either may end first, or fail, or be cut short.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::{Column, Lane, Span, TimeRange, Timestamp};
use crate::store::StoreError;

use super::catalogue::{Change, Durability, keys};
use super::context::Thinning;
use super::head::{Frozen, Lanes};
use super::log::segment;
use super::merge::Merging;
use super::pace::{Pace, Unpaced};
use super::part::{self, Level, Part, PartWriter};
use super::resolve::catalogued::Catalogued;
use super::rows;
use super::settings::FsyncPolicy;
use super::status::Maintained;
use super::store::{Spilling, Store};

/// Rows of one chunk in a part from the head.
pub(super) const SPILL_CHUNK_ROWS: usize = 480;
/// Lanes with fewer rows are thinned by a merge, with more to go by.
const WORTH_THINNING: usize = 4;
/// Series of a part that are listed at once.
const LISTED_AT_ONCE: usize = 8192;
/// Idle series that leave memory while appends wait.
const FORGOTTEN_AT_ONCE: usize = 4096;

/// The first and last instant of a UTC day.
pub(super) fn day_range(day: i64) -> TimeRange {
    let start = Timestamp::from_millis(day.saturating_mul(Span::DAY.as_millis()));
    TimeRange::new(start, start + (Span::DAY - Span::from_millis(1))).expect("a day has a length")
}

impl Store {
    /// One round of all but merging.
    pub(super) fn tend(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        let mut spilling = self.spilling.lock();
        let mut done = Maintained::default();
        if self.closed.load(Ordering::SeqCst) {
            return Ok(done);
        }
        self.look_at_disk();
        let synced = self.sync_log_if_due(now);
        let named = self.catalogue_new_series();
        let exemplars = self.save_exemplars();
        let due = self.view.load().frozen.is_some() || self.is_spill_due(now);
        let spilled = if due { self.metrics.spills.time(|| self.spill(&mut spilling)) } else { Ok((0, 0)) };
        // Whatever has failed so far: where the disk is full, only retention makes room.
        let retired = self.retire(now);
        self.show();
        synced?;
        named?;
        exemplars?;
        (done.spilled, done.forgotten) = spilled?;
        done.retired = retired?;
        if done.retired > 0 {
            self.forget_retired()?;
        }
        Ok(done)
    }

    /// Merges what is most urgent, if anything is; tells how many parts went into it.
    pub(super) fn merge(&self, now: Timestamp, pace: &dyn Pace) -> Result<usize, StoreError> {
        self.merge_if_open(&mut self.merging.lock(), now, pace)
    }

    fn merge_if_open(&self, merging: &mut Merging, now: Timestamp, pace: &dyn Pace) -> Result<usize, StoreError> {
        if self.closed.load(Ordering::SeqCst) {
            return Ok(0);
        }
        let merged = self.merge_one(merging, now, pace)?;
        if merged > 0 {
            self.metrics.merged.inc_by(merged as u64);
            self.show();
        }
        Ok(merged)
    }

    /// Names that only retired parts had go with them.
    fn forget_retired(&self) -> Result<usize, StoreError> {
        let mut in_parts = roaring::RoaringBitmap::new();
        for part in &self.view.load().parts {
            for first in (0..part.meta().series).step_by(LISTED_AT_ONCE) {
                let end = part.meta().series.min(first + LISTED_AT_ONCE as u32);
                let found = part.find(&(first..end).collect())?;
                in_parts.extend(found.into_iter().map(|(series, _)| series.id));
            }
        }
        self.resolver.forget_retired(&in_parts, &*self.catalogue)
    }

    /// Spills the head, then merges and seals every day as if it were over.
    pub(super) fn settle(&self) -> Result<Maintained, StoreError> {
        let mut done = Maintained::default();
        if self.closed.load(Ordering::SeqCst) {
            return Ok(done);
        }
        self.takes_writes()?;
        (done.spilled, done.forgotten) = self.metrics.spills.time(|| self.spill(&mut self.spilling.lock()))?;
        self.hurried.fetch_add(1, Ordering::Relaxed);
        let mut merging = self.merging.lock();
        self.hurried.fetch_sub(1, Ordering::Relaxed);
        loop {
            match self.merge_if_open(&mut merging, Timestamp::MAX, &Unpaced)? {
                0 => break,
                merged => done.merged += merged,
            }
        }
        Ok(done)
    }

    /// Takes new series into the catalogue, durably. Until then each segment of the log that uses one has to name it;
    /// so this happens every round, or a burst of new series would be named again in each of many segments.
    fn catalogue_new_series(&self) -> Result<(), StoreError> {
        if !self.resolver.registry.read().has_fresh() {
            return Ok(());
        }
        let (named, changes) = self.resolver.catalogue_names(&*self.catalogue)?;
        self.catalogue.write(&changes, Durability::Synced)?;
        self.resolver.catalogued(&named);
        Ok(())
    }

    /// Gives the catalogue the exemplars that came since the last round.
    fn save_exemplars(&self) -> Result<(), StoreError> {
        let changes = self.exemplars.lock().save();
        if changes.is_empty() {
            return Ok(());
        }
        self.catalogue.write(&changes, Durability::Buffered)
    }

    /// Syncs the log where the policy is an interval and it has passed, or the clock was set back.
    pub(super) fn sync_log_if_due(&self, now: Timestamp) -> Result<(), StoreError> {
        let FsyncPolicy::Interval(interval) = self.settings.fsync else { return Ok(()) };
        let since = now - Timestamp::from_millis(self.log_synced_at.load(Ordering::Relaxed));
        if (Span::ZERO..interval).contains(&since) {
            return Ok(());
        }
        self.log.sync()?;
        self.log_synced_at.store(now.as_millis(), Ordering::Relaxed);
        Ok(())
    }

    fn is_spill_due(&self, now: Timestamp) -> bool {
        if self.head.rows() == 0 {
            return false;
        }
        // Where the clock was set back, age is counted from now on.
        let since = self.head_since.fetch_min(now.as_millis(), Ordering::Relaxed).min(now.as_millis());
        let since = Timestamp::from_millis(since);
        now - since >= self.settings.spill_age
            || self.head.bytes() >= self.settings.head_bytes_budget
            || self.log.is_doubtful()
    }

    /// Moves the head into parts; tells how many, and how many idle series left memory.
    pub(super) fn spill(&self, spilling: &mut Spilling) -> Result<(usize, usize), StoreError> {
        let mut forgotten = 0;
        if self.view.load().frozen.is_none() {
            forgotten = self.freeze(spilling);
        }
        let view = self.view.load_full();
        let Some(frozen) = &view.frozen else { return Ok((0, 0)) };
        // Parts that were written and could not be named are named now, not written again.
        let parts = match spilling.unnamed.take() {
            Some(parts) => parts,
            None => self.write_frozen(frozen)?,
        };
        let numbers: Vec<u64> = parts.iter().map(Part::number).collect();
        let manifest = self.manifest.lock();
        let named = match self.commit_spill(spilling, &numbers) {
            Ok(named) => named,
            Err(error) => {
                // A failed write says nothing about what a restart will find: the manifest may name these parts, and the
                // log may be superfluous. They stay until a write succeeds.
                spilling.unnamed = Some(parts);
                return Err(error);
            }
        };
        let parts: Vec<Arc<Part>> = parts.into_iter().map(Arc::new).collect();
        self.change_view(|view| {
            view.parts.extend(parts.iter().cloned());
            view.frozen = None;
        });
        self.numbers.close(&numbers);
        drop(manifest);
        self.resolver.catalogued(&named);
        for number in spilling.log_floor..spilling.frozen_floor {
            self.disk.remove(&segment::path(&self.log_directory(), number)).map_err(StoreError::io("remove log"))?;
        }
        spilling.log_floor = spilling.frozen_floor;
        self.metrics.spilled.inc_by(parts.len() as u64);
        self.metrics.spilled_rows.inc_by(parts.iter().map(|part| part.meta().rows).sum());
        self.metrics.spilled_bytes.inc_by(parts.iter().map(|part| part.bytes()).sum());
        Ok((parts.len(), forgotten))
    }

    /// Moves everything that was inserted before this call into parts.
    pub(super) fn spill_all(&self, spilling: &mut Spilling) -> Result<(), StoreError> {
        let was_frozen = self.view.load().frozen.is_some();
        self.spill(spilling)?;
        if was_frozen {
            // That was what an earlier attempt had left.
            self.spill(spilling)?;
        }
        Ok(())
    }

    /// Writes a part for each day of the frozen head. Nobody has heard of them when this returns.
    fn write_frozen(&self, frozen: &Frozen) -> Result<Vec<Part>, StoreError> {
        let (mut parts, mut numbers) = (Vec::new(), Vec::new());
        let mut write = || -> Result<(), StoreError> {
            for (day, ids) in days_of(frozen) {
                numbers.push(self.numbers.take());
                parts.extend(self.write_day(numbers[numbers.len() - 1], frozen, day, &ids)?);
            }
            Ok(())
        };
        let written = write();
        let empty = |number: &u64| written.is_err() || !parts.iter().any(|part: &Part| part.number() == *number);
        let given_up: Vec<u64> = numbers.iter().copied().filter(empty).collect();
        // After a failure the rows stay frozen and are written again next time; leftover files would only take room.
        given_up.iter().for_each(|number| self.remove_attempt(*number));
        self.numbers.close(&given_up);
        written.map(|()| parts)
    }

    /// Cuts the log and takes the head's rows aside. Appends wait for this moment, reads do not.
    fn freeze(&self, spilling: &mut Spilling) -> usize {
        let no_append = self.gate.write();
        spilling.frozen_floor = self.log.cut();
        self.head_since.store(i64::MAX, Ordering::Relaxed);
        let mut frozen = None;
        self.head.freeze(|rows| {
            let rows = Arc::new(rows);
            frozen = Some(rows.clone());
            self.change_view(|view| view.frozen = Some(rows.clone()));
        });
        drop(no_append);
        self.forget_idle(&frozen.expect("freeze publishes once"))
    }

    /// Series without a row since the freeze before this one leave memory; the catalogue knows them.
    fn forget_idle(&self, frozen: &Frozen) -> usize {
        let has_rows = |id| frozen.overlaps(id, TimeRange::ALL) || self.head.overlaps(id, TimeRange::ALL);
        let idle = self.resolver.idle(has_rows);
        let mut forgotten = 0;
        for ids in idle.chunks(FORGOTTEN_AT_ONCE) {
            // An append that has found a series and not yet inserted its rows is waited for.
            let _no_append = self.gate.write();
            forgotten += self.resolver.forget(ids, has_rows);
        }
        if forgotten > 0 {
            self.resolver.forgotten();
        }
        forgotten
    }

    /// One part with the rows of one day.
    fn write_day(&self, number: u64, frozen: &Frozen, day: i64, ids: &[u32]) -> Result<Option<Part>, StoreError> {
        let mut ids = ids.to_vec();
        self.resolver.sort_by_labels(&mut ids);
        let groups = self.resolver.registry.read().groups.all().to_vec();
        let directory = self.parts_directory();
        let mut part = PartWriter::create(&self.disk, &directory, number, day, Level::Spilled, Vec::new())?;
        let thinning = Thinning::new(self.resolver.orders(), &self.settings.pairs, None, &[]);
        for id in ids {
            let (group, labels) = self.resolver.labels(id).expect("a series with rows in the head stays in memory");
            let mut lanes = tidy_lanes_of(frozen, id, day_range(day));
            if lanes.len() > 1
                && lanes.iter().all(|(_, column)| column.len() > WORTH_THINNING)
                && let Some((rules, turns)) = thinning.applies(group, &labels)
            {
                let covered = thinning.thin(id, &mut lanes, &rules, turns)?;
                self.metrics.covered.inc_by(covered as u64);
            }
            part.add(id, group, &labels, &lanes, SPILL_CHUNK_ROWS)?;
        }
        part.finish(&groups)?.map(|path| self.open_own(&path)).transpose()
    }

    /// Removes what is left of a part that could not be finished, and that no manifest can name.
    pub(super) fn remove_attempt(&self, number: u64) {
        // Best effort: the next start removes it all the same.
        let directory = self.parts_directory();
        drop(self.disk.remove(&part::temporary_path(&directory, number)));
        drop(self.disk.remove(&part::path(&directory, number)));
    }

    /// Opens a part that was just written.
    pub(super) fn open_own(&self, path: &std::path::Path) -> Result<Part, StoreError> {
        Part::open(path, &self.kept).map_err(|error| match error {
            part::OpenError::Newer(error) | part::OpenError::Damaged(error) | part::OpenError::Io(error) => error,
            part::OpenError::Missing => StoreError::Corrupt {
                file: path.to_path_buf(),
                offset: 0,
                found: "no file where one was just written".into(),
            },
        })
    }

    /// The one step that makes the written parts count and their log superfluous. Tells what is catalogued with it.
    fn commit_spill(&self, spilling: &Spilling, parts: &[u64]) -> Result<Catalogued, StoreError> {
        let (named, mut changes) = self.resolver.catalogue_names(&*self.catalogue)?;
        changes.extend(self.numbers.rows(parts));
        changes.push(Change::Put(keys::LOG_FLOOR.to_vec(), keys::encode_number(spilling.frozen_floor)));
        changes.extend(parts.iter().map(|number| Change::Put(keys::numbered(keys::PARTS, *number), Vec::new())));
        self.catalogue.write(&changes, Durability::Synced)?;
        Ok(named)
    }

    pub(super) fn log_directory(&self) -> PathBuf {
        self.settings.data.join("log")
    }

    pub(super) fn parts_directory(&self) -> PathBuf {
        self.settings.data.join("parts")
    }
}

/// Which series have rows on which day.
fn days_of(frozen: &Frozen) -> BTreeMap<i64, Vec<u32>> {
    let mut days: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (id, range) in frozen.series() {
        if range.start().day() == range.end().day() {
            days.entry(range.start().day()).or_default().push(id);
            continue;
        }
        let mut lanes = Lanes::new();
        frozen.read(id, range, &mut lanes);
        let mut own: Vec<i64> = lanes.iter().flat_map(|(_, column)| column.at.iter().map(|at| at.day())).collect();
        own.sort_unstable();
        own.dedup();
        own.into_iter().for_each(|day| days.entry(day).or_default().push(id));
    }
    days
}

fn tidy_lanes_of(frozen: &Frozen, id: u32, range: TimeRange) -> Vec<(Lane, Column)> {
    let mut lanes = Lanes::new();
    frozen.read(id, range, &mut lanes);
    for (_, column) in &mut lanes {
        rows::tidy(column);
        rows::clip(column, range);
    }
    lanes
}
