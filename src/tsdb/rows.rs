//! Rows of one lane of one series: their order, their duplicates, their bytes.
//!
//! Whatever order rows come in, a lane is a set with one row for each instant. Two rows at one instant are settled by
//! [`compare`], a total order: the larger one stays. That makes every way to the same rows end in the same rows, so
//! that replaying a log twice, retrying a request or merging parts in any order changes nothing.
//!
//! Encoded rows are self-contained but for their checksum (docs/format.md, "Encoded rows"):
//!
//! ```text
//! flags · rows · times length · times block · values length · values block
//!       [· histogram count · row gaps · block length · block] [· stretches of equal starts]
//! ```

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

#[cfg(test)]
use crate::model::Sample;
use crate::model::{Column, Histogram, STALE_NAN_BITS, TimeRange, Timestamp};
use crate::store::BatchSample;

use super::bytes::{Reader, put_bytes, put_i64, put_u64};
use super::chunk;

pub(crate) const WITH_HISTOGRAMS: u8 = 1;
const WITH_STARTS: u8 = 2;
/// Values went through the slower, denser codec; readers need not know, the blocks say so themselves.
const COLD: u8 = 4;

/// How hard the encoder tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// While data is young: a few nanoseconds a value.
    Hot,
    /// Once, when a day is sealed.
    Cold,
}

/// Histogram cells of one block: 32 MiB once decoded, far below what the codec takes. One histogram alone may have more.
const BLOCK_CELLS_MAX: usize = 1 << 22;

/// Why encoded rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RowsError {
    #[error("rows end early")]
    Truncated,
    #[error("rows contradict themselves")]
    Malformed,
    #[error(transparent)]
    Chunk(#[from] chunk::ChunkError),
}

/// Cuts a column into stretches that can be encoded as one block each: at most `rows_max` rows, and only as many histogram
/// cells as a block may hold.
pub(crate) fn blocks(column: &Column, rows_max: usize) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut histograms = column.histograms.iter().peekable();
    let mut from = 0;
    std::iter::from_fn(move || {
        let (mut to, mut cells) = (column.len().min(from + rows_max), 0);
        while let Some((row, histogram)) = histograms.next_if(|(row, _)| *row < to) {
            cells += chunk::histogram_cells(histogram);
            let following = histograms.peek().filter(|(row, _)| *row < to);
            if let Some((next, histogram)) = following
                && cells + chunk::histogram_cells(histogram) > BLOCK_CELLS_MAX
            {
                debug_assert!(row < next, "rows rise");
                to = *next;
            }
        }
        let block = from..to;
        from = to;
        (!block.is_empty()).then_some(block)
    })
}

/// Appends the bytes of `column`, which is one of [`blocks`].
pub(crate) fn encode(column: &Column, effort: Effort, out: &mut Vec<u8>) {
    let rows = 0..column.len();
    let mut flags = flags_of(column, &rows);
    flags |= if effort == Effort::Cold { COLD } else { 0 };
    out.push(flags);
    put_u64(out, column.len() as u64);
    let mut block = Vec::with_capacity(64);
    chunk::encode_times(&column.at, &mut block);
    put_bytes(out, &block);
    block.clear();
    encode_values(&column.values, effort, &mut block);
    put_bytes(out, &block);
    put_extras(column, rows, flags, &mut block, out);
}

/// Appends the rows that `bytes` hold to `into`, in their own order; the caller tidies where streams overlap.
pub(crate) fn decode(bytes: &[u8], into: &mut Column) -> Result<(), RowsError> {
    let mut reader = Reader::new(bytes);
    let before = into.len();
    let flags = reader.u8().ok_or(RowsError::Truncated)?;
    let rows = reader.usize().ok_or(RowsError::Truncated)?;
    if rows > chunk::MAX_ROWS {
        return Err(RowsError::Malformed);
    }
    chunk::decode_times(reader.bytes().ok_or(RowsError::Truncated)?, rows, &mut into.at)?;
    chunk::decode_values(reader.bytes().ok_or(RowsError::Truncated)?, rows, &mut into.values)?;
    take_extras(&mut reader, flags, rows, 0..rows, before, into)?;
    let whole = into.at.len() == before + rows && into.values.len() == before + rows && reader.is_empty();
    if whole { Ok(()) } else { Err(RowsError::Malformed) }
}

