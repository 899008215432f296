//! Blocks of timestamps: milliseconds since the epoch, strictly rising.
//!
//! ```text
//! 0x00         no row
//! 0x01  grid   s first, u interval, u m, stream of m gaps, stream of m steps, then a mode byte (0..=4) and a column
//!              of residuals, one for each row
//! 0x08 | mode  the times themselves as a column of integers of that mode (0..=4)
//! ```
//!
//! Scrapes stand on a grid, each a little off: row `i` is `first + slot[i] * interval + residual[i]` (64 bits,
//! wrapping), where `slot[0] = 0` and each row is one slot behind the one before, but for the `m` rows that are
//! listed: `gaps` are the rows since the listed row before, less one (the first counts from row 1), `steps` how many
//! slots those rows move. Being late once costs its own residual and none of its neighbours'.
//!
//! Modes: [`super::integers`]; streams: [`super::pack`].

use super::fields::{read, read_count, read_signed, take_byte};
use super::integers::{self, Mode};
use super::pack::{self, BLOCK};
use super::{ChunkError, MAX_ROWS, check_rows, decode_whole};
use crate::model::Timestamp;
use crate::tsdb::bytes::{put_i64, put_u64};

const EMPTY: u8 = 0x00;
const GRID: u8 = 0x01;
const PLAIN: u8 = 0x08;

/// Beyond this range slots and residuals might overflow; such columns are written plain.
const WIDEST_GRID: u64 = 1 << 61;
/// Of one in how many rows a step may differ from one slot, before there is no grid to speak of.
const STEPS_PER_ROW: usize = 4;
/// A block this small cannot be made smaller in a way that matters.
const SMALL_ENOUGH_BYTES: usize = 12;

/// Appends the block of `times`, which rise strictly.
///
/// # Panics
/// With more than [`MAX_ROWS`] times: the caller cuts chunks.
pub fn encode_times(times: &[Timestamp], out: &mut Vec<u8>) {
    assert!(times.len() <= MAX_ROWS, "the caller cuts chunks at MAX_ROWS");
    debug_assert!(times.is_sorted_by(|a, b| a < b), "times rise strictly");
    if times.is_empty() {
        return out.push(EMPTY);
    }
    let millis: Vec<i64> = times.iter().map(|time| time.as_millis()).collect();
    let start = out.len();
    out.push(PLAIN);
    out[start] |= integers::write_column(&millis, out).code();
    let plain = out.len() - start;
    if plain <= SMALL_ENOUGH_BYTES {
        return;
    }
    if let Some(grid) = Grid::of(&millis) {
        let middle = out.len();
        grid.write(out);
        if out.len() - middle < plain {
            out.copy_within(middle.., start);
            out.truncate(start + out.len() - middle);
        } else {
            out.truncate(middle);
        }
    }
}

struct Grid {
    first: i64,
    interval: i64,
    /// Rows that do not move one slot, as gaps, and how far they move.
    gaps: Vec<u64>,
    steps: Vec<u64>,
    residuals: Vec<i64>,
}

impl Grid {
    /// The grid on which `millis` stand, if most of them do.
    fn of(millis: &[i64]) -> Option<Grid> {
        let (first, last) = (*millis.first()?, *millis.last()?);
        if last.wrapping_sub(first) as u64 > WIDEST_GRID || millis.len() < 3 {
            return None;
        }
        let mut deltas: Vec<i64> = millis.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let middle = deltas.len() / 2;
        let median = *deltas.select_nth_unstable(middle).1;
        // The median tells how many slots there are, and all of them together tell the interval better than one.
        let interval = rounded_quotient(last - first, rounded_quotient(last - first, median.max(1)).max(1)).max(1);
        let mut grid = Grid { first, interval, gaps: Vec::new(), steps: Vec::new(), residuals: vec![0] };
        let (mut slot, mut next_listed) = (0, 1);
        for (row, time) in millis.iter().enumerate().skip(1) {
            let before = std::mem::replace(&mut slot, rounded_quotient(time - first, interval));
            if slot != before + 1 {
                grid.gaps.push((row - next_listed) as u64);
                grid.steps.push((slot - before) as u64);
                next_listed = row + 1;
                if grid.gaps.len() > millis.len() / STEPS_PER_ROW {
                    return None;
                }
            }
            grid.residuals.push(time - (first + slot * interval));
        }
        Some(grid)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(GRID);
        put_i64(out, self.first);
        put_u64(out, self.interval as u64);
        put_u64(out, self.gaps.len() as u64);
        pack::write_stream(&self.gaps, out);
        pack::write_stream(&self.steps, out);
        let at = out.len();
        out.push(0);
        out[at] = integers::write_column(&self.residuals, out).code();
    }
}

