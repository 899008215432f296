//! What a number or duration token is worth: the rules of Go's `strconv` and of Prometheus' `model.ParseDuration`.

/// Nanoseconds in the longest duration Go can hold; some 292 years.
const NANOS_MAX: u64 = i64::MAX as u64;

/// The units, longest first, in nanoseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400 * 1_000_000_000),
    ("w", 7 * 86_400 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];

/// The value of a number token: first as Go's `ParseInt` with base 0 (`0x1f`, `017`, `1_000`), then as `ParseFloat`.
pub(super) fn number(text: &str) -> Result<f64, String> {
    if let Some(integer) = integer(text) {
        return Ok(integer as f64);
    }
    let fail = |why: &str| format!("error parsing number: strconv.ParseFloat: parsing {text:?}: {why}");
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    if hexadecimal || (text.contains('_') && !underscores_fit(text)) {
        // A hexadecimal float needs an exponent, which the lexer does not let through.
        return Err(fail("invalid syntax"));
    }
    let value: f64 = text.replace('_', "").parse().map_err(|_| fail("invalid syntax"))?;
    let spelled_out = text.eq_ignore_ascii_case("inf");
    if value.is_infinite() && !spelled_out { Err(fail("value out of range")) } else { Ok(value) }
}

fn integer(text: &str) -> Option<i64> {
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let digits = text.replace('_', "");
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits.as_str()),
    };
    i64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with(['+', '-']))
}

/// Underscores stand between digits, or between the prefix and a digit. (Go: `strconv.underscoreOK`.)
fn underscores_fit(text: &str) -> bool {
    let hexadecimal = text.starts_with("0x") || text.starts_with("0X");
    let mut last = if hexadecimal { '0' } else { '^' };
    for letter in text.chars().skip(if hexadecimal { 2 } else { 0 }) {
        let is_digit = letter.is_digit(if hexadecimal { 16 } else { 10 });
        if (letter == '_' && last != '0') || (letter != '_' && !is_digit && last == '_') {
            return false;
        }
        last = match letter {
            '_' => '_',
            _ if is_digit => '0',
            _ => '!',
        };
    }
    last != '_'
}

/// The seconds of a duration token.
pub(super) fn duration(text: &str) -> Result<f64, String> {
    let malformed = || format!("not a valid duration string: {text:?}");
    if text == "0" {
        return Ok(0.0);
    }
    let (mut rest, mut next_unit, mut nanos) = (text, 0, 0_u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, tail) = rest.split_at(digits);
        let count: u64 = count.parse().map_err(|_| malformed())?;
        let letters = tail.bytes().take_while(|byte| !byte.is_ascii_digit()).count();
        let (unit, tail) = tail.split_at(letters);
        if unit.is_empty() {
            return Err(malformed());
        }
        let Some(index) = UNITS.iter().position(|(name, _)| *name == unit) else {
            return Err(format!("unknown unit {unit:?} in duration {text:?}"));
        };
        if index < next_unit {
            return Err(malformed());
        }
        let part = count.checked_mul(UNITS[index].1);
        nanos = part
            .and_then(|part| nanos.checked_add(part))
            .filter(|nanos| *nanos <= NANOS_MAX)
            .ok_or("duration out of range")?;
        (rest, next_unit) = (tail, index + 1);
    }
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    Ok(whole as f64 + part as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_go_reads_them() {
        #[track_caller]
        fn check(text: &str, expected: Result<f64, &str>) {
            let expected = expected.map_err(|why| format!("error parsing number: strconv.ParseFloat: {why}"));
            match (number(text), expected) {
                (Ok(value), Ok(wanted)) if wanted.is_nan() => assert!(value.is_nan(), "{text}"),
                (value, expected) => assert_eq!(value, expected, "{text}"),
            }
        }
        check("1", Ok(1.0));
        check("0755", Ok(493.0));
        check("08", Ok(8.0));
        check("0x1f", Ok(31.0));
        check("0X_1f", Ok(31.0));
        check("1_000", Ok(1000.0));
        check("1_000.5", Ok(1000.5));
        check(".5", Ok(0.5));
        check("5.", Ok(5.0));
        check("1e3", Ok(1000.0));
        check("9223372036854775808", Ok(9_223_372_036_854_775_808.0));
        check("Inf", Ok(f64::INFINITY));
        check("nAn", Ok(f64::NAN));
        check("1e309", Err("parsing \"1e309\": value out of range"));
        check("0xfffffffffffffffff", Err("parsing \"0xfffffffffffffffff\": invalid syntax"));
    }

    #[test]
    fn durations_read_as_prometheus_reads_them() {
        #[track_caller]
        fn check(text: &str, expected: Result<f64, &str>) {
            assert_eq!(duration(text), expected.map_err(str::to_owned));
        }
        check("5m", Ok(300.0));
        check("1h30m", Ok(5400.0));
        check("1ms", Ok(0.001));
        check("292y", Ok(292.0 * 365.0 * 86_400.0));
        check("293y", Err("duration out of range"));
        check("1m1h", Err("not a valid duration string: \"1m1h\""));
        check("1s1s", Err("not a valid duration string: \"1s1s\""));
        check("1hs", Err("unknown unit \"hs\" in duration \"1hs\""));
    }
}
