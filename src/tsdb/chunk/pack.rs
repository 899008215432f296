//! Bit packing of unsigned integers in blocks of 128, with exceptions (PFOR) and a sparse form.
//!
//! A *stream* of `n` integers is cut into blocks of [`BLOCK`] and a last block of what is left. `n` is known from
//! outside and so is, for each block, the number `m` of its integers. A block begins with one byte:
//!
//! ```text
//! 0x00..=0x40  w           plain:  m integers of w = byte bits
//! 0x41..=0x7f  64 + w      sparse: bitmap of ceil(m/8) bytes (bit i: integer i is not 0), then the integers that
//!                                  are not 0, of w bits each
//! 0x80..=0xbf  0x80 | w    PFOR:   e: u8, h: u8, then the low w bits of all m integers, then e positions (u8,
//!                                  strictly rising, < m), then for each position the h bits above the low w ones
//! ```
//!
//! "k integers of w bits" are `ceil(k*w/8)` bytes: integer `i` takes the bits `i*w .. (i+1)*w`, where bit `b` is the
//! bit `b % 8` (from the lowest) of byte `b / 8`; what is left of the last byte is 0. The writer takes the form with
//! the fewest bits, so a few outliers do not widen their neighbours. (PFOR: Zukowski et al., "Super-Scalar RAM-CPU
//! Cache Compression", ICDE 2006.)

use super::ChunkError;
use super::fields::{take, take_byte};

/// Integers in a block.
pub(super) const BLOCK: usize = 128;

/// Integers packed in one step: eight of `w` bits are exactly `w` bytes.
const GROUP: usize = 8;

/// How a block is written, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    form: Form,
    /// Size of the block with its first byte, in bytes.
    pub(super) bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain { width: u32 },
    Sparse { width: u32 },
    Patched { width: u32, exceptions: usize, high_width: u32 },
}

