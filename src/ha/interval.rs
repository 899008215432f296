//! How far apart the scrapes of one lane stand.

use crate::model::{Span, Timestamp};

use super::rules::MergeRules;

/// How many of the latest distances the estimate looks at.
pub(super) const DISTANCES: usize = 16;

/// A silence longer than this says nothing about the interval: what was known before it is forgotten.
pub(super) const SILENCE: Span = Span::HOUR;

/// The interval where nothing is known and nothing configured.
pub(super) const DEFAULT_INTERVAL: Span = Span::MINUTE;

/// A distance as the estimate keeps it, in two bytes: a count of 100 ms with seven significant bits, so exact to
/// 100 ms below 12.8 s and to 0.8 % above. Rounding keeps the order, so it may come before the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Distance(u16);

const UNIT_MILLIS: i64 = 100;
const SIGNIFICANT_BITS: u32 = 7;

impl Distance {
    /// More than any real distance.
    pub(super) const MAX: Distance = Distance(u16::MAX);

    /// The nearest distance that can be kept; half a step rounds up, nothing rounds to 0.
    pub(super) fn from_span(span: Span) -> Distance {
        let millis = span.clamp(Span::from_millis(UNIT_MILLIS), SILENCE).as_millis();
        let mut shift = (i64::BITS - (millis / UNIT_MILLIS).leading_zeros()).saturating_sub(SIGNIFICANT_BITS);
        let step = UNIT_MILLIS << shift;
        let mut digits = (millis + step / 2) / step;
        if digits >> SIGNIFICANT_BITS != 0 {
            (digits, shift) = (digits >> 1, shift + 1);
        }
        Distance((shift << 8) as u16 | digits as u16)
    }

    /// Distances that certainly round to this one: most scrapes fall into the cell of the one before, and need no
    /// division.
    fn cell(self) -> (Span, Span) {
        let (step, middle) = (Span::from_millis(UNIT_MILLIS << (self.0 >> 8)), self.to_span());
        (middle - Span::from_millis(step.as_millis() / 4), middle + Span::from_millis(step.as_millis() / 4))
    }

    pub(super) fn to_span(self) -> Span {
        Span::from_millis((i64::from(self.0 & 0xff) << (self.0 >> 8)) * UNIT_MILLIS)
    }
}

/// Whether `distance` is at most one and a half intervals: nothing is missing in between.
pub(super) fn is_close(distance: Span, interval: Span) -> bool {
    distance.times(2) <= interval.times(3)
}

/// What a lane knew when one of its rows came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The estimated interval, this row's distance included.
    pub(super) interval: Span,
    /// Whether the row ends a clean run: the last K distances were all at most 1.5 intervals.
    pub(super) solid: bool,
}

/// Follows one lane, row by row, and marks its rows. What it says of a row depends on the
/// [`CONTEXT_ROWS`](super::CONTEXT_ROWS) rows before it and on no others.
#[derive(Clone, Debug)]
pub(super) struct Annotator {
    last: Option<Timestamp>,
    /// Clean distances in a row, up to `clean_run`.
    clean: u8,
    clean_run: u8,
    distances: [Distance; DISTANCES],
    /// Whether any distance is known.
    known: bool,
    /// Where the next distance goes.
    next: u8,
    /// The latest distance, and its [`cell`](Distance::cell).
    latest: (Distance, (Span, Span)),
    unknown_interval: Span,
    interval: Span,
}

impl Annotator {
    /// For a lane that begins here: it counts as clean until a row is missing.
    pub(super) fn new(rules: &MergeRules) -> Self {
        let unknown_interval = rules.interval.unwrap_or(DEFAULT_INTERVAL);
        Annotator {
            last: None,
            clean: rules.clean_run,
            clean_run: rules.clean_run,
            distances: [Distance::MAX; DISTANCES],
            known: false,
            next: 0,
            latest: (Distance::MAX, (Span::ZERO, Span::ZERO)),
            unknown_interval,
            interval: unknown_interval,
        }
    }

    /// The mark of the latest row.
    pub(super) fn mark(&self) -> Mark {
        Mark { interval: self.interval, solid: self.clean >= self.clean_run }
    }

