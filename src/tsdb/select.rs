//! The read path: matchers to series, series to rows.
//!
//! A select asks the index of the series in memory and the index inside each part that overlaps the range, and unites
//! what they find by id. Rows are read later, series by series: from the parts that were found, from the frozen head,
//! and from the head; then each lane is tidied, and lanes are merged.
//!
//! Rows move from head to frozen head to part to merged part. Reads look in that order, and each move makes the new
//! place visible before it empties the old one, so a read finds a row in one of them, or in two, which is as good.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::RwLockReadGuard;
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use crate::ha::{self, MergeRules};
use crate::model::{Column, Labels, Lane, Matcher, Span, TimeRange};
use crate::store::{
    ExemplarSeries, LaneView, MetricMetadata, ReadSamples, SampleSource, SelectedSeries, SeriesSet, StoreError,
    Warnings,
};

use super::head::{Lanes, lane_of};
use super::index::evaluate;
use super::part::{ChunkRef, Part};
use super::projected;
use super::resolve::LOOKED_AT_ONCE;
use super::resolve::registry::Series;
use super::rows;
use super::store::{Store, View};

/// How far around the range rows are looked at where lanes have to be merged: what a lane did just outside decides
/// about rows just inside.
const MERGE_MARGIN: Span = Span::HOUR;

/// A store seen through a choice of lanes.
pub(super) struct Seen {
    store: Arc<Store>,
    lanes: LaneView,
}

/// A series that a select found.
struct Found {
    labels: Labels,
    group: u32,
    pieces: SmallVec<[Piece; 1]>,
    /// Whether a row may lie inside the range, as far as first and last times tell.
    hopeful: bool,
}

/// What a select found. Each place that series are found in gives them in the order of labels: in the end they stand in
/// few sorted runs.
#[derive(Default)]
struct FoundSeries {
    all: Vec<(u32, Found)>,
    /// Where in `all` a series stands.
    places: HashMap<u32, usize, FixedState>,
}

/// What was found, by id and mostly in the order of labels, and the view that it was found in.
type FoundInView = (Arc<View>, Vec<(u32, Found)>);

/// The chunks of one series in one part.
pub(super) struct Piece {
    pub(super) part: Arc<Part>,
    pub(super) chunks: SmallVec<[ChunkRef; 1]>,
}

impl Store {
    pub(super) fn seen_through(self: &Arc<Self>, lanes: LaneView) -> Seen {
        Seen { store: self.clone(), lanes }
    }

    /// Every series that satisfies the matchers and may have rows inside `range`, and the view they were found in.
    /// Parts whose index is damaged are left out with a warning.
    fn find(&self, matchers: &[Matcher], range: TimeRange, warnings: &Warnings) -> Result<FoundInView, StoreError> {
        let wide = widen(range);
        let mut ids = evaluate(&self.resolver.registry.read().index, matchers)?;
        // Without the registry's lock: new series wait for it, and appends behind them.
        let in_head: RoaringBitmap = ids.iter().filter(|id| self.head.overlaps(*id, range)).collect();
        // After the head, never before: see the note on moving rows above.
        let view = self.view.load_full();
        ids = match &view.frozen {
            Some(frozen) => ids.iter().filter(|id| in_head.contains(*id) || frozen.overlaps(*id, range)).collect(),
            None => in_head,
        };
        let mut found = self.found_in_memory(ids.iter().collect());
        for part in view.parts.iter().filter(|part| part.range().overlaps(wide)) {
            if let Err(error) = find_in(part, matchers, range, wide, &mut found) {
                warnings.add(self.quarantine(error)?);
            }
        }
        found.all.retain(|(_, found)| found.hopeful);
        Ok((view, found.all))
    }

