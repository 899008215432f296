//! Blocks of float values.
//!
//! ```text
//! 0x00                   no row
//! 0x01  exceptions       u m, stream of m gaps (rows since the exception before, less one; the first counts from
//!                        row 0), a block 0x08..=0x0c of m rows, then the block of all rows, in which rows that are
//!                        exceptions hold anything (0x02, 0x03, or from 0x08 on)
//! 0x02  zstd             the rows' IEEE 754 bits, 8 bytes each, low byte first, as one zstd frame
//! 0x03  pco              a pco file in its wrapped form: header, chunk meta, one page of all rows
//! 0x04  segments         rows in pieces that are blocks of their own: [`super::divided`]
//! 0x05  pages            as 0x03, in several pages: [`super::divided`]
//! 0x08 | mode            IEEE 754 bits as a column of integers of that mode
//! 0x80 | mode<<4 | k     integers of that mode; value = integer / 10^k
//! ```
//!
//! Modes and their bodies: [`super::integers`]; streams: [`super::pack`]; zstd frames lack their four magic bytes.

use std::ops::Range;

use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, PagingSpec};

use super::divided::{self, DIVIDED_ROWS_MIN};
use super::fields::{read_count, take_byte};
use super::integers::{self, Mode};
use super::pack::{self, BLOCK};
use super::{ChunkError, MAX_ROWS, check_rows, decimal, decode_whole, zstd_frame};
use crate::tsdb::bytes::put_u64;

const EMPTY: u8 = 0x00;
const EXCEPTIONS: u8 = 0x01;
const ZSTD: u8 = 0x02;
const PCO: u8 = 0x03;
const SEGMENTS: u8 = 0x04;
const PAGES: u8 = 0x05;
const BITS: u8 = 0x08;
const DECIMAL: u8 = 0x80;

/// Under this many rows pco and zstd cost more in headers and time than they save.
const FEWEST_ROWS_FOR_ENTROPY: usize = 96;
/// Under this many rows the trials of the cold codec are not worth their time: of half a million chunks of 60 rows, 366
/// would be smaller, by a thousandth of the whole.
const FEWEST_ROWS_FOR_COLD: usize = 240;
/// Decimals packed no better than this (bytes a row) are tried as floats too.
const POOR_DECIMAL_BYTES: usize = 4;
/// A block this small cannot be made smaller in a way that matters.
const SMALL_ENOUGH_BYTES: usize = 16;

/// Segments that are no larger than this on average, in bytes, may be a plain line as a whole.
const SMALL_SEGMENT_BYTES: usize = 32;

/// Pages have to save one byte of so many: they take three times as long to read as segments.
const PAGES_SAVE: usize = 50;

/// pco's level for blocks that are not divided: those are rewritten before long.
const PCO_LEVEL: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Effort {
    Hot,
    Cold,
}

/// Appends the hot block of `values`: fast to write and to read.
///
/// # Panics
/// With more than [`MAX_ROWS`] values: the caller cuts chunks.
pub fn encode_values(values: &[f64], out: &mut Vec<u8>) {
    encode(values, Effort::Hot, out);
}

/// Appends the smallest block of `values` that any codec here makes; 5 to 10 times the work of [`encode_values`].
///
/// # Panics
/// With more than [`MAX_ROWS`] values: the caller cuts chunks.
pub fn encode_values_cold(values: &[f64], out: &mut Vec<u8>) {
    encode(values, Effort::Cold, out);
}

