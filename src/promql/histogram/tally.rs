//! How two histograms meet: a running total that takes in one histogram after another.
//!
//! ```text
//! check schemas -> settle the hint -> one zero bucket for both -> one resolution -> add bucket to bucket
//! ```
//! The total never becomes finer: its zero bucket grows and its resolution falls to what both sides can say; of
//! custom bounds, those that both have remain. (Prometheus: `FloatHistogram.Add`, `KahanAdd`.)

use std::cmp::Ordering;

use crate::model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};
use crate::model::{Histogram, ResetHint};

use super::arithmetic::{HistogramError, Merge, div};
use super::buckets::{Cells, bound};
use super::layout::{Cell, Compensated, Side, coarser, common_bounds, rebound_index, same_bounds};
use super::{ResetsSeen, compact};

/// A histogram whose numbers are cells.
#[derive(Clone, Debug)]
pub(super) struct Tally<T> {
    schema: i32,
    zero_threshold: f64,
    zero: T,
    count: T,
    sum: T,
    positive: Side<T>,
    negative: Side<T>,
    custom_values: Vec<f64>,
    reset_hint: ResetHint,
}

impl Tally<f64> {
    pub(super) fn of(histogram: Histogram) -> Self {
        Tally {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero: histogram.zero_count,
            count: histogram.count,
            sum: histogram.sum,
            positive: Side { spans: histogram.positive_spans, cells: histogram.positive_buckets },
            negative: Side { spans: histogram.negative_spans, cells: histogram.negative_buckets },
            custom_values: histogram.custom_values,
            reset_hint: histogram.reset_hint,
        }
    }

    pub(super) fn into_histogram(self) -> Histogram {
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero,
            count: self.count,
            sum: self.sum,
            positive_spans: self.positive.spans,
            positive_buckets: self.positive.cells,
            negative_spans: self.negative.spans,
            negative_buckets: self.negative.cells,
            custom_values: self.custom_values,
            reset_hint: self.reset_hint,
            integer: false,
        }
    }
}

impl<T: Cell> Tally<T> {
    fn map<U: Cell>(self, each: impl Fn(T) -> U) -> Tally<U> {
        let side = |side: Side<T>| Side { spans: side.spans, cells: side.cells.into_iter().map(&each).collect() };
        Tally {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero: each(self.zero),
            count: each(self.count),
            sum: each(self.sum),
            positive: side(self.positive),
            negative: side(self.negative),
            custom_values: self.custom_values,
            reset_hint: self.reset_hint,
        }
    }

    /// Adds `sign` times `other`; `sign` is 1 or -1. On an error nothing has changed.
    pub(super) fn gain(&mut self, other: &Histogram, sign: f64) -> Result<Merge, HistogramError> {
        let custom = other.has_custom_buckets();
        if custom != (self.schema == CUSTOM_BUCKETS_SCHEMA) {
            return Err(HistogramError::MixedSchemas);
        }
        let mut merge = Merge { reset_collision: self.settle_hint(other.reset_hint), ..Merge::default() };
        let other_zero = if custom { 0.0 } else { self.settle_zero_bucket(other) };
        self.zero.gain(sign * other_zero);
        self.count.gain(sign * other.count);
        self.sum.gain(sign * other.sum);
        match custom {
            true => merge.bounds_reconciled = self.gain_custom(other, sign),
            false => self.gain_exponential(other, sign),
        }
        Ok(merge)
    }

    fn gain_custom(&mut self, other: &Histogram, sign: f64) -> bool {
        let cells = Cells::new(&other.positive_spans, &other.positive_buckets);
        if same_bounds(&self.custom_values, &other.custom_values) {
            gain_cells(&mut self.positive, &other.positive_spans, cells, sign);
            return false;
        }
        let bounds = common_bounds(&self.custom_values, &other.custom_values);
        self.positive.rebound(&self.custom_values, &bounds);
        let place = |(index, count)| (rebound_index(index, &other.custom_values, &bounds), sign * count);
        self.positive.gain(cells.map(place));
        self.custom_values = bounds;
        true
    }

