//! What happens to the head while nobody waits: it is frozen, written to parts, and its log is dropped.
//!
//! The order of a spill is the whole safety argument: log cut and rows frozen under one gate; parts written, synced and
//! named; one catalogue batch that names them, raises the log floor and catalogues new series; the view swapped; and
//! only then old segments removed. A crash between any two steps leaves either the old state or the new one, and some
//! files that the next start removes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::{Column, Lane, Matcher, Span, TimeRange, Timestamp};
use crate::store::StoreError;

use super::catalogue::{Change, Durability, keys};
use super::head::{Frozen, Lanes};
use super::log::segment;
use super::part::{self, Level, Part, PartWriter};
use super::resolve::catalogued::Catalogued;
use super::rows;
use super::settings::FsyncPolicy;
use super::status::{Maintained, Status};
use super::store::{Deletion, Store, View, Work};

/// Rows of one chunk in a part from the head.
pub(super) const SPILL_CHUNK_ROWS: usize = 480;
/// Rounds to let pass after a failed merge: it reads and writes much, and its cause seldom goes within seconds.
const ROUNDS_AFTER_FAILED_MERGE: u32 = 60;
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
    /// One round of maintenance.
    pub(super) fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        let mut work = self.work.lock();
        let mut done = Maintained::default();
        if self.closed.load(Ordering::SeqCst) {
            return Ok(done);
        }
        let synced = self.sync_log_if_due(now);
        let named = self.catalogue_new_series();
        let due = self.view.load().frozen.is_some() || self.is_spill_due(now);
        let spilled = if due { self.spill(&mut work) } else { Ok((0, 0)) };
        // Whatever has failed so far: where the disk is full, only retention makes room.
        let retired = self.retire(now);
        synced?;
        named?;
        (done.spilled, done.forgotten) = spilled?;
        done.retired = retired?;
        if done.retired > 0 {
            self.forget_retired()?;
        }
        if work.rounds_without_merge > 0 {
            work.rounds_without_merge -= 1;
        } else {
            let merged = self.merge_one(&mut work, now);
            done.merged = merged.inspect_err(|_| work.rounds_without_merge = ROUNDS_AFTER_FAILED_MERGE)?;
        }
        self.show(done);
        Ok(done)
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
        let mut work = self.work.lock();
        let mut done = Maintained::default();
        if self.closed.load(Ordering::SeqCst) {
            return Ok(done);
        }
        (done.spilled, done.forgotten) = self.spill(&mut work)?;
        loop {
            match self.merge_one(&mut work, Timestamp::MAX)? {
                0 => break,
                merged => done.merged += merged,
            }
        }
        self.show(done);
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
        let since = Timestamp::from_millis(self.head_since.load(Ordering::Relaxed));
        self.head.rows() > 0
            && (now - since >= self.settings.spill_age
                || self.head.bytes() >= self.settings.head_bytes_budget
                || self.log.is_doubtful())
    }

    /// Moves the head into parts; tells how many, and how many idle series left memory.
    pub(super) fn spill(&self, work: &mut Work) -> Result<(usize, usize), StoreError> {
        let mut forgotten = 0;
        if self.view.load().frozen.is_none() {
            forgotten = self.freeze(work);
        }
        let view = self.view.load_full();
        let Some(frozen) = &view.frozen else { return Ok((0, 0)) };
        // Parts that were written and could not be named are named now, not written again.
        let parts = match work.unnamed_spill.take() {
            Some(parts) => parts,
            None => self.write_frozen(work, frozen)?,
        };
        let named = match self.commit_spill(work, &parts) {
            Ok(named) => named,
            Err(error) => {
                // A failed write says nothing about what a restart will find: the manifest may name these parts, and the
                // log may be superfluous. They stay until a write succeeds.
                work.unnamed_spill = Some(parts);
                return Err(error);
            }
        };
        let spilled = parts.len();
        self.change_view(|view| {
            view.parts.extend(parts.into_iter().map(Arc::new));
            view.frozen = None;
        });
        self.resolver.catalogued(&named);
        for number in work.log_floor..work.frozen_floor {
            self.disk.remove(&segment::path(&self.log_directory(), number)).map_err(StoreError::io("remove log"))?;
        }
        work.log_floor = work.frozen_floor;
        self.metrics.spilled.inc_by(spilled as u64);
        Ok((spilled, forgotten))
    }

    /// Writes a part for each day of the frozen head. Nobody has heard of them when this returns.
    fn write_frozen(&self, work: &mut Work, frozen: &Frozen) -> Result<Vec<Part>, StoreError> {
        let mut parts = Vec::new();
        let mut write = || -> Result<(), StoreError> {
            for (day, ids) in days_of(frozen) {
                parts.extend(self.write_day(work, frozen, day, &ids)?);
            }
            Ok(())
        };
        if let Err(error) = write() {
            // The rows stay frozen and are written again next time; leftover files would only take room.
            self.remove_attempt(work.next_part - 1);
            parts.iter().for_each(|part| drop(self.disk.remove(part.path())));
            return Err(error);
        }
        Ok(parts)
    }

    /// Cuts the log and takes the head's rows aside. Appends wait for this moment, reads do not.
    fn freeze(&self, work: &mut Work) -> usize {
        let no_append = self.gate.write();
        work.frozen_floor = self.log.cut();
        self.head_since.store(i64::MAX, Ordering::Relaxed);
        let mut frozen = None;
        self.head.freeze(|rows| {
            let rows = Arc::new(rows);
            frozen = Some(rows.clone());
            self.change_view(|view| view.frozen = Some(rows));
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
    fn write_day(&self, work: &mut Work, frozen: &Frozen, day: i64, ids: &[u32]) -> Result<Option<Part>, StoreError> {
        let number = work.next_part;
        work.next_part += 1;
        let mut ids = ids.to_vec();
        self.resolver.sort_by_labels(&mut ids);
        let groups = self.resolver.registry.read().groups.all().to_vec();
        let directory = self.parts_directory();
        let mut part = PartWriter::create(&self.disk, &directory, number, day, Level::Spilled, Vec::new())?;
        for id in ids {
            let (group, labels) = self.resolver.labels(id).expect("a series with rows in the head stays in memory");
            let lanes = tidy_lanes_of(frozen, id, day_range(day));
            part.add(id, group, &labels, &lanes, SPILL_CHUNK_ROWS)?;
        }
        part.finish(&groups)?.map(|path| self.open_own(&path)).transpose()
    }

    /// Removes what is left of a part that could not be finished.
    pub(super) fn remove_attempt(&self, number: u64) {
        // Best effort: the next start removes it all the same.
        drop(self.disk.remove(&part::temporary_path(&self.parts_directory(), number)));
    }

    /// Opens a part that was just written.
    pub(super) fn open_own(&self, path: &std::path::Path) -> Result<Part, StoreError> {
        Part::open(path).map_err(|error| match error {
            part::OpenError::Newer(error) | part::OpenError::Damaged(error) | part::OpenError::Io(error) => error,
            part::OpenError::Missing => StoreError::Corrupt {
                file: path.to_path_buf(),
                offset: 0,
                found: "no file where one was just written".into(),
            },
        })
    }

    /// The one step that makes the written parts count and their log superfluous. Tells what is catalogued with it.
    fn commit_spill(&self, work: &Work, parts: &[Part]) -> Result<Catalogued, StoreError> {
        let (named, mut changes) = self.resolver.catalogue_names(&*self.catalogue)?;
        changes.push(Change::Put(keys::NEXT_PART.to_vec(), keys::encode_number(work.next_part)));
        changes.push(Change::Put(keys::LOG_FLOOR.to_vec(), keys::encode_number(work.frozen_floor)));
        changes.extend(parts.iter().map(|part| Change::Put(keys::numbered(keys::PARTS, part.number()), Vec::new())));
        self.catalogue.write(&changes, Durability::Synced)?;
        Ok(named)
    }

    /// Deletes by spilling the head and remembering which rows of which parts are meant: later rows are not.
    pub(super) fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError> {
        let mut work = self.work.lock();
        self.spill(&mut work)?;
        if self.head.rows() > 0 {
            self.spill(&mut work)?;
        }
        let view = self.view.load_full();
        let mut ids = roaring::RoaringBitmap::new();
        for part in view.parts.iter().filter(|part| part.range().overlaps(range)) {
            let found = part.find(&super::index::evaluate(&**part, matchers)?)?;
            ids.extend(found.into_iter().map(|(series, _)| series.id));
        }
        if ids.is_empty() {
            return Ok(());
        }
        let deletion = Deletion { number: work.next_deletion, last_part: work.next_part.saturating_sub(1), ids, range };
        let row = Change::Put(keys::numbered(keys::DELETIONS, deletion.number), deletion.encode());
        self.catalogue.write(&[row], Durability::Synced)?;
        work.next_deletion += 1;
        self.change_view(|view| Arc::make_mut(&mut view.deletions).push(deletion));
        Ok(())
    }

    /// Replaces the view. Only one thread at a time does this: the one that holds `work`.
    pub(super) fn change_view(&self, change: impl FnOnce(&mut View)) {
        let mut view = View::clone(&self.view.load());
        change(&mut view);
        view.parts.sort_by_key(|part| part.number());
        self.view.store(Arc::new(view));
    }

    pub(super) fn log_directory(&self) -> PathBuf {
        self.settings.data.join("log")
    }

    pub(super) fn parts_directory(&self) -> PathBuf {
        self.settings.data.join("parts")
    }

    pub(super) fn status(&self) -> Status {
        let view = self.view.load();
        let segments = segment::list(&self.log_directory()).unwrap_or_default();
        let sizes = segments.iter().filter_map(|number| segment::path(&self.log_directory(), *number).metadata().ok());
        Status {
            series: self.resolver.series_count(),
            aliases: self.resolver.alias_count(),
            names_bytes: self.resolver.heap_bytes(),
            offenders: self.resolver.offenders(),
            head_rows: self.head.rows() + view.frozen.as_ref().map_or(0, |frozen| frozen.rows()),
            head_bytes: self.head.bytes(),
            parts: view.parts.len(),
            part_rows: view.parts.iter().map(|part| part.meta().rows).sum(),
            part_bytes: view.parts.iter().map(|part| part.bytes()).sum(),
            log_segments: segments.len(),
            log_bytes: sizes.map(|file| file.len()).sum(),
            oldest: view.parts.iter().map(|part| part.range().start()).min(),
            newest: self.newest(&view),
            recovered: self.recovered.clone(),
        }
    }

    /// The newest sample ever seen, as far as known.
    pub(super) fn newest(&self, view: &View) -> Option<Timestamp> {
        view.parts.iter().map(|part| part.range().end()).chain(self.head.newest()).max()
    }

    fn show(&self, done: Maintained) {
        let status = self.status();
        self.metrics.merged.inc_by(done.merged as u64);
        self.metrics.retired.inc_by(done.retired as u64);
        self.metrics.series.set(status.series as u64);
        self.metrics.names_bytes.set(status.names_bytes as u64);
        self.metrics.head_bytes.set(status.head_bytes as u64);
        self.metrics.parts.set(status.parts as u64);
        self.metrics.part_bytes.set(status.part_bytes);
        self.metrics.log_bytes.set(status.log_bytes);
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
