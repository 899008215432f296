//! The values of one run of rows in the head, packed.
//!
//! A run is read and written many times before its rows reach a part, where the slower and denser codec of `chunk` takes
//! over. So this one is quick and simple: no choice takes more than one look at the values.
//!
//! ```text
//! same   rows · value                                    any number of equal values
//! whole  rows, scale · first · least step · width · steps      whole numbers, or decimals with up to three places
//! bits   rows · first · zeros · width · xors             everything else: xor with the value before
//! ```
//!
//! The bytes never leave memory: nothing here is a format.

use super::super::bytes::{put_i64, put_u64, take_u64, unzigzag};

/// Rows of a run, but for runs of one value.
pub(super) const RUN_ROWS: usize = 16;

const SAME: u8 = 0;
const WHOLE: u8 = 1;
const BITS: u8 = 2;

/// What decimals are multiplied by to become whole.
const SCALES: [f64; 4] = [1.0, 10.0, 100.0, 1_000.0];
/// Floats are exact whole numbers up to here.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Appends `rows` times the same value.
pub(super) fn encode_same(value: f64, rows: usize, out: &mut Vec<u8>) {
    out.push(SAME);
    put_u64(out, rows as u64);
    out.extend_from_slice(&value.to_bits().to_le_bytes());
}

/// Appends 1 to [`RUN_ROWS`] values. `scale` remembers from run to run what fitted last.
pub(super) fn encode(values: &[f64], scale: &mut u8, out: &mut Vec<u8>) {
    debug_assert!((1..=RUN_ROWS).contains(&values.len()), "a run has its rows");
    let rows_code = ((values.len() - 1) as u8) << 4;
    let mut whole = [0_i64; RUN_ROWS];
    let whole = &mut whole[..values.len()];
    let tries = std::iter::once(*scale).chain(0..SCALES.len() as u8);
    if let Some(fitting) = tries.into_iter().find(|scale| to_whole(values, *scale, whole)) {
        *scale = fitting;
        let mut steps = [0_u64; RUN_ROWS];
        let pairs = || whole.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        let least = pairs().min().unwrap_or(0);
        pairs().zip(&mut steps).for_each(|(step, into)| *into = step.wrapping_sub(least) as u64);
        out.push(WHOLE | fitting << 2 | rows_code);
        put_i64(out, whole[0]);
        put_i64(out, least);
        pack(&steps[..values.len() - 1], out);
        return;
    }
    let mut xors = [0_u64; RUN_ROWS];
    let pairs = values.windows(2).map(|pair| pair[0].to_bits() ^ pair[1].to_bits());
    pairs.zip(&mut xors).for_each(|(xor, into)| *into = xor);
    let xors = &mut xors[..values.len() - 1];
    let zeros = xors.iter().fold(0, |all, xor| all | xor).trailing_zeros() % u64::BITS;
    xors.iter_mut().for_each(|xor| *xor >>= zeros);
    out.push(BITS | rows_code);
    out.extend_from_slice(&values[0].to_bits().to_le_bytes());
    out.push(zeros as u8);
    pack(xors, out);
}

/// One run, not yet decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run<'a> {
    /// How many rows it has.
    pub(super) rows: usize,
    head: u8,
    body: &'a [u8],
}