    /// Series that have rows in memory, in the order of labels.
    fn found_in_memory(&self, mut ids: Vec<u32>) -> FoundSeries {
        self.resolver.sort_by_labels(&mut ids);
        let mut found = FoundSeries::default();
        let mut registry = self.resolver.registry.read();
        for (place, id) in ids.into_iter().enumerate() {
            // New series wait for this lock: they may go ahead now and then.
            if (place + 1).is_multiple_of(LOOKED_AT_ONCE) {
                RwLockReadGuard::bump(&mut registry);
            }
            // Who has left meanwhile has its rows in parts.
            if let Some(Series { labels, group }) = registry.get(id) {
                found.places.insert(id, found.all.len());
                found.all.push((id, Found { labels, group, pieces: SmallVec::new(), hopeful: true }));
            }
        }
        found
    }

    /// Whether a found series has a row inside `range`, exactly, in any lane.
    fn has_rows_in(&self, id: u32, found: &Found, view: &View, range: TimeRange) -> Result<bool, StoreError> {
        if self.head.has_rows_in(id, range) || view.frozen.as_ref().is_some_and(|frozen| frozen.has_rows_in(id, range))
        {
            return Ok(true);
        }
        for piece in &found.pieces {
            let deletions = || view.deletions.iter().filter(|one| one.touches(piece.part.number(), id));
            let whole = deletions().next().is_none();
            for chunk in piece.chunks.iter().filter(|chunk| chunk.range().overlaps(range)) {
                if whole {
                    match piece.part.has_rows_in(chunk, range) {
                        Ok(true) => return Ok(true),
                        Ok(false) => {}
                        Err(error) => drop(self.quarantine(error)?),
                    }
                    continue;
                }
                let mut column = Column::default();
                self.read_or_skip(&piece.part, chunk, range, &mut column, &Warnings::default())?;
                deletions().for_each(|deletion| rows::cut_out(&mut column, deletion.range));
                if column.at.iter().any(|at| range.contains(*at)) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// The labels of all series with a row inside `range`, unsorted.
    fn labels_in(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        loop {
            let (view, found) = self.find(matchers, range, &Warnings::default())?;
            let mut labels = Vec::with_capacity(found.len());
            for (id, found) in found {
                if self.has_rows_in(id, &found, &view, range)? {
                    labels.push(found.labels);
                }
            }
            // Rows that moved meanwhile may have been missed: ask again. They move every few minutes, not faster.
            if Arc::ptr_eq(&view, &self.view.load()) {
                return Ok(labels);
            }
        }
    }
}

/// Adds what a part has to what was found, as far as its index can be read.
fn find_in(
    part: &Arc<Part>,
    matchers: &[Matcher],
    range: TimeRange,
    wide: TimeRange,
    found: &mut FoundSeries,
) -> Result<(), StoreError> {
    part.find_each(&evaluate(&**part, matchers)?, |series, chunks| {
        let near = chunks.iter().filter(|chunk| chunk.range().overlaps(wide));
        let chunks: SmallVec<[ChunkRef; 1]> = near.copied().collect();
        if chunks.is_empty() {
            return Ok(());
        }
        let place = match found.places.get(&series.id) {
            Some(place) => *place,
            None => {
                let labels = part.labels(&series)?;
                found.places.insert(series.id, found.all.len());
                let entry = Found { labels, group: series.group, pieces: SmallVec::new(), hopeful: false };
                found.all.push((series.id, entry));
                found.all.len() - 1
            }
        };
        let entry = &mut found.all[place].1;
        entry.hopeful |= chunks.iter().any(|chunk| chunk.range().overlaps(range));
        entry.pieces.push(Piece { part: part.clone(), chunks });
        Ok(())
    })
}

pub(super) fn widen(range: TimeRange) -> TimeRange {
    TimeRange::new(range.start() - MERGE_MARGIN, range.end() + MERGE_MARGIN).expect("widening keeps the order")
}

impl Seen {
    /// The lanes of a series that this choice shows, each with the labels it is shown under; `None`: all merged.
    fn shown(&self, labels: &Labels, group: u32) -> Vec<(Labels, Option<Lane>)> {
        let registry = self.store.resolver.registry.read();
        let replicas = registry.groups.all().get(group as usize).map_or(&[][..], |group| &group.replicas);
        let lanes = replicas.iter().enumerate().map(|(lane, replica)| (Lane(lane as u8), replica));
        match &self.lanes {
            LaneView::Merged => vec![(labels.clone(), None)],
            LaneView::Raw => {
                let label = &self.store.settings.replica_label;
                lanes.map(|(lane, replica)| (labels.with(label, replica), Some(lane))).collect()
            }
            LaneView::Replica(wanted) => {
                lanes.filter(|(_, replica)| *replica == wanted).map(|(lane, _)| (labels.clone(), Some(lane))).collect()
            }
        }
    }
}

impl SampleSource for Seen {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let warnings = Warnings::default();
        let (view, found) = self.store.find(matchers, range, &warnings)?;
        let mut series = Vec::with_capacity(found.len());
        for (id, Found { labels, group, pieces, .. }) in found {
            let pieces: Arc<[Piece]> = pieces.into_iter().collect();
            for (shown_as, lane) in self.shown(&labels, group) {
                let rows = SeriesRows {
                    store: self.store.clone(),
                    view: view.clone(),
                    id,
                    group,
                    labels: labels.clone(),
                    range,
                    lane,
                    pieces: pieces.clone(),
                    warnings: warnings.clone(),
                };
                series.push(SelectedSeries { labels: shown_as, samples: Arc::new(rows) });
            }
        }
        series.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(SeriesSet { series, warnings })
    }

    fn select_projected(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        needed: &[String],
    ) -> Result<SeriesSet, StoreError> {
        match self.lanes {
            LaneView::Merged => projected::select(&self.store, matchers, range, needed)?,
            _ => None,
        }
        .map_or_else(|| self.select(matchers, range), Ok)
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        let mut labels = self.store.labels_in(matchers, range)?;
        labels.sort();
        Ok(labels)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        if matchers.is_empty()
            && self.lanes == LaneView::Merged
            && let Some(names) = self.store.names_in(range)?
        {
            return Ok(names.into_iter().collect());
        }
        let mut names = BTreeSet::new();
        for labels in self.store.labels_in(matchers, range)? {
            for (name, _) in &labels {
                if !names.contains(name) {
                    names.insert(name.to_owned());
                }
            }
        }
        Ok(names.into_iter().collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        if matchers.is_empty()
            && self.lanes == LaneView::Merged
            && let Some(values) = self.store.values_in(name, range, usize::MAX)?
        {
            return Ok(values.into_iter().collect());
        }
        let mut values = BTreeSet::new();
        for labels in self.store.labels_in(matchers, range)? {
            if let Some(value) = labels.get(name)
                && !values.contains(value)
            {
                values.insert(value.to_owned());
            }
        }
        Ok(values.into_iter().collect())
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        Ok(self.store.metadata.lock().of(metric))
    }

    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        let exemplars = self.store.exemplars.lock();
        let mut found = Vec::new();
        for id in exemplars.series() {
            let Some((_, labels)) = self.store.resolver.labels(id) else { continue };
            let kept = exemplars.of(id, range);
            if !kept.is_empty() && selectors.iter().any(|matchers| Matcher::all_match(matchers, &labels)) {
                found.push(ExemplarSeries { labels, exemplars: kept });
            }
        }
        found.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(found)
    }

    fn with_lanes(&self, view: &LaneView) -> Option<Arc<dyn SampleSource>> {
        Some(Arc::new(self.store.seen_through(view.clone())))
    }
}

/// The rows of one selected series, read when asked for.
pub(super) struct SeriesRows {
    pub(super) store: Arc<Store>,
    /// The view that `pieces` were found in.
    pub(super) view: Arc<View>,
    pub(super) id: u32,
    pub(super) group: u32,
    pub(super) labels: Labels,
    pub(super) range: TimeRange,
    /// The one lane to read; `None`: all, merged.
    pub(super) lane: Option<Lane>,
    pub(super) pieces: Arc<[Piece]>,
    /// Those of the whole set.
    pub(super) warnings: Warnings,
}

impl ReadSamples for SeriesRows {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        into.clear();
        let mut lanes = self.lanes()?;
        match lanes.as_mut_slice() {
            [] => {}
            [(_, only)] => std::mem::swap(into, only),
            several => {
                {
                    let registry = self.store.resolver.registry.read();
                    several.sort_by(|left, right| registry.groups.rank(self.group, left.0, right.0));
                }
                let columns: Vec<&Column> = several.iter().map(|(_, column)| column).collect();
                ha::merge(&columns, &MergeRules::for_series(&self.labels), into);
            }
        }
        rows::clip(into, self.range);
        Ok(())
    }
}

impl SeriesRows {
    /// The wanted lanes with all their rows inside the range, and, where there are several, around it.
    fn lanes(&self) -> Result<Lanes, StoreError> {
        let wide = widen(self.range);
        let mut lanes = Lanes::new();
        self.store.head.read(self.id, wide, &mut lanes);
        let view = self.store.view.load_full();
        if let Some(frozen) = &view.frozen {
            frozen.read(self.id, wide, &mut lanes);
        }
        if Arc::ptr_eq(&view, &self.view) {
            self.read_pieces(&self.pieces, &view, wide, &mut lanes)?;
        } else {
            // Rows have moved since the select: look again where they are now.
            let parts = view.parts.iter().filter(|part| part.range().overlaps(wide));
            let mut pieces = Vec::new();
            for part in parts {
                match part.find_by_id(self.id) {
                    Ok(chunks) => pieces.push(Piece { part: part.clone(), chunks: chunks.into() }),
                    Err(error) => self.warnings.add(self.store.quarantine(error)?),
                }
            }
            self.read_pieces(&pieces, &view, wide, &mut lanes)?;
        }
        lanes.retain(|(lane, _)| self.lane.is_none_or(|wanted| wanted == *lane));
        lanes.iter_mut().for_each(|(_, column)| {
            rows::tidy(column);
        });
        lanes.retain(|(_, column)| !column.is_empty());
        Ok(lanes)
    }

