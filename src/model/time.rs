//! When, how long, and the two kinds of interval.
//!
//! Raw `i64` milliseconds appear in this file, in wire formats and in disk codecs, and nowhere else.

use std::fmt;
use std::ops::{Add, Neg, Sub};

/// Milliseconds since the Unix epoch. The only way to say "when".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest instant that can be said.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest instant that can be said.
    pub const MAX: Timestamp = Timestamp(i64::MAX);
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Timestamp = Timestamp(0);

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the Unix epoch, as PromQL counts time.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The UTC day this instant falls on, counted from 1970-01-01.
    pub const fn day(self) -> i64 {
        self.0.div_euclid(Span::DAY.0)
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    /// Saturates: the far ends of time absorb every shift.
    fn add(self, by: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(by.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, by: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(by.0))
    }
}

impl Sub for Timestamp {
    type Output = Span;
    fn sub(self, from: Timestamp) -> Span {
        Span(self.0.saturating_sub(from.0))
    }
}

impl fmt::Display for Timestamp {
    /// Seconds, with exactly three decimals unless whole: how Prometheus writes times in JSON.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, millis) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        match millis % 1000 {
            0 => write!(out, "{sign}{}", millis / 1000),
            rest => write!(out, "{sign}{}.{rest:03}", millis / 1000),
        }
    }
}

/// A signed length of time in milliseconds: PromQL offsets may be negative, `std`'s `Duration` may not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);
    /// 1,000 ms.
    pub const SECOND: Span = Span(1_000);
    /// 60 s.
    pub const MINUTE: Span = Span(60_000);
    /// 60 min.
    pub const HOUR: Span = Span(3_600_000);
    /// 24 h.
    pub const DAY: Span = Span(86_400_000);

    /// From milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Span(millis)
    }

    /// From whole seconds; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Span(secs.saturating_mul(1000))
    }

    /// In milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// In seconds.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This span `times` over; saturates.
    pub const fn times(self, times: i64) -> Span {
        Span(self.0.saturating_mul(times))
    }

    /// As `std`'s unsigned duration; a negative span is no time.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }
}

impl Neg for Span {
    type Output = Span;
    fn neg(self) -> Span {
        Span(self.0.saturating_neg())
    }
}

impl From<std::time::Duration> for Span {
    fn from(duration: std::time::Duration) -> Self {
        Span(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }
}

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// Nothing was there.
    #[error("empty duration string")]
    Empty,
    /// Not of the form `1d2h30m`: units from `y w d h m s ms`, in that order, each once.
    #[error("not a valid duration string: {0:?}")]
    Malformed(String),
    /// More milliseconds than 63 bits hold.
    #[error("duration out of range")]
    OutOfRange,
}

impl std::str::FromStr for Span {
    type Err = SpanError;

    /// Parses a Prometheus duration: `1y2w3d4h5m6s7ms`, units in this order, each at most once; `0` alone
    /// needs no unit. (Grammar: Prometheus' `model.ParseDuration`.)
    fn from_str(text: &str) -> Result<Self, SpanError> {
        match text {
            "" => return Err(SpanError::Empty),
            "0" => return Ok(Span::ZERO),
            _ => {}
        }
        let malformed = || SpanError::Malformed(text.to_owned());
        let (mut rest, mut next_unit, mut total) = (text, 0, 0_i64);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let unit = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(unit);
            let index = UNITS.iter().position(|(name, _)| *name == unit).ok_or_else(malformed)?;
            if number.is_empty() || index < next_unit {
                return Err(malformed());
            }
            let number: i64 = number.parse().map_err(|_| SpanError::OutOfRange)?;
            let part = number.checked_mul(UNITS[index].1).ok_or(SpanError::OutOfRange)?;
            total = total.checked_add(part).ok_or(SpanError::OutOfRange)?;
            (rest, next_unit) = (tail, index + 1);
        }
        Ok(Span(total))
    }
}

impl fmt::Display for Span {
    /// As Prometheus prints durations: years, weeks and days only where they divide exactly (`1d`, `25h`, `1h30m`).
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return out.write_str("0s");
        }
        if self.0 < 0 {
            out.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (index, (name, millis)) in UNITS.iter().enumerate() {
            let millis = millis.unsigned_abs();
            let exact_only = index < 3;
            if rest == 0 || (exact_only && !rest.is_multiple_of(millis)) {
                continue;
            }
            let count = rest / millis;
            if count > 0 {
                write!(out, "{count}{name}")?;
                rest -= count * millis;
            }
        }
        Ok(())
    }
}

