//! Makes few parts of many.
//!
//! While a day grows, every few spills become one part; when it is over, all its parts become one, with the denser
//! codec. So a row is written to parts three times at most, unless it comes late. Deleted rows go on the way.
//!
//! A merge takes minutes, on a thread of its own and at its own pace ([`pace`](super::pace)); spills, deletions and
//! retention go on meanwhile. It holds the manifest twice, for a moment each: at the beginning, to choose its parts and
//! take its number, so that a deletion is either in the view it works by or touches what it writes; and at the end, to
//! put its part in the place of those it was made of, if all of them are still there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Labels, Span, Timestamp};
use crate::store::StoreError;

use super::catalogue::{Change, Durability, keys};
use super::context::Thinning;
use super::maintain::day_range;
use super::pace::{Brake, Pace};
use super::part::{ChunkRef, Level, Part, PartSeries, PartWriter};
use super::resolve::lanes::Group;
use super::rewrite::{LeaveOut, Rewrite};
use super::store::{Store, View};

/// Spilled parts of a growing day before they are merged; also late parts of a sealed day.
const FAN_IN: usize = 4;
/// How long a day is over before it is sealed: samples are usually in by then.
const SEAL_DELAY: Span = Span::HOUR;
/// Series read from a part at once.
const READ_AHEAD: u32 = 128;
/// How long a day whose merge failed is left alone: at first, and at most. Each failure doubles it.
const WAIT: (Span, Span) = (Span::MINUTE, Span::HOUR);

/// Parts to be merged.
struct Plan {
    day: i64,
    level: Level,
    parts: Vec<Arc<Part>>,
}

/// What one merge leaves to the next.
#[derive(Default)]
pub(super) struct Merging {
    unnamed: Option<Merge>,
    /// Days whose merge failed. It reads and writes much, its cause seldom goes within seconds, and other days can be
    /// merged meanwhile.
    waits: BTreeMap<i64, Wait>,
    /// Parts whose index is damaged. They are served as far as they can be read, and nothing is merged with them.
    broken: BTreeSet<u64>,
}

struct Wait {
    failures: u32,
    until: Timestamp,
}

/// A merge that is written and has to be named.
struct Merge {
    plan: Plan,
    number: u64,
    /// `None`: nothing was left of the parts.
    merged: Option<Arc<Part>>,
    /// Whether a write that names it has failed: the manifest may name it or not, and all files stay, since which of
    /// them a restart will want is not known.
    doubtful: bool,
}

impl Store {
    /// Merges the most urgent set of parts, if any; tells how many parts went into it.
    pub(super) fn merge_one(
        &self,
        merging: &mut Merging,
        now: Timestamp,
        pace: &dyn Pace,
    ) -> Result<usize, StoreError> {
        // A merge that was written and could not be named is named now, not written again.
        let merge = match merging.unnamed.take() {
            Some(merge) => merge,
            None => match self.write_next(merging, now, pace)? {
                Some(merge) => merge,
                None => return Ok(0),
            },
        };
        self.name_merge(merging, merge)
    }

    /// Chooses what to merge, and writes it. Nobody has heard of it when this returns.
    fn write_next(&self, merging: &mut Merging, now: Timestamp, pace: &dyn Pace) -> Result<Option<Merge>, StoreError> {
        if self.health.is_full() {
            // A merge needs room for all its rows once more.
            return Ok(None);
        }
        let sealed_before = now - (SEAL_DELAY + self.settings.spill_age);
        let waiting = merging.waiting_days(now);
        let (view, plan, number) = {
            let _manifest = self.manifest.lock();
            let mut view = View::clone(&self.view.load());
            view.parts.retain(|part| !merging.broken.contains(&part.number()));
            let Some(plan) = plan(&view, sealed_before, &waiting) else { return Ok(None) };
            (view, plan, self.numbers.take())
        };
        let mut brake = Brake::new(pace, self.settings.merge_cpu_share, &self.hurried);
        let worked = pace.worked();
        let written = self.metrics.merges.time(|| {
            let written = self.write_merged(&view, &plan, number, None, &mut brake);
            let Err(error @ StoreError::Corrupt { .. }) = written else { return written };
            self.quarantine(error)?;
            // Once more, with an eye on every chunk: what is damaged is left out, and `name_merge` puts its file aside.
            let leave_out = |error| self.quarantine(error).map(drop);
            self.write_merged(&view, &plan, number, Some(&leave_out), &mut brake)
        });
        self.metrics.merge_cpu_seconds.inc_by(pace.worked().saturating_sub(worked).as_secs_f64());
        match written {
            Ok(merged) => {
                let sums = merged.iter().map(|part| (part.meta().rows, part.bytes()));
                sums.for_each(|(rows, bytes)| {
                    self.metrics.merged_rows.inc_by(rows);
                    self.metrics.merged_bytes.inc_by(bytes);
                });
                merging.waits.remove(&plan.day);
                Ok(Some(Merge { plan, number, merged: merged.map(Arc::new), doubtful: false }))
            }
            Err(error) => {
                self.metrics.merges_given_up.inc();
                self.remove_attempt(number);
                self.numbers.close(&[number]);
                if matches!(error, StoreError::Canceled) {
                    return Ok(None);
                }
                let file = match &error {
                    StoreError::Corrupt { file, .. } => file.clone(),
                    _ => {
                        merging.failed(plan.day, now);
                        return Err(error);
                    }
                };
                // Damaged chunks are left out; this was the index of a part.
                self.quarantine(error)?;
                let broken = plan.parts.iter().filter(|part| part.path() == file).map(|part| part.number());
                merging.broken.extend(broken);
                self.write_next(merging, now, pace)
            }
        }
    }

