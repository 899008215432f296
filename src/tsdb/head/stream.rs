//! One lane of one series in the head.
//!
//! ```text
//! runs: [length·first·span·rows] [...] [...]   encoded, 16 rows each      late: rows that came behind their time
//! open: the newest rows, as they came; a constant value is kept once
//! ```

use crate::model::{Column, Lane, Sample, TimeRange, Timestamp};
use crate::store::BatchSample;

use super::super::bytes::{Reader, put_bytes, put_i64, put_u64};
use super::super::log::record::row_bytes;
use super::super::rows::{self, Effort};

/// Rows in the open end before they are encoded.
const RUN_ROWS: usize = 16;
/// Rows that came late before they are encoded.
const LATE_ROWS: usize = 64;

/// Rows of one lane of one series, each acknowledged one of them.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) lane: Lane,
    runs: Vec<u8>,
    open: Open,
    late: Vec<BatchSample>,
    first: Timestamp,
    last: Timestamp,
}

/// The newest rows.
#[derive(Debug)]
enum Open {
    /// Floats without start timestamps. While all of them are equal, `values` is empty.
    Floats { at: Vec<Timestamp>, constant: f64, values: Vec<f64> },
    /// Everything else.
    Mixed(Box<Column>),
}

impl Default for Open {
    fn default() -> Self {
        Open::Floats { at: Vec::new(), constant: 0.0, values: Vec::new() }
    }
}

/// What an insert did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Inserted {
    /// Bytes of memory taken or given back, by estimate.
    pub(super) bytes: isize,
    /// Whether another value stood at the same time.
    pub(super) conflict: bool,
}

impl Stream {
    pub(super) fn new(lane: Lane) -> Self {
        Stream {
            lane,
            runs: Vec::new(),
            open: Open::default(),
            late: Vec::new(),
            first: Timestamp::MAX,
            last: Timestamp::MIN,
        }
    }

    /// The times that rows lie between.
    pub(super) fn range(&self) -> Option<TimeRange> {
        TimeRange::new(self.first, self.last)
    }

    pub(super) fn insert(&mut self, row: &BatchSample) -> Inserted {
        let mut inserted = Inserted { bytes: row_bytes(row) as isize, conflict: false };
        let newest = row.at > self.last || self.range().is_none();
        self.first = self.first.min(row.at);
        self.last = self.last.max(row.at);
        if newest {
            self.open.push(row);
        } else if self.open.first().is_some_and(|first| first <= row.at) {
            inserted.conflict = self.open.insert(row);
        } else {
            self.late.push(row.clone());
            if self.late.len() >= LATE_ROWS {
                let late = std::mem::take(&mut self.late);
                let mut column = Column::default();
                late.iter().for_each(|row| rows::push(&mut column, row));
                rows::tidy(&mut column);
                inserted.bytes += self.seal(&column) - late.iter().map(|row| row_bytes(row) as isize).sum::<isize>();
            }
        }
        if self.open.len() >= RUN_ROWS {
            let column = self.open.take();
            inserted.bytes +=
                self.seal(&column) - rows::each(&column).map(|row| row_bytes(&row) as isize).sum::<isize>();
        }
        inserted
    }

    /// Encodes rows into a run, or into several where large histograms are among them; tells how many bytes they take.
    fn seal(&mut self, column: &Column) -> isize {
        let before = self.runs.len();
        for block in rows::blocks(column, column.len()) {
            if block.len() == column.len() {
                self.seal_block(column);
            } else {
                self.seal_block(&rows::slice(column, block));
            }
        }
        (self.runs.len() - before) as isize
    }

    fn seal_block(&mut self, column: &Column) {
        let (Some(first), Some(last)) = (column.at.first(), column.at.last()) else { return };
        let mut run = Vec::with_capacity(64);
        rows::encode(column, Effort::Hot, &mut run);
        put_i64(&mut self.runs, first.as_millis());
        put_u64(&mut self.runs, last.as_millis().wrapping_sub(first.as_millis()) as u64);
        put_bytes(&mut self.runs, &run);
    }

    /// Appends the rows that may lie inside `range` to `into`, unsorted.
    pub(super) fn read(&self, range: TimeRange, into: &mut Column) {
        let mut reader = Reader::new(&self.runs);
        while !reader.is_empty() {
            let run = (|| {
                let first = reader.i64()?;
                let last = first.wrapping_add(reader.u64()? as i64);
                let times = TimeRange::new(Timestamp::from_millis(first), Timestamp::from_millis(last))?;
                Some((times, reader.bytes()?))
            })();
            let (times, run) = run.expect("the head's own runs are well-formed");
            if times.overlaps(range) {
                rows::decode(run, into).expect("the head's own runs are well-formed");
            }
        }
        self.late.iter().filter(|row| range.contains(row.at)).for_each(|row| rows::push(into, row));
        self.open.read(range, into);
    }

    /// Whether some row lies inside `range`, exactly.
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

impl Open {
    fn len(&self) -> usize {
        match self {
            Open::Floats { at, .. } => at.len(),
            Open::Mixed(column) => column.len(),
        }
    }

    fn first(&self) -> Option<Timestamp> {
        match self {
            Open::Floats { at, .. } => at.first().copied(),
            Open::Mixed(column) => column.at.first().copied(),
        }
    }

    fn push(&mut self, row: &BatchSample) {
        match self {
            Open::Floats { at, constant, values } if is_plain(row) => {
                if at.is_empty() {
                    *constant = row.value;
                } else if !values.is_empty() || constant.to_bits() != row.value.to_bits() {
                    values.resize(at.len(), *constant);
                    values.push(row.value);
                }
                at.push(row.at);
            }
            Open::Floats { .. } => {
                let mut column = self.take();
                rows::push(&mut column, row);
                *self = Open::Mixed(Box::new(column));
            }
            Open::Mixed(column) => rows::push(column, row),
        }
    }

    /// Puts a row into its place; tells whether another one stood there.
    fn insert(&mut self, row: &BatchSample) -> bool {
        let mut column = self.take();
        rows::push(&mut column, row);
        let conflicts = rows::tidy(&mut column);
        rows::each(&column).for_each(|row| self.push(&row));
        conflicts > 0
    }

    /// All rows as a column; none stay.
    fn take(&mut self) -> Column {
        match std::mem::take(self) {
            Open::Floats { at, constant, mut values } => {
                if values.is_empty() {
                    values.resize(at.len(), constant);
                }
                Column { at, values, ..Column::default() }
            }
            Open::Mixed(column) => *column,
        }
    }

    fn read(&self, range: TimeRange, into: &mut Column) {
        match self {
            Open::Floats { at, constant, values } => {
                let rows = at.iter().enumerate().filter(|(_, at)| range.contains(**at));
                for (row, at) in rows {
                    let value = values.get(row).copied().unwrap_or(*constant);
                    rows::push(into, &rows::float(Sample { at: *at, value }));
                }
            }
            Open::Mixed(column) => {
                rows::each(column).filter(|row| range.contains(row.at)).for_each(|row| rows::push(into, &row));
            }
        }
    }
}

fn is_plain(row: &BatchSample) -> bool {
    row.histogram.is_none() && row.start == Timestamp::EPOCH
}
