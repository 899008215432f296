//! Blocks of native histograms.
//!
//! ```text
//! 0x00             no row
//! 0x01             runs of reset hints, until they make up all rows: u 4*rows + hint
//!                  (hint 0 unknown, 1 reset, 2 no reset, 3 gauge; rows at least 1)
//!                  runs of rows of one layout, until they make up all rows:
//!   layout         u rows (at least 1), u8 flags (1: counted in integers; other bits 0), s schema,
//!                  zero threshold (f64), spans of positive buckets, spans of negative ones (u n, n times: s offset,
//!                  u length), u n and n custom bounds (f64 each), u p, u q (positive and negative buckets)
//!   columns        3 + p + q times: u length, then a block of values of that length, one value a row: the count of
//!                  all observations, the zero bucket, the sum, the positive buckets, the negative buckets
//! ```
//!
//! Counts are absolute here; that neighbours in time differ little is what [`super::values`] packs. `f64` is 8 bytes,
//! low byte first. Bucket numbers `p`, `q` are written out since nothing here trusts spans to add up to them.

use std::sync::Arc;

use super::fields::{read, read_count, read_signed, take, take_byte};
use super::values::{decode_values, encode_values};
use super::{ChunkError, MAX_HISTOGRAM_CELLS, MAX_ROWS, check_rows, decode_whole};
use crate::model::histogram::BucketSpan;
use crate::model::{Histogram, ResetHint};
use crate::tsdb::bytes::{put_i64, put_u64};

const EMPTY: u8 = 0x00;
const HISTOGRAMS: u8 = 0x01;
const INTEGER: u8 = 0x01;

/// Columns before those of the buckets: count, zero bucket, sum.
const FIXED_COLUMNS: usize = 3;
/// The shortest column: its length, a format and one byte more.
const SHORTEST_COLUMN_BYTES: usize = 3;

const HINTS: [ResetHint; 4] = [ResetHint::Unknown, ResetHint::Yes, ResetHint::No, ResetHint::Gauge];

/// How much of [`MAX_HISTOGRAM_CELLS`] a histogram takes.
pub fn histogram_cells(histogram: &Histogram) -> usize {
    cells(
        [&histogram.positive_spans, &histogram.negative_spans].map(Vec::len),
        histogram.custom_values.len(),
        [&histogram.positive_buckets, &histogram.negative_buckets].map(Vec::len),
    )
}

/// Numbers in one histogram, its fixed ones counted generously.
fn cells(spans: [usize; 2], custom: usize, buckets: [usize; 2]) -> usize {
    let [positive, negative] = buckets;
    16 + spans[0].saturating_add(spans[1]).saturating_add(custom).saturating_add(positive).saturating_add(negative)
}

/// Appends the block of `histograms`, bit-exact in every field.
///
/// # Panics
/// With more than [`MAX_ROWS`] histograms, or more than [`MAX_HISTOGRAM_CELLS`] in all: the caller cuts chunks.
pub fn encode_histograms(histograms: &[Arc<Histogram>], out: &mut Vec<u8>) {
    assert!(histograms.len() <= MAX_ROWS, "the caller cuts chunks at MAX_ROWS");
    let all: usize = histograms.iter().map(|histogram| histogram_cells(histogram)).sum();
    assert!(all <= MAX_HISTOGRAM_CELLS, "the caller cuts chunks at MAX_HISTOGRAM_CELLS");
    if histograms.is_empty() {
        return out.push(EMPTY);
    }
    out.push(HISTOGRAMS);
    for run in histograms.chunk_by(|one, next| one.reset_hint == next.reset_hint) {
        let hint = match run[0].reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Yes => 1,
            ResetHint::No => 2,
            ResetHint::Gauge => 3,
        };
        put_u64(out, (run.len() as u64) << 2 | hint);
    }
    let (mut column, mut block) = (Vec::new(), Vec::new());
    for run in histograms.chunk_by(|one, next| same_layout(one, next)) {
        let layout = &run[0];
        put_u64(out, run.len() as u64);
        out.push(if layout.integer { INTEGER } else { 0 });
        put_i64(out, i64::from(layout.schema));
        out.extend(layout.zero_threshold.to_bits().to_le_bytes());
        for spans in [&layout.positive_spans, &layout.negative_spans] {
            put_u64(out, spans.len() as u64);
            for span in spans {
                put_i64(out, i64::from(span.offset));
                put_u64(out, u64::from(span.length));
            }
        }
        put_u64(out, layout.custom_values.len() as u64);
        out.extend(layout.custom_values.iter().flat_map(|bound| bound.to_bits().to_le_bytes()));
        put_u64(out, layout.positive_buckets.len() as u64);
        put_u64(out, layout.negative_buckets.len() as u64);
        let mut write_column = |value: &dyn Fn(&Histogram) -> f64| {
            column.clear();
            column.extend(run.iter().map(|histogram| value(histogram)));
            block.clear();
            encode_values(&column, &mut block);
            put_u64(out, block.len() as u64);
            out.extend_from_slice(&block);
        };
        write_column(&|histogram| histogram.count);
        write_column(&|histogram| histogram.zero_count);
        write_column(&|histogram| histogram.sum);
        (0..layout.positive_buckets.len()).for_each(|at| write_column(&|histogram| histogram.positive_buckets[at]));
        (0..layout.negative_buckets.len()).for_each(|at| write_column(&|histogram| histogram.negative_buckets[at]));
    }
}

