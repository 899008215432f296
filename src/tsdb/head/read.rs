//! The way out of the head.

use crate::model::{Column, Lane, TimeRange};

use super::stream::Stream;
use super::{Frozen, Head, Shard, Slot, id_at, place};

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
        let (shard, page, slot) = place(id);
        if let Some(slot) = self.shards[shard].read().slot(page, slot) {
            read_slot(slot, range, lanes);
        }
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
        let (shard, page, slot) = place(id);
        if let Some(slot) = self.shards[shard].slot(page, slot) {
            read_slot(slot, range, lanes);
        }
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
            held.pages.iter().enumerate().flat_map(move |(page, slots)| {
                let slots = slots.iter().flat_map(|page| page.slots.iter().enumerate());
                slots.filter_map(move |(slot, streams)| {
                    let range = streams.iter().filter_map(Stream::range).reduce(TimeRange::cover)?;
                    Some((id_at(shard, page, slot), range))
                })
            })
        })
    }

    /// Rows inside, repeated ones included.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }
}

impl Shard {
    fn streams(&self, id: u32) -> &[Stream] {
        let (_, page, slot) = place(id);
        self.slot(page, slot).map_or(&[], |slot| slot)
    }

    fn has_rows_in(&self, id: u32, range: TimeRange) -> bool {
        self.streams(id).iter().any(|stream| stream.has_rows_in(range))
    }

    fn overlaps(&self, id: u32, range: TimeRange) -> bool {
        self.streams(id).iter().filter_map(Stream::range).any(|own| own.overlaps(range))
    }
}

fn read_slot(slot: &Slot, range: TimeRange, lanes: &mut Lanes) {
    for stream in slot.iter().filter(|stream| stream.range().is_some_and(|own| own.overlaps(range))) {
        stream.read(range, lane_of(lanes, stream.lane));
    }
}
