//! The times of the rows of one page.
//!
//! The series of one target come with one timestamp, request for request. So neighbours share a *column* of times, and
//! a stream only says which rows of which column are its own: a *stretch*. Nothing relies on sharing: a stream compares
//! each time with the one that its column has in that place, and goes to another column where they differ.

use crate::model::{TimeRange, Timestamp};

/// Columns of times; each of them rises strictly.
#[derive(Debug, Default)]
pub(super) struct Columns {
    times: Vec<Vec<Timestamp>>,
    /// The column of the row inserted last: the next new stream likely belongs to it.
    pub(super) recent: u32,
}

/// Rows that follow one another in one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) column: u32,
    /// Its first row in the column.
    pub(super) from: u32,
    pub(super) rows: u32,
}

/// What a stretch can do with a row at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is the next row of the column, or has become that.
    Fits,
    /// It is not behind the stretch's last row.
    Late,
    /// The column goes on at another time.
    Departs,
}

impl Columns {
    /// The times of a stretch.
    pub(super) fn of(&self, stretch: Stretch) -> &[Timestamp] {
        match self.times.get(stretch.column as usize) {
            Some(times) => &times[stretch.from as usize..(stretch.from + stretch.rows) as usize],
            None => &[],
        }
    }

    /// Between which times a stretch lies; `None` where it has no row.
    pub(super) fn range(&self, stretch: Stretch) -> Option<TimeRange> {
        let times = self.of(stretch);
        TimeRange::new(*times.first()?, *times.last()?)
    }

    /// Whether a stretch, which has rows, goes on at `at`; the column grows where the stretch is the first to get there.
    #[inline]
    pub(super) fn advance(&mut self, stretch: Stretch, at: Timestamp, bytes: &mut isize) -> Next {
        let times = &mut self.times[stretch.column as usize];
        let next = (stretch.from + stretch.rows) as usize;
        match times.get(next) {
            Some(time) if *time == at => Next::Fits,
            _ if at <= times[next - 1] => Next::Late,
            Some(_) => Next::Departs,
            None => {
                grow(times, at, bytes);
                Next::Fits
            }
        }
    }

    /// A stretch without rows whose first row will lie at `at`. `before`, where the stream's rows stood until now, and
    /// the column used last come first; a new column is made where neither has that time.
    pub(super) fn place(&mut self, before: Option<Stretch>, at: Timestamp, bytes: &mut isize) -> Stretch {
        let before = before.map(|stretch| stretch.column);
        for column in before.into_iter().chain([self.recent]) {
            let Some(times) = self.times.get(column as usize) else { continue };
            // Nearly always the newest time.
            let row = match times.last() == Some(&at) {
                true => Ok(times.len() - 1),
                false => times.binary_search(&at),
            };
            if let Ok(row) = row {
                return Stretch { column, from: row as u32, rows: 0 };
            }
        }
        let column = self.times.len() as u32;
        self.times.push(Vec::new());
        *bytes += size_of::<Vec<Timestamp>>() as isize;
        grow(&mut self.times[column as usize], at, bytes);
        Stretch { column, from: 0, rows: 0 }
    }
}

fn grow(times: &mut Vec<Timestamp>, at: Timestamp, bytes: &mut isize) {
    let before = times.capacity();
    times.push(at);
    *bytes += ((times.capacity() - before) * size_of::<Timestamp>()) as isize;
}
