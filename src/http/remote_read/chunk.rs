//! Chunks as Prometheus encodes them: XOR for floats, and histograms one to a chunk.
//!
//! Format: prometheus/tsdb/docs/format/chunks.md. A histogram chunk with one sample needs none of the deltas between
//! samples, which are most of that format, and is as valid as a long one; histograms are few and large beside floats.

use crate::model::histogram::BucketSpan;
use crate::model::{Histogram, ResetHint, Sample, Timestamp};

/// Samples of one chunk. (Prometheus: the same.)
pub(super) const SAMPLES_MAX: usize = 120;

/// Bits, most significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are free.
    free: u32,
}

impl Bits {
    /// Writes the lowest `count` bits of `value`.
    fn write(&mut self, value: u64, count: u32) {
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let now = left.min(self.free);
            let part = (value >> (left - now)) & ((1 << now) - 1);
            let last = self.bytes.last_mut().expect("a byte was pushed");
            *last |= (part as u8) << (self.free - now);
            self.free -= now;
            left -= now;
        }
    }

    fn byte(&mut self, byte: u8) {
        self.write(u64::from(byte), 8);
    }

    fn float(&mut self, value: f64) {
        self.write(value.to_bits(), 64);
    }

    /// `binary.PutUvarint`, at any bit.
    fn uvarint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    /// `binary.PutVarint`.
    fn varint(&mut self, value: i64) {
        self.uvarint(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Prometheus' `putVarbitInt`: a prefix of ones tells how many bits follow.
    fn varbit(&mut self, value: i64) {
        if value == 0 {
            return self.write(0, 1);
        }
        for (ones, count) in VARBIT {
            if fits(value, count) {
                self.write(prefix(ones), ones + 1);
                return self.write(value as u64, count);
            }
        }
        match fits(value, 56) {
            true => {
                self.write(0b1111_1110, 8);
                self.write(value as u64, 56);
            }
            false => {
                self.write(0b1111_1111, 8);
                self.write(value as u64, 64);
            }
        }
    }

    /// Prometheus' `putVarbitUint`.
    fn varbit_unsigned(&mut self, value: u64) {
        if value == 0 {
            return self.write(0, 1);
        }
        let bits = 64 - value.leading_zeros();
        for (ones, count) in VARBIT {
            if bits <= count {
                self.write(prefix(ones), ones + 1);
                return self.write(value, count);
            }
        }
        match bits <= 56 {
            true => {
                self.write(0b1111_1110, 8);
                self.write(value, 56);
            }
            false => {
                self.write(0b1111_1111, 8);
                self.write(value, 64);
            }
        }
    }
}

/// How many ones stand before the zero, and how many bits follow.
const VARBIT: [(u32, u32); 6] = [(1, 3), (2, 6), (3, 9), (4, 12), (5, 18), (6, 25)];

/// So many ones, then a zero.
fn prefix(ones: u32) -> u64 {
    ((1 << ones) - 1) << 1
}

/// Prometheus' `bitRange`.
fn fits(value: i64, bits: u32) -> bool {
    -((1 << (bits - 1)) - 1) <= value && value <= 1 << (bits - 1)
}

/// An XOR chunk; at most [`SAMPLES_MAX`] samples, times rising.
pub(super) fn xor(samples: &[Sample]) -> Vec<u8> {
    debug_assert!(samples.len() <= SAMPLES_MAX, "a chunk is short");
    let mut bits = Bits::default();
    bits.write(samples.len() as u64, 16);
    let (mut delta, mut window) = (0i64, None);
    for (index, sample) in samples.iter().enumerate() {
        let at = sample.at.as_millis();
        if index == 0 {
            bits.varint(at);
            bits.float(sample.value);
            continue;
        }
        let before = &samples[index - 1];
        let now = at.wrapping_sub(before.at.as_millis());
        if index == 1 {
            bits.uvarint(now as u64);
        } else {
            delta_of_delta(&mut bits, now.wrapping_sub(delta));
        }
        delta = now;
        value(&mut bits, sample.value.to_bits() ^ before.value.to_bits(), &mut window);
    }
    bits.bytes
}

fn delta_of_delta(bits: &mut Bits, change: i64) {
    match change {
        0 => bits.write(0, 1),
        _ if fits(change, 14) => {
            bits.write(0b10, 2);
            bits.write(change as u64, 14);
        }
        _ if fits(change, 17) => {
            bits.write(0b110, 3);
            bits.write(change as u64, 17);
        }
        _ if fits(change, 20) => {
            bits.write(0b1110, 4);
            bits.write(change as u64, 20);
        }
        _ => {
            bits.write(0b1111, 4);
            bits.write(change as u64, 64);
        }
    }
}

/// What changed between two values; `window` = leading and trailing zeros of the last one that was written in full.
fn value(bits: &mut Bits, change: u64, window: &mut Option<(u32, u32)>) {
    if change == 0 {
        return bits.write(0, 1);
    }
    bits.write(1, 1);
    let (leading, trailing) = (change.leading_zeros().min(31), change.trailing_zeros());
    if let Some((known_leading, known_trailing)) = *window
        && leading >= known_leading
        && trailing >= known_trailing
    {
        bits.write(0, 1);
        return bits.write(change >> known_trailing, 64 - known_leading - known_trailing);
    }
    *window = Some((leading, trailing));
    let significant = 64 - leading - trailing;
    bits.write(1, 1);
    bits.write(u64::from(leading), 5);
    // 64 does not fit and is written as 0, which cannot be meant.
    bits.write(u64::from(significant), 6);
    bits.write(change >> trailing, significant);
}

/// A float histogram chunk of one sample.
pub(super) fn histogram(at: Timestamp, histogram: &Histogram) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.write(1, 16);
    // What is known of a counter reset, in the upper two bits.
    bits.byte(match histogram.reset_hint {
        ResetHint::Unknown => 0b0000_0000,
        ResetHint::Yes => 0b1000_0000,
        ResetHint::No => 0b0100_0000,
        ResetHint::Gauge => 0b1100_0000,
    });
    zero_threshold(&mut bits, histogram.zero_threshold);
    bits.varbit(i64::from(histogram.schema));
    spans(&mut bits, &histogram.positive_spans);
    spans(&mut bits, &histogram.negative_spans);
    if histogram.has_custom_buckets() {
        bits.varbit_unsigned(histogram.custom_values.len() as u64);
        for bound in &histogram.custom_values {
            // A zero bit: the bound follows in full.
            bits.write(0, 1);
            bits.float(*bound);
        }
    }
    bits.varbit(at.as_millis());
    bits.float(histogram.count);
    bits.float(histogram.zero_count);
    bits.float(histogram.sum);
    histogram.positive_buckets.iter().chain(&histogram.negative_buckets).for_each(|count| bits.float(*count));
    bits.bytes
}

