//! The directory: which series stand where, and what their chunks cover.
//!
//! A block tells of 128 series, column by column, so that what is the same for all of them costs a few bytes together:
//! one chunk each, one lane, one group, whole columns of times. Where chunks begin is not written: each begins where
//! the one before it ended. Ids are told by their distance to the id of the column's first series, which is nearly the
//! same for one metric of all targets.

use crate::model::{Lane, TimeRange, Timestamp};

use super::super::bytes::{Reader, put_u64};
use super::super::chunk::{self, put_integers, take_integers};
use super::blocks::BlockTable;
use super::columns::{Columns, Head};
use super::{BLOCK_SERIES, ChunkRef, PartSeries, Place, Times};

/// The chunk carries its own times.
const OWN_TIMES: i64 = 1 << 10;
/// The chunk has some rows of a column, not all.
const SOME_ROWS: i64 = 1 << 11;
/// Which of its bits are about the encoded rows.
const FLAGS_SHIFT: u32 = 8;
const FLAGS: i64 = 3 << FLAGS_SHIFT;
const LANE: i64 = 0xff;

/// A block of the directory, decoded.
#[derive(Debug, Default)]
pub(super) struct DirectoryBlock {
    series: Vec<PartSeries>,
    /// Where the chunks of each series end in `chunks`.
    ends: Vec<usize>,
    chunks: Vec<ChunkRef>,
}

impl DirectoryBlock {
    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        let each = size_of::<PartSeries>() + size_of::<usize>();
        size_of::<Self>() + self.series.len() * each + self.chunks.len() * size_of::<ChunkRef>()
    }

    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// A series by its place in the block, and its chunks.
    pub(super) fn get(&self, place: usize) -> Option<(PartSeries, &[ChunkRef])> {
        let from = if place == 0 { 0 } else { *self.ends.get(place - 1)? };
        Some((*self.series.get(place)?, &self.chunks[from..*self.ends.get(place)?]))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PartSeries, &[ChunkRef])> {
        (0..self.len()).map_while(|place| self.get(place))
    }
}

/// The directory of a part being written.
#[derive(Default)]
pub(super) struct DirectoryWriter {
    blocks: Vec<Vec<u8>>,
    /// Where the first chunk of the open block stands.
    start: Option<(u32, u64)>,
    counts: Vec<i64>,
    groups: Vec<i64>,
    ids: Vec<i64>,
    kinds: Vec<i64>,
    columns: Vec<i64>,
    bytes: Vec<i64>,
    /// Of chunks that have no whole column: first row in the column, rows, first time, last time less the first.
    some: [Vec<i64>; 4],
}

impl DirectoryWriter {
    /// Adds a series with its chunks, at least one. `head_of` tells of columns.
    pub(super) fn add<'h>(&mut self, id: u32, group: u32, chunks: &[ChunkRef], head_of: impl Fn(u32) -> &'h Head) {
        self.counts.push(chunks.len() as i64 - 1);
        self.groups.push(i64::from(group));
        let first_id = match chunks[0].times {
            Times::Shared { column, .. } => i64::from(head_of(column).id),
            Times::Own => 0,
        };
        self.ids.push(i64::from(id) - first_id);
        for chunk in chunks {
            let Place::InBlock { block, from } = chunk.place else {
                unreachable!("the writer gathers chunks in blocks")
            };
            self.start.get_or_insert((block, u64::from(from)));
            let mut kind = i64::from(chunk.lane.0) | i64::from(chunk.flags) << FLAGS_SHIFT;
            let mut some_row = None;
            match chunk.times {
                Times::Own => {
                    kind |= OWN_TIMES;
                    some_row = Some(0);
                }
                Times::Shared { column, row } => {
                    self.columns.push(i64::from(column));
                    if head_of(column).rows != chunk.rows {
                        kind |= SOME_ROWS;
                        some_row = Some(i64::from(row));
                    }
                }
            }
            if let Some(row) = some_row {
                let (first, last) = (chunk.first.as_millis(), chunk.last.as_millis());
                let fields = [row, i64::from(chunk.rows), first, last.wrapping_sub(first)];
                self.some.iter_mut().zip(fields).for_each(|(column, field)| column.push(field));
            }
            self.kinds.push(kind);
            self.bytes.push(i64::from(chunk.bytes));
        }
        if self.counts.len() == BLOCK_SERIES {
            self.end();
        }
    }

    /// All blocks.
    pub(super) fn finish(&mut self) -> Vec<Vec<u8>> {
        if !self.counts.is_empty() {
            self.end();
        }
        std::mem::take(&mut self.blocks)
    }

    fn end(&mut self) {
        let mut block = Vec::new();
        let (first_block, from) = self.start.take().expect("a series has a chunk");
        put_u64(&mut block, u64::from(first_block));
        put_u64(&mut block, from);
        let fixed =
            [&mut self.counts, &mut self.groups, &mut self.ids, &mut self.kinds, &mut self.columns, &mut self.bytes];
        for column in fixed.into_iter().chain(&mut self.some) {
            put_integers(column, &mut block);
            column.clear();
        }
        self.blocks.push(block);
    }
}