fn bits(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

/// Bytes of `count` integers of `width` bits.
fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// The cheapest form for a block of at most [`BLOCK`] integers.
pub(super) fn plan(block: &[u64]) -> Plan {
    debug_assert!(block.len() <= BLOCK);
    // Two tallies, since neighbours often have one width and would wait for each other.
    let (mut of_width, mut of_width_too) = ([0_u8; 65], [0_u8; 65]);
    let mut all = 0;
    let (pairs, rest) = block.as_chunks::<2>();
    for [one, other] in pairs {
        of_width[bits(*one) as usize] += 1;
        of_width_too[bits(*other) as usize] += 1;
        all |= one | other;
    }
    for value in rest {
        of_width[bits(*value) as usize] += 1;
        all |= value;
    }
    of_width.iter_mut().zip(of_width_too).for_each(|(count, more)| *count += more);
    let (count, widest) = (block.len(), bits(all));
    let mut best = Plan { form: Form::Plain { width: widest }, bytes: 1 + packed_bytes(count, widest) };
    if (1..64).contains(&widest) {
        let nonzero = count - usize::from(of_width[0]);
        let bytes = 1 + count.div_ceil(8) + packed_bytes(nonzero, widest);
        if bytes < best.bytes {
            best = Plan { form: Form::Sparse { width: widest }, bytes };
        }
    }
    let mut exceptions = 0;
    for width in (0..widest).rev() {
        exceptions += usize::from(of_width[width as usize + 1]);
        if 3 + exceptions >= best.bytes {
            break;
        }
        let high_width = widest - width;
        let bytes = 3 + packed_bytes(count, width) + exceptions + packed_bytes(exceptions, high_width);
        if bytes < best.bytes {
            best = Plan { form: Form::Patched { width, exceptions, high_width }, bytes };
        }
    }
    best
}

/// Appends a stream.
pub(super) fn write_stream(values: &[u64], out: &mut Vec<u8>) {
    for block in values.chunks(BLOCK) {
        write_block(block, plan(block), out);
    }
}

/// Appends one block in the form planned for it.
pub(super) fn write_block(block: &[u64], plan: Plan, out: &mut Vec<u8>) {
    let mut some = [0_u64; BLOCK];
    match plan.form {
        Form::Plain { width } => {
            out.push(width as u8);
            pack(block, width, out);
        }
        Form::Sparse { width } => {
            out.push(64 + width as u8);
            let mut nonzero = 0;
            for eight in block.chunks(8) {
                let mut byte = 0;
                for (bit, value) in eight.iter().enumerate() {
                    if *value != 0 {
                        byte |= 1 << bit;
                        some[nonzero] = *value;
                        nonzero += 1;
                    }
                }
                out.push(byte);
            }
            pack(&some[..nonzero], width, out);
        }
        Form::Patched { width, exceptions, high_width } => {
            out.extend([0x80 | width as u8, exceptions as u8, high_width as u8]);
            pack(block, width, out);
            let mut found = 0;
            for (position, value) in block.iter().enumerate() {
                if value >> width != 0 {
                    out.push(position as u8);
                    some[found] = value >> width;
                    found += 1;
                }
            }
            pack(&some[..found], high_width, out);
        }
    }
}

/// Takes a block of `count` (at most [`BLOCK`]) integers off the front. Integers behind `count` are left undefined.
pub(super) fn read_block(bytes: &mut &[u8], count: usize, into: &mut [u64; BLOCK]) -> Result<(), ChunkError> {
    debug_assert!(count <= BLOCK);
    match take_byte(bytes)? {
        width @ 0..=64 => unpack(bytes, count, u32::from(width), into),
        first @ 65..=127 => read_sparse(bytes, count, u32::from(first) - 64, into),
        first @ 128..=191 => read_patched(bytes, count, u32::from(first) - 128, into),
        _ => Err(ChunkError::Malformed("unknown form of a packed block")),
    }
}

/// Takes a block of `count` integers off the front without looking at them.
pub(super) fn skip_block(bytes: &mut &[u8], count: usize) -> Result<(), ChunkError> {
    let length = match take_byte(bytes)? {
        width @ 0..=64 => packed_bytes(count, u32::from(width)),
        first @ 65..=127 => {
            let ones = take(bytes, count.div_ceil(8))?.iter().map(|byte| byte.count_ones() as usize).sum();
            packed_bytes(ones, u32::from(first) - 64)
        }
        first @ 128..=191 => {
            let (exceptions, high_width) = (usize::from(take_byte(bytes)?), u32::from(take_byte(bytes)?));
            packed_bytes(count, u32::from(first) - 128) + exceptions + packed_bytes(exceptions, high_width)
        }
        _ => return Err(ChunkError::Malformed("unknown form of a packed block")),
    };
    take(bytes, length).map(drop)
}

fn read_sparse(bytes: &mut &[u8], count: usize, width: u32, into: &mut [u64; BLOCK]) -> Result<(), ChunkError> {
    let mut bitmap = [0_u8; BLOCK / 8];
    let length = count.div_ceil(8);
    bitmap[..length].copy_from_slice(take(bytes, length)?);
    let bitmap = u128::from_le_bytes(bitmap);
    if count < BLOCK && bitmap >> count != 0 {
        return Err(ChunkError::Malformed("bitmap of a packed block names a row behind the end"));
    }
    let mut nonzero = [0; BLOCK];
    unpack(bytes, bitmap.count_ones() as usize, width, &mut nonzero)?;
    into[..count].fill(0);
    let mut left = bitmap;
    for value in &nonzero[..bitmap.count_ones() as usize] {
        into[left.trailing_zeros() as usize] = *value;
        left &= left - 1;
    }
    Ok(())
}

fn read_patched(bytes: &mut &[u8], count: usize, width: u32, into: &mut [u64; BLOCK]) -> Result<(), ChunkError> {
    let (exceptions, high_width) = (usize::from(take_byte(bytes)?), u32::from(take_byte(bytes)?));
    if exceptions > count || high_width > 64 - width {
        return Err(ChunkError::Malformed("exceptions of a packed block"));
    }
    unpack(bytes, count, width, into)?;
    let positions = take(bytes, exceptions)?;
    let mut highs = [0; BLOCK];
    unpack(bytes, exceptions, high_width, &mut highs)?;
    for (position, high) in positions.iter().zip(&highs) {
        let value = into.get_mut(usize::from(*position)).ok_or(ChunkError::Malformed("position of an exception"))?;
        *value |= high << width;
    }
    Ok(())
}

macro_rules! with_width {
    ($width:expr, $function:ident ( $($argument:expr),* )) => {
        with_width!(@ $width, $function, ($($argument),*),
            1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
            33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64)
    };
    (@ $width:expr, $function:ident, $arguments:tt, $($known:literal)*) => {
        match $width {
            $($known => with_width!(@call $function, $known, $arguments),)*
            _ => {}
        }
    };
    (@call $function:ident, $known:literal, ($($argument:expr),*)) => { $function::<$known>($($argument),*) };
}

/// Appends the low `width` bits of each value.
fn pack(values: &[u64], width: u32, out: &mut Vec<u8>) {
    with_width!(width, pack_width(values, out));
}

fn pack_width<const W: usize>(values: &[u64], out: &mut Vec<u8>) {
    let mask = u64::MAX >> (64 - W);
    let (groups, rest) = values.as_chunks::<GROUP>();
    out.reserve(packed_bytes(values.len(), W as u32));
    for group in groups {
        out.extend_from_slice(&pack_group::<W>(group, mask)[..W]);
    }
    if !rest.is_empty() {
        let mut group = [0; GROUP];
        group[..rest.len()].copy_from_slice(rest);
        out.extend_from_slice(&pack_group::<W>(&group, mask)[..packed_bytes(rest.len(), W as u32)]);
    }
}

#[inline(always)]
fn pack_group<const W: usize>(group: &[u64; GROUP], mask: u64) -> [u8; 64] {
    let mut words = [0_u64; 9];
    for (index, value) in group.iter().enumerate() {
        let (word, shift, value) = (index * W / 64, index * W % 64, value & mask);
        words[word] |= value << shift;
        if shift + W > 64 {
            words[word + 1] = value >> (64 - shift);
        }
    }
    let mut bytes = [0; 64];
    for (eight, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *eight = word.to_le_bytes();
    }
    bytes
}

/// Takes `count` integers of `width` bits off the front. May write over `into` behind `count`.
fn unpack(bytes: &mut &[u8], count: usize, width: u32, into: &mut [u64; BLOCK]) -> Result<(), ChunkError> {
    let length = packed_bytes(count, width);
    let (_, rest) = bytes.split_at_checked(length).ok_or(ChunkError::Truncated)?;
    if width == 0 {
        into[..count].fill(0);
    }
    // The unpackers look at whole words: they may see bytes of what follows, and mask them away.
    with_width!(width, unpack_width(bytes, count, into));
    *bytes = rest;
    Ok(())
}

fn unpack_width<const W: usize>(bytes: &[u8], count: usize, into: &mut [u64; BLOCK]) {
    let groups = into.as_chunks_mut::<GROUP>().0.iter_mut().take(count.div_ceil(GROUP));
    for (index, group) in groups.enumerate() {
        let start = index * W;
        match bytes.get(start..start + W + 8) {
            Some(window) => unpack_group::<W>(window, group),
            None => {
                let mut window = [0; 72];
                let left = &bytes[start..];
                let length = left.len().min(W + 8);
                window[..length].copy_from_slice(&left[..length]);
                unpack_group::<W>(&window[..W + 8], group);
            }
        }
    }
}

#[inline(always)]
fn unpack_group<const W: usize>(window: &[u8], group: &mut [u64; GROUP]) {
    let mask = u64::MAX >> (64 - W);
    for (index, value) in group.iter_mut().enumerate() {
        let (byte, shift) = (index * W / 8, index * W % 8);
        let mut word = [0; 8];
        word.copy_from_slice(&window[byte..byte + 8]);
        let mut bits = u64::from_le_bytes(word) >> shift;
        if shift + W > 64 {
            bits |= u64::from(window[byte + 8]) << (64 - shift);
        }
        *value = bits & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[u64]) -> usize {
        let mut out = Vec::new();
        write_stream(values, &mut out);
        let (mut rest, mut back) = (out.as_slice(), Vec::new());
        for block in values.chunks(BLOCK) {
            let mut into = [u64::MAX; BLOCK];
            let (before, mut skipped) = (rest.len(), rest);
            read_block(&mut rest, block.len(), &mut into).unwrap();
            skip_block(&mut skipped, block.len()).unwrap();
            assert_eq!(skipped, rest, "passing over it ends at the same place");
            assert_eq!(before - rest.len(), plan(block).bytes, "the plan knows the size");
            back.extend_from_slice(&into[..block.len()]);
        }
        assert!(rest.is_empty());
        assert_eq!(back, values);
        out.len()
    }

    #[test]
    fn every_width_and_every_length_survives() {
        for width in 0..=64_u32 {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            for length in [1, 7, 8, 9, 64, 120, 127, 128, 129, 300] {
                let mut seed = u64::from(width) * 977 + length;
                let values: Vec<u64> = (0..length)
                    .map(|_| {
                        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        (seed ^ (seed >> 29)) & mask
                    })
                    .collect();
                check(&values);
            }
        }
    }

    #[test]
    fn each_form_is_taken_where_it_is_smallest() {
        assert_eq!(check(&[0; 128]), 1, "nothing but zeros");
        assert_eq!(check(&[5; 128]), 1 + 48, "three bits each");
        let mut one_outlier = [5; 128];
        one_outlier[77] = 1 << 40;
        assert_eq!(check(&one_outlier), 3 + 48 + 1 + 5, "the outlier pays for itself alone");
        let mut sparse = [0; 128];
        (0..128).step_by(5).for_each(|row| sparse[row] = 33);
        assert_eq!(check(&sparse), 1 + 16 + (26 * 6_usize).div_ceil(8), "a bitmap and 26 values of six bits");
        let mut ends = [0; 128];
        (ends[0], ends[127]) = (u64::MAX, u64::MAX);
        assert_eq!(check(&ends), 3 + 2 + 16);
    }
}
