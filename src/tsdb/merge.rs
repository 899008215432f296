//! Makes few parts of many.
//!
//! While a day grows, every few spills become one part; when it is over, all its parts become one, with the denser
//! codec. So a row is written to parts three times at most, unless it comes late. Deleted rows go on the way.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{Labels, Span, Timestamp};
use crate::store::StoreError;

use super::catalogue::{Change, Durability, keys};
use super::maintain::day_range;
use super::part::{ChunkRef, Level, Part, PartSeries, PartWriter};
use super::resolve::lanes::Group;
use super::rewrite::Rewrite;
use super::store::{Store, View, Work};

/// Spilled parts of a growing day before they are merged; also late parts of a sealed day.
const FAN_IN: usize = 4;
/// How long a day is over before it is sealed: samples are usually in by then.
const SEAL_DELAY: Span = Span::HOUR;
/// Series read from a part at once.
const READ_AHEAD: u32 = 128;

/// Parts to be merged.
struct Plan {
    day: i64,
    level: Level,
    parts: Vec<Arc<Part>>,
}

/// A merge that the manifest may or may not name, since the write that names it failed. Its file and those of its parts
/// stay: which of them a restart will want is not known.
pub(super) struct UnnamedMerge {
    plan: Plan,
    merged: Option<Part>,
}

impl Store {
    /// Merges the most urgent set of parts, if any; tells how many parts went into it.
    pub(super) fn merge_one(&self, work: &mut Work, now: Timestamp) -> Result<usize, StoreError> {
        // A merge that was written and could not be named is named now, not written again.
        let (plan, merged) = match work.unnamed_merge.take() {
            Some(UnnamedMerge { plan, merged }) => (plan, merged),
            None => {
                let view = self.view.load_full();
                let sealed_before = now - (SEAL_DELAY + self.settings.spill_age);
                let Some(plan) = plan(&view, sealed_before, &work.broken_days) else { return Ok(0) };
                let number = work.next_part;
                work.next_part += 1;
                let merged = self.write_merged(&view, &plan, number).inspect_err(|error| {
                    self.remove_attempt(number);
                    if matches!(error, StoreError::Corrupt { .. }) {
                        // It would fail again for ever, and keep other days from being merged.
                        work.broken_days.insert(plan.day);
                    }
                })?;
                (plan, merged)
            }
        };
        let mut changes = vec![Change::Put(keys::NEXT_PART.to_vec(), keys::encode_number(work.next_part))];
        changes.extend(plan.parts.iter().map(|part| Change::Remove(keys::numbered(keys::PARTS, part.number()))));
        changes.extend(merged.iter().map(|part| Change::Put(keys::numbered(keys::PARTS, part.number()), Vec::new())));
        if let Err(error) = self.catalogue.write(&changes, Durability::Synced) {
            work.unnamed_merge = Some(UnnamedMerge { plan, merged });
            return Err(error);
        }
        // In and out in one step: a read sees the old parts or the new one.
        self.change_view(|view| {
            view.parts.retain(|part| !plan.parts.iter().any(|old| old.number() == part.number()));
            view.parts.extend(merged.map(Arc::new));
        });
        self.drop_parts(&plan.parts)?;
        Ok(plan.parts.len())
    }

    fn write_merged(&self, view: &View, plan: &Plan, number: u64) -> Result<Option<Part>, StoreError> {
        let replaces = plan.parts.iter().map(|part| part.number()).collect();
        let directory = self.parts_directory();
        let mut writer = PartWriter::create(&self.disk, &directory, number, plan.day, plan.level, replaces)?;
        let mut rewrite = Rewrite::new(&view.deletions, plan.level);
        let mut cursors = Vec::new();
        for (number, part) in plan.parts.iter().enumerate() {
            cursors.extend(Cursor::first(part, number)?);
        }
        while let Some(labels) = cursors.iter().map(|cursor| &cursor.labels).min().cloned() {
            let mut identity = None;
            for cursor in cursors.iter().filter(|cursor| cursor.labels == labels) {
                identity = Some(cursor.series);
                rewrite.take(cursor.part, cursor.number, cursor.series, &cursor.chunks);
            }
            let identity = identity.expect("the smallest labels are some cursor's");
            rewrite.write(&mut writer, identity.id)?;
            writer.end_series(identity.id, identity.group, &labels)?;
            let mut rest = Vec::with_capacity(cursors.len());
            for cursor in cursors {
                if cursor.labels == labels {
                    rest.extend(cursor.next()?);
                } else {
                    rest.push(cursor);
                }
            }
            cursors = rest;
        }
        writer.finish(&widest_groups(&plan.parts))?.map(|path| self.open_own(&path)).transpose()
    }
}

