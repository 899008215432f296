//! The read path: matchers to series, series to rows.
//!
//! A select asks the index of the series in memory and the index inside each part that overlaps the range, and unites
//! what they find by id. Rows are read later, series by series: from the parts that were found, from the frozen head,
//! and from the head; then each lane is tidied, and lanes are merged.
//!
//! Rows move from head to frozen head to part to merged part. Reads look in that order, and each move makes the new
//! place visible before it empties the old one, so a read finds a row in one of them, or in two, which is as good.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::RwLockReadGuard;
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use crate::ha::{MergeRules, Policy, Turn};
use crate::model::{Column, Labels, Lane, Matcher, Span, TimeRange, Timestamp};
use crate::store::{
    ExemplarSeries, Footing, LaneView, MetricMetadata, ReadSamples, SampleSource, SelectedSeries, SeriesSet,
    StoreError, Waiting, Wanted, Warnings,
};

use super::context::{self, MARGINS, widen};
use super::head::{Lanes, lane_of};
use super::index::evaluate;
use super::part::{ChunkRef, Part};
use super::projected;
use super::resolve::LOOKED_AT_ONCE;
use super::resolve::registry::Series;
use super::rows;
use super::store::{Store, View};

/// Series after which a look-up asks whether it is still wanted.
pub(super) const ASKED_EVERY: usize = 256;

/// A store seen through a choice of lanes, for as long as somebody waits.
#[derive(Clone)]
pub(super) struct Seen {
    store: Arc<Store>,
    lanes: LaneView,
    wanted: Wanted,
    footing: Option<Footing>,
}

/// A series that a select found.
pub(super) struct Found {
    pub(super) labels: Labels,
    pub(super) group: u32,
    pub(super) pieces: SmallVec<[Piece; 1]>,
    /// Whether a row may lie inside the range, as far as first and last times tell.
    pub(super) hopeful: bool,
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

/// What is shown: under which labels, whose rows, and of which lane if not of all; and the view it was found in.
type Shown = (Arc<View>, Vec<(Labels, u32, Option<Lane>, Arc<Found>)>);

/// The chunks of one series in one part.
pub(super) struct Piece {
    pub(super) part: Arc<Part>,
    pub(super) chunks: SmallVec<[ChunkRef; 1]>,
}

impl Store {
    pub(super) fn footing(self: &Arc<Self>) -> Footing {
        let state = [self.changes.latest(), self.resolver.groups_version()];
        Footing::new(Arc::as_ptr(self) as u64, state)
    }

    /// See [`SampleSource::holds_before`]. Whoever learns of a new replica or another leader may see all of the past with
    /// other eyes.
    pub(super) fn holds_before(&self, footing: &Footing) -> Timestamp {
        let [changes, groups] = footing.state();
        match groups == self.resolver.groups_version() {
            true => footing.holds_before(self.changes.earliest_since(changes), |waiting| {
                self.has_rows_behind(waiting.series, waiting.newest)
            }),
            false => Timestamp::MIN,
        }
    }

    /// Whether a series has, or may have, a row later than `newest`.
    fn has_rows_behind(&self, id: u32, newest: Timestamp) -> bool {
        let Some(range) = TimeRange::new(newest + Span::from_millis(1), Timestamp::MAX) else { return false };
        if self.head.overlaps(id, range) {
            return true;
        }
        let view = self.view.load_full();
        view.frozen.as_ref().is_some_and(|frozen| frozen.overlaps(id, range))
            || view.parts.iter().filter(|part| part.range().overlaps(range)).any(|part| {
                part.find_by_id(id).map_or(true, |chunks| chunks.iter().any(|chunk| chunk.range().overlaps(range)))
            })
    }

    pub(super) fn seen_through(self: &Arc<Self>, lanes: LaneView) -> Seen {
        Seen { store: self.clone(), lanes, wanted: Wanted::default(), footing: None }
    }

    /// Every series that satisfies the matchers and may have rows inside `range`, and the view they were found in.
    /// Parts whose index is damaged are left out with a warning.
    fn find(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        warnings: &Warnings,
        wanted: &Wanted,
    ) -> Result<FoundInView, StoreError> {
        let wide = widen(range, MARGINS[0]);
        let mut ids = evaluate(&self.resolver.registry.read().index, matchers)?;
        wanted.check()?;
        // Without the registry's lock: new series wait for it, and appends behind them.
        let in_head: RoaringBitmap = ids.iter().filter(|id| self.head.overlaps(*id, range)).collect();
        // After the head, never before: see the note on moving rows above.
        let view = self.view.load_full();
        ids = match &view.frozen {
            Some(frozen) => ids.iter().filter(|id| in_head.contains(*id) || frozen.overlaps(*id, range)).collect(),
            None => in_head,
        };
        let mut found = self.found_in_memory(ids.iter().collect(), wanted)?;
        for part in view.parts.iter().filter(|part| part.range().overlaps(wide)) {
            match find_in(part, matchers, (range, wide), wanted, &mut found) {
                Err(StoreError::Canceled) => return Err(StoreError::Canceled),
                Err(error) => warnings.add(self.quarantine(error)?),
                Ok(()) => {}
            }
        }
        found.all.retain(|(_, found)| found.hopeful);
        Ok((view, found.all))
    }