fn encode(values: &[f64], effort: Effort, out: &mut Vec<u8>) {
    assert!(values.len() <= MAX_ROWS, "the caller cuts chunks at MAX_ROWS");
    let Some(first) = values.first() else { return out.push(EMPTY) };
    if values.iter().all(|value| value.to_bits() == first.to_bits()) {
        encode_integers(&values[..1], &mut [0], Effort::Hot, out);
        return;
    }
    let effort = if values.len() < FEWEST_ROWS_FOR_COLD { Effort::Hot } else { effort };
    if effort == Effort::Cold && values.len() >= DIVIDED_ROWS_MIN {
        return encode_divided(values, out);
    }
    let start = out.len();
    let (is_decimal, uneven) = encode_as_integers(values, effort, out);
    let bytes = out.len() - start;
    if values.len() < FEWEST_ROWS_FOR_ENTROPY || bytes <= SMALL_ENOUGH_BYTES {
        return;
    }
    let poor = !is_decimal || bytes > POOR_DECIMAL_BYTES * values.len();
    if poor || uneven {
        keep_smallest(start, out, |out| encode_pco(values, out).is_ok());
    }
    if poor && values_repeat(values) {
        encode_repeated(values, effort, start, out);
    }
}

/// Appends a long cold block in pieces that can be read alone, if it is not smaller in one.
fn encode_divided(values: &[f64], out: &mut Vec<u8>) {
    let start = out.len();
    let (mut all_decimal, mut any_uneven, mut segments) = (true, false, 0);
    out.push(SEGMENTS);
    divided::encode_segments(values, out, |segment, out| {
        let constant = segment.iter().all(|value| value.to_bits() == segment[0].to_bits());
        let rows = if constant { &segment[..1] } else { segment };
        let (is_decimal, uneven) = encode_as_integers(rows, Effort::Cold, out);
        all_decimal &= is_decimal;
        any_uneven |= uneven;
        segments += 1;
    });
    let bytes = out.len() - start;
    if bytes <= SMALL_SEGMENT_BYTES * segments {
        keep_smallest(start, out, |out| {
            encode_as_integers(values, Effort::Cold, out);
            true
        });
    }
    let poor = !all_decimal || bytes > POOR_DECIMAL_BYTES * values.len();
    if poor || any_uneven {
        keep_below(bytes - bytes / PAGES_SAVE, start, out, |out| {
            out.push(PAGES);
            divided::encode_pages(values, out).is_ok()
        });
    }
    if poor && values_repeat(values) {
        encode_repeated(values, Effort::Cold, start, out);
    }
}

/// zstd in place of the block at `start`, if that is smaller.
fn encode_repeated(values: &[f64], effort: Effort, start: usize, out: &mut Vec<u8>) {
    keep_smallest(start, out, |out| encode_zstd(values, zstd_frame::HOT_LEVEL, out));
    if effort == Effort::Cold {
        keep_smallest(start, out, |out| encode_zstd(values, zstd_frame::COLD_LEVEL, out));
    }
}

/// Whether enough values stood before, a little or long ago, for zstd to have something to point back to.
fn values_repeat(values: &[f64]) -> bool {
    let (mut seen, mut repeated) = ([0_u64; 256], 0);
    for value in values {
        let bits = value.to_bits();
        // Fibonacci hashing (Knuth, volume 3, 6.4): the top eight bits choose the slot.
        let slot = &mut seen[(bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize];
        repeated += usize::from(*slot == bits);
        *slot = bits;
    }
    repeated > values.len() / 8
}

/// Puts what `encode` appends in place of the block at `start`, if that is smaller.
fn keep_smallest(start: usize, out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>) -> bool) {
    keep_below(out.len() - start, start, out, encode);
}

/// Puts what `encode` appends in place of the block at `start`, if that is below so many bytes.
fn keep_below(bytes: usize, start: usize, out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>) -> bool) {
    let middle = out.len();
    if encode(out) && out.len() - middle < bytes {
        out.copy_within(middle.., start);
        out.truncate(start + out.len() - middle);
    } else {
        out.truncate(middle);
    }
}

/// As [`encode_integers`], with working memory of its own.
fn encode_as_integers(values: &[f64], effort: Effort, out: &mut Vec<u8>) -> (bool, bool) {
    // Runs of the head are short and many: they need no allocation.
    let (mut stack, mut heap) = ([0; BLOCK], Vec::new());
    let integers = match stack.get_mut(..values.len()) {
        Some(integers) => integers,
        None => {
            heap.resize(values.len(), 0);
            heap.as_mut_slice()
        }
    };
    encode_integers(values, integers, effort, out)
}

