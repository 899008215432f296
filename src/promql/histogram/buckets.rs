//! What a bucket index means, and walks over buckets.
//!
//! A positive bucket with index `i` holds `(bound(i - 1), bound(i)]`; a negative one is its mirror image. With an
//! exponential schema `s`, `bound(i) = 2^(i * 2^-s)`; with custom bounds it is the `i`-th of them, and `+Inf` behind
//! the last. The zero bucket lies between and may swallow a part of the innermost buckets.

use crate::model::Histogram;
use crate::model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};

/// One bucket with its bounds on the number line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound belongs to the bucket.
    pub lower_inclusive: bool,
    /// Whether the upper bound belongs to the bucket.
    pub upper_inclusive: bool,
    /// Observations inside.
    pub count: f64,
}

/// The upper bound of the positive bucket `index`. Indices outside the custom bounds read as infinities.
///
/// The last finite exponential bound is the largest float instead of `2^1024`. (Prometheus: `getBound`.)
pub fn bound(index: i32, schema: i32, custom: &[f64]) -> f64 {
    if schema == CUSTOM_BUCKETS_SCHEMA {
        return match usize::try_from(index) {
            Ok(at) => custom.get(at).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    if schema <= 0 {
        let exponent = i64::from(index) << schema.unsigned_abs().min(31);
        return power_of_two(1.0, exponent);
    }
    let parts = 1_i64 << schema.min(30);
    let (whole, part) = (i64::from(index).div_euclid(parts), i64::from(index).rem_euclid(parts));
    power_of_two((part as f64 / parts as f64).exp2(), whole)
}

/// `factor * 2^exponent` for a factor in [1, 2).
fn power_of_two(factor: f64, exponent: i64) -> f64 {
    match exponent {
        1024 if factor == 1.0 => f64::MAX,
        1024.. => f64::INFINITY,
        ..-1074 => 0.0,
        // The exponent lies in -1074..=1023 here; two factors keep subnormal results exact.
        _ => factor * ((exponent / 2) as f64).exp2() * ((exponent - exponent / 2) as f64).exp2(),
    }
}

/// The bucket indices of spans with what stands in them, from the innermost bucket outwards, and back.
#[derive(Clone, Debug)]
pub struct Cells<'a, T> {
    spans: &'a [BucketSpan],
    cells: &'a [T],
    /// Span, position in it, and bucket index of the next cell from the front.
    front: (usize, u32, i32),
    /// Span, cells left in it, and bucket index behind the next cell from the back.
    back: (usize, u32, i32),
}

impl<'a, T> Cells<'a, T> {
    /// Walks over `cells` laid out by `spans`; what one of them has more than the other is left out.
    pub fn new(spans: &'a [BucketSpan], cells: &'a [T]) -> Self {
        let laid_out = spans.iter().map(|span| span.length as usize).sum::<usize>();
        if laid_out != cells.len() {
            // Never from storage, which refuses such histograms; nothing can be said of their buckets.
            return Cells { spans: &[], cells: &[], front: (0, 0, 0), back: (0, 0, 0) };
        }
        let end = spans.iter().fold(0_i32, |at, span| {
            at.saturating_add(span.offset).saturating_add(i32::try_from(span.length).unwrap_or(i32::MAX))
        });
        let first = spans.first().map_or(0, |span| span.offset);
        let last = spans.last().map_or(0, |span| span.length);
        Cells { spans, cells, front: (0, 0, first), back: (spans.len().saturating_sub(1), last, end) }
    }

    /// How many cells are left.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether no cell is left.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }
}

impl<T: Copy> Iterator for Cells<'_, T> {
    type Item = (i32, T);

    fn next(&mut self) -> Option<(i32, T)> {
        let (cell, rest) = self.cells.split_first()?;
        let (mut span, mut within, mut index) = self.front;
        while within >= self.spans[span].length {
            span += 1;
            within = 0;
            index = index.saturating_add(self.spans[span].offset);
        }
        self.front = (span, within + 1, index.saturating_add(1));
        self.cells = rest;
        Some((index, *cell))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.cells.len(), Some(self.cells.len()))
    }
}

impl<T: Copy> DoubleEndedIterator for Cells<'_, T> {
    fn next_back(&mut self) -> Option<(i32, T)> {
        let (cell, rest) = self.cells.split_last()?;
        let (mut span, mut left, mut index) = self.back;
        while left == 0 {
            index = index.saturating_sub(self.spans[span].offset);
            span -= 1;
            left = self.spans[span].length;
        }
        self.back = (span, left - 1, index.saturating_sub(1));
        self.cells = rest;
        Some((index.saturating_sub(1), *cell))
    }
}

/// The positive (or custom) buckets, rising; bounds as the schema gives them.
pub fn positive(histogram: &Histogram) -> impl DoubleEndedIterator<Item = Bucket> + Clone {
    let (schema, custom) = (histogram.schema, histogram.custom_values.as_slice());
    Cells::new(&histogram.positive_spans, &histogram.positive_buckets).map(move |(index, count)| {
        let is_custom = schema == CUSTOM_BUCKETS_SCHEMA;
        Bucket {
            lower: bound(index.saturating_sub(1), schema, custom),
            upper: bound(index, schema, custom),
            lower_inclusive: is_custom && index == 0,
            upper_inclusive: true,
            count,
        }
    })
}

/// The negative buckets, from zero downwards; bounds as the schema gives them.
pub fn negative(histogram: &Histogram) -> impl DoubleEndedIterator<Item = Bucket> + Clone {
    let schema = histogram.schema;
    Cells::new(&histogram.negative_spans, &histogram.negative_buckets).map(move |(index, count)| Bucket {
        lower: -bound(index, schema, &[]),
        upper: -bound(index.saturating_sub(1), schema, &[]),
        lower_inclusive: true,
        upper_inclusive: false,
        count,
    })
}

/// The zero bucket, empty or not.
pub fn zero(histogram: &Histogram) -> Bucket {
    Bucket {
        lower: -histogram.zero_threshold,
        upper: histogram.zero_threshold,
        lower_inclusive: true,
        upper_inclusive: true,
        count: histogram.zero_count,
    }
}

/// All buckets from the lowest to the highest, the zero bucket if it is populated; what lies inside the zero bucket
/// is cut from its neighbours. (Prometheus: `AllBucketIterator`, and backwards `AllReverseBucketIterator`.)
pub fn ascending(histogram: &Histogram) -> impl DoubleEndedIterator<Item = Bucket> + Clone {
    let threshold = histogram.zero_threshold;
    let cut = move |mut bucket: Bucket| {
        if bucket.upper < 0.0 && bucket.upper > -threshold {
            bucket.upper = -threshold;
        } else if bucket.lower > 0.0 && bucket.lower < threshold {
            bucket.lower = threshold;
        }
        bucket
    };
    let zero = (histogram.zero_count > 0.0).then(|| zero(histogram));
    negative(histogram).rev().map(cut).chain(zero).chain(positive(histogram).map(cut))
}
