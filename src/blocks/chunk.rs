//! Chunks: floats XOR-encoded, native histograms as counters of integers or as floats.
//!
//! Format: prometheus/tsdb/docs/format/chunks.md. The number of samples stands in front; a histogram chunk has one layout
//! of buckets for all its samples.

use std::sync::Arc;

use crate::model::histogram::{BucketSpan, CUSTOM_BUCKETS_SCHEMA};
use crate::model::sample::is_stale;
use crate::model::{Column, Histogram, ResetHint, Sample, Timestamp};

use super::bits::{Bits, Xor};

/// Encodings by their number.
const XOR: u8 = 1;
const HISTOGRAM: u8 = 2;
const FLOAT_HISTOGRAM: u8 = 3;

/// Adds the rows of a chunk; those before a damage are added too.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decode(encoding: u8, data: &[u8], into: &mut Column) -> Result<(), String> {
    let Some((count, rest)) = data.split_first_chunk::<2>() else { return Err("a chunk without a count".into()) };
    let count = usize::from(u16::from_be_bytes(*count));
    let done = match encoding {
        XOR => floats(count, Bits::new(rest), into),
        HISTOGRAM | FLOAT_HISTOGRAM => match rest.split_first() {
            Some((flags, rest)) => histograms(count, *flags, encoding == HISTOGRAM, Bits::new(rest), into),
            None => None,
        },
        unknown => return Err(format!("a chunk of encoding {unknown}, which is unknown")),
    };
    done.ok_or_else(|| format!("a chunk that ends after {} of {count} samples", into.len()))
}

/// How many bits a change of the distance has, by the ones in front of it.
const DISTANCE_BITS: [u32; 5] = [0, 14, 17, 20, 64];

fn floats(count: usize, mut bits: Bits<'_>, into: &mut Column) -> Option<()> {
    let (mut at, mut distance, mut value) = (0_i64, 0_i64, Xor::default());
    for row in 0..count {
        match row {
            0 => {
                at = bits.varint()?;
                value = Xor::first(bits.float()?);
            }
            1 => {
                distance = bits.uvarint()? as i64;
                at = at.wrapping_add(distance);
                value.next(&mut bits)?;
            }
            _ => {
                let ones = bits.ones(4)?;
                distance = distance.wrapping_add(bits.signed(DISTANCE_BITS[ones])?);
                at = at.wrapping_add(distance);
                value.next(&mut bits)?;
            }
        }
        push(into, at, value.value)?;
    }
    Some(())
}

fn push(into: &mut Column, at: i64, value: f64) -> Option<()> {
    let at = Timestamp::from_millis(at);
    into.at.last().is_none_or(|last| *last < at).then(|| into.push(Sample { at, value }))
}

/// What all histograms of a chunk have in common.
struct Layout {
    zero_threshold: f64,
    schema: i32,
    positive: Vec<BucketSpan>,
    negative: Vec<BucketSpan>,
    custom: Vec<f64>,
}

impl Layout {
    fn read(bits: &mut Bits<'_>) -> Option<Layout> {
        let zero_threshold = match bits.u8()? {
            0 => 0.0,
            255 => bits.float()?,
            // A power of two between 2^-243 and 2^10.
            exponent => 2_f64.powi(i32::from(exponent) - 244),
        };
        let schema = i32::try_from(bits.varbit_int()?).ok()?;
        let (positive, negative) = (spans(bits)?, spans(bits)?);
        let mut custom = Vec::new();
        if schema == CUSTOM_BUCKETS_SCHEMA {
            let count = bounded(bits.varbit_uint()?, bits)?;
            for _ in 0..count {
                custom.push(match bits.varbit_uint()? {
                    0 => bits.float()?,
                    thousandths => (thousandths - 1) as f64 / 1000.0,
                });
            }
        }
        Some(Layout { zero_threshold, schema, positive, negative, custom })
    }

    fn histogram(&self, flags: u8, row: usize) -> Histogram {
        let reset_hint = match flags >> 6 {
            0b11 => ResetHint::Gauge,
            // A chunk ends where a counter is reset.
            _ if row > 0 => ResetHint::No,
            0b10 => ResetHint::Yes,
            _ => ResetHint::Unknown,
        };
        Histogram {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive_spans: self.positive.clone(),
            negative_spans: self.negative.clone(),
            custom_values: self.custom.clone(),
            reset_hint,
            ..Histogram::default()
        }
    }
}

fn spans(bits: &mut Bits<'_>) -> Option<Vec<BucketSpan>> {
    let count = bounded(bits.varbit_uint()?, bits)?;
    let mut spans = Vec::new();
    for _ in 0..count {
        let length = u32::try_from(bits.varbit_uint()?).ok()?;
        spans.push(BucketSpan { length, offset: i32::try_from(bits.varbit_int()?).ok()? });
    }
    Some(spans)
}

/// How many buckets spans have.
fn buckets(spans: &[BucketSpan], bits: &Bits<'_>) -> Option<usize> {
    bounded(spans.iter().map(|span| u64::from(span.length)).sum(), bits)
}

