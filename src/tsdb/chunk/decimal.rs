//! Floats as integers times a power of ten, bit for bit or not at all.
//!
//! Most floats in monitoring were printed with a few decimals: 0.25 is 25 / 10^2, and one correctly rounded division
//! gives the same double back (any decimal of up to 15 digits does: IEEE 754 divides exactly rounded, and both sides
//! are exact below 2^53 and 10^22). Nothing relies on that argument: a value is taken as a decimal only if the very
//! division the reader will do returns its very bits.

/// Most decimal places that are looked for; four bits hold them.
pub(super) const MAX_PLACES: u32 = 15;

const POWERS: [f64; MAX_PLACES as usize + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Integers stay below this in magnitude, so that differences of differences fit 64 bits.
const LARGEST: u64 = 1 << 60;

/// Of one in how many rows a finite value may be no decimal, before the whole column counts as floats.
const ODD_VALUES_PER_ROW: usize = 16;
/// Of one in how many rows NaN, an infinity or -0.0 may stand.
const SPECIALS_PER_ROW: usize = 2;

/// What [`to_integers`] found.
pub(super) struct Decimal {
    /// `value = integer / 10^places`.
    pub(super) places: u32,
    /// Rows that are no such decimal, rising; their integers repeat a neighbour's.
    pub(super) exceptions: Vec<u32>,
}

/// Finds the fewest decimal places that all `values` share, and the integers. `None` if too many rows resist.
pub(super) fn to_integers(values: &[f64], integers: &mut [i64]) -> Option<Decimal> {
    let mut places = 0;
    let mut found = Decimal { places, exceptions: Vec::new() };
    let (mut row, mut odd) = (0, 0);
    let mut again = false;
    while row < values.len() {
        match run_of_decimals(&values[row..], places, &mut integers[row..]) {
            run if row + run == values.len() => break,
            run => row += run,
        }
        let value = values[row];
        match more_places(value, places) {
            // The rows so far have the same decimals with more places, but other integers.
            Some(more) => {
                again |= row > 0;
                places = more;
                continue;
            }
            None if is_special(value) => {}
            None => odd += 1,
        }
        found.exceptions.push(row as u32);
        let specials = found.exceptions.len() - odd;
        if odd > values.len() / ODD_VALUES_PER_ROW || specials > values.len() / SPECIALS_PER_ROW {
            return None;
        }
        row += 1;
    }
    if again {
        found.exceptions.clear();
        let mut row = 0;
        loop {
            row += run_of_decimals(&values[row..], places, &mut integers[row..]);
            if row == values.len() {
                break;
            }
            found.exceptions.push(row as u32);
            row += 1;
        }
    }
    found.places = places;
    if found.exceptions.len() == values.len() {
        return None;
    }
    fill(&found.exceptions, integers);
    Some(found)
}

/// Gives the rows of `exceptions` the integer before them, or the first one there is.
fn fill(exceptions: &[u32], integers: &mut [i64]) {
    let leading = exceptions.iter().zip(0..).take_while(|(row, index)| *row == index).count();
    for row in exceptions {
        let row = *row as usize;
        integers[row] = if row < leading { integers[leading] } else { integers[row - 1] };
    }
}

/// Writes integers until a value is no decimal of `places`, and says how many it wrote.
fn run_of_decimals(values: &[f64], places: u32, integers: &mut [i64]) -> usize {
    let power = POWERS[places as usize];
    match places {
        0 => run_while(values, integers, whole),
        _ => run_while(values, integers, |value| scaled(value, power)),
    }
}

#[inline(always)]
fn run_while(values: &[f64], integers: &mut [i64], find: impl Fn(f64) -> Option<i64>) -> usize {
    for (row, (value, integer)) in values.iter().zip(integers).enumerate() {
        match find(*value) {
            Some(found) => *integer = found,
            None => return row,
        }
    }
    values.len()
}

#[inline(always)]
fn whole(value: f64) -> Option<i64> {
    let integer = value as i64;
    ((integer as f64).to_bits() == value.to_bits() && integer.unsigned_abs() <= LARGEST).then_some(integer)
}

#[inline(always)]
fn scaled(value: f64, power: f64) -> Option<i64> {
    // Half away from zero by truncation: the division decides whether the guess is right.
    let integer = (value * power + 0.5_f64.copysign(value)) as i64;
    ((integer as f64 / power).to_bits() == value.to_bits() && integer.unsigned_abs() <= LARGEST).then_some(integer)
}

/// The fewest places over `places` with which `value` is a decimal.
fn more_places(value: f64, places: u32) -> Option<u32> {
    if is_special(value) {
        return None;
    }
    (places + 1..=MAX_PLACES).find(|places| scaled(value, POWERS[*places as usize]).is_some())
}

fn is_special(value: f64) -> bool {
    !value.is_finite() || (value == 0.0 && value.is_sign_negative())
}

/// Appends the floats of `integers`.
pub(super) fn extend_with(out: &mut Vec<f64>, integers: &[i64], places: u32) {
    if places == 0 {
        out.extend(integers.iter().map(|integer| *integer as f64));
        return;
    }
    let power = POWERS[places.min(MAX_PLACES) as usize];
    out.extend(integers.iter().map(|integer| *integer as f64 / power));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], places: u32, expected: &[i64], exceptions: &[u32]) {
        let mut integers = vec![0; values.len()];
        let found = to_integers(values, &mut integers).expect("decimals");
        assert_eq!((found.places, integers.as_slice(), found.exceptions.as_slice()), (places, expected, exceptions));
        let mut back = Vec::new();
        extend_with(&mut back, &integers, found.places);
        for (row, value) in values.iter().enumerate() {
            let exact = back[row].to_bits() == value.to_bits();
            assert_eq!(exact, !exceptions.contains(&(row as u32)), "row {row}");
        }
    }

    #[test]
    fn values_become_integers_with_as_few_places_as_they_need() {
        check(&[1.0, 2.0, -3.0], 0, &[1, 2, -3], &[]);
        check(&[1.0, 0.5, 0.25, 3.0], 2, &[100, 50, 25, 300], &[]);
        check(&[0.1, 0.2, -0.3], 1, &[1, 2, -3], &[]);
        check(&[9_007_199_254_740_993.0, 1e18], 0, &[9_007_199_254_740_992, 1_000_000_000_000_000_000], &[]);
        check(&[1e-9, 2.5e-8], 9, &[1, 25], &[]);
    }

    #[test]
    fn a_few_specials_do_not_spoil_the_rest() {
        let nan = f64::NAN;
        check(&[nan, 1.0, 2.5, -0.0, 3.5], 1, &[10, 10, 25, 25, 35], &[0, 3]);
        check(&[1.0, f64::INFINITY, nan, 2.0], 0, &[1, 1, 1, 2], &[1, 2]);
    }

    #[test]
    fn what_is_no_decimal_is_left_alone() {
        let mut integers = [0; 3];
        for values in [[1.0 / 3.0, 1.0 / 7.0, 1.0 / 11.0], [f64::NAN, f64::NAN, 1.0], [1e300, 1e301, 5e-324]] {
            assert!(to_integers(&values, &mut integers).is_none(), "{values:?}");
        }
    }
}
