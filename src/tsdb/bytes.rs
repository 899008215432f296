//! Varints in and out of byte strings: the alphabet of log, parts, chunks and catalogue values.
//!
//! A varint has seven bits a byte, low bits first, and the top bit set in all bytes but the last (LEB128, as in
//! protobuf). A signed number is zigzag-mapped first: `z` stands for `z/2` where even and `-(z+1)/2` where odd. A
//! [`Reader`] answers `None` where the bytes end early or make no sense, and never panics: what it reads may be damaged.

/// Bytes of the longest varint.
pub(crate) const VARINT_BYTES_MAX: usize = 10;

/// Appends `number`, seven bits a byte, low bits first.
#[inline]
pub(crate) fn put_u64(out: &mut Vec<u8>, number: u64) {
    match number {
        0..0x80 => out.push(number as u8),
        0x80..SPREAD_END => put_spread(out, number),
        _ => put_long(out, number),
    }
}

/// Varints of up to eight bytes are made without a branch for each byte.
const SPREAD_END: u64 = 1 << 56;

#[inline]
fn put_spread(out: &mut Vec<u8>, number: u64) {
    // Fours of sevens move apart together, then pairs, then each seven bits.
    let fours = (number & 0x0000_0000_0fff_ffff) | (number & 0x00ff_ffff_f000_0000) << 4;
    let pairs = (fours & 0x0000_3fff_0000_3fff) | (fours & 0x0fff_c000_0fff_c000) << 2;
    let sevens = (pairs & 0x007f_007f_007f_007f) | (pairs & 0x3f80_3f80_3f80_3f80) << 1;
    let last = (u64::BITS - 1 - sevens.leading_zeros()) / 8;
    let more = 0x8080_8080_8080_8080 & ((1_u64 << (8 * last)) - 1);
    let end = out.len() + 1 + last as usize;
    out.extend_from_slice(&(sevens | more).to_le_bytes());
    out.truncate(end);
}

fn put_long(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends `number` so that small magnitudes are short.
#[inline]
pub(crate) fn put_i64(out: &mut Vec<u8>, number: i64) {
    put_u64(out, zigzag(number));
}

/// Appends a length and that many bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// 0, -1, 1, -2, ... to 0, 1, 2, 3, ...
#[inline]
pub(crate) fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

/// The other way round.
#[inline]
pub(crate) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Takes one varint off the front: at most ten bytes, and no bit above the 64th. Where there is none, nothing is taken.
#[inline]
pub(crate) fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        if index + 1 == VARINT_BYTES_MAX && *byte > 1 {
            return None;
        }
        number |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some(number);
        }
    }
    None
}

/// Reads from the front of a byte string.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    pub(crate) fn u32_fixed(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    pub(crate) fn u64_fixed(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        take_u64(&mut self.rest)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.u64()?.try_into().ok()
    }

    pub(crate) fn usize(&mut self) -> Option<usize> {
        self.u64()?.try_into().ok()
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.u64().map(unzigzag)
    }

    /// A count of things that take at least one byte each, so that a damaged count allocates nothing big.
    pub(crate) fn count(&mut self) -> Option<usize> {
        self.usize().filter(|count| *count <= self.rest.len())
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.usize()?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_a_byte_for_each_seven_bits() {
        #[track_caller]
        fn check(number: u64, bytes: &[u8]) {
            let mut out = Vec::new();
            put_u64(&mut out, number);
            assert_eq!(out, bytes);
            let mut reader = Reader::new(bytes);
            assert_eq!((reader.u64(), reader.is_empty()), (Some(number), true));
        }
        check(0, &[0]);
        check(127, &[0x7f]);
        check(128, &[0x80, 1]);
        check(300, &[0xac, 2]);
        check(u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }

    #[test]
    fn a_varint_is_the_same_with_and_without_a_loop() {
        for shift in 0..u64::BITS {
            let power = 1_u64 << shift;
            for number in [power, power - 1, power + power / 3, u64::MAX >> shift, 0x0123_4567_89ab_cdef >> shift] {
                let (mut quick, mut slow) = (vec![7], vec![7]);
                put_u64(&mut quick, number);
                put_long(&mut slow, number);
                assert_eq!(quick, slow, "{number:x}");
            }
        }
    }

    #[test]
    fn a_varint_that_does_not_end_is_none() {
        for bytes in
            [&[][..], &[0x80], &[0xff; 9], &[0xff; 12], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2]]
        {
            let mut rest = bytes;
            assert_eq!((take_u64(&mut rest), rest), (None, bytes), "{bytes:x?}");
        }
    }

    #[test]
    fn zigzag_folds_the_sign_into_the_lowest_bit() {
        for (number, folded) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)] {
            assert_eq!((zigzag(number), unzigzag(folded)), (folded, number));
        }
    }
}