    fn gain_exponential(&mut self, other: &Histogram, sign: f64) {
        if other.schema < self.schema {
            let shift = self.schema.abs_diff(other.schema);
            self.positive.coarsen(shift);
            self.negative.coarsen(shift);
            self.schema = other.schema;
        }
        let (schema, threshold, shift) = (self.schema, self.zero_threshold, other.schema.abs_diff(self.schema));
        // Buckets that lie in the zero bucket have been counted there.
        let swallowed = |index: i32| threshold > 0.0 && bound(index, schema, &[]) <= threshold;
        for (side, spans, counts) in [
            (&mut self.positive, &other.positive_spans, &other.positive_buckets),
            (&mut self.negative, &other.negative_spans, &other.negative_buckets),
        ] {
            let cells = Cells::new(spans, counts);
            if shift == 0 && !spans.first().is_some_and(|first| swallowed(first.offset)) {
                gain_cells(side, spans, cells, sign);
            } else {
                let place = |(index, count)| (if shift == 0 { index } else { coarser(index, shift) }, sign * count);
                side.gain(cells.map(place).skip_while(|(index, _)| swallowed(*index)));
            }
        }
    }

    /// A gauge stays a gauge, what is unknown stays unknown; only a reset against a non-reset is a contradiction.
    fn settle_hint(&mut self, other: ResetHint) -> bool {
        use ResetHint::{Gauge, Unknown};
        let (hint, collision) = match (self.reset_hint, other) {
            (mine, other) if mine == other => (mine, false),
            (Gauge, _) | (_, Gauge) => (Gauge, false),
            (Unknown, _) | (_, Unknown) => (Unknown, false),
            _ => (Unknown, true),
        };
        self.reset_hint = hint;
        collision
    }

    /// Widens this zero bucket until it holds that of `other` and ends inside no populated bucket of either side;
    /// gives the zero count that `other` has then.
    fn settle_zero_bucket(&mut self, other: &Histogram) -> f64 {
        let (mut other_zero, mut other_threshold) = (other.zero_count, other.zero_threshold);
        loop {
            match other_threshold.partial_cmp(&self.zero_threshold) {
                Some(Ordering::Less) => {
                    (other_zero, other_threshold) = widened_zero_bucket(other, self.zero_threshold);
                }
                Some(Ordering::Greater) => {
                    let sides = (self.positive.iter(), self.negative.iter());
                    (self.zero, self.zero_threshold) = widen(self.schema, self.zero, sides, other_threshold);
                    self.positive.keep_outside(self.zero_threshold, self.schema);
                    self.negative.keep_outside(self.zero_threshold, self.schema);
                }
                // A threshold that is no number cannot be settled.
                Some(Ordering::Equal) | None => return other_zero,
            }
        }
    }
}

/// Adds cells that keep their indices.
fn gain_cells<T: Cell>(side: &mut Side<T>, spans: &[BucketSpan], cells: Cells<'_, f64>, sign: f64) {
    if side.spans == spans && side.cells.len() == cells.len() {
        // The usual case: both sides are laid out alike.
        for (mine, (_, count)) in side.cells.iter_mut().zip(cells) {
            mine.gain(sign * count);
        }
    } else if !cells.is_empty() {
        side.gain(cells.map(|(index, count)| (index, sign * count)));
    }
}

/// The zero count that a histogram has with a zero bucket at least `threshold` wide, and the width, which grows to
/// the outer bound of a populated bucket that `threshold` would cut. (Prometheus: `zeroCountForLargerThreshold`.)
pub(super) fn widened_zero_bucket(histogram: &Histogram, threshold: f64) -> (f64, f64) {
    let positive = Cells::new(&histogram.positive_spans, &histogram.positive_buckets);
    let negative = Cells::new(&histogram.negative_spans, &histogram.negative_buckets);
    widen(histogram.schema, histogram.zero_count, (positive, negative), threshold)
}

fn widen<T: Cell>(
    schema: i32,
    zero: T,
    (positive, negative): (Cells<'_, T>, Cells<'_, T>),
    mut threshold: f64,
) -> (T, f64) {
    loop {
        let (mut total, mut widened) = (zero, false);
        for side in [positive.clone(), negative.clone()] {
            for (index, cell) in side {
                if bound(index.saturating_sub(1), schema, &[]) >= threshold {
                    break;
                }
                total.absorb(cell);
                let outer = bound(index, schema, &[]);
                if outer > threshold {
                    if !cell.is_empty() {
                        (threshold, widened) = (outer, true);
                    }
                    break;
                }
            }
        }
        // Where a negative bucket has widened it further, more positive buckets may lie inside: once again.
        if !widened {
            return (total, threshold);
        }
    }
}

