//! A column of 64-bit integers, as the smallest of a constant, a straight line, or packed differences.
//!
//! The block around it says which [`Mode`] (three bits) and how many rows, at least one. In a body, `s` is a zigzag
//! varint, `u` a varint (`tsdb::bytes`); all arithmetic wraps at 64 bits.
//!
//! ```text
//! 0 constant  s first                                        x[i] = first
//! 1 line      s first, s slope                               x[i] = first + i * slope
//! 2 order 0   s base, u 2*g+c, stream of n                   x[i] = base + g * r[i], or with c = 1:
//!                                                            x[i] = base + g * unzigzag(r[i])
//! 3 order 1   s first, u g, s center, stream of n-1          x[i] = x[i-1] + g * (center + unzigzag(r[i]))
//! 4 order 2   s first, u g, s slope, stream of n-2           d[1] = g * slope, d[i] = d[i-1] + g * unzigzag(r[i]),
//!                                                            x[i] = x[i-1] + d[i]
//! 5 6 7       as 2 3 4, the stream as one zstd frame (to the end of the block) of varints: the cold form
//! ```
//!
//! `stream` is that of [`super::pack`]. `g` is the greatest common divisor of all differences (4096 for memory in
//! pages), 1 if there is none; `center` is a typical difference, so a steady counter costs its jitter alone. In order 0 the base is the
//! smallest row (c = 0) or a typical one (c = 1), which keeps a rare dip from widening all others.

use std::ops::Range;

use super::fields::{read, read_signed, take_byte};
use super::pack::{self, BLOCK};
use super::{ChunkError, zstd_frame};
use crate::tsdb::bytes::{VARINT_BYTES_MAX, put_i64, put_u64, unzigzag, zigzag};

/// How the rows of a column follow from its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Constant,
    Line,
    Packed(Order),
    Compressed(Order),
}

/// How many times differences are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Zero,
    One,
    Two,
}

const ORDERS: [Order; 3] = [Order::Zero, Order::One, Order::Two];

impl Mode {
    /// The three bits that stand for this mode.
    pub(super) fn code(self) -> u8 {
        match self {
            Mode::Constant => 0,
            Mode::Line => 1,
            Mode::Packed(order) => 2 + order as u8,
            Mode::Compressed(order) => 5 + order as u8,
        }
    }

    /// The inverse of [`Mode::code`], of the lowest three bits.
    pub(super) fn from_code(code: u8) -> Mode {
        match code & 7 {
            0 => Mode::Constant,
            1 => Mode::Line,
            code @ 2..=4 => Mode::Packed(ORDERS[usize::from(code) - 2]),
            code => Mode::Compressed(ORDERS[usize::from(code) - 5]),
        }
    }
}

/// Ranges up to this leave room for second differences without wrapping, and so for any common divisor.
const WIDEST_EXACT_RANGE: u64 = 1 << 61;

/// What the residuals of one order are relative to.
#[derive(Clone, Copy)]
struct Frame {
    order: Order,
    /// Order 0: whether residuals have a sign.
    centered: bool,
    /// Value before the stream: the base of order 0, the first row of the others.
    first: i64,
    /// Divides all differences.
    divisor: Divisor,
    /// Order 1: the typical difference; order 2: the first difference; in units of the divisor.
    slope: i64,
}

#[derive(Clone, Copy)]
enum Divisor {
    /// 1 << this.
    Shift(u32),
    Any(i64),
}

impl Divisor {
    fn value(self) -> u64 {
        match self {
            Divisor::Shift(shift) => 1 << shift,
            Divisor::Any(divisor) => divisor as u64,
        }
    }

    #[inline(always)]
    fn divide(self, difference: i64) -> i64 {
        match self {
            Divisor::Shift(shift) => difference >> shift,
            Divisor::Any(divisor) => difference / divisor,
        }
    }
}

