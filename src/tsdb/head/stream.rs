//! One lane of one series in the head.
//!
//! Nearly all rows are plain floats in time order. Their times stand in a column that neighbours share ([`columns`]),
//! their values in packed runs ([`run`]) and, the newest, unpacked; as long as a value does not change it is kept once.
//! Rows of any other kind are in [`rest`].
//!
//! ```text
//! stretch: column 3, rows 40..57   |<------ sealed ------>|<-- open -->|
//! runs:    [same · 12 rows] [whole · 16 rows] ...
//! open:                                                    5.0 5.0 6.0      or once, while all are equal
//! ```
//!
//! [`columns`]: super::columns
//! [`run`]: super::run
//! [`rest`]: super::rest

use crate::model::{Column, Lane, TimeRange, Timestamp};
use crate::store::BatchSample;

use super::columns::{Columns, Next, Stretch};
use super::rest::Rest;
use super::run::{self, RUN_ROWS, Run};

/// Rows of one lane of one series, each acknowledged one of them.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) lane: Lane,
    /// Whether the open values differ: then they stand in `open`, otherwise each of them is `constant`.
    varied: bool,
    /// What [`run::encode`] remembers.
    scale: u8,
    stretch: Stretch,
    /// Rows of the stretch that are in `runs`.
    sealed: u32,
    constant: f64,
    open: Option<Box<[f64; RUN_ROWS]>>,
    /// The values of the stretches before this one, and the sealed ones of this one.
    runs: Vec<u8>,
    rest: Option<Box<Rest>>,
    /// The next lane of the same series.
    pub(super) next: Option<Box<Stream>>,
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
            varied: false,
            scale: 0,
            stretch: Stretch::default(),
            sealed: 0,
            constant: 0.0,
            open: None,
            runs: Vec::new(),
            rest: None,
            next: None,
        }
    }

    /// Whether it never got a row.
    pub(super) fn is_empty(&self) -> bool {
        self.stretch.rows == 0 && self.rest.is_none()
    }

    /// The times that rows lie between.
    pub(super) fn range(&self, columns: &Columns) -> Option<TimeRange> {
        let plain = self.stretches().filter_map(|stretch| columns.range(stretch));
        let rest = self.rest.as_ref().and_then(|rest| rest.range());
        plain.chain(rest).reduce(TimeRange::cover)
    }

    /// Where plain rows stand, oldest first.
    fn stretches(&self) -> impl Iterator<Item = Stretch> + '_ {
        let earlier = self.rest.iter().flat_map(|rest| rest.stretches.iter().copied());
        earlier.chain([self.stretch])
    }

    #[inline]
    pub(super) fn insert(&mut self, row: &BatchSample, columns: &mut Columns) -> Inserted {
        let mut inserted = Inserted::default();
        if row.histogram.is_some() || row.start != Timestamp::EPOCH {
            inserted.bytes = self.rest().insert(row);
            return inserted;
        }
        let next = match self.stretch.rows {
            0 => Next::Departs,
            _ => columns.advance(self.stretch, row.at, &mut inserted.bytes),
        };
        match next {
            Next::Fits => {}
            Next::Late => return self.insert_late(row, columns),
            Next::Departs => self.depart(row.at, columns, &mut inserted.bytes),
        }
        self.push(row.value, &mut inserted.bytes);
        columns.recent = self.stretch.column;
        inserted
    }

    /// Adds the value of the row behind the last one.
    #[inline]
    fn push(&mut self, value: f64, bytes: &mut isize) {
        let open = (self.stretch.rows - self.sealed) as usize;
        if open == 0 {
            self.constant = value;
        } else if self.varied {
            self.open_values(bytes)[open] = value;
        } else if self.constant.to_bits() != value.to_bits() {
            if open < RUN_ROWS {
                self.vary(open, bytes)[open] = value;
            } else {
                self.seal(bytes);
                self.constant = value;
            }
        }
        self.stretch.rows += 1;
        if self.varied && open + 1 == RUN_ROWS {
            self.seal(bytes);
        }
    }

    /// The open values one by one, where they were kept as one until now.
    fn vary(&mut self, open: usize, bytes: &mut isize) -> &mut [f64; RUN_ROWS] {
        let constant = self.constant;
        self.varied = true;
        let values = self.open_values(bytes);
        values[..open].fill(constant);
        values
    }

    fn open_values(&mut self, bytes: &mut isize) -> &mut [f64; RUN_ROWS] {
        self.open.get_or_insert_with(|| {
            *bytes += size_of::<[f64; RUN_ROWS]>() as isize;
            Box::new([0.0; RUN_ROWS])
        })
    }

    /// Packs the open values.
    fn seal(&mut self, bytes: &mut isize) {
        let open = (self.stretch.rows - self.sealed) as usize;
        let before = self.runs.capacity();
        match &self.open {
            _ if open == 0 => return,
            Some(values) if self.varied => run::encode(&values[..open], &mut self.scale, &mut self.runs),
            _ => run::encode_same(self.constant, open, &mut self.runs),
        }
        *bytes += (self.runs.capacity() - before) as isize;
        self.sealed = self.stretch.rows;
        self.varied = false;
    }

    /// Goes on in another place of the column, or in another column.
    fn depart(&mut self, at: Timestamp, columns: &mut Columns, bytes: &mut isize) {
        let before = (self.stretch.rows > 0).then_some(self.stretch);
        if let Some(stretch) = before {
            self.seal(bytes);
            self.rest().stretches.push(stretch);
            *bytes += size_of::<Stretch>() as isize;
        }
        self.stretch = columns.place(before, at, bytes);
        self.sealed = 0;
    }

    /// Takes a row that is not behind the last one: the same one again, another value for it, or one that came late.
    fn insert_late(&mut self, row: &BatchSample, columns: &Columns) -> Inserted {
        let mut inserted = Inserted::default();
        let place = columns.of(self.stretch).binary_search(&row.at).ok();
        let Some(open) = place.and_then(|place| place.checked_sub(self.sealed as usize)) else {
            inserted.bytes = self.rest().insert(row);
            return inserted;
        };
        let known = match &self.open {
            Some(values) if self.varied => values[open],
            _ => self.constant,
        };
        inserted.conflict = known.to_bits() != row.value.to_bits();
        // Of two values the larger one stays, whichever came first: see `rows::compare`.
        if row.value.total_cmp(&known).is_gt() {
            let rows = (self.stretch.rows - self.sealed) as usize;
            if rows > RUN_ROWS {
                // One in a long stretch of equal values: reads put it into its place.
                inserted.bytes = self.rest().insert(row);
            } else if rows == 1 {
                self.constant = row.value;
            } else if self.varied {
                self.open_values(&mut inserted.bytes)[open] = row.value;
            } else {
                self.vary(rows, &mut inserted.bytes)[open] = row.value;
                if rows == RUN_ROWS {
                    self.seal(&mut inserted.bytes);
                }
            }
        }
        inserted
    }

    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Appends the rows that may lie inside `range` to `into`, unsorted.
    pub(super) fn read(&self, columns: &Columns, range: TimeRange, into: &mut Column) {
        let mut runs = &self.runs[..];
        for stretch in self.stretches().filter(|stretch| stretch.rows > 0) {
            let times = columns.of(stretch);
            // Only the last stretch has open values.
            let sealed = if stretch == self.stretch { self.sealed as usize } else { times.len() };
            let mut row = 0;
            while row < sealed {
                let run = Run::take(&mut runs).expect("runs hold every sealed row");
                let run_times = &times[row..row + run.rows];
                if overlaps(run_times, range) {
                    run.decode(&mut into.values);
                    into.at.extend_from_slice(run_times);
                }
                row += run.rows;
            }
            let open_times = &times[sealed..];
            if overlaps(open_times, range) {
                match &self.open {
                    Some(values) if self.varied => into.values.extend_from_slice(&values[..open_times.len()]),
                    _ => into.values.resize(into.values.len() + open_times.len(), self.constant),
                }
                into.at.extend_from_slice(open_times);
            }
        }
        if !into.starts.is_empty() {
            into.starts.resize(into.at.len(), Timestamp::EPOCH);
        }
        if let Some(rest) = &self.rest {
            rest.read(range, into);
        }
    }

    /// Whether some row lies inside `range`, exactly.
    pub(super) fn has_rows_in(&self, columns: &Columns, range: TimeRange) -> bool {
        let plain = |stretch: Stretch| {
            let times = columns.of(stretch);
            let first = times.partition_point(|at| *at < range.start());
            times.get(first).is_some_and(|at| *at <= range.end())
        };
        self.stretches().any(plain) || self.rest.as_ref().is_some_and(|rest| rest.has_rows_in(range))
    }
}

fn overlaps(times: &[Timestamp], range: TimeRange) -> bool {
    match (times.first(), times.last()) {
        (Some(first), Some(last)) => *first <= range.end() && *last >= range.start(),
        _ => false,
    }
}