/// Quotient of two positive numbers, to the nearest.
fn rounded_quotient(number: i64, divisor: i64) -> i64 {
    (number + divisor / 2) / divisor
}

/// Appends the `count` times of a block to `out`; on an error nothing is appended.
///
/// # Errors
/// If `bytes` is not one whole block of `count` strictly rising times.
pub fn decode_times(bytes: &[u8], count: usize, out: &mut Vec<Timestamp>) -> Result<(), ChunkError> {
    let start = out.len();
    decode_whole(bytes, out, |rest, out| {
        decode(rest, count, out)?;
        let rising = out[start..].is_sorted_by(|a, b| a < b);
        if rising { Ok(()) } else { Err(ChunkError::Malformed("times that do not rise")) }
    })
}

fn decode(bytes: &mut &[u8], count: usize, out: &mut Vec<Timestamp>) -> Result<(), ChunkError> {
    check_rows(count)?;
    match take_byte(bytes)? {
        EMPTY if count == 0 => Ok(()),
        _ if count == 0 => Err(ChunkError::Rows(count)),
        GRID => decode_grid(bytes, count, out),
        format if format & !7 == PLAIN => {
            let mode = hot_mode(format & 7)?;
            out.reserve(count);
            integers::read_column(mode, bytes, count, 0..count, |rows| {
                out.extend(rows.iter().map(|millis| Timestamp::from_millis(*millis)));
            })
        }
        format => Err(ChunkError::Format(format)),
    }
}

/// Times are never written cold: they are a thousandth of the bytes.
fn hot_mode(code: u8) -> Result<Mode, ChunkError> {
    match Mode::from_code(code) {
        Mode::Compressed(_) => Err(ChunkError::Format(code)),
        mode if code < 8 => Ok(mode),
        _ => Err(ChunkError::Format(code)),
    }
}

fn decode_grid(bytes: &mut &[u8], count: usize, out: &mut Vec<Timestamp>) -> Result<(), ChunkError> {
    let (first, interval) = (read_signed(bytes)?, read(bytes)? as i64);
    let listed = read_count(bytes, count - 1)?;
    let (gaps, steps) = (read_stream(bytes, listed)?, read_stream(bytes, listed)?);
    let mode = hot_mode(take_byte(bytes)?)?;
    let mut listed = gaps.into_iter().zip(steps);
    let mut next = listed.next();
    let (start, mut slot_time) = (out.len(), first.wrapping_sub(interval));
    out.reserve(count);
    integers::read_column(mode, bytes, count, 0..count, |residuals| {
        for residual in residuals {
            let step = match &mut next {
                Some((0, step)) if out.len() > start => {
                    let step = *step as i64;
                    next = listed.next();
                    interval.wrapping_mul(step)
                }
                Some((gap, _)) if out.len() > start => {
                    *gap -= 1;
                    interval
                }
                _ => interval,
            };
            slot_time = slot_time.wrapping_add(step);
            out.push(Timestamp::from_millis(slot_time.wrapping_add(*residual)));
        }
    })?;
    if next.is_some() { Err(ChunkError::Malformed("a listed row behind the last row")) } else { Ok(()) }
}

fn read_stream(bytes: &mut &[u8], count: usize) -> Result<Vec<u64>, ChunkError> {
    let mut stream = Vec::with_capacity(count);
    let mut block = [0; BLOCK];
    while stream.len() < count {
        let length = BLOCK.min(count - stream.len());
        pack::read_block(bytes, length, &mut block)?;
        stream.extend_from_slice(&block[..length]);
    }
    Ok(stream)
}