/// A sum of many histograms with compensated rounding: what `sum` and `sum_over_time` give.
#[derive(Clone, Debug)]
pub struct CompensatedSum {
    total: Tally<Compensated>,
    /// Which resets the summands claimed.
    pub resets: ResetsSeen,
    /// Whether custom bounds differed and were reconciled.
    pub bounds_reconciled: bool,
}

impl CompensatedSum {
    /// A sum of one.
    pub fn new(first: &Histogram) -> Self {
        let mut resets = ResetsSeen::default();
        resets.note(first.reset_hint);
        let total = Tally::of(first.clone()).map(Compensated::from);
        CompensatedSum { total, resets, bounds_reconciled: false }
    }

    /// Takes in another histogram.
    ///
    /// # Errors
    /// Where custom and exponential bounds meet; the sum is as before then.
    pub fn add(&mut self, other: &Histogram) -> Result<(), HistogramError> {
        let merge = self.total.gain(other, 1.0)?;
        self.resets.note(other.reset_hint);
        self.bounds_reconciled |= merge.bounds_reconciled;
        Ok(())
    }

    /// The sum, compact.
    pub fn finish(self) -> Histogram {
        let mut sum = self.total.map(Compensated::total).into_histogram();
        compact(&mut sum);
        sum
    }

    fn has_overflow(&self) -> bool {
        let Tally { zero, count, sum, positive, negative, .. } = &self.total;
        [zero, count, sum].into_iter().chain(&positive.cells).chain(&negative.cells).any(|cell| cell.sum.is_infinite())
    }

    /// Sets each number to `f(number)`.
    fn scale(&mut self, f: impl Fn(f64) -> f64) {
        let Tally { zero, count, sum, positive, negative, .. } = &mut self.total;
        for cell in [zero, count, sum].into_iter().chain(&mut positive.cells).chain(&mut negative.cells) {
            *cell = Compensated { sum: f(cell.sum), lost: f(cell.lost) };
        }
    }
}

/// The mean of many histograms: what `avg` and `avg_over_time` give.
///
/// A sum divided at the end, and from the first overflow on a running mean: slower and less exact, but finite.
#[derive(Clone, Debug)]
pub struct CompensatedMean {
    /// The sum, or the mean once `running` is set.
    total: CompensatedSum,
    /// No number in `total` can be larger than this.
    ceiling: f64,
    taken: f64,
    running: bool,
}

impl CompensatedMean {
    /// The mean of one.
    pub fn new(first: &Histogram) -> Self {
        CompensatedMean { total: CompensatedSum::new(first), ceiling: ceiling(first), taken: 1.0, running: false }
    }

    /// Takes in another histogram.
    ///
    /// # Errors
    /// Where custom and exponential bounds meet; the mean is as before then.
    pub fn add(&mut self, other: &Histogram) -> Result<(), HistogramError> {
        if other.has_custom_buckets() != (self.total.total.schema == CUSTOM_BUCKETS_SCHEMA) {
            return Err(HistogramError::MixedSchemas);
        }
        let before = self.taken;
        self.taken += 1.0;
        if !self.running {
            self.ceiling += ceiling(other);
            if self.ceiling.is_finite() {
                return self.total.add(other);
            }
            // It may overflow now, and an overflow cannot be undone: try on a copy.
            let mut grown = self.total.clone();
            grown.add(other)?;
            if !grown.has_overflow() {
                self.total = grown;
                return Ok(());
            }
            self.running = true;
            self.total.scale(|number| number / before);
        }
        let mut share = other.clone();
        div(&mut share, self.taken);
        self.total.scale(|number| number * (before / self.taken));
        self.total.add(&share)
    }

    /// Which resets the histograms claimed.
    pub fn resets(&self) -> ResetsSeen {
        self.total.resets
    }

    /// Whether custom bounds differed and were reconciled.
    pub fn bounds_reconciled(&self) -> bool {
        self.total.bounds_reconciled
    }

    /// The mean, compact.
    pub fn finish(self) -> Histogram {
        let mut total = self.total;
        if !self.running {
            total.scale(|number| number / self.taken);
        }
        total.finish()
    }
}

/// The sum of all magnitudes, which no sum of buckets can exceed.
fn ceiling(histogram: &Histogram) -> f64 {
    [histogram.zero_count, histogram.count, histogram.sum]
        .iter()
        .chain(&histogram.positive_buckets)
        .chain(&histogram.negative_buckets)
        .filter(|number| !number.is_nan())
        .map(|number| number.abs())
        .sum()
}
