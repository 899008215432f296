//! One side of a histogram while it changes: spans and a cell for each bucket.

use crate::model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};

use super::buckets::{Cells, bound};

/// What a bucket holds while histograms are added up: a plain count, or one with its rounding error beside it.
pub(super) trait Cell: Copy + Default {
    /// Adds a number.
    fn gain(&mut self, count: f64);
    /// Adds another cell.
    fn absorb(&mut self, other: Self);
    /// Whether it holds nothing at all.
    fn is_empty(&self) -> bool;
}

impl Cell for f64 {
    fn gain(&mut self, count: f64) {
        *self += count;
    }
    fn absorb(&mut self, other: f64) {
        *self += other;
    }
    fn is_empty(&self) -> bool {
        *self == 0.0
    }
}

/// A sum and what rounding has taken from it. (Kahan's summation with Neumaier's improvement.)
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Compensated {
    pub(super) sum: f64,
    pub(super) lost: f64,
}

impl Compensated {
    pub(super) fn total(self) -> f64 {
        self.sum + self.lost
    }
}

impl From<f64> for Compensated {
    fn from(sum: f64) -> Self {
        Compensated { sum, lost: 0.0 }
    }
}

impl Cell for Compensated {
    fn gain(&mut self, count: f64) {
        let sum = self.sum + count;
        if sum.is_infinite() {
            self.lost = 0.0;
        } else if self.sum.abs() >= count.abs() {
            self.lost += (self.sum - sum) + count;
        } else {
            self.lost += (count - sum) + self.sum;
        }
        self.sum = sum;
    }
    fn absorb(&mut self, other: Compensated) {
        self.gain(other.sum);
        self.lost += other.lost;
    }
    fn is_empty(&self) -> bool {
        self.sum == 0.0 && self.lost == 0.0
    }
}

/// The buckets of one side. Indices rise strictly; as many cells as the spans say.
#[derive(Clone, Debug, Default)]
pub(super) struct Side<T> {
    pub(super) spans: Vec<BucketSpan>,
    pub(super) cells: Vec<T>,
}

impl<T: Cell> Side<T> {
    pub(super) fn iter(&self) -> Cells<'_, T> {
        Cells::new(&self.spans, &self.cells)
    }

    /// Builds a side from cells in order of their indices; cells of one index become one.
    pub(super) fn collect(cells: impl IntoIterator<Item = (i32, T)>) -> Self {
        let mut side: Side<T> = Side { spans: Vec::new(), cells: Vec::new() };
        let mut next = 0_i32;
        for (index, cell) in cells {
            match (side.cells.last_mut(), side.spans.last_mut()) {
                (Some(last), _) if index == next - 1 => {
                    last.absorb(cell);
                    continue;
                }
                (Some(_), Some(span)) if index == next => span.length += 1,
                _ => side.spans.push(BucketSpan { offset: index.saturating_sub(next), length: 1 }),
            }
            side.cells.push(cell);
            next = index.saturating_add(1);
        }
        side
    }

    /// Adds `others`, whose indices rise, to the cells of the same index.
    pub(super) fn gain(&mut self, others: impl Iterator<Item = (i32, f64)>) {
        let mut others = others.peekable();
        let mut mine = self.iter().peekable();
        let merged = std::iter::from_fn(|| {
            let index = match (mine.peek(), others.peek()) {
                (Some((left, _)), Some((right, _))) => *left.min(right),
                (Some((index, _)), None) | (None, Some((index, _))) => *index,
                (None, None) => return None,
            };
            let mut cell = mine.next_if(|(at, _)| *at == index).map(|(_, cell)| cell).unwrap_or_default();
            while let Some((_, count)) = others.next_if(|(at, _)| *at == index) {
                cell.gain(count);
            }
            Some((index, cell))
        });
        let merged = Side::collect(merged.collect::<Vec<_>>());
        *self = merged;
    }

    /// The same with buckets `shift` powers of two as wide.
    pub(super) fn coarsen(&mut self, shift: u32) {
        *self = Side::collect(self.iter().map(|(index, cell)| (coarser(index, shift), cell)));
    }

    /// The same with other custom bounds, a part of those before.
    pub(super) fn rebound(&mut self, from: &[f64], to: &[f64]) {
        *self = Side::collect(self.iter().map(|(index, cell)| (rebound_index(index, from, to), cell)));
    }

    /// Takes away empty cells and those whose inner bound lies below `threshold`.
    pub(super) fn keep_outside(&mut self, threshold: f64, schema: i32) {
        *self = Side::collect(
            self.iter()
                .filter(|(index, cell)| !cell.is_empty() && bound(index.saturating_sub(1), schema, &[]) >= threshold),
        );
    }
}

/// The index of the bucket that holds bucket `index` once buckets are `shift` powers of two as wide.
pub(super) fn coarser(index: i32, shift: u32) -> i32 {
    (index.saturating_sub(1) >> shift.min(31)) + 1
}

/// The index under the bounds `to` of the bucket that held everything up to `from[index]`.
pub(super) fn rebound_index(index: i32, from: &[f64], to: &[f64]) -> i32 {
    let upper = bound(index, CUSTOM_BUCKETS_SCHEMA, from);
    i32::try_from(to.partition_point(|candidate| *candidate < upper)).unwrap_or(i32::MAX)
}

/// The bounds that stand in both lists.
pub(super) fn common_bounds(left: &[f64], right: &[f64]) -> Vec<f64> {
    let mut right = right.iter().peekable();
    left.iter()
        .filter(|bound| {
            while right.next_if(|other| *other < bound).is_some() {}
            right.peek() == Some(bound)
        })
        .copied()
        .collect()
}

/// Whether two lists of custom bounds are the same, bit for bit.
pub(super) fn same_bounds(left: &[f64], right: &[f64]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.to_bits() == right.to_bits())
}