/// A place in a part that is being merged.
struct Cursor<'p> {
    part: &'p Arc<Part>,
    /// The part's number in the plan.
    number: usize,
    series: PartSeries,
    labels: Labels,
    chunks: Vec<ChunkRef>,
    /// The series that follow, as far as they were read.
    ahead: std::vec::IntoIter<(PartSeries, Vec<ChunkRef>)>,
}

impl<'p> Cursor<'p> {
    fn first(part: &'p Arc<Part>, number: usize) -> Result<Option<Self>, StoreError> {
        Self::at(part, number, 0, Vec::new().into_iter())
    }

    fn next(self) -> Result<Option<Self>, StoreError> {
        Self::at(self.part, self.number, self.series.ordinal + 1, self.ahead)
    }

    fn at(
        part: &'p Arc<Part>,
        number: usize,
        ordinal: u32,
        mut ahead: std::vec::IntoIter<(PartSeries, Vec<ChunkRef>)>,
    ) -> Result<Option<Self>, StoreError> {
        if ahead.len() == 0 {
            let end = part.meta().series.min(ordinal.saturating_add(READ_AHEAD));
            ahead = part.find(&(ordinal..end).collect())?.into_iter();
        }
        let Some((series, chunks)) = ahead.next() else { return Ok(None) };
        Ok(Some(Cursor { part, number, series, labels: part.labels(&series)?, chunks, ahead }))
    }
}

/// Groups only grow: of each, the parts' longest list of replicas holds all others.
fn widest_groups(parts: &[Arc<Part>]) -> Vec<Group> {
    let mut widest: Vec<Group> = Vec::new();
    for part in parts {
        for (number, group) in part.groups().iter().enumerate() {
            match widest.get_mut(number) {
                Some(known) if known.replicas.len() < group.replicas.len() => *known = group.clone(),
                Some(_) => {}
                None => widest.push(group.clone()),
            }
        }
    }
    widest
}

/// What to merge next: days that are over first, oldest first.
fn plan(view: &View, sealed_before: Timestamp, broken_days: &BTreeSet<i64>) -> Option<Plan> {
    let mut days: std::collections::BTreeMap<i64, Vec<&Arc<Part>>> = std::collections::BTreeMap::new();
    for part in view.parts.iter().filter(|part| !broken_days.contains(&part.meta().day)) {
        days.entry(part.meta().day).or_default().push(part);
    }
    let mut growing = None;
    for (day, parts) in days {
        let spilled: Vec<&Arc<Part>> =
            parts.iter().copied().filter(|part| part.meta().level == Level::Spilled).collect();
        if day_range(day).end() < sealed_before {
            let has_seal = parts.iter().any(|part| part.meta().level == Level::Sealed);
            let dirty = parts.iter().any(|part| {
                view.deletions.iter().any(|one| part.number() <= one.last_part && part.range().overlaps(one.range))
            });
            if dirty || !has_seal || parts.len() > FAN_IN {
                return Some(Plan { day, level: Level::Sealed, parts: parts.into_iter().cloned().collect() });
            }
        } else if spilled.len() >= FAN_IN && growing.is_none() {
            growing = Some(Plan { day, level: Level::Merged, parts: spilled.into_iter().cloned().collect() });
        }
    }
    growing
}
