//! Columns of timestamps, shared by the chunks of a part.
//!
//! The series of a target are scraped together: their chunks have the same times, or, for a series that began later or
//! ended earlier, the end or the beginning of them. Times are written once, and chunks name a column and the row they
//! begin at. Nothing relies on it: a chunk may as well carry its own.
//!
//! Whether times are those of a column is decided by comparing all of them. First time, last time and count only say
//! with which columns to compare: thousands of targets take turns in a part, since its series stand by metric name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::model::{TimeRange, Timestamp};
use crate::store::StoreError;

use super::super::bytes::{Reader, put_u64};
use super::super::chunk;
use super::blocks::{BlockFile, BlockTable};

/// Columns of one part; further chunks carry their own times.
pub(super) const COLUMNS_MAX: usize = 1 << 16;
/// Bytes of all columns of a part as they are encoded: the writer holds them until the end.
const COLUMN_BYTES_MAX: usize = 64 << 20;
/// Columns of the same length and ends that are compared before times count as new.
const COMPARED_MAX: usize = 8;
/// Bytes of a block of times after which it ends.
const BLOCK_BYTES: usize = 8 << 10;
/// Decoded times that an open part keeps, in bytes.
const KEPT_BYTES: usize = 8 << 20;
/// Columns whose decoded times an open part keeps at most.
const KEPT_COLUMNS: usize = 4096;

/// What is known of a column without decoding it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) rows: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// The first series written with it: ids of one target are neighbours, so others are told by their distance to it.
    pub(super) id: u32,
    bytes: u32,
}

/// Times of a chunk that are some rows of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharedTimes {
    pub(super) column: u32,
    /// The row of the column that is the chunk's first.
    pub(super) row: u32,
    pub(super) rows: u32,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
}

/// The columns of a part being written.
#[derive(Default)]
pub(super) struct ColumnsWriter {
    heads: Vec<Head>,
    /// Where each column is in `encoded`, and the column before it with the same ends.
    places: Vec<(usize, Option<u32>)>,
    encoded: Vec<u8>,
    by_ends: HashMap<(Timestamp, Timestamp, u32), u32, FixedState>,
    /// The longest column with this first time, and with this last time.
    by_first: HashMap<Timestamp, u32, FixedState>,
    by_last: HashMap<Timestamp, u32, FixedState>,
    /// The column decoded last.
    decoded: Option<u32>,
    times: Vec<Timestamp>,
}

impl ColumnsWriter {
    /// Where `times`, which are not empty, stand; written as a new column for series `id` where they do not yet. `None`
    /// where there is no room for more columns.
    pub(super) fn place(&mut self, id: u32, times: &[Timestamp]) -> Option<SharedTimes> {
        let (first, last, rows) = (*times.first()?, *times.last()?, times.len() as u32);
        let shared = |column, row| SharedTimes { column, row, rows, first, last };
        let same_ends = self.by_ends.get(&(first, last, rows)).copied();
        let mut next = same_ends;
        for _ in 0..COMPARED_MAX {
            let Some(column) = next else { break };
            if self.decode(column) == times {
                return Some(shared(column, 0));
            }
            next = self.places[column as usize].1;
        }
        let longer = |column: &&u32| self.heads[**column as usize].rows > rows;
        if let Some(column) = self.by_last.get(&last).filter(longer).copied() {
            let row = self.heads[column as usize].rows - rows;
            if self.decode(column)[row as usize..] == *times {
                return Some(shared(column, row));
            }
        }
        let longer = |column: &&u32| self.heads[**column as usize].rows > rows;
        if let Some(column) = self.by_first.get(&first).filter(longer).copied()
            && self.decode(column)[..times.len()] == *times
        {
            return Some(shared(column, 0));
        }
        if self.heads.len() >= COLUMNS_MAX || self.encoded.len() >= COLUMN_BYTES_MAX {
            return None;
        }
        let (column, place) = (self.heads.len() as u32, self.encoded.len());
        chunk::encode_times(times, &mut self.encoded);
        let bytes = u32::try_from(self.encoded.len() - place).expect("times of a chunk take few bytes");
        self.heads.push(Head { rows, first, last, id, bytes });
        self.places.push((place, same_ends));
        self.by_ends.insert((first, last, rows), column);
        for (longest, end) in [(&mut self.by_first, first), (&mut self.by_last, last)] {
            let longest = longest.entry(end).or_insert(column);
            if self.heads[*longest as usize].rows < rows {
                *longest = column;
            }
        }
        Some(shared(column, 0))
    }

    pub(super) fn head(&self, column: u32) -> &Head {
        &self.heads[column as usize]
    }

    /// The times of a column.
    fn decode(&mut self, column: u32) -> &[Timestamp] {
        if self.decoded != Some(column) {
            let (head, place) = (&self.heads[column as usize], self.places[column as usize].0);
            let encoded = &self.encoded[place..place + head.bytes as usize];
            self.times.clear();
            chunk::decode_times(encoded, head.rows as usize, &mut self.times).expect("encoded just before");
            self.decoded = Some(column);
        }
        &self.times
    }

    /// The blocks of times.
    pub(super) fn blocks(&self) -> Vec<&[u8]> {
        let (mut blocks, mut from, mut to) = (Vec::new(), 0, 0);
        for head in &self.heads {
            to += head.bytes as usize;
            if to - from >= BLOCK_BYTES {
                blocks.push(&self.encoded[from..to]);
                from = to;
            }
        }
        if from < to {
            blocks.push(&self.encoded[from..to]);
        }
        blocks
    }

