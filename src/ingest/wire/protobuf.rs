//! Protobuf's wire format: the fields of a message, one after another, borrowed from the body.
//!
//! Only what proto3 senders write is read: groups are refused. (Format: protobuf.dev, "Encoding".)

use super::WireError;

/// The fields of one message, in the sender's order.
pub(in crate::ingest) struct Fields<'a> {
    rest: &'a [u8],
    message: &'static str,
}

/// The value of one field, by wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::ingest) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

impl<'a> Fields<'a> {
    /// `message` is what errors call it.
    pub(in crate::ingest) fn of(bytes: &'a [u8], message: &'static str) -> Self {
        Fields { rest: bytes, message }
    }

    /// The next field with its number, or `None` behind the last one.
    #[inline]
    pub(in crate::ingest) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = u32::try_from(self.varint()?).map_err(|_| WireError::BadTag(self.message))?;
        let field = match tag & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(*self.array()?)),
            2 => {
                let length = self.varint()?;
                Field::Bytes(self.bytes(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(*self.array()?)),
            _ => return Err(WireError::BadTag(self.message)),
        };
        match tag >> 3 {
            0 => Err(WireError::BadTag(self.message)),
            number => Ok(Some((number, field))),
        }
    }

    /// A known field that came with another wire type than its own.
    pub(in crate::ingest) fn mistyped(&self, number: u32) -> WireError {
        WireError::Mistyped { message: self.message, field: number }
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        varint(&mut self.rest).ok_or(WireError::Truncated(self.message))
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(length).map_err(|_| WireError::Truncated(self.message))?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(WireError::Truncated(self.message))?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated(self.message))?;
        self.rest = rest;
        Ok(array)
    }
}

/// Reads a varint off the front of `bytes`; `None` where it is cut off or longer than 64 bits.
#[inline]
pub(in crate::ingest) fn varint(bytes: &mut &[u8]) -> Option<u64> {
    match **bytes {
        // Tags and lengths are nearly always that short.
        [low, ..] if low < 0x80 => {
            *bytes = &bytes[1..];
            Some(u64::from(low))
        }
        [low, high, ..] if high < 0x80 => {
            *bytes = &bytes[2..];
            Some(u64::from(low & 0x7f) | u64::from(high) << 7)
        }
        _ => long_varint(bytes),
    }
}

fn long_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0_u64, 0);
    for (index, byte) in bytes.iter().enumerate() {
        if shift == 63 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some(value);
        }
        shift += 7;
        if shift > 63 {
            return None;
        }
    }
    None
}

/// The number in a varint of up to eight bytes which is all of `bytes`, without a branch for each byte; `None` where it
/// is anything else.
#[inline]
pub(in crate::ingest) fn whole_varint(bytes: &[u8]) -> Option<u64> {
    let mut word = [0; 8];
    word.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let word = u64::from_le_bytes(word);
    // The first byte without a top bit ends the varint, and has to be the last one.
    let ends_in = (!word & 0x8080_8080_8080_8080).trailing_zeros() as usize / 8;
    if ends_in + 1 != bytes.len() {
        return None;
    }
    // Seven bits of each byte move together: pairs of bytes, of pairs, of fours.
    let sevens = word & 0x7f7f_7f7f_7f7f_7f7f;
    let pairs = (sevens & 0x007f_007f_007f_007f) | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    Some((fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4)
}

/// Appends a varint.
pub(in crate::ingest) fn push_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A signed number as `sint32` and `sint64` carry it: small magnitudes are small numbers.
pub(in crate::ingest) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Numbers of a repeated varint field: packed into one field, or one field for each.
pub(in crate::ingest) fn push_varints<T>(field: Field<'_>, into: &mut Vec<T>, from: impl Fn(u64) -> T) -> Option<()> {
    match field {
        Field::Varint(value) => into.push(from(value)),
        Field::Bytes(mut packed) => {
            while !packed.is_empty() {
                into.push(from(varint(&mut packed)?));
            }
        }
        _ => return None,
    }
    Some(())
}

/// Numbers of a repeated double field: packed into one field, or one field for each.
pub(in crate::ingest) fn push_doubles(field: Field<'_>, into: &mut Vec<f64>) -> Option<()> {
    match field {
        Field::Fixed64(bits) => into.push(f64::from_bits(bits)),
        Field::Bytes(packed) => {
            let (doubles, rest) = packed.as_chunks::<8>();
            if !rest.is_empty() {
                return None;
            }
            into.extend(doubles.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        }
        _ => return None,
    }
    Some(())
}
