//! Numbers, times and durations for people. (Formulas: Prometheus' template functions.)

use super::format::general;

fn four(value: f64) -> String {
    general(value, Some(4))
}

/// `1234567` reads `1.235M`.
pub(super) fn humanize(mut value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four(value);
    }
    let mut unit = "";
    if value.abs() >= 1.0 {
        for prefix in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if value.abs() < 1000.0 {
                break;
            }
            (unit, value) = (prefix, value / 1000.0);
        }
    } else {
        for prefix in SMALL {
            if value.abs() >= 1.0 {
                break;
            }
            (unit, value) = (prefix, value * 1000.0);
        }
    }
    format!("{}{unit}", four(value))
}

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// `1048576` reads `1Mi`.
pub(super) fn humanize1024(mut value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return four(value);
    }
    let mut unit = "";
    for prefix in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if value.abs() < 1024.0 {
            break;
        }
        (unit, value) = (prefix, value / 1024.0);
    }
    format!("{}{unit}", four(value))
}

/// `3661` reads `1h 1m 1s`.
pub(super) fn duration(value: f64) -> String {
    if !value.is_finite() {
        return four(value);
    }
    if value == 0.0 {
        return format!("{}s", four(value));
    }
    if value.abs() < 1.0 {
        let (mut value, mut unit) = (value, "");
        for prefix in SMALL {
            if value.abs() >= 1.0 {
                break;
            }
            (unit, value) = (prefix, value * 1000.0);
        }
        return format!("{}{unit}s", four(value));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let whole = value.abs() as u64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", four(value.abs())),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// `0.1234` reads `12.34%`.
pub(super) fn percentage(value: f64) -> String {
    format!("{}%", four(value * 100.0))
}

/// Seconds since the epoch as Go prints a UTC time: `2026-01-02 03:04:05.5 +0000 UTC`.
pub(super) fn time(seconds: f64) -> String {
    match instant(seconds) {
        Some(at) => {
            let nanos = at.subsec_nanosecond();
            let fraction = format!(".{nanos:09}");
            let fraction = if nanos == 0 { "" } else { fraction.trim_end_matches('0') };
            format!("{}{fraction} +0000 UTC", at.strftime("%Y-%m-%d %H:%M:%S"))
        }
        None => four(seconds),
    }
}

/// Seconds since the epoch in a layout of Go (`2006-01-02 15:04:05`), in UTC.
pub(super) fn time_in_layout(layout: &str, seconds: f64) -> String {
    // Longer ones first.
    const PARTS: [(&str, &str); 33] = [
        (".000000000", ".%9f"),
        (".999999999", "%.f"),
        (".000000", ".%6f"),
        (".999999", "%.6f"),
        (".000", ".%3f"),
        (".999", "%.f"),
        ("January", "%B"),
        ("Monday", "%A"),
        ("Z07:00", "Z"),
        ("-07:00", "+00:00"),
        ("Z0700", "Z"),
        ("-0700", "+0000"),
        ("2006", "%Y"),
        ("002", "%j"),
        ("-07", "+00"),
        ("Jan", "%b"),
        ("Mon", "%a"),
        ("MST", "UTC"),
        ("01", "%m"),
        ("02", "%d"),
        ("15", "%H"),
        ("03", "%I"),
        ("04", "%M"),
        ("05", "%S"),
        ("06", "%y"),
        ("PM", "%p"),
        ("pm", "%P"),
        ("_2", "%e"),
        ("1", "%-m"),
        ("2", "%-d"),
        ("3", "%-I"),
        ("4", "%-M"),
        ("5", "%-S"),
    ];
    let Some(at) = instant(seconds) else { return four(seconds) };
    let (mut out, mut rest) = (String::new(), layout);
    'layout: while let Some(letter) = rest.chars().next() {
        for (part, directive) in PARTS {
            if let Some(behind) = rest.strip_prefix(part) {
                match directive.contains('%') {
                    true => out.push_str(&at.strftime(directive).to_string()),
                    false => out.push_str(directive),
                }
                rest = behind;
                continue 'layout;
            }
        }
        out.push(letter);
        rest = &rest[letter.len_utf8()..];
    }
    out
}

/// Times are kept in whole milliseconds. (Prometheus: `model.TimeFromUnixNano`.)
fn instant(seconds: f64) -> Option<jiff::Timestamp> {
    let millis = (seconds * 1e9) as i64 / 1_000_000;
    if seconds.is_finite() { jiff::Timestamp::from_millisecond(millis).ok() } else { None }
}

/// Seconds as Go prints a `time.Duration`: `1h1m1.5s`.
pub(super) fn go_duration(seconds: f64) -> String {
    let nanos = (seconds * 1e9) as i64;
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let fraction = |value: u64, scale: u64| {
        let text = format!("{:.9}", value as f64 / scale as f64);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".into(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(nanos, 1_000_000)),
        _ => {
            let whole = nanos / 1_000_000_000;
            let (hours, minutes) = (whole / 3600, whole / 60 % 60);
            let rest = fraction(nanos % 60_000_000_000, 1_000_000_000);
            match (hours, minutes) {
                (0, 0) => format!("{sign}{rest}s"),
                (0, _) => format!("{sign}{minutes}m{rest}s"),
                _ => format!("{sign}{hours}h{minutes}m{rest}s"),
            }
        }
    }
}
