//! A lane as merging sees it: rows, and what its door knew of each.

use crate::model::sample::is_stale;
use crate::model::{Column, Timestamp};

use super::interval::{Annotator, Mark};
use super::rules::MergeRules;

/// Rows of one replica, with their marks.
///
/// The marks of a lane that was kept whole follow from its rows ([`Lane::annotated`]). Of a lane from which covered
/// rows were dropped they do not, since what is left stands far apart: whoever drops rows keeps the marks of the rest.
#[derive(Clone, Debug)]
pub struct Lane<'a> {
    /// The rows.
    pub rows: &'a Column,
    /// Marks by runs, the first at row 0, rising; empty only for a lane without rows.
    pub runs: Vec<Run>,
}

/// Rows from `first` on, up to the next run, have this mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Index of the first row.
    pub first: usize,
    /// Their mark.
    pub mark: Mark,
}

impl<'a> Lane<'a> {
    /// A lane that was kept whole, or from [`CONTEXT_ROWS`](super::CONTEXT_ROWS) before the first row that matters.
    pub fn annotated(rows: &'a Column, rules: &MergeRules) -> Self {
        let (mut annotator, mut runs) = (Annotator::new(rules), Vec::<Run>::new());
        for (row, at) in rows.at.iter().enumerate() {
            let mark = if is_marker(rows, row) { annotator.mark() } else { annotator.push(*at) };
            if runs.last().is_none_or(|run| run.mark != mark) {
                runs.push(Run { first: row, mark });
            }
        }
        Lane { rows, runs }
    }

    /// The mark of one row.
    pub fn mark(&self, row: usize) -> Mark {
        let run = self.runs.partition_point(|run| run.first <= row);
        self.runs[run.checked_sub(1).expect("the first run begins at row 0")].mark
    }

    /// Every row with its mark, in order.
    pub(super) fn marked(&self) -> impl Iterator<Item = (usize, Timestamp, Mark)> {
        let mut run = 0;
        self.rows.at.iter().enumerate().map(move |(row, at)| {
            if self.runs.get(run + 1).is_some_and(|next| next.first <= row) {
                run += 1;
            }
            (row, *at, self.runs[run].mark)
        })
    }

    /// Whether there is any row, real or marker, with `after < at <= until`.
    pub(super) fn has_row_between(&self, after: Timestamp, until: Timestamp) -> bool {
        let next = self.rows.at.partition_point(|at| *at <= after);
        self.rows.at.get(next).is_some_and(|at| *at <= until)
    }
}

/// Whether a row is a stale marker.
pub(super) fn is_marker(rows: &Column, row: usize) -> bool {
    is_stale(rows.values[row])
}
