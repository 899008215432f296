//! The rows of a stream that are not plain floats in time order: histograms, start timestamps, late rows.

use crate::model::{Column, TimeRange, Timestamp};
use crate::store::BatchSample;

use super::super::bytes::{Reader, put_bytes, put_i64, put_u64};
use super::super::log::record::row_bytes;
use super::super::rows::{self, Effort};
use super::columns::Stretch;

/// Rows in the open end before they are encoded.
const OPEN_ROWS: usize = 16;
/// Rows that came late before they are encoded.
const LATE_ROWS: usize = 64;

/// What most streams do not have.
#[derive(Debug)]
pub(super) struct Rest {
    /// Where the stream's plain rows stood before they departed from their column, oldest first.
    pub(super) stretches: Vec<Stretch>,
    /// Encoded rows: first time, span, length, rows.
    blocks: Vec<u8>,
    /// The newest rows, in time order.
    open: Column,
    /// Rows that came behind their time.
    late: Vec<BatchSample>,
    first: Timestamp,
    last: Timestamp,
}

impl Default for Rest {
    fn default() -> Self {
        Rest {
            stretches: Vec::new(),
            blocks: Vec::new(),
            open: Column::default(),
            late: Vec::new(),
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        }
    }
}

impl Rest {
    /// The times that its own rows lie between.
    pub(super) fn range(&self) -> Option<TimeRange> {
        TimeRange::new(self.first, self.last)
    }

    /// Takes a row; tells how many bytes of memory that took or gave back.
    pub(super) fn insert(&mut self, row: &BatchSample) -> isize {
        let mut bytes = row_bytes(row) as isize;
        let newest = row.at > self.last;
        self.first = self.first.min(row.at);
        self.last = self.last.max(row.at);
        if newest {
            rows::push(&mut self.open, row);
        } else {
            self.late.push(row.clone());
        }
        if self.open.len() >= OPEN_ROWS {
            let open = std::mem::take(&mut self.open);
            bytes += self.seal(&open) - rows::each(&open).map(|row| row_bytes(&row) as isize).sum::<isize>();
        }
        if self.late.len() >= LATE_ROWS {
            let late = std::mem::take(&mut self.late);
            let mut column = Column::default();
            late.iter().for_each(|row| rows::push(&mut column, row));
            rows::tidy(&mut column);
            bytes += self.seal(&column) - late.iter().map(|row| row_bytes(row) as isize).sum::<isize>();
        }
        bytes
    }

    /// Encodes rows into a block, or into several where large histograms are among them; tells how many bytes they take.
    fn seal(&mut self, column: &Column) -> isize {
        let before = self.blocks.len();
        for block in rows::blocks(column, column.len()) {
            if block.len() == column.len() {
                self.seal_block(column);
            } else {
                self.seal_block(&rows::slice(column, block));
            }
        }
        (self.blocks.len() - before) as isize
    }

    fn seal_block(&mut self, column: &Column) {
        let (Some(first), Some(last)) = (column.at.first(), column.at.last()) else { return };
        let mut block = Vec::with_capacity(64);
        rows::encode(column, Effort::Hot, &mut block);
        put_i64(&mut self.blocks, first.as_millis());
        put_u64(&mut self.blocks, last.as_millis().wrapping_sub(first.as_millis()) as u64);
        put_bytes(&mut self.blocks, &block);
    }

    /// Appends the rows that may lie inside `range` to `into`, unsorted.
    pub(super) fn read(&self, range: TimeRange, into: &mut Column) {
        let mut reader = Reader::new(&self.blocks);
        while !reader.is_empty() {
            let block = (|| {
                let first = reader.i64()?;
                let last = first.wrapping_add(reader.u64()? as i64);
                let times = TimeRange::new(Timestamp::from_millis(first), Timestamp::from_millis(last))?;
                Some((times, reader.bytes()?))
            })();
            let (times, block) = block.expect("blocks are well-formed: they were written here");
            if times.overlaps(range) {
                rows::decode(block, into).expect("blocks are well-formed: they were written here");
            }
        }
        self.late.iter().filter(|row| range.contains(row.at)).for_each(|row| rows::push(into, row));
        rows::each(&self.open).filter(|row| range.contains(row.at)).for_each(|row| rows::push(into, &row));
    }

    /// Whether some of its own rows lies inside `range`, exactly.
    pub(super) fn has_rows_in(&self, range: TimeRange) -> bool {
        match self.range() {
            None => false,
            Some(own) if !own.overlaps(range) => false,
            Some(own) if range.contains(own.start()) || range.contains(own.end()) => true,
            Some(_) => {
                let mut column = Column::default();
                self.read(range, &mut column);
                column.at.iter().any(|at| range.contains(*at))
            }
        }
    }
}