    /// Whether a distance is known since the lane began, or began anew.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// Marks the real row at `at`. A row that is not behind the last one teaches nothing and is weak.
    pub(super) fn push(&mut self, at: Timestamp) -> Mark {
        let Some(last) = self.last else {
            self.last = Some(at);
            return self.mark();
        };
        if at <= last {
            return Mark { interval: self.interval, solid: self.clean_run == 0 };
        }
        self.last = Some(at);
        let distance = at - last;
        if distance > SILENCE {
            self.clean = self.clean_run;
            (self.known, self.next) = (false, 0);
            self.distances = [Distance::MAX; DISTANCES];
            self.interval = self.unknown_interval;
            return self.mark();
        }
        let clean = !self.known || is_close(distance, self.interval);
        self.clean = if clean { self.clean.saturating_add(1).min(self.clean_run) } else { 0 };
        let (_, (low, high)) = self.latest;
        if distance < low || high < distance {
            let new = Distance::from_span(distance);
            self.latest = (new, new.cell());
        }
        let new = self.latest.0;
        let old = std::mem::replace(&mut self.distances[usize::from(self.next)], new);
        self.next = (self.next + 1) % DISTANCES as u8;
        // The usual case: the distance that leaves is the distance that comes.
        if old != new {
            self.known = true;
            self.interval = second_smallest(&self.distances).to_span();
        }
        self.mark()
    }
}

/// The second-smallest distance: one freak short distance does not matter, nor do many missing rows. Where only one
/// is known, that one.
fn second_smallest(distances: &[Distance; DISTANCES]) -> Distance {
    let (mut first, mut second) = (Distance::MAX, Distance::MAX);
    for distance in distances {
        second = second.min(first.max(*distance));
        first = first.min(*distance);
    }
    if second == Distance::MAX { first } else { second }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_is_kept_to_a_tenth_of_a_second_or_a_percent() {
        #[track_caller]
        fn check(millis: i64, kept: i64) {
            assert_eq!(Distance::from_span(Span::from_millis(millis)).to_span().as_millis(), kept);
        }
        check(1, 100);
        check(149, 100);
        check(12_850, 12_800);
        check(150, 200);
        check(5_000, 5_000);
        check(12_749, 12_700);
        check(12_790, 12_800);
        check(15_000, 15_000);
        check(15_004, 15_000);
        check(30_000, 30_000);
        check(60_000, 60_000);
        check(300_000, 300_800);
        check(3_600_000, 3_584_000);
        check(i64::MAX, 3_584_000);
    }

    #[test]
    fn rounding_keeps_the_order_and_stays_within_a_percent() {
        let mut before = Distance::from_span(Span::ZERO);
        for millis in 1..200_000 {
            let distance = Distance::from_span(Span::from_millis(millis));
            assert!(distance >= before, "{millis}");
            let off = (distance.to_span().as_millis() - millis).abs();
            assert!(off <= 100.max(millis / 100), "{millis} is kept {off} off");
            let (low, high) = distance.cell();
            assert_eq!([low, high].map(Distance::from_span), [distance; 2], "{millis}");
            before = distance;
        }
    }

    #[test]
    fn the_estimate_follows_the_second_smallest_distance() {
        #[track_caller]
        fn check(times: &[i64], interval: i64, solid: bool) {
            let mut annotator = Annotator::new(&MergeRules { clean_run: 2, ..MergeRules::default() });
            for time in times {
                annotator.push(Timestamp::from_millis(time * 1000));
            }
            let mark = annotator.mark();
            assert_eq!((mark.interval.as_millis(), mark.solid), (interval * 1000, solid));
        }
        check(&[0], 60, true);
        check(&[0, 15], 15, true);
        check(&[0, 15, 16], 15, true);
        check(&[0, 15, 16, 31], 15, true);
        check(&[0, 15, 30, 60], 15, false);
        check(&[0, 15, 30, 60, 75], 15, false);
        check(&[0, 15, 30, 60, 75, 90], 15, true);
        check(&[0, 15, 30, 30 + 3601], 60, true);
    }
}
