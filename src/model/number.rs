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
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return write_exponent(out, value);
    }
    write!(out, "{value}").expect("a String takes every write");
}

/// Appends `value` with an exponent of at least two digits: `1e+00`, `1.5e-07`. (Go: format 'e'.)
pub fn write_exponent(out: &mut String, value: f64) {
    if !value.is_finite() {
        return write_float(out, value);
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').expect("LowerExp always writes an exponent");
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    write!(out, "{digits}e{sign}{exponent:0>2}").expect("a String takes every write");
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
    }
}