impl<'a> Run<'a> {
    /// Takes the next run off the front of `bytes`, which runs were appended to.
    pub(super) fn take(bytes: &mut &'a [u8]) -> Option<Run<'a>> {
        let (&head, mut rest) = bytes.split_first()?;
        let rows = match head & 3 {
            SAME => take_u64(&mut rest)? as usize,
            _ => usize::from(head >> 4) + 1,
        };
        let body = rest;
        match head & 3 {
            SAME => rest = rest.get(8..)?,
            WHOLE => {
                take_u64(&mut rest)?;
                take_u64(&mut rest)?;
                rest = rest.get(packed_bytes(*rest.first()?, rows - 1)..)?;
            }
            _ => rest = rest.get(9 + packed_bytes(*rest.get(9)?, rows - 1)..)?,
        }
        *bytes = rest;
        Some(Run { rows, head, body: &body[..body.len() - rest.len()] })
    }

    /// Appends the values.
    pub(super) fn decode(&self, into: &mut Vec<f64>) {
        self.try_decode(into).expect("runs are well-formed: they were written here");
    }

    fn try_decode(&self, into: &mut Vec<f64>) -> Option<()> {
        let mut body = self.body;
        match self.head & 3 {
            SAME => {
                let value = f64::from_bits(u64::from_le_bytes(*body.first_chunk()?));
                into.resize(into.len() + self.rows, value);
            }
            WHOLE => {
                let scale = SCALES[usize::from(self.head >> 2 & 3)];
                let mut value = unzigzag(take_u64(&mut body)?);
                let least = unzigzag(take_u64(&mut body)?);
                into.push(value as f64 / scale);
                unpack(body, self.rows - 1, |step| {
                    value = value.wrapping_add(least).wrapping_add(step as i64);
                    into.push(value as f64 / scale);
                })?;
            }
            _ => {
                let mut bits = u64::from_le_bytes(*body.first_chunk()?);
                let zeros = *body.get(8)?;
                into.push(f64::from_bits(bits));
                unpack(&body[9..], self.rows - 1, |xor| {
                    bits ^= xor << zeros;
                    into.push(f64::from_bits(bits));
                })?;
            }
        }
        Some(())
    }
}

/// Whether every value times the scale is a whole number that leads back to the very same bits.
fn to_whole(values: &[f64], scale: u8, into: &mut [i64]) -> bool {
    let factor = SCALES[usize::from(scale)];
    values.iter().zip(into).all(|(value, into)| {
        let scaled = value * factor;
        // Adding a half and cutting is cheaper than rounding; what it gets wrong does not lead back.
        let whole = (scaled + 0.5_f64.copysign(scaled)) as i64;
        *into = whole;
        scaled.abs() <= WHOLE_MAX && (whole as f64 / factor).to_bits() == value.to_bits()
    })
}

fn packed_bytes(width: u8, count: usize) -> usize {
    1 + (usize::from(width) * count).div_ceil(8)
}

/// Appends a width and as many bits of each number, low bits first.
fn pack(numbers: &[u64], out: &mut Vec<u8>) {
    let width = u64::BITS - numbers.iter().fold(0, |all, number| all | number).leading_zeros();
    out.push(width as u8);
    let (mut word, mut filled) = (0_u128, 0);
    for number in numbers {
        word |= u128::from(*number) << filled;
        filled += width;
        if filled >= u64::BITS {
            out.extend_from_slice(&(word as u64).to_le_bytes());
            word >>= u64::BITS;
            filled -= u64::BITS;
        }
    }
    out.extend_from_slice(&(word as u64).to_le_bytes()[..filled.div_ceil(8) as usize]);
}

fn unpack(bytes: &[u8], count: usize, mut each: impl FnMut(u64)) -> Option<()> {
    let (&width, mut bytes) = bytes.split_first()?;
    let mask = u64::MAX.checked_shr(u64::BITS - u32::from(width)).unwrap_or(0);
    let (mut word, mut filled) = (0_u128, 0_u32);
    for _ in 0..count {
        if filled < u32::from(width) {
            let next = match bytes.split_first_chunk() {
                Some((chunk, rest)) => {
                    bytes = rest;
                    u64::from_le_bytes(*chunk)
                }
                None => {
                    let mut chunk = [0; 8];
                    chunk[..bytes.len()].copy_from_slice(bytes);
                    bytes = &[];
                    u64::from_le_bytes(chunk)
                }
            };
            word |= u128::from(next) << filled;
            filled += u64::BITS;
        }
        each(word as u64 & mask);
        word >>= width;
        filled -= u32::from(width);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let one = prop_oneof![
            (-1_000_i64..1_000).prop_map(|whole| whole as f64),
            (-100_000_i64..100_000).prop_map(|whole| whole as f64 / 100.0),
            any::<i64>().prop_map(|whole| whole as f64),
            any::<u64>().prop_map(f64::from_bits),
            prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE / 2.0]),
            prop::sample::select(vec![9_007_199_254_740_992.0, 9_007_199_254_740_994.0, 0.1, 0.25, 1e300]),
        ];
        prop::collection::vec(one, 1..=RUN_ROWS)
    }

    proptest! {
        #[test]
        fn runs_come_back_bit_for_bit(runs in prop::collection::vec((values(), any::<bool>()), 1..6)) {
            let (mut bytes, mut scale) = (Vec::new(), 0);
            for (values, same) in &runs {
                match same {
                    true => encode_same(values[0], values.len() * 1_000, &mut bytes),
                    false => encode(values, &mut scale, &mut bytes),
                }
            }
            let mut rest = &bytes[..];
            for (values, same) in &runs {
                let run = Run::take(&mut rest).expect("as many runs as were written");
                let mut decoded = Vec::new();
                run.decode(&mut decoded);
                prop_assert_eq!(run.rows, decoded.len());
                let expected = if *same { vec![values[0]; values.len() * 1_000] } else { values.clone() };
                let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                prop_assert_eq!(bits(&decoded), bits(&expected));
            }
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn the_usual_values_are_small() {
        let check = |value: &dyn Fn(f64) -> f64, bytes_max: usize| {
            let values: Vec<f64> = (0..RUN_ROWS).map(|row| value(row as f64)).collect();
            let mut bytes = Vec::new();
            encode(&values, &mut 0, &mut bytes);
            assert!(bytes.len() <= bytes_max, "{values:?} takes {} bytes", bytes.len());
        };
        check(&|row| 1e9 + 15.0 * row, 10);
        check(&|row| 1e6 + 15.0 * row + row % 3.0, 15);
        check(&|row| (12_345.0 + 7.0 * row) / 100.0, 10);
        check(&|row| row.sqrt(), 130);
    }
}
