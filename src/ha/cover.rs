//! Where the top lane alone says all there is: rows of lower lanes there are covered for ever.
//!
//! A row is covered between two solid rows of the top lane, neighbours there, that are at most 1.5 of the *top lane's*
//! intervals apart, with no marker between them or just before. Rows of other lanes have no say in it, and rows that come
//! later can only bring neighbours closer: so whoever drops covered rows, at the door, in a merge of parts or not at
//! all, the series stays the same to the bit.
//!
//! The first 16 distances of a lane, or of its life after an hour's silence, may mislead about its interval. There the
//! interval counts that is known after the sixteenth; until then nothing is covered.

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::{Column, Histogram, Timestamp};

use super::interval::{DISTANCES, Mark, SILENCE, is_close};
use super::lane::{Lane, is_marker};

/// Stretches of time that the top lane covers, both ends included, rising.
#[derive(Clone, Debug, Default)]
pub(super) struct Cover(Vec<(Timestamp, Timestamp)>);

/// A real row of the top lane.
struct Row {
    row: usize,
    at: Timestamp,
    mark: Mark,
}

impl Cover {
    /// What `top` covers from its row `from` on.
    pub(super) fn of(top: &Lane<'_>, from: usize) -> Cover {
        let mut stretches: Vec<(Timestamp, Timestamp)> = Vec::new();
        let real = top.marked().filter(|(row, ..)| !is_marker(&top.rows, *row));
        let rows: Vec<Row> = real.map(|(row, at, mark)| Row { row, at, mark }).collect();
        for life in rows.chunk_by(|row, next| next.at - row.at <= SILENCE) {
            if life.len() <= DISTANCES {
                continue;
            }
            for pair in life.windows(2) {
                let [p, n] = pair else { unreachable!("windows of two") };
                let between = n.row > p.row + 1;
                let just_before = p.row.checked_sub(1).is_some_and(|before| is_marker(&top.rows, before));
                let is_whole = p.mark.solid && n.mark.solid && is_close(n.at - p.at, p.mark.interval);
                if p.row < from || !is_whole || between || just_before {
                    continue;
                }
                match stretches.last_mut().filter(|(_, until)| *until == p.at) {
                    Some((_, until)) => *until = n.at,
                    None => stretches.push((p.at, n.at)),
                }
            }
        }
        Cover(stretches)
    }

    /// Stretches of several turns, which follow one another.
    pub(super) fn together<'c>(covers: impl Iterator<Item = &'c Cover>) -> Cover {
        Cover(covers.flat_map(|cover| cover.0.iter().copied()).collect())
    }

    /// Whether anything is covered.
    pub(super) fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    /// How many stretches end before `at`, where `passed` ended before some earlier time.
    pub(super) fn passed(&self, at: Timestamp, passed: usize) -> usize {
        passed + self.0[passed..].iter().take_while(|(_, until)| *until < at).count()
    }

    /// The rows that are left of a lower lane: markers, and what is not covered.
    pub(super) fn uncovered<'a>(&self, lower: &'a Column) -> Cow<'a, Column> {
        if self.0.is_empty() {
            return Cow::Borrowed(lower);
        }
        let mut passed = 0;
        let mut left = Column::default();
        let mut histograms = lower.histograms.iter().peekable();
        for (row, at) in lower.at.iter().enumerate() {
            passed = self.passed(*at, passed);
            let histogram = histograms.next_if(|(place, _)| *place == row).map(|(_, histogram)| histogram);
            let is_covered = self.0.get(passed).is_some_and(|(from, _)| from <= at);
            if !is_covered || is_marker(lower, row) {
                push(&mut left, lower, row, histogram);
            }
        }
        Cow::Owned(left)
    }
}

fn push(into: &mut Column, from: &Column, row: usize, histogram: Option<&Arc<Histogram>>) {
    if let Some(histogram) = histogram {
        into.histograms.push((into.at.len(), Arc::clone(histogram)));
    }
    into.at.push(from.at[row]);
    into.values.push(from.values[row]);
    if !from.starts.is_empty() {
        into.starts.push(from.starts.get(row).copied().unwrap_or(Timestamp::EPOCH));
    }
}