/// A count of things that take at least a bit each.
fn bounded(count: u64, bits: &Bits<'_>) -> Option<usize> {
    usize::try_from(count).ok().filter(|count| *count <= bits.left())
}

fn histograms(count: usize, flags: u8, integer: bool, mut bits: Bits<'_>, into: &mut Column) -> Option<()> {
    if count == 0 {
        return Some(());
    }
    let layout = Layout::read(&mut bits)?;
    let positive = buckets(&layout.positive, &bits)?;
    let all = positive + buckets(&layout.negative, &bits)?;
    let mut state: Box<dyn Counts> = match integer {
        true => Box::new(Integers::new(all)),
        false => Box::new(Floats { buckets: vec![Xor::default(); all], ..Floats::default() }),
    };
    let (mut at, mut distance) = (0_i64, 0_i64);
    for row in 0..count {
        match row {
            0 => at = bits.varbit_int()?,
            _ => {
                distance = distance.wrapping_add(bits.varbit_int()?);
                at = at.wrapping_add(distance);
            }
        }
        let [total, zero, sum] = state.next(row, &mut bits)?;
        if is_stale(sum) {
            push(into, at, sum)?;
            continue;
        }
        let (positive_buckets, negative_buckets) = state.buckets(positive);
        let histogram = Histogram {
            count: total,
            zero_count: zero,
            sum,
            positive_buckets,
            negative_buckets,
            integer,
            ..layout.histogram(flags, row)
        };
        push(into, at, 0.0)?;
        into.histograms.push((into.len() - 1, Arc::new(histogram)));
    }
    Some(())
}

/// Counts of histograms, one after the other.
trait Counts {
    /// Reads the next one: its count, that of its zero bucket, and its sum. A stale marker ends there.
    fn next(&mut self, row: usize, bits: &mut Bits<'_>) -> Option<[f64; 3]>;

    /// Its buckets: so many positive ones, and the negative ones.
    fn buckets(&self, positive: usize) -> (Vec<f64>, Vec<f64>);
}

/// A number that is told by the change of its change.
#[derive(Clone, Copy, Debug, Default)]
struct Integer {
    value: i64,
    change: i64,
}

impl Integer {
    fn next(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.change = self.change.wrapping_add(bits.varbit_int()?);
        self.value = self.value.wrapping_add(self.change);
        Some(())
    }
}

struct Integers {
    count: Integer,
    zero: Integer,
    sum: Xor,
    /// Each bucket as the difference to the one before.
    buckets: Vec<Integer>,
}

impl Integers {
    fn new(buckets: usize) -> Self {
        let (count, zero) = (Integer::default(), Integer::default());
        Integers { count, zero, sum: Xor::default(), buckets: vec![Integer::default(); buckets] }
    }
}

impl Counts for Integers {
    fn next(&mut self, row: usize, bits: &mut Bits<'_>) -> Option<[f64; 3]> {
        if row == 0 {
            self.count.value = bits.varbit_uint()? as i64;
            self.zero.value = bits.varbit_uint()? as i64;
            self.sum = Xor::first(bits.float()?);
            // A stale marker at the front has no buckets in its layout.
            for bucket in &mut self.buckets {
                bucket.value = bits.varbit_int()?;
            }
        } else {
            self.count.next(bits)?;
            self.zero.next(bits)?;
            self.sum.next(bits)?;
            if !is_stale(self.sum.value) {
                self.buckets.iter_mut().try_for_each(|bucket| bucket.next(bits))?;
            }
        }
        Some([self.count.value as u64 as f64, self.zero.value as u64 as f64, self.sum.value])
    }

    fn buckets(&self, positive: usize) -> (Vec<f64>, Vec<f64>) {
        let absolute = |buckets: &[Integer]| {
            let mut level = 0_i64;
            let each = buckets.iter().map(|bucket| {
                level = level.wrapping_add(bucket.value);
                level as f64
            });
            each.collect()
        };
        (absolute(&self.buckets[..positive]), absolute(&self.buckets[positive..]))
    }
}

#[derive(Default)]
struct Floats {
    count: Xor,
    zero: Xor,
    sum: Xor,
    buckets: Vec<Xor>,
}

impl Counts for Floats {
    fn next(&mut self, row: usize, bits: &mut Bits<'_>) -> Option<[f64; 3]> {
        if row == 0 {
            for number in [&mut self.count, &mut self.zero, &mut self.sum].into_iter().chain(&mut self.buckets) {
                *number = Xor::first(bits.float()?);
            }
        } else {
            self.count.next(bits)?;
            self.zero.next(bits)?;
            self.sum.next(bits)?;
            if !is_stale(self.sum.value) {
                self.buckets.iter_mut().try_for_each(|bucket| bucket.next(bits).map(drop))?;
            }
        }
        Some([self.count.value, self.zero.value, self.sum.value])
    }

    fn buckets(&self, positive: usize) -> (Vec<f64>, Vec<f64>) {
        let values = |buckets: &[Xor]| buckets.iter().map(|bucket| bucket.value).collect();
        (values(&self.buckets[..positive]), values(&self.buckets[positive..]))
    }
}