/// Appends the block as integers; says whether they are decimals rather than bits, and whether something denser is
/// worth a try.
fn encode_integers(values: &[f64], integers: &mut [i64], effort: Effort, out: &mut Vec<u8>) -> (bool, bool) {
    let places = match decimal::to_integers(values, integers) {
        Some(found) => {
            if !found.exceptions.is_empty() {
                encode_exceptions(values, &found.exceptions, out);
            }
            Some(found.places)
        }
        None => {
            integers.iter_mut().zip(values).for_each(|(bits, value)| *bits = value.to_bits() as i64);
            None
        }
    };
    let at = out.len();
    out.push(0);
    let (mode, uneven) = match effort {
        Effort::Hot => (integers::write_column(integers, out), false),
        Effort::Cold => integers::write_column_cold(integers, out),
    };
    out[at] = match places {
        Some(places) => DECIMAL | mode.code() << 4 | places as u8,
        None => BITS | mode.code(),
    };
    (places.is_some(), uneven)
}

fn encode_exceptions(values: &[f64], exceptions: &[u32], out: &mut Vec<u8>) {
    out.push(EXCEPTIONS);
    put_u64(out, exceptions.len() as u64);
    let mut next = 0;
    let gaps: Vec<u64> = exceptions
        .iter()
        .map(|row| {
            let gap = row - next;
            next = row + 1;
            u64::from(gap)
        })
        .collect();
    pack::write_stream(&gaps, out);
    let bits: Vec<i64> = exceptions.iter().map(|row| values[*row as usize].to_bits() as i64).collect();
    let at = out.len();
    out.push(0);
    out[at] = BITS | integers::write_column(&bits, out).code();
}

fn encode_zstd(values: &[f64], level: i32, out: &mut Vec<u8>) -> bool {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_bits().to_le_bytes()).collect();
    out.push(ZSTD);
    zstd_frame::compress(&raw, level, out)
}

fn encode_pco(values: &[f64], out: &mut Vec<u8>) -> Result<(), pco::errors::PcoError> {
    out.push(PCO);
    let config =
        ChunkConfig::default().with_compression_level(PCO_LEVEL).with_paging_spec(PagingSpec::EqualPagesUpTo(MAX_ROWS));
    let file = FileCompressor::default();
    file.write_header(&mut *out)?;
    let mut chunk = file.chunk_compressor(values, &config)?;
    chunk.write_meta(&mut *out)?;
    chunk.write_page(0, &mut *out)?;
    Ok(())
}

