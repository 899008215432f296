//! Long blocks of values, divided so that a few rows are read without those before them.
//!
//! Sealed parts hold a day of a series in one block, and most queries want a few minutes or hours of it.
//!
//! ```text
//! segments  u r, u bytes of each segment but the last, then the segments: blocks of r rows each, the last one of what is
//!           left; none of them empty or divided itself
//! pages     u r, u bytes of each page but the last, then pco's header and chunk meta, then its pages of r rows each, the
//!           last one of what is left
//! ```
//!
//! Integers lose nothing by segments, since each takes the order and the divisor that suit it. What pco learns of a
//! column is written once for all pages.

use std::ops::Range;

use pco::wrapped::{ChunkDecompressor, FileCompressor, FileDecompressor};
use pco::{ChunkConfig, PagingSpec};
use smallvec::SmallVec;

use super::fields::{read, read_count, take};
use super::{ChunkError, check_end};
use crate::tsdb::bytes::put_u64;

/// Rows of one segment: three hours at 15 s.
pub(super) const SEGMENT_ROWS: usize = 720;
/// Rows of one page, at most.
const PAGE_ROWS_MAX: usize = 1024;
/// Blocks of fewer rows are not divided.
pub(super) const DIVIDED_ROWS_MIN: usize = 3 * SEGMENT_ROWS / 2;
/// pco's level for pages: they are written once and kept for years.
const PCO_LEVEL: usize = 8;
/// Rows that pco decodes at once; a page may be read up to a multiple of them.
const PCO_BATCH_ROWS: usize = 256;

/// Bytes of segments or pages.
type Lengths = SmallVec<[usize; 16]>;

/// Appends the body of `values` in segments that `encode` appends one by one.
pub(super) fn encode_segments(values: &[f64], out: &mut Vec<u8>, mut encode: impl FnMut(&[f64], &mut Vec<u8>)) {
    let mut body = Vec::with_capacity(values.len());
    let mut lengths = Lengths::new();
    for segment in values.chunks(SEGMENT_ROWS) {
        let start = body.len();
        encode(segment, &mut body);
        lengths.push(body.len() - start);
    }
    put_head(SEGMENT_ROWS, &lengths, out);
    out.extend_from_slice(&body);
}

/// Appends the body of `values` as pages of pco.
pub(super) fn encode_pages(values: &[f64], out: &mut Vec<u8>) -> Result<(), pco::errors::PcoError> {
    let rows = values.len().div_ceil(values.len().div_ceil(PAGE_ROWS_MAX));
    let pages = values.chunks(rows).map(<[f64]>::len).collect();
    let config = ChunkConfig::default().with_compression_level(PCO_LEVEL).with_paging_spec(PagingSpec::Exact(pages));
    let file = FileCompressor::default();
    let mut chunk = file.chunk_compressor(values, &config)?;
    let (mut body, mut lengths) = (Vec::new(), Lengths::new());
    for page in 0..chunk.n_per_page().len() {
        let start = body.len();
        chunk.write_page(page, &mut body)?;
        lengths.push(body.len() - start);
    }
    put_head(rows, &lengths, out);
    file.write_header(&mut *out)?;
    chunk.write_meta(&mut *out)?;
    out.extend_from_slice(&body);
    Ok(())
}

fn put_head(rows: usize, lengths: &[usize], out: &mut Vec<u8>) {
    put_u64(out, rows as u64);
    lengths[..lengths.len() - 1].iter().for_each(|bytes| put_u64(out, *bytes as u64));
}

/// How many rows a piece of a block of `count` rows has, and the bytes of all pieces but the last.
fn take_head(bytes: &mut &[u8], count: usize) -> Result<(usize, Lengths), ChunkError> {
    let rows = read_count(bytes, count)?;
    if rows == 0 {
        return Err(ChunkError::Malformed("pieces without rows"));
    }
    let more = count.div_ceil(rows) - 1;
    if more > bytes.len() {
        return Err(ChunkError::Truncated);
    }
    let lengths = (0..more).map(|_| read(bytes).map(|length| usize::try_from(length).unwrap_or(usize::MAX)));
    Ok((rows, lengths.collect::<Result<_, _>>()?))
}

/// Calls `decode` with the bytes, the number of rows and the wanted rows of each piece that holds one of `wanted`.
fn each_piece(
    bytes: &mut &[u8],
    (rows, lengths): (usize, Lengths),
    count: usize,
    wanted: Range<usize>,
    mut decode: impl FnMut(&mut &[u8], usize, Range<usize>) -> Result<(), ChunkError>,
) -> Result<(), ChunkError> {
    for (number, start) in (0..count).step_by(rows).enumerate().take_while(|(_, start)| *start < wanted.end) {
        let own = rows.min(count - start);
        let mut piece = match lengths.get(number) {
            Some(length) => take(bytes, *length)?,
            None => std::mem::take(bytes),
        };
        let some = wanted.start.max(start)..wanted.end.min(start + own);
        if some.is_empty() {
            continue;
        }
        let whole = some.len() == own;
        decode(&mut piece, own, some.start - start..some.end - start)?;
        if whole {
            check_end(piece)?;
        }
    }
    Ok(())
}

/// Takes a block in segments off the front; `decode` appends the wanted rows of one.
pub(super) fn decode_segments(
    bytes: &mut &[u8],
    count: usize,
    wanted: Range<usize>,
    decode: impl FnMut(&mut &[u8], usize, Range<usize>) -> Result<(), ChunkError>,
) -> Result<(), ChunkError> {
    let head = take_head(bytes, count)?;
    each_piece(bytes, head, count, wanted, decode)
}

/// Takes a block of pages off the front and appends the wanted rows.
pub(super) fn decode_pages(
    bytes: &mut &[u8],
    count: usize,
    wanted: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let head = take_head(bytes, count)?;
    let (file, rest) = FileDecompressor::new(*bytes).map_err(ChunkError::Pco)?;
    let (mut chunk, rest) = file.chunk_decompressor::<f64, _>(rest).map_err(ChunkError::Pco)?;
    *bytes = rest;
    each_piece(bytes, head, count, wanted, |page, rows, some| decode_page(&mut chunk, page, rows, some, out))
}

/// Takes one page of pco off the front, as far as the wanted rows need it, and appends them.
pub(super) fn decode_page(
    chunk: &mut ChunkDecompressor<f64>,
    bytes: &mut &[u8],
    rows: usize,
    wanted: Range<usize>,
    out: &mut Vec<f64>,
) -> Result<(), ChunkError> {
    let mut page = chunk.page_decompressor(*bytes, rows).map_err(ChunkError::Pco)?;
    let (start, needed) = (out.len(), wanted.end.next_multiple_of(PCO_BATCH_ROWS).min(rows));
    out.resize(start + needed, 0.0);
    let progress = page.read(&mut out[start..]).map_err(ChunkError::Pco)?;
    if progress.n_processed != needed || progress.finished != (needed == rows) {
        return Err(ChunkError::Rows(rows));
    }
    *bytes = page.into_src();
    out.truncate(start + wanted.end);
    out.drain(start..start + wanted.start);
    Ok(())
}