    /// Series that have rows in memory, in the order of labels.
    fn found_in_memory(&self, mut ids: Vec<u32>, wanted: &Wanted) -> Result<FoundSeries, StoreError> {
        self.resolver.sort_by_labels(&mut ids);
        let mut found = FoundSeries::default();
        let mut registry = self.resolver.registry.read();
        for (place, id) in ids.into_iter().enumerate() {
            if place.is_multiple_of(ASKED_EVERY) {
                wanted.check()?;
            }
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
        Ok(found)
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
}

/// Adds what a part has to what was found, as far as its index can be read.
fn find_in(
    part: &Arc<Part>,
    matchers: &[Matcher],
    (range, wide): (TimeRange, TimeRange),
    wanted: &Wanted,
    found: &mut FoundSeries,
) -> Result<(), StoreError> {
    wanted.check()?;
    let (mut looked_at, mut labels_of) = (0_usize, part.labels_in_order());
    part.find_each(&evaluate(&**part, matchers)?, |series, chunks| {
        looked_at += 1;
        if looked_at.is_multiple_of(ASKED_EVERY) {
            wanted.check()?;
        }
        let near = chunks.iter().filter(|chunk| chunk.range().overlaps(wide));
        let chunks: SmallVec<[ChunkRef; 1]> = near.copied().collect();
        if chunks.is_empty() {
            return Ok(());
        }
        let place = match found.places.get(&series.id) {
            Some(place) => *place,
            None => {
                let labels = labels_of.of(&series)?;
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

impl Seen {
    /// Whether each series is shown once, under its own labels.
    fn is_plain(&self) -> bool {
        let keeps_lanes = |rule: &crate::ha::PolicyRule| rule.policy == Policy::KeepReplica;
        self.lanes == LaneView::Merged && !self.store.settings.pairs.policies.iter().any(keeps_lanes)
    }

    /// The matchers that series are found by, and those that what is shown has to satisfy as well: the replica label is
    /// no label of a series.
    fn split<'m>(&self, matchers: &'m [Matcher]) -> (Cow<'m, [Matcher]>, Vec<Matcher>) {
        if self.is_plain() {
            return (Cow::Borrowed(matchers), Vec::new());
        }
        let label = &self.store.settings.replica_label;
        let (of_lanes, of_series) = matchers.iter().cloned().partition(|matcher| matcher.name == *label);
        (Cow::Owned(of_series), of_lanes)
    }

    /// The lanes of a series that this choice shows, each with the labels it is shown under; `None`: all merged.
    fn shown(&self, labels: &Labels, group: u32) -> Vec<(Labels, Option<Lane>)> {
        let keeps_lanes = || self.store.settings.pairs.rules_of(labels).policy == Policy::KeepReplica;
        if self.lanes == LaneView::Merged && (self.is_plain() || !keeps_lanes()) {
            return vec![(labels.clone(), None)];
        }
        let registry = self.store.resolver.registry.read();
        let replicas = registry.groups.all().get(group as usize).map_or(&[][..], |group| &group.replicas);
        let lanes = replicas.iter().enumerate().map(|(lane, replica)| (Lane(lane as u8), replica));
        match &self.lanes {
            LaneView::Merged | LaneView::Raw => {
                let label = &self.store.settings.replica_label;
                lanes.map(|(lane, replica)| (labels.with(label, replica), Some(lane))).collect()
            }
            LaneView::Replica(wanted) => {
                lanes.filter(|(_, replica)| *replica == wanted).map(|(lane, _)| (labels.clone(), Some(lane))).collect()
            }
        }
    }

    /// Every series that this choice may show, unsorted.
    fn found(&self, matchers: &[Matcher], range: TimeRange, warnings: &Warnings) -> Result<Shown, StoreError> {
        let (of_series, of_lanes) = self.split(matchers);
        let (view, found) = self.store.find(&of_series, range, warnings, &self.wanted)?;
        let mut shown = Vec::with_capacity(found.len());
        for (id, found) in found {
            if self.is_plain() {
                shown.push((found.labels.clone(), id, None, Arc::new(found)));
                continue;
            }
            let found = Arc::new(found);
            let lanes = self.shown(&found.labels, found.group).into_iter();
            let wanted = lanes.filter(|(labels, _)| Matcher::all_match(&of_lanes, labels));
            shown.extend(wanted.map(|(labels, lane)| (labels, id, lane, Arc::clone(&found))));
        }
        Ok((view, shown))
    }

    /// The series of groups that this choice shows merged, each with its labels, group and rows.
    pub(super) fn rows_of(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        warnings: &Warnings,
    ) -> Result<Vec<(Labels, u32, SeriesRows)>, StoreError> {
        let (view, found) = self.store.find(matchers, range, warnings, &self.wanted)?;
        let each = |(id, found): (u32, Found)| {
            let found = Arc::new(found);
            let rows = self.rows(&view, id, &found, None, range, warnings);
            (found.labels.clone(), found.group, rows)
        };
        let mut all: Vec<_> = found.into_iter().map(each).collect();
        all.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(all)
    }

    fn rows(
        &self,
        view: &Arc<View>,
        id: u32,
        found: &Arc<Found>,
        lane: Option<Lane>,
        range: TimeRange,
        warnings: &Warnings,
    ) -> SeriesRows {
        let (store, found, warnings) = (self.store.clone(), Arc::clone(found), warnings.clone());
        SeriesRows { store, view: view.clone(), id, found, range, lane, warnings, footing: self.footing.clone() }
    }

    /// The labels of all series with a row inside `range`, sorted.
    fn labels_in(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        let warnings = Warnings::default();
        loop {
            let (view, shown) = self.found(matchers, range, &warnings)?;
            let mut all = Vec::with_capacity(shown.len());
            for (place, (labels, id, lane, found)) in shown.into_iter().enumerate() {
                if place.is_multiple_of(ASKED_EVERY) {
                    self.wanted.check()?;
                }
                let has_rows = match lane {
                    None => self.store.has_rows_in(id, &found, &view, range)?,
                    Some(_) => {
                        let mut column = Column::default();
                        self.rows(&view, id, &found, lane, range, &warnings).read(&mut column)?;
                        !column.is_empty()
                    }
                };
                if has_rows {
                    all.push(labels);
                }
            }
            // Rows that moved meanwhile may have been missed: ask again. They move every few minutes, not faster.
            if Arc::ptr_eq(&view, &self.store.view.load()) {
                all.sort();
                return Ok(all);
            }
        }
    }
}

impl SampleSource for Seen {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let warnings = Warnings::default();
        let (view, shown) = self.found(matchers, range, &warnings)?;
        let series = shown.into_iter().map(|(labels, id, lane, found)| SelectedSeries {
            labels,
            samples: Arc::new(self.rows(&view, id, &found, lane, range, &warnings)),
        });
        let mut series: Vec<SelectedSeries> = series.collect();
        series.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(SeriesSet { series, warnings })
    }

    fn select_projected(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        needed: &[String],
    ) -> Result<SeriesSet, StoreError> {
        match self.is_plain() && self.footing.is_none() {
            true => projected::select(&self.store, matchers, range, needed, &self.wanted)?,
            false => None,
        }
        .map_or_else(|| self.select(matchers, range), Ok)
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        self.labels_in(matchers, range)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        if matchers.is_empty()
            && self.is_plain()
            && let Some(names) = self.store.names_in(range, &self.wanted)?
        {
            return Ok(names.into_iter().collect());
        }
        let mut names = BTreeSet::new();
        for labels in self.labels_in(matchers, range)? {
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
            && self.is_plain()
            && let Some(values) = self.store.values_in(name, range, usize::MAX, &self.wanted)?
        {
            return Ok(values.into_iter().collect());
        }
        let mut values = BTreeSet::new();
        for labels in self.labels_in(matchers, range)? {
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
        Some(Arc::new(Seen { lanes: view.clone(), ..self.clone() }))
    }

    fn while_wanted(&self, wanted: &Wanted) -> Option<Arc<dyn SampleSource>> {
        Some(Arc::new(Seen { wanted: wanted.clone(), ..self.clone() }))
    }

    fn resting_on(&self, footing: &Footing) -> Option<Arc<dyn SampleSource>> {
        Some(Arc::new(Seen { footing: Some(footing.clone()), ..self.clone() }))
    }
}

/// The rows of one selected series, read when asked for.
pub(super) struct SeriesRows {
    pub(super) store: Arc<Store>,
    /// The view that the series was found in.
    pub(super) view: Arc<View>,
    pub(super) id: u32,
    pub(super) found: Arc<Found>,
    pub(super) range: TimeRange,
    /// The one lane to read; `None`: all, merged.
    pub(super) lane: Option<Lane>,
    /// Those of the whole set.
    pub(super) warnings: Warnings,
    /// Whom to tell how far this reaches.
    pub(super) footing: Option<Footing>,
}

impl ReadSamples for SeriesRows {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        into.clear();
        // Rows of the only lane that its group has ever had are the series, and stay it.
        let footing = self.footing.as_ref().filter(|_| self.may_have_company());
        if let Some(piece) = self.only_piece().filter(|_| footing.is_none()) {
            let mut chunks = 0;
            for chunk in piece.chunks.iter().filter(|chunk| chunk.range().overlaps(self.range)) {
                self.store.read_or_skip(&piece.part, chunk, self.range, into, &self.warnings)?;
                chunks += 1;
            }
            // The rows of one chunk rise in time.
            if chunks > 1 {
                rows::tidy(into);
            }
            rows::clip(into, self.range);
            return Ok(());
        }
        let mut lanes = self.lanes(MARGINS[0])?;
        match lanes.as_mut_slice() {
            [] => {}
            [(_, only)] if footing.is_none() => std::mem::swap(into, only),
            _ => {
                let orders = self.store.resolver.orders();
                let turns = orders.turns(self.found.group);
                let rules = self.store.settings.pairs.rules_of(&self.found.labels);
                let rules = orders.rules_in(self.found.group, rules);
                for pair in MARGINS.windows(2) {
                    if context::is_enough(&lanes, turns, &rules, self.range, pair[0]) {
                        break;
                    }
                    lanes = self.lanes(pair[1])?;
                }
                context::merge(&lanes, turns, &rules, into);
                if let Some(footing) = footing {
                    self.tell(footing, &lanes, turns, &rules);
                }
            }
        }
        rows::clip(into, self.range);
        Ok(())
    }
}

impl SeriesRows {
    /// Whether the group has lanes that rows of this series could come in beside those that it has. A new lane changes the
    /// groups' version, and with it what a footing is worth.
    fn may_have_company(&self) -> bool {
        let orders = self.store.resolver.orders();
        orders.turns(self.found.group).iter().any(|turn| turn.order.len() > 1)
    }

    /// Tells `footing` what rows that are still to come may change of what these lanes make.
    fn tell(&self, footing: &Footing, lanes: &Lanes, turns: &[Turn], rules: &MergeRules) {
        let horizon = context::horizon(lanes, turns, rules);
        footing.reaches(horizon.reach);
        let newest = lanes.iter().filter_map(|(_, column)| column.at.last()).max();
        if let (Some(newest), Some(from)) = (newest, horizon.open_from) {
            footing.waits(Waiting { series: self.id, newest: *newest, from });
        }
    }

    /// Where all rows stand, if that is one place, of one lane, and nothing was deleted there: the usual case of days
    /// that are over.
    fn only_piece(&self) -> Option<&Piece> {
        let [piece] = self.found.pieces.as_slice() else { return None };
        let lane = piece.chunks.first()?.lane;
        let is_wanted = self.lane.is_none_or(|wanted| wanted == lane);
        if !is_wanted || piece.chunks.iter().any(|chunk| chunk.lane != lane) {
            return None;
        }
        // The head first, then the view: see the note on moving rows above.
        let wide = widen(self.range, MARGINS[0]);
        if self.store.head.overlaps(self.id, wide) || !Arc::ptr_eq(&self.view, &self.store.view.load()) {
            return None;
        }
        let view = &self.view;
        let is_frozen = view.frozen.as_ref().is_some_and(|frozen| frozen.overlaps(self.id, wide));
        let is_deleted = view.deletions.iter().any(|one| one.touches(piece.part.number(), self.id));
        (!is_frozen && !is_deleted).then_some(piece)
    }

    /// The wanted lanes with all their rows inside the range, and, where there are several, `margin` around it.
    pub(super) fn lanes(&self, margin: Span) -> Result<Lanes, StoreError> {
        let wide = widen(self.range, margin);
        let mut lanes = Lanes::new();
        self.store.head.read(self.id, wide, &mut lanes);
        let view = self.store.view.load_full();
        if let Some(frozen) = &view.frozen {
            frozen.read(self.id, wide, &mut lanes);
        }
        if Arc::ptr_eq(&view, &self.view) && margin == MARGINS[0] {
            self.read_pieces(&self.found.pieces, &view, wide, &mut lanes)?;
        } else {
            // Rows have moved since the select, or lie further away: look again where they are.
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
        let needed = if several || self.footing.is_some() { wide } else { self.range };
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