/// Appends the `count` values of a block, hot or cold, to `out`; on an error nothing is appended.
///
/// # Errors
/// If `bytes` is not one whole block of `count` rows.
pub fn decode_values(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<(), ChunkError> {
    decode_whole(bytes, out, |rest, out| decode(rest, count, 0..count, out))
}

/// Appends the values in `rows` of a block of `count`, for less work than all of them where the codec allows: what
/// follows the last one may stay unread, and unchecked. On an error nothing is appended.
///
/// # Errors
/// If `bytes` is not a block of `count` rows, as far as it was read, or if it has no such rows.
pub fn decode_some_values(
    mut bytes: &[u8],
    count: usize,
    rows: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    if rows == (0..count) {
        return decode_values(bytes, count, out);
    }
    if rows.start > rows.end || rows.end > count {
        return Err(ChunkError::Rows(rows.end));
    }
    let start = out.len();
    let decoded = decode(&mut bytes, count, rows, out);
    if decoded.is_err() {
        out.truncate(start);
    }
    decoded
}

fn decode(bytes: &mut &[u8], count: usize, rows: Range<usize>, out: &mut Vec<f64>) -> Result<(), ChunkError> {
    check_rows(count)?;
    match take_byte(bytes)? {
        EMPTY if count == 0 => Ok(()),
        _ if count == 0 => Err(ChunkError::Rows(count)),
        SEGMENTS => divided::decode_segments(bytes, count, rows, |segment, count, rows| {
            let format = take_byte(segment)?;
            decode_undivided(format, segment, count, rows, out)
        }),
        PAGES => divided::decode_pages(bytes, count, rows, out),
        format => decode_undivided(format, bytes, count, rows, out),
    }
}

fn decode_undivided(
    format: u8,
    bytes: &mut &[u8],
    count: usize,
    wanted: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    match format {
        EXCEPTIONS => decode_exceptions(bytes, count, wanted, out),
        format => decode_plain(format, bytes, count, wanted, out),
    }
}

fn decode_plain(
    format: u8,
    bytes: &mut &[u8],
    count: usize,
    wanted: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    match format {
        ZSTD => {
            let raw = zstd_frame::decompress(std::mem::take(bytes), 8 * count)?;
            let (values, rest) = raw.as_chunks::<8>();
            if values.len() != count || !rest.is_empty() {
                return Err(ChunkError::Rows(count));
            }
            out.extend(values[wanted].iter().map(|bits| f64::from_le_bytes(*bits)));
            Ok(())
        }
        PCO => decode_pco(bytes, count, wanted, out),
        BITS..=0x0f => {
            out.reserve(wanted.len());
            integers::read_column(Mode::from_code(format), bytes, count, wanted, |rows| {
                out.extend(rows.iter().map(|bits| f64::from_bits(*bits as u64)));
            })
        }
        DECIMAL.. => {
            let (mode, places) = (Mode::from_code(format >> 4), u32::from(format & 0x0f));
            out.reserve(wanted.len());
            integers::read_column(mode, bytes, count, wanted, |rows| decimal::extend_with(out, rows, places))
        }
        _ => Err(ChunkError::Format(format)),
    }
}

fn decode_exceptions(
    bytes: &mut &[u8],
    count: usize,
    wanted: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let exceptions = read_count(bytes, count)?;
    if exceptions == 0 {
        return Err(ChunkError::Malformed("no exception"));
    }
    let (mut rows, mut gaps, mut next) = (Vec::with_capacity(exceptions), [0; BLOCK], 0_usize);
    while rows.len() < exceptions {
        let length = BLOCK.min(exceptions - rows.len());
        pack::read_block(bytes, length, &mut gaps)?;
        for gap in &gaps[..length] {
            let row = usize::try_from(*gap).ok().and_then(|gap| next.checked_add(gap));
            let row = row.filter(|row| *row < count).ok_or(ChunkError::Malformed("exception behind the last row"))?;
            rows.push(row);
            next = row + 1;
        }
    }
    let format = take_byte(bytes)?;
    let mode = Mode::from_code(format);
    if format & !7 != BITS || matches!(mode, Mode::Compressed(_)) {
        return Err(ChunkError::Format(format));
    }
    let start = out.len();
    let mut patches = Vec::with_capacity(exceptions);
    integers::read_column(mode, bytes, exceptions, 0..exceptions, |bits| patches.extend_from_slice(bits))?;
    let format = take_byte(bytes)?;
    decode_plain(format, bytes, count, wanted.clone(), out)?;
    for (row, bits) in rows.into_iter().zip(patches).filter(|(row, _)| wanted.contains(row)) {
        out[start + row - wanted.start] = f64::from_bits(bits as u64);
    }
    Ok(())
}

fn decode_pco(bytes: &mut &[u8], count: usize, wanted: Range<usize>, out: &mut Vec<f64>) -> Result<(), ChunkError> {
    let (file, rest) = FileDecompressor::new(*bytes).map_err(ChunkError::Pco)?;
    let (mut chunk, rest) = file.chunk_decompressor::<f64, _>(rest).map_err(ChunkError::Pco)?;
    *bytes = rest;
    divided::decode_page(&mut chunk, bytes, count, wanted, out)
}
