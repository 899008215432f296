//! The way out of the head.

use crate::model::{Column, Lane, TimeRange};
use crate::store::BatchSample;

use super::super::rows;
use super::stream::Stream;
use super::{Frozen, Head, Page, Shard, id_at, place};

/// Rows of each lane of one series, gathered from several places; lanes in the order they were met.
pub(crate) type Lanes = Vec<(Lane, Column)>;

/// The column of `lane`, made where it is not there yet.
pub(crate) fn lane_of(lanes: &mut Lanes, lane: Lane) -> &mut Column {
    let place = lanes.iter().position(|(known, _)| *known == lane).unwrap_or_else(|| {
        lanes.push((lane, Column::default()));
        lanes.len() - 1
    });
    &mut lanes[place].1
}

impl Head {
    /// Appends the rows of a series that may lie inside `range` to their lanes, unsorted.
    pub(crate) fn read(&self, id: u32, range: TimeRange, lanes: &mut Lanes) {
        self.shards[place(id).0].read().read(id, range, lanes);
    }

    /// Whether a series has a row inside `range`.
    pub(crate) fn has_rows_in(&self, id: u32, range: TimeRange) -> bool {
        self.shards[place(id).0].read().has_rows_in(id, range)
    }

    /// Whether a series may have a row inside `range`, by its first and last row.
    pub(crate) fn overlaps(&self, id: u32, range: TimeRange) -> bool {
        self.shards[place(id).0].read().overlaps(id, range)
    }
}

impl Frozen {
    /// As [`Head::read`].
    pub(crate) fn read(&self, id: u32, range: TimeRange, lanes: &mut Lanes) {
        self.shards[place(id).0].read(id, range, lanes);
    }

    /// As [`Head::has_rows_in`].
    pub(crate) fn has_rows_in(&self, id: u32, range: TimeRange) -> bool {
        self.shards[place(id).0].has_rows_in(id, range)
    }

    /// As [`Head::overlaps`].
    pub(crate) fn overlaps(&self, id: u32, range: TimeRange) -> bool {
        self.shards[place(id).0].overlaps(id, range)
    }

    /// The series that have rows, and between which times.
    pub(crate) fn series(&self) -> impl Iterator<Item = (u32, TimeRange)> + '_ {
        self.shards.iter().enumerate().flat_map(|(shard, held)| {
            let pages = held.pages.iter().enumerate().filter_map(|(number, page)| Some((number, page.as_ref()?)));
            pages.flat_map(move |(number, page)| {
                let ranges = page.streams.iter().enumerate().map(|(slot, stream)| (slot, page.range(stream)));
                ranges.filter_map(move |(slot, range)| Some((id_at(shard, number, slot), range?)))
            })
        })
    }

    /// Rows inside, repeated ones included.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

impl Shard {
    /// A series that has rows, in its page.
    fn find(&self, id: u32) -> Option<(&Page, &Stream)> {
        let (_, page, slot) = place(id);
        let page: &Page = self.pages.get(page)?.as_ref()?;
        Some((page, &page.streams[slot])).filter(|(_, stream)| !stream.is_empty())
    }

    /// The row of a series that waits at its gate.
    fn waiting(&self, id: u32) -> Option<(Lane, BatchSample)> {
        let (_, number, slot) = place(id);
        self.gates.page(number)?[slot].waiting()
    }

    fn read(&self, id: u32, range: TimeRange, lanes: &mut Lanes) {
        if let Some((lane, row)) = self.waiting(id).filter(|(_, row)| range.contains(row.at)) {
            rows::push(lane_of(lanes, lane), &row);
        }
        let Some((page, stream)) = self.find(id) else { return };
        for stream in stream.lanes() {
            if stream.range(&page.columns).is_some_and(|own| own.overlaps(range)) {
                stream.read(&page.columns, range, lane_of(lanes, stream.lane));
            }
        }
    }

    fn has_rows_in(&self, id: u32, range: TimeRange) -> bool {
        self.waiting(id).is_some_and(|(_, row)| range.contains(row.at))
            || self
                .find(id)
                .is_some_and(|(page, stream)| stream.lanes().any(|stream| stream.has_rows_in(&page.columns, range)))
    }

    fn overlaps(&self, id: u32, range: TimeRange) -> bool {
        self.waiting(id).is_some_and(|(_, row)| range.contains(row.at))
            || self.find(id).and_then(|(page, stream)| page.range(stream)).is_some_and(|own| own.overlaps(range))
    }
}

impl Page {
    /// Between which times the lanes of a series lie.
    fn range(&self, stream: &Stream) -> Option<TimeRange> {
        stream.lanes().filter_map(|stream| stream.range(&self.columns)).reduce(TimeRange::cover)
    }
}

impl Stream {
    /// This lane and the others of its series.
    fn lanes(&self) -> impl Iterator<Item = &Stream> {
        std::iter::successors(Some(self), |stream| stream.next.as_deref())
    }
}