/// Appends the hot body of `column`, which has at least one row, and says its mode.
pub(super) fn write_column(column: &[i64], out: &mut Vec<u8>) -> Mode {
    match straight(column) {
        Some(line) => write_line(column[0], line, out),
        None => write_packed(column, best_frame(column), out),
    }
}

/// [`write_column`], or the same residuals as varints under zstd where that is smaller. Tells, besides the mode,
/// whether the residuals are spread so unevenly that an entropy coder may pay.
pub(super) fn write_column_cold(column: &[i64], out: &mut Vec<u8>) -> (Mode, bool) {
    if let Some(line) = straight(column) {
        return (write_line(column[0], line, out), false);
    }
    let best = best_frame(column);
    let start = out.len();
    let mode = write_packed(column, best, out);
    let uneven = entropy_bytes(column, best) < out.len() - start;
    if !uneven {
        return (mode, false);
    }
    let mut varints = Vec::with_capacity(column.len() * 2);
    for_residual_blocks(column, best, |block| {
        block.iter().for_each(|value| put_u64(&mut varints, *value));
        true
    });
    let mut body = Vec::new();
    write_header(best, &mut body);
    if zstd_frame::compress(&varints, zstd_frame::COLD_LEVEL, &mut body) && body.len() < out.len() - start {
        out.truncate(start);
        out.extend_from_slice(&body);
        return (Mode::Compressed(best.order), uneven);
    }
    (mode, uneven)
}

/// Parts of an octave that residuals are told apart by, as a power of two, to see how unevenly they are spread.
const BIN_BITS: u32 = 3;
/// What a bin costs an entropy coder to describe, in bytes, where a few pieces of a long column share them.
const BIN_BYTES: f64 = 0.25;

/// What residuals would take if which eighth of which octave each of them lies in cost its entropy, and the bits below
/// it were written plainly: about what pco makes of them.
fn entropy_bytes(column: &[i64], frame: Frame) -> usize {
    let mut bins = [0_u32; (64 - BIN_BITS as usize + 1) << BIN_BITS];
    let (mut plain_bits, mut all) = (0_u64, 0_u32);
    for_residual_blocks(column, frame, |block| {
        for value in block {
            // The bits below the topmost ones that the bin stands for.
            let below = (u64::BITS - BIN_BITS - 1).saturating_sub((value | 1).leading_zeros());
            bins[((u64::from(below) << BIN_BITS) + (value >> below)) as usize] += 1;
            plain_bits += u64::from(below);
        }
        all += block.len() as u32;
        true
    });
    let used = bins.iter().filter(|count| **count > 0).map(|count| f64::from(*count));
    let bytes = used.map(|count| count * (f64::from(all) / count).log2() / 8.0 + BIN_BYTES).sum::<f64>();
    (bytes + plain_bits as f64 / 8.0) as usize
}

/// The slope if all differences are equal.
fn straight(column: &[i64]) -> Option<i64> {
    let slope = column.get(1).map_or(0, |second| second.wrapping_sub(column[0]));
    column.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == slope).then_some(slope)
}

fn write_line(first: i64, slope: i64, out: &mut Vec<u8>) -> Mode {
    put_i64(out, first);
    if slope == 0 {
        return Mode::Constant;
    }
    put_i64(out, slope);
    Mode::Line
}

fn write_header(frame: Frame, out: &mut Vec<u8>) {
    put_i64(out, frame.first);
    match frame.order {
        Order::Zero => put_u64(out, frame.divisor.value() << 1 | u64::from(frame.centered)),
        Order::One | Order::Two => {
            put_u64(out, frame.divisor.value());
            put_i64(out, frame.slope);
        }
    }
}

fn write_packed(column: &[i64], frame: Frame, out: &mut Vec<u8>) -> Mode {
    write_header(frame, out);
    for_residual_blocks(column, frame, |block| {
        pack::write_block(block, pack::plan(block), out);
        true
    });
    Mode::Packed(frame.order)
}