/// Appends all of `rows` but their times, which need not be in `column`; tells the flags that [`decode_body`] needs.
/// `scratch` is working memory.
pub(crate) fn encode_body(
    column: &Column,
    rows: Range<usize>,
    effort: Effort,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> u8 {
    let flags = flags_of(column, &rows);
    let values = &column.values[rows.clone()];
    if flags == 0 {
        encode_values(values, effort, out);
        return flags;
    }
    scratch.clear();
    encode_values(values, effort, scratch);
    put_bytes(out, scratch);
    put_extras(column, rows, flags, scratch, out);
    flags
}

/// Appends the rows in `wanted`, all but their times, of the `count` rows that [`encode_body`] wrote. An error leaves a
/// column that is of no use.
pub(crate) fn decode_body(
    bytes: &[u8],
    flags: u8,
    count: usize,
    wanted: Range<usize>,
    into: &mut Column,
) -> Result<(), RowsError> {
    if flags == 0 {
        return Ok(chunk::decode_some_values(bytes, count, wanted, &mut into.values)?);
    }
    if flags & !(WITH_HISTOGRAMS | WITH_STARTS) != 0 || count > chunk::MAX_ROWS {
        return Err(RowsError::Malformed);
    }
    let (mut reader, before) = (Reader::new(bytes), into.values.len());
    let values = reader.bytes().ok_or(RowsError::Truncated)?;
    chunk::decode_some_values(values, count, wanted.clone(), &mut into.values)?;
    take_extras(&mut reader, flags, count, wanted, before, into)?;
    if reader.is_empty() { Ok(()) } else { Err(RowsError::Malformed) }
}

fn encode_values(values: &[f64], effort: Effort, out: &mut Vec<u8>) {
    match effort {
        Effort::Hot => chunk::encode_values(values, out),
        Effort::Cold => chunk::encode_values_cold(values, out),
    }
}

fn flags_of(column: &Column, rows: &Range<usize>) -> u8 {
    let starts = column.starts.get(rows.clone()).is_some_and(|own| own.iter().any(|start| *start != Timestamp::EPOCH));
    let histograms = !histograms_in(column, rows).is_empty();
    (if histograms { WITH_HISTOGRAMS } else { 0 }) | (if starts { WITH_STARTS } else { 0 })
}

/// The histograms of some rows, by row of the whole column.
fn histograms_in<'c>(column: &'c Column, rows: &Range<usize>) -> &'c [(usize, Arc<Histogram>)] {
    let from = column.histograms.partition_point(|(row, _)| *row < rows.start);
    let to = column.histograms.partition_point(|(row, _)| *row < rows.end);
    &column.histograms[from..to]
}

fn put_extras(column: &Column, rows: Range<usize>, flags: u8, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
    if flags & WITH_HISTOGRAMS != 0 {
        let own = histograms_in(column, &rows);
        put_u64(out, own.len() as u64);
        let mut next = rows.start;
        for (row, _) in own {
            put_u64(out, (row - next) as u64);
            next = row + 1;
        }
        let histograms: Vec<Arc<Histogram>> = own.iter().map(|(_, one)| one.clone()).collect();
        scratch.clear();
        chunk::encode_histograms(&histograms, scratch);
        put_bytes(out, scratch);
    }
    if flags & WITH_STARTS != 0 {
        put_starts(out, &column.starts[rows]);
    }
}

/// Appends histograms and starts of the rows in `wanted` to a column that has `before` rows otherwise.
fn take_extras(
    reader: &mut Reader<'_>,
    flags: u8,
    rows: usize,
    wanted: Range<usize>,
    before: usize,
    into: &mut Column,
) -> Result<(), RowsError> {
    if flags & WITH_HISTOGRAMS != 0 {
        let count = reader.count().ok_or(RowsError::Truncated)?;
        let (mut places, mut next) = (Vec::with_capacity(count), 0_usize);
        for _ in 0..count {
            let row = next.checked_add(reader.usize().ok_or(RowsError::Truncated)?).filter(|row| *row < rows);
            let row = row.ok_or(RowsError::Malformed)?;
            places.push(row);
            next = row + 1;
        }
        let mut histograms = Vec::with_capacity(count);
        chunk::decode_histograms(reader.bytes().ok_or(RowsError::Truncated)?, count, &mut histograms)?;
        if histograms.len() != count {
            return Err(RowsError::Malformed);
        }
        let own = places.into_iter().zip(histograms).filter(|(row, _)| wanted.contains(row));
        into.histograms.extend(own.map(|(row, histogram)| (before + row - wanted.start, histogram)));
    }
    if flags & WITH_STARTS != 0 {
        into.starts.resize(before, Timestamp::EPOCH);
        read_starts(reader, rows, &mut into.starts).ok_or(RowsError::Malformed)?;
        into.starts.truncate(before + wanted.end);
        into.starts.drain(before..before + wanted.start);
    } else if !into.starts.is_empty() {
        into.starts.resize(before + wanted.len(), Timestamp::EPOCH);
    }
    Ok(())
}

