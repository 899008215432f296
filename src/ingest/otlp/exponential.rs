//! Exponential histograms, which are native histograms under other names.
//!
//! A bucket of index `i` and scale `s` holds `(b^i, b^(i+1)]` with `b = 2^(2^-s)`; Prometheus counts the same bucket as
//! `i + 1`. Finer scales than Prometheus has are merged, two buckets into one for each step.

use crate::model::Histogram;
use crate::model::histogram::BucketSpan;

use super::super::wire::WireError;
use super::super::wire::protobuf::{Field, Fields, push_varints, zigzag};

/// The width of the zero bucket where none is said. (Prometheus: the same.)
const ZERO_THRESHOLD: f64 = 1e-128;

/// Beyond, at the finest scale there is, lies no number that a float can be.
const OFFSET_MAX: u32 = 1 << 30;

/// Buckets of one side.
const BUCKETS_MAX: usize = 10_000;

/// A gap of more empty buckets begins another span. (Prometheus: the same.)
const GAP_MAX: usize = 2;

/// A point as it was sent.
#[derive(Default)]
pub(super) struct Sent {
    count: u64,
    sum: f64,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
}

#[derive(Default)]
struct Buckets {
    offset: i32,
    counts: Vec<u64>,
}

impl Sent {
    /// Takes a field of the point that is the histogram's.
    pub(super) fn take(&mut self, number: u32, field: Field<'_>, fields: &Fields<'_>) -> Result<(), WireError> {
        match (number, field) {
            (4, Field::Fixed64(count)) => self.count = count,
            (5, Field::Fixed64(bits)) => self.sum = f64::from_bits(bits),
            (6, Field::Varint(scale)) => self.scale = zigzag(scale) as i32,
            (7, Field::Fixed64(count)) => self.zero_count = count,
            (8, Field::Bytes(message)) => self.positive = Buckets::read(message)?,
            (9, Field::Bytes(message)) => self.negative = Buckets::read(message)?,
            (14, Field::Fixed64(bits)) => self.zero_threshold = f64::from_bits(bits),
            (4..=9 | 14, _) => return Err(fields.mistyped(number)),
            _ => {}
        }
        Ok(())
    }

    /// The native histogram, or why there is none.
    pub(super) fn into_histogram(self) -> Result<Histogram, String> {
        if self.scale < -4 {
            return Err(format!("scale {} is coarser than -4, the coarsest there is", self.scale));
        }
        let too_fine = u32::try_from(self.scale - 8).unwrap_or(0);
        if too_fine > 31 {
            return Err(format!("scale {} is none", self.scale));
        }
        let (positive_spans, positive_buckets) = self.positive.lay_out(too_fine)?;
        let (negative_spans, negative_buckets) = self.negative.lay_out(too_fine)?;
        if self.zero_threshold.is_nan() || self.zero_threshold < 0.0 {
            return Err("zero threshold is not a width".to_owned());
        }
        Ok(Histogram {
            schema: self.scale.min(8),
            zero_threshold: if self.zero_threshold == 0.0 { ZERO_THRESHOLD } else { self.zero_threshold },
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            integer: true,
            ..Histogram::default()
        })
    }
}

impl Buckets {
    fn read(message: &[u8]) -> Result<Self, WireError> {
        let (mut fields, mut buckets) = (Fields::of(message, "buckets"), Buckets::default());
        while let Some((number, field)) = fields.next()? {
            match (number, field) {
                (1, Field::Varint(offset)) => buckets.offset = zigzag(offset) as i32,
                (2, counts) => {
                    push_varints(counts, &mut buckets.counts, |count| count).ok_or_else(|| fields.mistyped(2))?;
                }
                (1, _) => return Err(fields.mistyped(number)),
                _ => {}
            }
        }
        Ok(buckets)
    }

    /// Spans and counts, `too_fine` scales coarser.
    fn lay_out(&self, too_fine: u32) -> Result<(Vec<BucketSpan>, Vec<f64>), String> {
        if self.counts.len() > BUCKETS_MAX {
            return Err(format!("more than {BUCKETS_MAX} buckets"));
        }
        if self.offset.unsigned_abs() > OFFSET_MAX {
            return Err(format!("offset {} is beyond any number", self.offset));
        }
        let mut merged: Vec<(i64, f64)> = Vec::new();
        for (place, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let index = ((i64::from(self.offset) + place as i64) >> too_fine) + 1;
            match merged.last_mut() {
                Some((last, total)) if *last == index => *total += *count as f64,
                _ => merged.push((index, *count as f64)),
            }
        }
        Ok(spans(&merged))
    }
}

/// Spans over buckets by rising index.
pub(super) fn spans(buckets: &[(i64, f64)]) -> (Vec<BucketSpan>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<BucketSpan>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut end = 0;
    for (index, count) in buckets {
        let gap = index - end;
        match spans.last_mut() {
            Some(span) if gap <= GAP_MAX as i64 => {
                counts.extend(std::iter::repeat_n(0.0, gap as usize));
                span.length += gap as u32 + 1;
            }
            _ => spans.push(BucketSpan { offset: gap as i32, length: 1 }),
        }
        counts.push(*count);
        end = index + 1;
    }
    (spans, counts)
}

/// Buckets by index, those with a count of their own.
pub(super) fn indexed(spans: &[BucketSpan], counts: &[f64]) -> Vec<(i64, f64)> {
    let (mut index, mut counts, mut found) = (0i64, counts.iter(), Vec::new());
    for span in spans {
        index += i64::from(span.offset);
        for _ in 0..span.length {
            if let Some(count) = counts.next() {
                found.push((index, *count));
            }
            index += 1;
        }
    }
    found
}

/// Buckets of one side at a scale that is `steps` coarser.
pub(super) fn coarser(buckets: &[(i64, f64)], steps: u32) -> Vec<(i64, f64)> {
    let mut merged: Vec<(i64, f64)> = Vec::new();
    for (index, count) in buckets {
        // Prometheus' index is one above, so that is taken off and put on again.
        let index = ((index - 1) >> steps) + 1;
        match merged.last_mut() {
            Some((last, total)) if *last == index => *total += count,
            _ => merged.push((index, *count)),
        }
    }
    merged
}