    /// The one step that puts the merged part in the place of those it was made of.
    fn name_merge(&self, merging: &mut Merging, merge: Merge) -> Result<usize, StoreError> {
        let manifest = self.manifest.lock();
        let view = self.view.load_full();
        let named = |part: &Arc<Part>| Change::Put(keys::numbered(keys::PARTS, part.number()), Vec::new());
        let forgotten = |part: &Arc<Part>| Change::Remove(keys::numbered(keys::PARTS, part.number()));
        let left: Vec<&Arc<Part>> =
            merge.plan.parts.iter().filter(|old| view.parts.iter().any(|part| part.number() == old.number())).collect();
        let whole = left.len() == merge.plan.parts.len();
        let mut changes = self.numbers.rows(&[merge.number]).to_vec();
        if whole {
            changes.extend(merge.plan.parts.iter().map(forgotten));
            changes.extend(merge.merged.iter().map(named));
        } else {
            // Retention took some of the parts meanwhile: their rows are in the merged part as well, which must not bring
            // them back. A write that failed before may have named it all the same.
            changes.extend(left.into_iter().map(named));
            changes.extend(merge.merged.iter().map(forgotten));
        }
        if (whole || merge.doubtful)
            && let Err(error) = self.catalogue.write(&changes, Durability::Synced)
        {
            merging.unnamed = Some(Merge { doubtful: true, ..merge });
            return Err(error);
        }
        let Merge { plan, number, merged, .. } = merge;
        if !whole {
            self.metrics.merges_given_up.inc();
            self.numbers.close(&[number]);
            self.remove_attempt(number);
            return Ok(0);
        }
        // In and out in one step: a read sees the old parts or the new one.
        self.change_view(|view| {
            view.take_out(&plan.parts);
            view.parts.extend(merged.clone());
        });
        self.numbers.close(&[number]);
        drop(manifest);
        for part in &plan.parts {
            let gone = match self.damages.concern(part.path()) {
                true => self.disk.rename(part.path(), &part.path().with_extension("damaged")),
                false => self.disk.remove(part.path()),
            };
            gone.map_err(StoreError::io("remove part"))?;
        }
        Ok(plan.parts.len())
    }

    fn write_merged(
        &self,
        view: &View,
        plan: &Plan,
        number: u64,
        leave_out: Option<&LeaveOut<'_>>,
        brake: &mut Brake<'_>,
    ) -> Result<Option<Part>, StoreError> {
        let replaces = plan.parts.iter().map(|part| part.number()).collect();
        let directory = self.parts_directory();
        let mut writer = PartWriter::create(&self.disk, &directory, number, plan.day, plan.level, replaces)?;
        let beside = |part: &&Arc<Part>| (part.meta().day - plan.day).abs() == 1;
        let around = (plan.level == Level::Sealed).then(|| view.parts.iter().filter(beside).cloned().collect());
        let thinning = Thinning::new(self.resolver.orders(), &self.settings.pairs, around, &view.deletions);
        let mut rewrite = Rewrite::new(&view.deletions, plan.level, leave_out, thinning);
        let mut cursors = Vec::new();
        for (number, part) in plan.parts.iter().enumerate() {
            cursors.extend(Cursor::first(part, number)?);
        }
        while let Some(labels) = cursors.iter().map(|cursor| &cursor.labels).min().cloned() {
            brake.step()?;
            let mut identity = None;
            for cursor in cursors.iter().filter(|cursor| cursor.labels == labels) {
                identity = Some(cursor.series);
                rewrite.take(cursor.part, cursor.number, cursor.series, &cursor.chunks);
            }
            let identity = identity.expect("the smallest labels are some cursor's");
            rewrite.write(&mut writer, identity, &labels)?;
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

impl Merging {
    /// The days to be left alone for now. A wait that ends too far ahead was begun by a clock that was wrong.
    fn waiting_days(&mut self, now: Timestamp) -> BTreeSet<i64> {
        let waiting = |wait: &Wait| now < wait.until && wait.until - now <= WAIT.1;
        self.waits.iter().filter(|(_, wait)| waiting(wait)).map(|(day, _)| *day).collect()
    }

    fn failed(&mut self, day: i64, now: Timestamp) {
        let wait = self.waits.entry(day).or_insert(Wait { failures: 0, until: now });
        let length = WAIT.0.times(1 << wait.failures.min(16)).min(WAIT.1);
        *wait = Wait { failures: wait.failures + 1, until: now + length };
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
fn plan(view: &View, sealed_before: Timestamp, waiting_days: &BTreeSet<i64>) -> Option<Plan> {
    let mut days: BTreeMap<i64, Vec<&Arc<Part>>> = BTreeMap::new();
    for part in view.parts.iter().filter(|part| !waiting_days.contains(&part.meta().day)) {
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