    fn read_pieces(&self, pieces: &[Piece], view: &View, wide: TimeRange, lanes: &mut Lanes) -> Result<(), StoreError> {
        // One lane needs no margin, and a chunk outside the range then stays unread.
        let mut met: Option<Lane> = None;
        let chunks = pieces.iter().flat_map(|piece| piece.chunks.iter().map(|chunk| chunk.lane));
        let several = lanes
            .iter()
            .map(|(lane, _)| *lane)
            .chain(chunks)
            .any(|lane| met.replace(lane).is_some_and(|met| met != lane));
        let needed = if several { wide } else { self.range };
        for piece in pieces {
            let mut deletions =
                view.deletions.iter().filter(|one| one.touches(piece.part.number(), self.id)).peekable();
            if deletions.peek().is_none() {
                for chunk in piece.chunks.iter().filter(|chunk| chunk.range().overlaps(needed)) {
                    let lane = lane_of(lanes, chunk.lane);
                    self.store.read_or_skip(&piece.part, chunk, needed, lane, &self.warnings)?;
                }
                continue;
            }
            let deletions: Vec<_> = deletions.collect();
            for chunk in piece.chunks.iter().filter(|chunk| chunk.range().overlaps(needed)) {
                let mut column = Column::default();
                self.store.read_or_skip(&piece.part, chunk, needed, &mut column, &self.warnings)?;
                deletions.iter().for_each(|deletion| rows::cut_out(&mut column, deletion.range));
                rows::append(lane_of(lanes, chunk.lane), &column);
            }
        }
        Ok(())
    }
}