/// `[start, end]`, both ends included: what storage is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: TimeRange = TimeRange { start: Timestamp::MIN, end: Timestamp::MAX };

    /// `None` where `start` lies after `end`.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start <= end).then_some(TimeRange { start, end })
    }

    /// The range that holds one instant.
    pub fn at(at: Timestamp) -> Self {
        TimeRange { start: at, end: at }
    }

    /// The first instant inside.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// The last instant inside.
    pub fn end(self) -> Timestamp {
        self.end
    }

    /// Whether `at` lies inside.
    pub fn contains(self, at: Timestamp) -> bool {
        self.start <= at && at <= self.end
    }

    /// Whether some instant lies in both.
    pub fn overlaps(self, other: TimeRange) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// What lies in both, if anything.
    pub fn intersect(self, other: TimeRange) -> Option<TimeRange> {
        TimeRange::new(self.start.max(other.start), self.end.min(other.end))
    }

    /// The smallest range that holds both.
    pub fn cover(self, other: TimeRange) -> TimeRange {
        TimeRange { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// `(end - length, end]`: what a range selector sees at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The last instant inside.
    pub end: Timestamp,
    /// How far it reaches back; the instant exactly `length` before `end` is outside.
    pub length: Span,
}

impl Window {
    /// The instant just outside on the left.
    pub fn open_start(self) -> Timestamp {
        self.end - self.length
    }

    /// Whether `at` lies inside.
    pub fn contains(self, at: Timestamp) -> bool {
        self.open_start() < at && at <= self.end
    }
}

/// The evaluation points of a query: `start`, `start + step`, ... up to `end`. An instant query has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StepGrid {
    start: Timestamp,
    end: Timestamp,
    step: Span,
}

impl StepGrid {
    /// `None` unless `start <= end` and `step > 0`.
    pub fn new(start: Timestamp, end: Timestamp, step: Span) -> Option<Self> {
        (start <= end && step > Span::ZERO).then_some(StepGrid { start, end, step })
    }

    /// The grid of an instant query: one point.
    pub fn instant(at: Timestamp) -> Self {
        StepGrid { start: at, end: at, step: Span::from_millis(1) }
    }

    /// The first point.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// The end as asked for; the last point may lie before it.
    pub fn end(self) -> Timestamp {
        self.end
    }

    /// The distance of two points, positive.
    pub fn step(self) -> Span {
        self.step
    }

    /// How many points there are, at least one.
    pub fn len(self) -> usize {
        usize::try_from((self.end - self.start).0 / self.step.0 + 1).unwrap_or(usize::MAX)
    }

    /// Never: a grid has at least one point.
    pub fn is_empty(self) -> bool {
        false
    }

    /// The point with this index, counted from 0.
    pub fn at(self, index: usize) -> Timestamp {
        self.start + self.step.times(i64::try_from(index).unwrap_or(i64::MAX))
    }

    /// All points in order.
    pub fn points(self) -> impl Iterator<Item = Timestamp> {
        (0..self.len()).map(move |index| self.at(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_prometheus_does() {
        #[track_caller]
        fn check(text: &str, millis: i64, printed: &str) {
            let span: Span = text.parse().expect(text);
            assert_eq!((span.as_millis(), span.to_string().as_str()), (millis, printed));
        }
        check("0", 0, "0s");
        check("0s", 0, "0s");
        check("324ms", 324, "324ms");
        check("3s", 3_000, "3s");
        check("5m", 300_000, "5m");
        check("1h30m", 5_400_000, "1h30m");
        check("4d1h", 349_200_000, "97h");
        check("14d", 1_209_600_000, "2w");
        check("3w2d1h", 1_990_800_000, "553h");
        check("8y", 252_288_000_000, "8y");
        for wrong in ["", "1", "1y1m1d", "-1w", "1.5d", "d", "1h1h", "294y300000000y"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong:?} is no duration");
        }
    }

    #[test]
    fn times_print_with_three_decimals_unless_whole() {
        let shown = |millis| Timestamp::from_millis(millis).to_string();
        assert_eq!(
            [shown(0), shown(1500), shown(-1), shown(1_600_000_000_042)],
            ["0", "1.500", "-0.001", "1600000000.042"]
        );
    }

    #[test]
    fn a_grid_counts_its_points() {
        let at = Timestamp::from_millis;
        let grid = StepGrid::new(at(0), at(25), Span::from_millis(10)).expect("valid");
        assert_eq!(grid.points().collect::<Vec<_>>(), [at(0), at(10), at(20)]);
        assert_eq!(StepGrid::instant(at(7)).points().collect::<Vec<_>>(), [at(7)]);
        assert_eq!(StepGrid::new(at(1), at(0), Span::SECOND), None);
        assert_eq!(StepGrid::new(at(0), at(1), Span::ZERO), None);
    }
}