/// Whether two histograms differ in counts, sum and hint alone.
fn same_layout(one: &Histogram, other: &Histogram) -> bool {
    one.schema == other.schema
        && one.integer == other.integer
        && one.zero_threshold.to_bits() == other.zero_threshold.to_bits()
        && one.positive_buckets.len() == other.positive_buckets.len()
        && one.negative_buckets.len() == other.negative_buckets.len()
        && one.positive_spans == other.positive_spans
        && one.negative_spans == other.negative_spans
        && one.custom_values.len() == other.custom_values.len()
        && one.custom_values.iter().zip(&other.custom_values).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Appends the `count` histograms of a block to `out`; on an error nothing is appended.
///
/// # Errors
/// If `bytes` is not one whole block of `count` rows.
pub fn decode_histograms(bytes: &[u8], count: usize, out: &mut Vec<Arc<Histogram>>) -> Result<(), ChunkError> {
    decode_whole(bytes, out, |rest, out| decode(rest, count, out))
}

fn decode(bytes: &mut &[u8], count: usize, out: &mut Vec<Arc<Histogram>>) -> Result<(), ChunkError> {
    check_rows(count)?;
    match take_byte(bytes)? {
        EMPTY if count == 0 => return Ok(()),
        _ if count == 0 => return Err(ChunkError::Rows(count)),
        HISTOGRAMS => {}
        format => return Err(ChunkError::Format(format)),
    }
    let mut hints: Vec<(usize, ResetHint)> = Vec::new();
    let mut rows = 0;
    while rows < count {
        let run = read(bytes)?;
        let length = usize::try_from(run >> 2).ok().filter(|length| (1..=count - rows).contains(length));
        let length = length.ok_or(ChunkError::Malformed("run of reset hints"))?;
        hints.push((length, HINTS[(run & 3) as usize]));
        rows += length;
    }
    let mut hints = hints.into_iter().flat_map(|(length, hint)| std::iter::repeat_n(hint, length));
    let (mut rows, mut cells_left, mut columns) = (0, MAX_HISTOGRAM_CELLS, Vec::new());
    while rows < count {
        let run = read_count(bytes, count - rows)?;
        if run == 0 {
            return Err(ChunkError::Malformed("empty run of histograms"));
        }
        let layout = read_layout(bytes)?;
        let buckets = [layout.positive, layout.negative];
        let spans = [&layout.shape.positive_spans, &layout.shape.negative_spans].map(Vec::len);
        let taken = cells(spans, layout.shape.custom_values.len(), buckets).saturating_mul(run);
        cells_left = cells_left.checked_sub(taken).ok_or(ChunkError::Rows(count))?;
        columns.clear();
        for _ in 0..FIXED_COLUMNS + layout.positive + layout.negative {
            let length = read_count(bytes, bytes.len())?;
            decode_values(take(bytes, length)?, run, &mut columns)?;
        }
        for row in 0..run {
            let mut values = columns.iter().skip(row).step_by(run).copied();
            let mut histogram = layout.shape.clone();
            [histogram.count, histogram.zero_count, histogram.sum] = [(); 3].map(|()| values.next().unwrap_or(0.0));
            histogram.positive_buckets = values.by_ref().take(layout.positive).collect();
            histogram.negative_buckets = values.collect();
            histogram.reset_hint = hints.next().unwrap_or_default();
            out.push(Arc::new(histogram));
        }
        rows += run;
    }
    Ok(())
}

struct Layout {
    /// All that rows share; counts and buckets are still missing.
    shape: Histogram,
    positive: usize,
    negative: usize,
}

fn read_layout(bytes: &mut &[u8]) -> Result<Layout, ChunkError> {
    let flags = take_byte(bytes)?;
    if flags & !INTEGER != 0 {
        return Err(ChunkError::Malformed("flags of a histogram"));
    }
    let schema = i32::try_from(read_signed(bytes)?).map_err(|_| ChunkError::Malformed("schema of a histogram"))?;
    let zero_threshold = read_float(bytes)?;
    let (positive_spans, negative_spans) = (read_spans(bytes)?, read_spans(bytes)?);
    let bounds = read_count(bytes, bytes.len() / 8)?;
    let custom_values = (0..bounds).map(|_| read_float(bytes)).collect::<Result<_, _>>()?;
    let positive = read_count(bytes, bytes.len() / SHORTEST_COLUMN_BYTES)?;
    let negative = read_count(bytes, bytes.len() / SHORTEST_COLUMN_BYTES)?;
    let shape = Histogram {
        schema,
        zero_threshold,
        positive_spans,
        negative_spans,
        custom_values,
        integer: flags & INTEGER != 0,
        ..Histogram::default()
    };
    Ok(Layout { shape, positive, negative })
}

fn read_spans(bytes: &mut &[u8]) -> Result<Vec<BucketSpan>, ChunkError> {
    // A span takes two bytes at least.
    let count = read_count(bytes, bytes.len() / 2)?;
    (0..count)
        .map(|_| {
            let (offset, length) = (i32::try_from(read_signed(bytes)?), u32::try_from(read(bytes)?));
            match (offset, length) {
                (Ok(offset), Ok(length)) => Ok(BucketSpan { offset, length }),
                _ => Err(ChunkError::Malformed("span of a histogram")),
            }
        })
        .collect()
}

fn read_float(bytes: &mut &[u8]) -> Result<f64, ChunkError> {
    let mut bits = [0; 8];
    bits.copy_from_slice(take(bytes, 8)?);
    Ok(f64::from_le_bytes(bits))
}
