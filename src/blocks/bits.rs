//! Bits of a chunk, most significant first. `None` = they end too early.

use super::bytes::{unzigzag, uvarint};

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'b> {
    bytes: &'b [u8],
    /// Bits that are read.
    read: usize,
}

/// How many bits follow a prefix of so many ones. (Prometheus: `readVarbitInt`.)
const VARBITS: [u32; 9] = [0, 3, 6, 9, 12, 18, 25, 56, 64];

impl<'b> Bits<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Bits { bytes, read: 0 }
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len() * 8 - self.read
    }

    /// The next `count` bits, at most 64.
    pub(super) fn take(&mut self, count: u32) -> Option<u64> {
        if self.left() < count as usize {
            return None;
        }
        let (mut value, mut wanted) = (0_u64, count);
        while wanted > 0 {
            let (byte, used) = (self.bytes[self.read / 8], (self.read % 8) as u32);
            let now = wanted.min(8 - used);
            let part = (byte << used) >> (8 - now);
            value = (value << now) | u64::from(part);
            self.read += now as usize;
            wanted -= now;
        }
        Some(value)
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        self.take(1).map(|bit| bit == 1)
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        self.take(64).map(f64::from_bits)
    }

    /// A byte, at any bit.
    pub(super) fn u8(&mut self) -> Option<u8> {
        self.take(8).map(|byte| byte as u8)
    }

    pub(super) fn uvarint(&mut self) -> Option<u64> {
        uvarint(|| self.u8())
    }

    pub(super) fn varint(&mut self) -> Option<i64> {
        self.uvarint().map(unzigzag)
    }

    /// How many ones stand in front, at most `most`; the nought behind fewer is read too.
    pub(super) fn ones(&mut self, most: usize) -> Option<usize> {
        for ones in 0..most {
            if !self.bit()? {
                return Some(ones);
            }
        }
        Some(most)
    }

    /// A number of `count` bits whose upper half is negative; the highest bit alone is positive.
    pub(super) fn signed(&mut self, count: u32) -> Option<i64> {
        let bits = self.take(count)?;
        if count == 0 || count == 64 {
            return Some(bits as i64);
        }
        let negative = bits > 1 << (count - 1);
        Some(if negative { bits as i64 - (1 << count) } else { bits as i64 })
    }

    pub(super) fn varbit_int(&mut self) -> Option<i64> {
        let ones = self.ones(8)?;
        self.signed(VARBITS[ones])
    }

    pub(super) fn varbit_uint(&mut self) -> Option<u64> {
        let ones = self.ones(8)?;
        self.take(VARBITS[ones])
    }
}

/// A float that is told by what it differs from the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Xor {
    pub(super) value: f64,
    /// Bits on both sides that do not differ, as the last difference that said so left them.
    leading: u32,
    trailing: u32,
}

impl Xor {
    pub(super) fn first(value: f64) -> Self {
        Xor { value, leading: 0, trailing: 0 }
    }

    /// Reads the next value.
    pub(super) fn next(&mut self, bits: &mut Bits<'_>) -> Option<f64> {
        if !bits.bit()? {
            return Some(self.value);
        }
        if bits.bit()? {
            self.leading = bits.take(5)? as u32;
            // 64 differing bits do not fit six and are written as none.
            let differing = match bits.take(6)? as u32 {
                0 => 64,
                some => some,
            };
            self.trailing = 64_u32.checked_sub(self.leading + differing)?;
        }
        let differing = 64 - self.leading - self.trailing;
        let difference = bits.take(differing)?;
        self.value = f64::from_bits(self.value.to_bits() ^ (difference << self.trailing));
        Some(self.value)
    }
}
