//! Two histograms, or a histogram and a number.

use crate::model::histogram::CUSTOM_BUCKETS_SCHEMA;
use crate::model::{Histogram, ResetHint};

use super::buckets::Cells;
use super::layout::{Side, same_bounds};
use super::tally::Tally;

/// Why two histograms cannot meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistogramError {
    /// One has custom bounds, the other exponential ones.
    #[error("cannot apply this operation on histograms with a mix of exponential and custom bucket schemas")]
    MixedSchemas,
    /// A text in the notation of test scripts cannot be read.
    #[error("bad histogram notation: {0}")]
    Notation(&'static str),
}

/// What had to give way when two histograms met; each is worth an annotation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merge {
    /// One side claimed a counter reset, the other none: the result claims nothing.
    pub reset_collision: bool,
    /// Custom bounds differed; those that both have remain.
    pub bounds_reconciled: bool,
}

/// Adds `other` to `into`, whose zero bucket, resolution and custom bounds become what both sides can say.
/// The result's hint: equal hints stay, a gauge makes a gauge, an unknown an unknown.
///
/// # Errors
/// Where custom and exponential bounds meet; `into` is as before then.
pub fn add(into: &mut Histogram, other: &Histogram) -> Result<Merge, HistogramError> {
    combine(into, other, 1.0)
}

/// Subtracts `other` from `from`, in everything else like [`add`], the hint included: whoever shows the difference
/// to a user (the `-` operator, `delta`, `rate`) marks it as [`ResetHint::Gauge`].
///
/// # Errors
/// Where custom and exponential bounds meet; `from` is as before then.
pub fn sub(from: &mut Histogram, other: &Histogram) -> Result<Merge, HistogramError> {
    combine(from, other, -1.0)
}

fn combine(into: &mut Histogram, other: &Histogram, sign: f64) -> Result<Merge, HistogramError> {
    let mut tally = Tally::of(std::mem::take(into));
    let merge = tally.gain(other, sign);
    *into = tally.into_histogram();
    merge
}

/// Multiplies each count, and the sum. A negative factor makes a gauge.
pub fn mul(histogram: &mut Histogram, factor: f64) {
    scale(histogram, |number| number * factor);
    if factor < 0.0 {
        histogram.reset_hint = ResetHint::Gauge;
    }
}

/// Divides each count, and the sum. A negative divisor makes a gauge; division by zero takes the buckets away, since
/// only infinities and NaNs would be left in them.
pub fn div(histogram: &mut Histogram, divisor: f64) {
    scale(histogram, |number| number / divisor);
    if divisor == 0.0 {
        histogram.positive_spans.clear();
        histogram.positive_buckets.clear();
        histogram.negative_spans.clear();
        histogram.negative_buckets.clear();
    }
    if divisor < 0.0 {
        histogram.reset_hint = ResetHint::Gauge;
    }
}

/// The unary minus.
pub fn negate(histogram: &mut Histogram) {
    mul(histogram, -1.0);
}

fn scale(histogram: &mut Histogram, f: impl Fn(f64) -> f64) {
    let Histogram { zero_count, count, sum, positive_buckets, negative_buckets, .. } = histogram;
    for number in [zero_count, count, sum].into_iter().chain(positive_buckets).chain(negative_buckets) {
        *number = f(*number);
    }
    histogram.integer = false;
}

/// Lowers the resolution to `schema`; a histogram that is not finer, or has custom bounds, stays as it is.
pub fn reduce_resolution(histogram: &mut Histogram, schema: i32) {
    if histogram.has_custom_buckets() || schema == CUSTOM_BUCKETS_SCHEMA || schema >= histogram.schema {
        return;
    }
    let shift = histogram.schema.abs_diff(schema);
    let (spans, cells) = (&mut histogram.positive_spans, &mut histogram.positive_buckets);
    coarsen(spans, cells, shift);
    coarsen(&mut histogram.negative_spans, &mut histogram.negative_buckets, shift);
    histogram.schema = schema;
}

fn coarsen(spans: &mut Vec<crate::model::histogram::BucketSpan>, cells: &mut Vec<f64>, shift: u32) {
    let mut side = Side { spans: std::mem::take(spans), cells: std::mem::take(cells) };
    side.coarsen(shift);
    (*spans, *cells) = (side.spans, side.cells);
}

/// Whether two histograms say the same, bit for bit; hints, and how spans are cut, do not matter, empty buckets do.
/// (Prometheus: `FloatHistogram.Equals`; PromQL's `==` and `changes`.)
pub fn equal(left: &Histogram, right: &Histogram) -> bool {
    let numbers = |histogram: &Histogram| {
        [histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum].map(f64::to_bits)
    };
    fn positive(histogram: &Histogram) -> Cells<'_, f64> {
        Cells::new(&histogram.positive_spans, &histogram.positive_buckets)
    }
    fn negative(histogram: &Histogram) -> Cells<'_, f64> {
        Cells::new(&histogram.negative_spans, &histogram.negative_buckets)
    }
    fn alike(left: Cells<'_, f64>, right: Cells<'_, f64>) -> bool {
        let bits = |(index, count): (i32, f64)| (index, count.to_bits());
        left.map(bits).eq(right.map(bits))
    }
    left.schema == right.schema
        && numbers(left) == numbers(right)
        && same_bounds(&left.custom_values, &right.custom_values)
        && alike(positive(left), positive(right))
        && alike(negative(left), negative(right))
}

/// Whether a count or the sum has become infinite.
pub fn has_overflow(histogram: &Histogram) -> bool {
    [histogram.zero_count, histogram.count, histogram.sum]
        .iter()
        .chain(&histogram.positive_buckets)
        .chain(&histogram.negative_buckets)
        .any(|number| number.is_infinite())
}