/// Decodes a block that tells of `count` series from `first_ordinal` on.
pub(super) fn read(
    block: &[u8],
    first_ordinal: u32,
    count: usize,
    columns: &Columns,
    table: &BlockTable,
) -> Option<DirectoryBlock> {
    let mut reader = Reader::new(block);
    let (mut block, mut from) = (reader.u32()?, reader.u64()?);
    let mut rest = reader.take(reader.remaining())?;
    let mut take = |count: usize| {
        let mut column = Vec::with_capacity(count);
        take_integers(&mut rest, count, &mut column).ok().map(|()| column)
    };
    let (counts, groups, ids) = (take(count)?, take(count)?, take(count)?);
    let mut chunks = 0_usize;
    for more in &counts {
        chunks = chunks.checked_add(usize::try_from(*more).ok()?.checked_add(1)?)?;
    }
    if chunks > chunk::MAX_ROWS {
        return None;
    }
    let kinds = take(chunks)?;
    let of_kind = |bit: i64| kinds.iter().filter(|kind| *kind & bit != 0).count();
    let mut column_numbers = take(chunks - of_kind(OWN_TIMES))?.into_iter();
    let mut bytes = take(chunks)?.into_iter();
    let some = of_kind(OWN_TIMES | SOME_ROWS);
    let (rows, counted, firsts, spans) = (take(some)?, take(some)?, take(some)?, take(some)?);
    if !rest.is_empty() {
        return None;
    }
    let mut some = rows.into_iter().zip(counted).zip(firsts.into_iter().zip(spans));
    let mut found = DirectoryBlock::default();
    found.chunks.reserve_exact(chunks);
    found.series.reserve_exact(count);
    found.ends.reserve_exact(count);
    let mut kinds = kinds.iter();
    for (place, more) in counts.iter().enumerate() {
        let start = found.chunks.len();
        for _ in 0..=*more {
            let (kind, bytes) = (*kinds.next()?, u32::try_from(bytes.next()?).ok()?);
            if kind & !(LANE | FLAGS | OWN_TIMES | SOME_ROWS) != 0 {
                return None;
            }
            let column = if kind & OWN_TIMES == 0 { Some(u32::try_from(column_numbers.next()?).ok()?) } else { None };
            let head = column.map(|column| columns.head(column).ok_or(())).transpose().ok()?;
            let (row, rows, first, last) = match head {
                Some(head) if kind & SOME_ROWS == 0 => (0, head.rows, head.first, head.last),
                _ => {
                    let ((row, rows), (first, span)) = some.next()?;
                    let (row, rows) = (u32::try_from(row).ok()?, u32::try_from(rows).ok()?);
                    let last = first.checked_add(span)?;
                    if head.is_some_and(|head| row.checked_add(rows).is_none_or(|end| end > head.rows)) {
                        return None;
                    }
                    (row, rows, Timestamp::from_millis(first), Timestamp::from_millis(last))
                }
            };
            TimeRange::new(first, last).filter(|_| rows > 0)?;
            if from == table.content_bytes(block as usize) {
                (block, from) = (block + 1, 0);
            }
            found.chunks.push(ChunkRef {
                lane: Lane((kind & LANE) as u8),
                flags: ((kind & FLAGS) >> FLAGS_SHIFT) as u8,
                rows,
                first,
                last,
                bytes,
                place: Place::InBlock { block, from: u32::try_from(from).ok()? },
                times: column.map_or(Times::Own, |column| Times::Shared { column, row }),
            });
            from = from.checked_add(u64::from(bytes))?;
        }
        let first_id = match found.chunks[start].times {
            Times::Shared { column, .. } => i64::from(columns.head(column)?.id),
            Times::Own => 0,
        };
        let id = u32::try_from(first_id.checked_add(ids[place])?).ok()?;
        let ordinal = first_ordinal + place as u32;
        found.series.push(PartSeries { id, group: u32::try_from(groups[place]).ok()?, ordinal });
        found.ends.push(found.chunks.len());
    }
    Some(found)
}

/// Decodes a block of format 1.
pub(super) fn read_format_1(block: &[u8], first_ordinal: u32) -> Option<DirectoryBlock> {
    let (mut reader, mut found) = (Reader::new(block), DirectoryBlock::default());
    let (mut id, mut time, mut next_chunk) = (0_i64, 0_i64, 0_u64);
    while !reader.is_empty() {
        id = id.checked_add(reader.i64()?)?;
        let ordinal = first_ordinal + found.series.len() as u32;
        found.series.push(PartSeries { id: u32::try_from(id).ok()?, group: reader.u32()?, ordinal });
        for _ in 0..reader.count()? {
            let lane = Lane(reader.u8()?);
            let first = time.wrapping_add(reader.i64()?);
            let last = first.wrapping_add(reader.u64()? as i64);
            let rows = reader.u32()?;
            let offset = next_chunk.checked_add(reader.u64()?)?;
            let bytes = reader.u32()?;
            (time, next_chunk) = (last, offset.checked_add(u64::from(bytes))?);
            let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
            TimeRange::new(first, last)?;
            let place = Place::Alone { offset };
            found.chunks.push(ChunkRef { lane, flags: 0, rows, first, last, bytes, place, times: Times::Own });
        }
        found.ends.push(found.chunks.len());
    }
    Some(found)
}
