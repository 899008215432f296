//! How values are written on an axis and in a legend.

use std::str::FromStr;

/// What a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// The number as it is.
    None,
    /// Thousands, millions, ...
    Short,
    /// Bytes, in powers of 1024.
    Bytes,
    /// Bits, in powers of 1000.
    Bits,
    /// Bytes a second, in powers of 1024.
    BytesPerSecond,
    /// Bits a second, in powers of 1000.
    BitsPerSecond,
    /// Seconds.
    Seconds,
    /// Hundredths.
    Percent,
    /// A part of one, written as hundredths.
    PercentOfOne,
}

impl FromStr for Unit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "none" => Unit::None,
            "short" => Unit::Short,
            "bytes" => Unit::Bytes,
            "bits" => Unit::Bits,
            "bytes/s" | "Bps" => Unit::BytesPerSecond,
            "bits/s" | "bps" => Unit::BitsPerSecond,
            "seconds" | "s" => Unit::Seconds,
            "percent" => Unit::Percent,
            "percentunit" => Unit::PercentOfOne,
            _ => {
                let known = "none, short, bytes, bits, bytes/s, bits/s, seconds, percent, percentunit";
                return Err(format!("unknown unit {text:?}; known are {known}"));
            }
        })
    }
}

const THOUSANDS: [(f64, &str); 6] = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
const KIBIS: [(f64, &str); 6] = [
    (1_152_921_504_606_846_976.0, "Ei"),
    (1_125_899_906_842_624.0, "Pi"),
    (1_099_511_627_776.0, "Ti"),
    (1_073_741_824.0, "Gi"),
    (1_048_576.0, "Mi"),
    (1_024.0, "Ki"),
];

impl Unit {
    /// Whether axis steps are round in powers of 1024.
    pub(super) fn is_binary(self) -> bool {
        matches!(self, Unit::Bytes | Unit::BytesPerSecond)
    }

    /// `value` in so many letters as it takes to tell it from `value + step`.
    pub(super) fn format(self, value: f64, step: f64) -> String {
        let (scale, prefix) = match self {
            Unit::None | Unit::Percent | Unit::Seconds => (1.0, ""),
            Unit::PercentOfOne => (0.01, ""),
            Unit::Short | Unit::Bits | Unit::BitsPerSecond => prefix(&THOUSANDS, value),
            Unit::Bytes | Unit::BytesPerSecond => prefix(&KIBIS, value),
        };
        let (scale, suffix) = match self {
            Unit::None | Unit::Short => (scale, ""),
            Unit::Bytes => (scale, "B"),
            Unit::Bits => (scale, "bit"),
            Unit::BytesPerSecond => (scale, "B/s"),
            Unit::BitsPerSecond => (scale, "bit/s"),
            Unit::Percent | Unit::PercentOfOne => (scale, "%"),
            Unit::Seconds => length(value),
        };
        let number = decimals(value / scale, step / scale);
        match (prefix.is_empty() && suffix.is_empty(), matches!(suffix, "%")) {
            (true, _) | (_, true) => format!("{number}{suffix}"),
            _ if suffix.is_empty() => format!("{number}{prefix}"),
            _ => format!("{number} {prefix}{suffix}"),
        }
    }
}

fn prefix(scales: &[(f64, &'static str)], value: f64) -> (f64, &'static str) {
    scales.iter().copied().find(|(scale, _)| value.abs() >= *scale).unwrap_or((1.0, ""))
}

fn length(seconds: f64) -> (f64, &'static str) {
    match seconds.abs() {
        size if size >= 86_400.0 => (86_400.0, "d"),
        size if size >= 3_600.0 => (3_600.0, "h"),
        size if size >= 60.0 => (60.0, "min"),
        size if size >= 1.0 || size == 0.0 => (1.0, "s"),
        size if size >= 1e-3 => (1e-3, "ms"),
        size if size >= 1e-6 => (1e-6, "µs"),
        _ => (1e-9, "ns"),
    }
}

/// As many decimals as `step` needs, at most six, none of them a needless zero.
fn decimals(value: f64, step: f64) -> String {
    if value != 0.0 && (value.abs() >= 1e15 || value.abs() < 1e-6) {
        return format!("{value:.2e}");
    }
    let wanted = if step > 0.0 { (-step.log10()).ceil().clamp(0.0, 6.0) as usize } else { 0 };
    let text = format!("{value:.wanted$}");
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_people_read_them() {
        #[track_caller]
        fn check(unit: Unit, value: f64, step: f64, expected: &str) {
            assert_eq!(unit.format(value, step), expected);
        }
        check(Unit::Short, 1_500_000.0, 500_000.0, "1.5M");
        check(Unit::Short, 0.25, 0.05, "0.25");
        check(Unit::None, 1_500_000.0, 500_000.0, "1500000");
        check(Unit::Bytes, 3.0 * 1_048_576.0, 1_048_576.0, "3 MiB");
        check(Unit::BitsPerSecond, 2.5e9, 5e8, "2.5 Gbit/s");
        check(Unit::Seconds, 0.25, 0.05, "250 ms");
        check(Unit::Seconds, 7_200.0, 3_600.0, "2 h");
        check(Unit::PercentOfOne, 0.5, 0.25, "50%");
        check(Unit::Short, -0.0, 1.0, "0");
        check(Unit::Short, 1e-9, 1e-10, "1.00e-9");
    }
}
