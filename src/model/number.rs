//! Floats as Prometheus writes them.

use std::fmt::Write;

/// Appends `value` in the form of Prometheus' JSON and text formats: the shortest digits that read back the same,
/// plain between 1e-6 and 1e21 and with a two-digit exponent outside; `NaN`, `+Inf`, `-Inf`.
/// (Go: `strconv.FormatFloat(v, 'f' or 'e', -1, 64)`.)
pub fn write_float(out: &mut String, value: f64) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    }
    if value == (value as i64) as f64 && value.abs() < EXACT_INTEGERS && (value != 0.0 || value.is_sign_positive()) {
        return out.push_str(itoa::Buffer::new().format(value as i64));
    }
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    // An exponent has three digits at most, and few numbers have one: most are not searched through.
    let tail = &text.as_bytes()[text.len().saturating_sub(EXPONENT_BYTES_MAX)..];
    let has_exponent = tail.contains(&b'e');
    let (mantissa, exponent) = match has_exponent.then(|| text.split_once('e')).flatten() {
        None => return out.push_str(text.strip_suffix(".0").unwrap_or(text)),
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().expect("zmij writes a decimal exponent")),
    };
    match exponent {
        -6..21 => write_plain(out, mantissa, exponent),
        _ => write_with_exponent(out, mantissa.strip_suffix(".0").unwrap_or(mantissa), exponent),
    }
}

/// `e-308`
const EXPONENT_BYTES_MAX: usize = 5;

/// Below this, every whole number is a float and fits an `i64`.
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// Lays out `d.ddd` times ten to the `exponent` without an exponent.
fn write_plain(out: &mut String, mantissa: &str, exponent: i32) {
    let digits = mantissa.trim_start_matches('-');
    if digits.len() < mantissa.len() {
        out.push('-');
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let shift = usize::try_from(exponent.unsigned_abs()).expect("an exponent fits");
    if exponent < 0 {
        out.push_str("0.");
        out.extend(std::iter::repeat_n('0', shift - 1));
        out.push_str(whole);
        out.push_str(fraction);
    } else if fraction.len() <= shift {
        out.push_str(whole);
        out.push_str(fraction);
        out.extend(std::iter::repeat_n('0', shift - fraction.len()));
    } else {
        let (left, right) = fraction.split_at(shift);
        out.push_str(whole);
        out.push_str(left);
        out.push('.');
        out.push_str(right);
    }
}

fn write_with_exponent(out: &mut String, mantissa: &str, exponent: i32) {
    let sign = if exponent < 0 { '-' } else { '+' };
    write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs()).expect("a String takes every write");
}

/// Appends `value` with an exponent of at least two digits: `1e+00`, `1.5e-07`. (Go: format 'e'.)
pub fn write_exponent(out: &mut String, value: f64) {
    if !value.is_finite() {
        return write_float(out, value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("LowerExp always writes an exponent");
    write_with_exponent(out, digits, exponent.parse().expect("LowerExp writes a decimal exponent"));
}

/// [`write_float`] into a new string.
pub fn format_float(value: f64) -> String {
    let mut out = String::new();
    write_float(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_go_prints_them() {
        #[track_caller]
        fn check(value: f64, plain: &str, exponent: &str) {
            let mut out = String::new();
            write_exponent(&mut out, value);
            assert_eq!((format_float(value).as_str(), out.as_str()), (plain, exponent));
        }
        check(1.0, "1", "1e+00");
        check(-0.0, "-0", "-0e+00");
        check(0.1, "0.1", "1e-01");
        check(1e20, "100000000000000000000", "1e+20");
        check(1e21, "1e+21", "1e+21");
        check(0.000_001, "0.000001", "1e-06");
        check(1.5e-7, "1.5e-07", "1.5e-07");
        check(1_234_567.891, "1234567.891", "1.234567891e+06");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NAN, "NaN", "NaN");
        check(9_007_199_254_740_993.0, "9007199254740992", "9.007199254740992e+15");
        check(1.234e19, "12340000000000000000", "1.234e+19");
        check(-1.5e-6, "-0.0000015", "-1.5e-06");
        check(5e-324, "5e-324", "5e-324");
        check(f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e+308");
        // Exactly between two shortest forms: Go takes the even digit, std the upper one.
        assert_eq!(format_float(f64::from_bits(14_045_887_855_226_036_708)), "-255244272256271.12");
    }

    proptest::proptest! {
        /// The fast path against the plain one: std writes the same shortest digits, only without an exponent. Where a
        /// value lies exactly between two shortest forms, their last digits differ by one, and ours is the even one.
        #[test]
        fn every_float_prints_as_std_prints_it(bits: u64, small in -1e9..1e9_f64, decimals in 0..1_000_000_i64) {
            for value in [f64::from_bits(bits), small, small * 1e-12, small * 1e12, decimals as f64 / 1000.0] {
                let printed = format_float(value);
                if value.is_finite() {
                    proptest::prop_assert_eq!(printed.parse::<f64>().unwrap().to_bits(), value.to_bits());
                    let mut theirs = String::new();
                    match value == 0.0 || (1e-6..1e21).contains(&value.abs()) {
                        true => theirs.push_str(&value.to_string()),
                        false => write_exponent(&mut theirs, value),
                    }
                    proptest::prop_assert_eq!(printed.len(), theirs.len());
                    let mut differing = printed.bytes().zip(theirs.bytes()).filter(|(ours, theirs)| ours != theirs);
                    if let Some((ours, theirs)) = differing.next() {
                        let tie = ours.abs_diff(theirs) == 1 && ours % 2 == 0 && differing.next().is_none();
                        proptest::prop_assert!(tie, "{} against {}", printed, value);
                    }
                }
            }
        }
    }
}