/// Start timestamps as stretches of equal ones: they change only where something was restarted.
fn put_starts(out: &mut Vec<u8>, starts: &[Timestamp]) {
    let mut last = 0;
    for stretch in starts.chunk_by(|left, right| left == right) {
        put_u64(out, stretch.len() as u64);
        put_i64(out, stretch[0].as_millis().wrapping_sub(last));
        last = stretch[0].as_millis();
    }
}

fn read_starts(reader: &mut Reader<'_>, rows: usize, starts: &mut Vec<Timestamp>) -> Option<()> {
    let (mut left, mut last) = (rows, 0_i64);
    while left > 0 {
        let stretch = reader.usize().filter(|stretch| (1..=left).contains(stretch))?;
        last = last.wrapping_add(reader.i64()?);
        starts.extend(std::iter::repeat_n(Timestamp::from_millis(last), stretch));
        left -= stretch;
    }
    Some(())
}

/// Appends `row` without looking at what stands before it.
///
/// Senders end a series of histograms by a histogram with the stale marker as its sum. It says what the float marker says,
/// and becomes that: a column knows one kind of marker.
pub(crate) fn push(column: &mut Column, row: &BatchSample) {
    column.at.push(row.at);
    match &row.histogram {
        None => column.values.push(row.value),
        Some(histogram) if histogram.is_stale() => column.values.push(f64::from_bits(STALE_NAN_BITS)),
        Some(histogram) => {
            column.values.push(0.0);
            column.histograms.push((column.at.len() - 1, histogram.clone()));
        }
    }
    if row.start != Timestamp::EPOCH || !column.starts.is_empty() {
        column.starts.resize(column.at.len() - 1, Timestamp::EPOCH);
        column.starts.push(row.start);
    }
}

/// The rows of `column` one by one.
pub(crate) fn each(column: &Column) -> impl Iterator<Item = BatchSample> + '_ {
    let mut histograms = column.histograms.iter().peekable();
    (0..column.len()).map(move |row| BatchSample {
        at: column.at[row],
        start: column.starts.get(row).copied().unwrap_or(Timestamp::EPOCH),
        value: column.values[row],
        histogram: histograms.next_if(|(place, _)| *place == row).map(|(_, histogram)| histogram.clone()),
    })
}

/// Makes times rise strictly: sorts where needed and keeps the larger of rows at one instant. Tells how many rows
/// went because another with the same time and another value was larger.
pub(crate) fn tidy(column: &mut Column) -> usize {
    if column.at.windows(2).all(|pair| pair[0] < pair[1]) {
        return 0;
    }
    let mut rows: Vec<BatchSample> = each(column).collect();
    rows.sort_by(compare);
    let mut conflicts = 0;
    column.clear();
    for (index, row) in rows.iter().enumerate() {
        match rows.get(index + 1) {
            Some(next) if next.at == row.at => conflicts += usize::from(compare(row, next).is_ne()),
            _ => push(column, row),
        }
    }
    conflicts
}

/// Appends the rows of `from`.
pub(crate) fn append(column: &mut Column, from: &Column) {
    let before = column.len();
    column.at.extend_from_slice(&from.at);
    column.values.extend_from_slice(&from.values);
    column.histograms.extend(from.histograms.iter().map(|(row, histogram)| (before + row, histogram.clone())));
    if !column.starts.is_empty() || !from.starts.is_empty() {
        column.starts.resize(before, Timestamp::EPOCH);
        column.starts.extend_from_slice(&from.starts);
        column.starts.resize(column.at.len(), Timestamp::EPOCH);
    }
}

/// Takes away the rows outside `range`.
pub(crate) fn clip(column: &mut Column, range: TimeRange) {
    let from = column.at.partition_point(|at| *at < range.start());
    let to = column.at.partition_point(|at| *at <= range.end());
    keep(column, from..to);
}

/// Takes away the rows inside `range`.
pub(crate) fn cut_out(column: &mut Column, range: TimeRange) {
    if !column.at.iter().any(|at| range.contains(*at)) {
        return;
    }
    let rows: Vec<BatchSample> = each(column).filter(|row| !range.contains(row.at)).collect();
    column.clear();
    rows.iter().for_each(|row| push(column, row));
}

fn keep(column: &mut Column, rows: Range<usize>) {
    if rows == (0..column.len()) {
        return;
    }
    column.at.truncate(rows.end);
    column.at.drain(..rows.start);
    column.values.truncate(rows.end);
    column.values.drain(..rows.start);
    column.histograms.retain_mut(|(row, _)| {
        let inside = rows.contains(row);
        *row = row.wrapping_sub(rows.start);
        inside
    });
    if !column.starts.is_empty() {
        column.starts.truncate(rows.end);
        column.starts.drain(..rows.start);
    }
}

