//! A select for who needs few of the labels: `count by (job)` of everything asks for half a million series and one label.
//!
//! Where one part holds all that is asked for, which is so for every day that is sealed, no label set is decoded: the
//! index of the part tells each label that is needed, series that have the same share one set, and the order is that of
//! ordinals. Elsewhere the general way is gone.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use roaring::RoaringBitmap;
use smallvec::SmallVec;

use crate::model::{Column, Labels, Matcher, TimeRange};
use crate::store::{ReadSamples, SelectedSeries, SeriesSet, StoreError, Wanted, Warnings};

use super::context::{MARGINS, widen};
use super::index::evaluate;
use super::part::{ChunkRef, Part, PartSeries};
use super::rows;
use super::select::{ASKED_EVERY, Found, Piece, SeriesRows};
use super::store::{Store, View};

/// Fewer series are found the general way.
const SERIES_MIN: u64 = 1024;

/// What the series of one select share.
struct Selection {
    store: Arc<Store>,
    /// The view that the series were found in.
    view: Arc<View>,
    part: Arc<Part>,
    range: TimeRange,
    warnings: Warnings,
}

/// The rows of one series that stood in one part alone when it was found.
struct RowsOfPart {
    of: Arc<Selection>,
    series: PartSeries,
    /// Those near the range.
    chunks: SmallVec<[ChunkRef; 1]>,
}

/// The series that satisfy the matchers, with those of their labels that are `needed` at least. `None` where they do not
/// stand in one part alone.
pub(super) fn select(
    store: &Arc<Store>,
    matchers: &[Matcher],
    range: TimeRange,
    needed: &[String],
    wanted: &Wanted,
) -> Result<Option<SeriesSet>, StoreError> {
    let wide = widen(range, MARGINS[0]);
    // The head first, then the view: see the note on moving rows in `select`.
    let in_memory = evaluate(&store.resolver.registry.read().index, matchers)?;
    if in_memory.iter().any(|id| store.head.overlaps(id, wide)) {
        return Ok(None);
    }
    let view = store.view.load_full();
    if view.frozen.as_ref().is_some_and(|frozen| in_memory.iter().any(|id| frozen.overlaps(id, wide))) {
        return Ok(None);
    }
    let mut parts = view.parts.iter().filter(|part| part.range().overlaps(wide));
    let (Some(part), None) = (parts.next(), parts.next()) else { return Ok(None) };
    if view.deletions.iter().any(|one| part.number() <= one.last_part) {
        return Ok(None);
    }
    match in_part(store, &view, part, matchers, range, (needed, wanted)) {
        // The general way leaves out what is damaged, and says so.
        Err(StoreError::Corrupt { .. }) => Ok(None),
        found => found,
    }
}

fn in_part(
    store: &Arc<Store>,
    view: &Arc<View>,
    part: &Arc<Part>,
    matchers: &[Matcher],
    range: TimeRange,
    (needed, wanted): (&[String], &Wanted),
) -> Result<Option<SeriesSet>, StoreError> {
    let ordinals = evaluate(&**part, matchers)?;
    let values: u64 = needed.iter().map(|name| part.values_at_most(name)).sum();
    if ordinals.len() < SERIES_MIN.max(2 * values) {
        return Ok(None);
    }
    let projection = Projection::of(part, &ordinals, needed)?;
    let wide = widen(range, MARGINS[0]);
    let warnings = Warnings::default();
    let (store, view, warned) = (store.clone(), view.clone(), warnings.clone());
    let of = Arc::new(Selection { store, view, part: part.clone(), range, warnings: warned });
    let mut series = Vec::with_capacity(ordinals.len() as usize);
    let mut looked_at = 0_usize;
    part.find_each(&ordinals, |found, chunks| {
        looked_at += 1;
        if looked_at.is_multiple_of(ASKED_EVERY) {
            wanted.check()?;
        }
        if chunks.iter().any(|chunk| chunk.range().overlaps(range)) {
            let chunks = chunks.iter().filter(|chunk| chunk.range().overlaps(wide)).copied().collect();
            let rows = RowsOfPart { of: of.clone(), series: found, chunks };
            series.push(SelectedSeries { labels: projection.labels(found.ordinal), samples: Arc::new(rows) });
        }
        Ok(())
    })?;
    Ok(Some(SeriesSet { series, warnings }))
}

/// A few labels of many series.
struct Projection {
    /// By ordinal.
    kinds: Vec<u32>,
    /// By kind; that of kind 0 is empty.
    labels: Vec<Labels>,
}

impl Projection {
    fn of(part: &Part, ordinals: &RoaringBitmap, needed: &[String]) -> Result<Self, StoreError> {
        let mut kinds = vec![0_u32; part.meta().series as usize];
        let mut labels = vec![Labels::empty()];
        for name in needed {
            let mut known: HashMap<u32, u32, FixedState> = HashMap::default();
            part.walk_values(name, "", &mut |value, of_value| {
                known.clear();
                // Of neighbours, most are of one kind.
                let mut last = (u32::MAX, 0);
                for ordinal in of_value().unwrap_or_default() & ordinals {
                    let kind = &mut kinds[ordinal as usize];
                    if *kind != last.0 {
                        let with_value = *known.entry(*kind).or_insert_with(|| {
                            labels.push(labels[*kind as usize].with(name, value));
                            labels.len() as u32 - 1
                        });
                        last = (*kind, with_value);
                    }
                    *kind = last.1;
                }
                true
            })?;
        }
        Ok(Projection { kinds, labels })
    }

    fn labels(&self, ordinal: u32) -> Labels {
        self.labels[self.kinds[ordinal as usize] as usize].clone()
    }
}

impl ReadSamples for RowsOfPart {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        let Selection { store, view, part, range, warnings } = &*self.of;
        let one_lane = self.chunks.windows(2).all(|pair| pair[0].lane == pair[1].lane);
        if !one_lane
            || store.head.overlaps(self.series.id, widen(*range, MARGINS[0]))
            || !Arc::ptr_eq(view, &store.view.load())
        {
            // Rows have come or moved since, or lanes have to be merged.
            let pieces = [Piece { part: part.clone(), chunks: self.chunks.clone() }].into_iter().collect();
            let labels = part.labels(&self.series)?;
            let (store, view, warnings) = (store.clone(), view.clone(), warnings.clone());
            let PartSeries { id, group, .. } = self.series;
            let found = Arc::new(Found { labels, group, pieces, hopeful: true });
            return SeriesRows { store, view, id, found, range: *range, lane: None, warnings, footing: None }
                .read(into);
        }
        into.clear();
        for chunk in self.chunks.iter().filter(|chunk| chunk.range().overlaps(*range)) {
            store.read_or_skip(part, chunk, *range, into, warnings)?;
        }
        rows::tidy(into);
        rows::clip(into, *range);
        Ok(())
    }
}