/// The order with the smallest stream. Two rows have no second difference.
fn best_frame(column: &[i64]) -> Frame {
    let (low, high) = column.iter().fold((i64::MAX, i64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    let range = high.wrapping_sub(low) as u64;
    let divisor = common_divisor(column, range);
    let (first, second) = (column[0], column[1]);
    let frame = |order, first, slope| Frame { order, centered: false, first, divisor, slope };
    let frames = [
        frame(
            Order::One,
            first,
            divisor.divide(typical(column.len() - 1, |at| column[at + 1].wrapping_sub(column[at]))),
        ),
        frame(Order::Two, first, divisor.divide(second.wrapping_sub(first))),
        frame(Order::Zero, low, 0),
        Frame { centered: true, ..frame(Order::Zero, typical(column.len(), |at| column[at]), 0) },
    ];
    let mut best = (usize::MAX, frames[0]);
    for frame in frames {
        let mut bytes = 0;
        for_residual_blocks(column, frame, |block| {
            bytes += pack::plan(block).bytes;
            // A frame that has lost is not looked at to its end.
            bytes < best.0
        });
        if bytes < best.0 {
            best = (bytes, frame);
        }
    }
    best.1
}

/// The divisor of all differences. Where they may wrap only a power of two survives the wrapping.
fn common_divisor(column: &[i64], range: u64) -> Divisor {
    if range > WIDEST_EXACT_RANGE {
        let all = column.iter().fold(0, |all, value| all | value.wrapping_sub(column[0]));
        return Divisor::Shift(all.trailing_zeros().min(62));
    }
    let mut divisor = 0;
    for pair in column.windows(2) {
        let difference = (pair[1] - pair[0]).unsigned_abs();
        if difference == 0 || divisor != 0 && difference.is_multiple_of(divisor) {
            continue;
        }
        divisor = greatest_common_divisor(difference, divisor);
        if divisor == 1 {
            return Divisor::Shift(0);
        }
    }
    match divisor {
        0 => Divisor::Shift(0),
        divisor if divisor.is_power_of_two() => Divisor::Shift(divisor.trailing_zeros()),
        divisor => Divisor::Any(divisor as i64),
    }
}

/// Euclid's, and 0 divides nothing.
fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// How many of a column's values are looked at to find a typical one.
const SAMPLED: usize = 31;

/// The median of evenly spaced ones of `count` values: an outlier, a reset or a pause does not move it.
fn typical(count: usize, value: impl Fn(usize) -> i64) -> i64 {
    let sampled = count.min(SAMPLED);
    let mut values = [0; SAMPLED];
    for (index, slot) in values[..sampled].iter_mut().enumerate() {
        *slot = value(index * count / sampled);
    }
    *values[..sampled].select_nth_unstable(sampled / 2).1
}

/// Hands over the residuals of `column` block by block, for as long as `each` wants more.
fn for_residual_blocks(column: &[i64], frame: Frame, each: impl FnMut(&[u64]) -> bool) {
    match frame.divisor {
        Divisor::Shift(0) => residual_blocks(column, frame, |difference| difference, |up| up, each),
        Divisor::Shift(shift) => {
            residual_blocks(column, frame, move |difference| difference >> shift, move |up| up >> shift, each);
        }
        Divisor::Any(divisor) => {
            residual_blocks(column, frame, move |d| d / divisor, move |up| up / divisor as u64, each);
        }
    }
}

#[inline(always)]
fn residual_blocks(
    column: &[i64],
    frame: Frame,
    divide: impl Fn(i64) -> i64,
    divide_up: impl Fn(u64) -> u64,
    mut each: impl FnMut(&[u64]) -> bool,
) {
    let mut residuals = [0; BLOCK];
    match frame.order {
        Order::Zero if frame.centered => {
            for rows in column.chunks(BLOCK) {
                for (residual, value) in residuals.iter_mut().zip(rows) {
                    *residual = zigzag(divide(value.wrapping_sub(frame.first)));
                }
                if !each(&residuals[..rows.len()]) {
                    return;
                }
            }
        }
        Order::Zero => {
            for rows in column.chunks(BLOCK) {
                for (residual, value) in residuals.iter_mut().zip(rows) {
                    *residual = divide_up(value.wrapping_sub(frame.first) as u64);
                }
                if !each(&residuals[..rows.len()]) {
                    return;
                }
            }
        }
        Order::One => {
            let pairs = column.len() - 1;
            for start in (0..pairs).step_by(BLOCK) {
                let rows = &column[start..column.len().min(start + BLOCK + 1)];
                for (residual, pair) in residuals.iter_mut().zip(rows.windows(2)) {
                    let difference = divide(pair[1].wrapping_sub(pair[0]));
                    *residual = zigzag(difference.wrapping_sub(frame.slope));
                }
                if !each(&residuals[..rows.len() - 1]) {
                    return;
                }
            }
        }
        Order::Two => {
            let triples = column.len().saturating_sub(2);
            for start in (0..triples).step_by(BLOCK) {
                let rows = &column[start..column.len().min(start + BLOCK + 2)];
                for (residual, triple) in residuals.iter_mut().zip(rows.windows(3)) {
                    let (before, after) = (triple[1].wrapping_sub(triple[0]), triple[2].wrapping_sub(triple[1]));
                    *residual = zigzag(divide(after.wrapping_sub(before)));
                }
                if !each(&residuals[..rows.len() - 2]) {
                    return;
                }
            }
        }
    }
}

/// A [`Frame`] as read back, its divisor anything at all.
struct ReadFrame {
    order: Order,
    centered: bool,
    first: i64,
    divisor: i64,
    slope: i64,
}

/// Rows of one piece of a long column that is written behind its mode.
const PIECE_ROWS: usize = 1 << 16;

/// Appends a column in its smallest hot form, behind its mode: it can be read back knowing only how many rows it has.
/// Nothing for no row; a long column is written in pieces.
pub(crate) fn put_integers(column: &[i64], out: &mut Vec<u8>) {
    for piece in column.chunks(PIECE_ROWS) {
        let at = out.len();
        out.push(0);
        out[at] = write_column(piece, out).code();
    }
}

/// Takes a column of [`put_integers`] off the front and appends its `count` rows.
pub(crate) fn take_integers(bytes: &mut &[u8], mut count: usize, into: &mut Vec<i64>) -> Result<(), ChunkError> {
    while count > 0 {
        let rows = count.min(PIECE_ROWS);
        let code = take_byte(bytes)?;
        let mode = Mode::from_code(code);
        if code >= 8 || matches!(mode, Mode::Compressed(_)) {
            return Err(ChunkError::Format(code));
        }
        read_column(mode, bytes, rows, 0..rows, |some| into.extend_from_slice(some))?;
        count -= rows;
    }
    Ok(())
}

/// Takes the body of a column of `count` rows off the front and hands over the rows in `wanted`, in order, a few at a
/// time. Where that is not all of them, what follows the last one may stay unread.
pub(super) fn read_column(
    mode: Mode,
    bytes: &mut &[u8],
    count: usize,
    wanted: Range<usize>,
    mut rows: impl FnMut(&[i64]),
) -> Result<(), ChunkError> {
    let first = read_signed(bytes)?;
    let (order, compressed) = match mode {
        Mode::Constant => {
            let block = [first; BLOCK];
            wanted.clone().step_by(BLOCK).for_each(|start| rows(&block[..BLOCK.min(wanted.end - start)]));
            return Ok(());
        }
        Mode::Line => {
            let slope = read_signed(bytes)?;
            let mut block = [0; BLOCK];
            let mut next = first.wrapping_add(slope.wrapping_mul(wanted.start as i64));
            for start in wanted.clone().step_by(BLOCK) {
                for row in &mut block {
                    *row = next;
                    next = next.wrapping_add(slope);
                }
                rows(&block[..BLOCK.min(wanted.end - start)]);
            }
            return Ok(());
        }
        Mode::Packed(order) => (order, false),
        Mode::Compressed(order) => (order, true),
    };
    let divisor = read(bytes)?;
    let frame = match order {
        Order::Zero => ReadFrame { order, centered: divisor & 1 == 1, first, divisor: (divisor >> 1) as i64, slope: 0 },
        Order::One | Order::Two => {
            let slope = read_signed(bytes)?;
            ReadFrame { order, centered: false, first, divisor: divisor as i64, slope }
        }
    };
    if compressed {
        let varints = zstd_frame::decompress(std::mem::take(bytes), VARINT_BYTES_MAX * count)?;
        let mut varints = varints.as_slice();
        read_rows(frame, count, 0..count, clipped(wanted, rows), |length, _, block| {
            block[..length].iter_mut().try_for_each(|value| read(&mut varints).map(|varint| *value = varint))
        })?;
        return if varints.is_empty() { Ok(()) } else { Err(ChunkError::Trailing(varints.len())) };
    }
    read_rows(frame, count, wanted.clone(), clipped(wanted, rows), |length, needed, block| match needed {
        true => pack::read_block(bytes, length, block),
        false => pack::skip_block(bytes, length),
    })
}

/// Passes on those of the rows it is given, with the number of the first, that are wanted.
#[inline(always)]
fn clipped(wanted: Range<usize>, mut rows: impl FnMut(&[i64])) -> impl FnMut(usize, &[i64]) {
    move |start, some| {
        let (from, to) = (wanted.start.max(start), wanted.end.min(start + some.len()));
        if from < to {
            rows(&some[from - start..to - start]);
        }
    }
}

/// `residuals` reads so many into a block, or passes over them where they are not needed.
#[inline(always)]
fn read_rows(
    ReadFrame { order, centered, first, divisor, slope }: ReadFrame,
    count: usize,
    wanted: Range<usize>,
    mut rows: impl FnMut(usize, &[i64]),
    mut residuals: impl FnMut(usize, bool, &mut [u64; BLOCK]) -> Result<(), ChunkError>,
) -> Result<(), ChunkError> {
    let (mut block, mut out) = ([0; BLOCK], [0; BLOCK]);
    // Rows that stand before the stream.
    let mut before = match order {
        Order::Zero => 0,
        Order::One => 1,
        Order::Two => 2.min(count),
    };
    let mut difference = divisor.wrapping_mul(slope);
    let mut last = first;
    if before > 0 {
        rows(0, &[first]);
    }
    if before > 1 {
        last = first.wrapping_add(difference);
        rows(1, &[last]);
    }
    while before < wanted.end {
        let length = BLOCK.min(count - before);
        // Only rows that are no differences can do without those before them.
        let needed = order != Order::Zero || before + length > wanted.start;
        residuals(length, needed, &mut block)?;
        if !needed {
            before += length;
            continue;
        }
        let (block, out) = (&block[..length], &mut out[..length]);
        match order {
            Order::Zero if centered => {
                for (row, residual) in out.iter_mut().zip(block) {
                    *row = first.wrapping_add(divisor.wrapping_mul(unzigzag(*residual)));
                }
            }
            Order::Zero => {
                for (row, residual) in out.iter_mut().zip(block) {
                    *row = first.wrapping_add(divisor.wrapping_mul(*residual as i64));
                }
            }
            Order::One => {
                for (row, residual) in out.iter_mut().zip(block) {
                    last = last.wrapping_add(difference).wrapping_add(divisor.wrapping_mul(unzigzag(*residual)));
                    *row = last;
                }
            }
            Order::Two => {
                for (row, residual) in out.iter_mut().zip(block) {
                    difference = difference.wrapping_add(divisor.wrapping_mul(unzigzag(*residual)));
                    last = last.wrapping_add(difference);
                    *row = last;
                }
            }
        }
        rows(before, out);
        before += length;
    }
    Ok(())
}