/// A part of a column, as a column.
pub(crate) fn slice(column: &Column, rows: Range<usize>) -> Column {
    Column {
        at: column.at[rows.clone()].to_vec(),
        values: column.values[rows.clone()].to_vec(),
        histograms: column
            .histograms
            .iter()
            .filter(|(row, _)| rows.contains(row))
            .map(|(row, histogram)| (row - rows.start, histogram.clone()))
            .collect(),
        starts: if column.starts.is_empty() { Vec::new() } else { column.starts[rows].to_vec() },
    }
}

/// The total order of rows: time; floats before histograms; the value, bit for bit; the start timestamp.
pub(crate) fn compare(left: &BatchSample, right: &BatchSample) -> Ordering {
    left.at
        .cmp(&right.at)
        .then_with(|| match (&left.histogram, &right.histogram) {
            (None, None) => left.value.total_cmp(&right.value),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(left), Some(right)) if Arc::ptr_eq(left, right) => Ordering::Equal,
            (Some(left), Some(right)) => compare_histograms(left, right),
        })
        .then_with(|| left.start.cmp(&right.start))
}

fn compare_histograms(left: &Histogram, right: &Histogram) -> Ordering {
    fn floats(left: &[f64], right: &[f64]) -> Ordering {
        let pairs = left.iter().zip(right).map(|(left, right)| left.total_cmp(right));
        pairs.fold(Ordering::Equal, Ordering::then).then_with(|| left.len().cmp(&right.len()))
    }
    fn key(one: &Histogram) -> impl Ord {
        let spans = |spans: &[crate::model::histogram::BucketSpan]| -> Vec<(i32, u32)> {
            spans.iter().map(|span| (span.offset, span.length)).collect()
        };
        (one.schema, spans(&one.positive_spans), spans(&one.negative_spans), one.reset_hint as u8, one.integer)
    }
    floats(
        &[left.count, left.sum, left.zero_count, left.zero_threshold],
        &[right.count, right.sum, right.zero_count, right.zero_threshold],
    )
    .then_with(|| floats(&left.positive_buckets, &right.positive_buckets))
    .then_with(|| floats(&left.negative_buckets, &right.negative_buckets))
    .then_with(|| floats(&left.custom_values, &right.custom_values))
    .then_with(|| key(left).cmp(&key(right)))
}

/// A plain float row.
#[cfg(test)]
pub(crate) fn float(sample: Sample) -> BatchSample {
    BatchSample { at: sample.at, start: Timestamp::EPOCH, value: sample.value, histogram: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[track_caller]
    fn check_blocks(buckets: &[usize], rows_max: usize, expected: &[Range<usize>]) {
        let mut column = Column::default();
        for (row, buckets) in buckets.iter().enumerate() {
            let histogram = (*buckets > 0)
                .then(|| Arc::new(Histogram { positive_buckets: vec![1.0; *buckets], ..Histogram::default() }));
            push(&mut column, &BatchSample { at: at(row as i64), start: Timestamp::EPOCH, value: 1.0, histogram });
        }
        assert_eq!(blocks(&column, rows_max).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn blocks_hold_no_more_than_the_codec_takes() {
        let half = BLOCK_CELLS_MAX / 2;
        check_blocks(&[], 4, &[]);
        check_blocks(&[0, 0, 0, 0, 0], 4, &[0..4, 4..5]);
        check_blocks(&[1, 1, 1, 1, 1], 4, &[0..4, 4..5]);
        check_blocks(&[half, half, half], 4, &[0..1, 1..2, 2..3]);
        check_blocks(&[half - 16, 0, half - 16, 0, half - 16], 8, &[0..4, 4..5]);
        check_blocks(&[0, 3 * half, 0, 3 * half, 0], 8, &[0..3, 3..5]);
        check_blocks(&[0, 1, 2 * half], 8, &[0..2, 2..3]);
    }

    #[test]
    fn a_stale_histogram_is_the_one_stale_marker() {
        let stale = Histogram { sum: f64::from_bits(STALE_NAN_BITS), ..Histogram::default() };
        let mut column = Column::default();
        let row = BatchSample { at: at(1), start: Timestamp::EPOCH, value: 0.0, histogram: Some(Arc::new(stale)) };
        push(&mut column, &row);
        push(&mut column, &float(Sample::stale(at(1))));
        assert_eq!(tidy(&mut column), 0, "both say the same");
        assert!(column.histograms.is_empty());
        assert_eq!(column.floats().collect::<Vec<_>>(), [Sample::stale(at(1))]);
    }
}