    /// The block of heads.
    pub(super) fn heads_block(&self) -> Vec<u8> {
        let mut block = Vec::new();
        put_u64(&mut block, self.heads.len() as u64);
        let mut put = |of: &dyn Fn(&Head) -> i64| {
            let column: Vec<i64> = self.heads.iter().map(of).collect();
            chunk::put_integers(&column, &mut block);
        };
        put(&|head| i64::from(head.rows));
        put(&|head| i64::from(head.bytes));
        put(&|head| head.first.as_millis());
        put(&|head| head.last.as_millis().wrapping_sub(head.first.as_millis()));
        put(&|head| i64::from(head.id));
        block
    }
}

/// The columns of an open part.
pub(super) struct Columns {
    heads: Vec<Head>,
    /// Block of times and place inside it.
    places: Vec<(u32, u32)>,
    kept: Vec<Mutex<Option<Arc<Stretch>>>>,
    kept_bytes: AtomicUsize,
    /// Whether all columns may be kept at once: then they are kept whole, and none is decoded twice.
    all_fit: bool,
}

/// Some rows of a column, decoded.
pub(super) struct Stretch {
    column: u32,
    /// All rows of the column inside it are here.
    covers: TimeRange,
    /// The row of the column that is the first here.
    pub(super) row: usize,
    pub(super) times: Vec<Timestamp>,
}

impl Columns {
    /// From the block of heads, and the lengths of the blocks of times.
    pub(super) fn read(block: &[u8], table: &BlockTable) -> Option<Columns> {
        let mut reader = Reader::new(block);
        let count = reader.usize().filter(|count| *count <= COLUMNS_MAX)?;
        let mut rest = reader.take(reader.remaining())?;
        let mut take = || {
            let mut column = Vec::with_capacity(count);
            chunk::take_integers(&mut rest, count, &mut column).ok().map(|()| column)
        };
        let (rows, bytes, firsts, spans, ids) = (take()?, take()?, take()?, take()?, take()?);
        if !rest.is_empty() {
            return None;
        }
        let (mut heads, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let (mut block, mut from) = (0_u32, 0_u32);
        for column in 0..count {
            let (first, bytes) = (firsts[column], u32::try_from(bytes[column]).ok()?);
            let last = first.checked_add(spans[column])?;
            let (first, last) = (Timestamp::from_millis(first), Timestamp::from_millis(last));
            TimeRange::new(first, last)?;
            let rows = u32::try_from(rows[column]).ok().filter(|rows| *rows as usize <= chunk::MAX_ROWS)?;
            heads.push(Head { rows, first, last, id: u32::try_from(ids[column]).ok()?, bytes });
            if u64::from(from) == table.content_bytes(block as usize) && column > 0 {
                (block, from) = (block + 1, 0);
            }
            places.push((block, from));
            from = from.checked_add(bytes)?;
        }
        let mut kept = Vec::new();
        kept.resize_with(count.min(KEPT_COLUMNS), Mutex::default);
        let all_bytes: usize = heads.iter().map(|head| head.rows as usize * size_of::<Timestamp>()).sum();
        let all_fit = all_bytes <= KEPT_BYTES && count <= KEPT_COLUMNS;
        Some(Columns { heads, places, kept, kept_bytes: AtomicUsize::new(0), all_fit })
    }

    pub(super) fn head(&self, column: u32) -> Option<&Head> {
        self.heads.get(column as usize)
    }

    /// The times of a column, all of those inside `range` at least.
    pub(super) fn times(
        &self,
        file: &BlockFile,
        table: &BlockTable,
        column: u32,
        range: TimeRange,
    ) -> Result<Arc<Stretch>, StoreError> {
        let head = self.head(column).ok_or_else(|| file.corrupt(0, "a chunk of a column that is not there"))?;
        let (start, end) = match self.all_fit {
            true => (head.first, head.last),
            false => (range.start().clamp(head.first, head.last), range.end().clamp(head.first, head.last)),
        };
        let slot = &self.kept[column as usize % self.kept.len()];
        if let Some(kept) = slot.lock().as_ref()
            && kept.column == column
            && kept.covers.start() <= start
            && end <= kept.covers.end()
        {
            return Ok(kept.clone());
        }
        let (block, from) = self.places[column as usize];
        let offset = table.offset(block as usize);
        let bytes = file.block(table, block as usize)?;
        let encoded = bytes.get(from as usize..from as usize + head.bytes as usize);
        let encoded = encoded.ok_or_else(|| file.corrupt(offset, "a column beyond its block"))?;
        let mut times = Vec::new();
        chunk::decode_times(encoded, head.rows as usize, &mut times)
            .map_err(|error| file.corrupt(offset, &format!("times of column {column}: {error}")))?;
        if times.first() != Some(&head.first) || times.last() != Some(&head.last) {
            return Err(file.corrupt(offset, "a column of other times than its head says"));
        }
        let (from, to) = (times.partition_point(|at| *at < start), times.partition_point(|at| *at <= end));
        let covers = TimeRange::new(start, end).expect("clamping keeps the order");
        let times = if to - from < times.len() { times[from..to].to_vec() } else { times };
        let stretch = Arc::new(Stretch { column, covers, row: from, times });
        let own_bytes = stretch.times.len() * size_of::<Timestamp>();
        if self.kept_bytes.fetch_add(own_bytes, Ordering::Relaxed) + own_bytes > KEPT_BYTES {
            // All go at once: what is still of use comes back by itself.
            self.kept_bytes.store(own_bytes, Ordering::Relaxed);
            self.kept.iter().for_each(|slot| *slot.lock() = None);
        }
        let before = slot.lock().replace(stretch.clone());
        let before = before.map_or(0, |before| before.times.len() * size_of::<Timestamp>());
        self.kept_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bytes| Some(bytes.saturating_sub(before)))
            .ok();
        Ok(stretch)
    }
}