/// A power of two in one byte, anything else in nine.
fn zero_threshold(bits: &mut Bits, threshold: f64) {
    if threshold == 0.0 {
        return bits.byte(0);
    }
    let (mantissa, exponent) = (threshold.to_bits() & ((1 << 52) - 1), (threshold.to_bits() >> 52) as i64 - 1022);
    match mantissa == 0 && threshold > 0.0 && (-242..=11).contains(&exponent) {
        true => bits.byte(u8::try_from(exponent + 243).expect("1 to 254")),
        false => {
            bits.byte(255);
            bits.float(threshold);
        }
    }
}

fn spans(bits: &mut Bits, spans: &[BucketSpan]) {
    bits.varbit_unsigned(spans.len() as u64);
    for span in spans {
        bits.varbit_unsigned(u64::from(span.length));
        bits.varbit(i64::from(span.offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an XOR chunk back, written from the format's description.
    pub(super) fn read_xor(bytes: &[u8]) -> Vec<(i64, u64)> {
        let mut at_bit = 0;
        let mut take = |count: u32| {
            let mut value = 0u64;
            for _ in 0..count {
                value = value << 1 | u64::from(bytes[at_bit / 8] >> (7 - at_bit % 8) & 1);
                at_bit += 1;
            }
            value
        };
        fn uvarint(take: &mut impl FnMut(u32) -> u64) -> u64 {
            let (mut value, mut shift) = (0, 0);
            loop {
                let byte = take(8);
                value |= (byte & 0x7f) << shift;
                shift += 7;
                if byte < 0x80 {
                    return value;
                }
            }
        }
        let count = take(16);
        let (mut samples, mut delta, mut window) = (Vec::new(), 0i64, (0, 0));
        for index in 0..count {
            if index == 0 {
                let raw = uvarint(&mut take);
                samples.push(((raw >> 1) as i64 ^ -((raw & 1) as i64), take(64)));
                continue;
            }
            let (at, value): (i64, u64) = samples[samples.len() - 1];
            if index == 1 {
                delta = uvarint(&mut take) as i64;
            } else {
                let mut ones = 0;
                while ones < 4 && take(1) == 1 {
                    ones += 1;
                }
                let change = match [0, 14, 17, 20, 64][ones] {
                    0 => 0,
                    64 => take(64) as i64,
                    bits => {
                        let raw = take(bits);
                        if raw > 1 << (bits - 1) { raw as i64 - (1 << bits) } else { raw as i64 }
                    }
                };
                delta = delta.wrapping_add(change);
            }
            let mut change = 0;
            if take(1) == 1 {
                if take(1) == 1 {
                    let leading = take(5) as u32;
                    let significant = match take(6) as u32 {
                        0 => 64,
                        bits => bits,
                    };
                    window = (leading, 64 - leading - significant);
                }
                change = take(64 - window.0 - window.1) << window.1;
            }
            samples.push((at.wrapping_add(delta), value ^ change));
        }
        samples
    }

    proptest::proptest! {
        #[test]
        fn every_chunk_reads_back(steps in proptest::collection::vec((1i64..2_000_000, proptest::num::u64::ANY, 0u8..3), 1..=120)) {
            let (mut at, mut samples) = (1_600_000_000_000, Vec::new());
            for (step, bits, kind) in steps {
                at += if kind == 0 { 15_000 } else { step };
                let value = if kind == 2 { f64::from_bits(bits) } else { (bits % 1000) as f64 };
                samples.push(Sample { at: Timestamp::from_millis(at), value });
            }
            let expected: Vec<_> = samples.iter().map(|one| (one.at.as_millis(), one.value.to_bits())).collect();
            proptest::prop_assert_eq!(read_xor(&xor(&samples)), expected);
        }
    }

    #[test]
    fn thresholds_that_are_powers_of_two_take_a_byte() {
        #[track_caller]
        fn check(threshold: f64, first: u8, length: usize) {
            let mut bits = Bits::default();
            zero_threshold(&mut bits, threshold);
            assert_eq!((bits.bytes[0], bits.bytes.len()), (first, length));
        }
        check(0.0, 0, 1);
        // 2^-128 = 0.5 * 2^-127
        check(2f64.powi(-128), 116, 1);
        check(1024.0, 254, 1);
        check(0.001, 255, 9);
        check(2048.0, 255, 9);
    }
}
