//! The door: which rows of a lower lane end here, since nothing that may still come can bring them back.
//!
//! A row is covered for ever once it lies between two solid rows of the top lane, neighbours there, that are at most
//! 1.5 intervals apart: rows that come later can only bring the neighbours closer. What the door believes an interval
//! to be is never more than what [`merge`](super::merge()) will believe, so it drops nothing that a read would take.
//!
//! State per series: 24 bytes a lane, 48 for a pair. Forgetting it (a restart) loses no sample: the door opens wide
//! until it knows the interval again.

use crate::model::{Span, Timestamp};

use super::interval::{DISTANCES, Distance, SILENCE, is_close};
use super::rules::{MergeRules, Policy};

/// What to do with a row of a lower lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Log it and keep it: it fills a hole, or nobody knows better.
    Keep,
    /// Log it; the next row of the top lane will tell (ask [`TopGate::covers`] again).
    Pending,
    /// Drop it and count it as written: it is covered for ever.
    Covered,
}

/// The smallest distances of a lane over the last 16 to 32 rows: a window that holds the one that reads look at, so
/// its second-smallest distance is at most theirs.
#[derive(Clone, Copy, Debug)]
struct Distances {
    this: [Distance; 2],
    previous: [Distance; 2],
}

impl Distances {
    const NONE: Distances = Distances { this: [Distance::MAX; 2], previous: [Distance::MAX; 2] };

    /// Adds the distance with this number, and says the next number.
    fn push(&mut self, number: u8, distance: Distance) -> u8 {
        if number == 0 {
            self.previous = self.this;
            self.this = [Distance::MAX; 2];
        }
        let [first, second] = self.this;
        self.this = [first.min(distance), second.min(first.max(distance))];
        (number + 1) % if number < ROUND { ROUND } else { 2 * ROUND }
    }

    /// At most what a read takes as the interval. `None` until there are two distances, since a read may then take
    /// its default, and in the first round of a lane whose past is not known, since a read knows more.
    fn interval(self, number: u8) -> Option<Span> {
        if number >= ROUND {
            return None;
        }
        let ([a, b], [c, d]) = (self.this, self.previous);
        let second = a.max(c).min(b).min(d);
        (second != Distance::MAX).then(|| second.to_span())
    }
}

/// Distances are numbered in rounds of this many, from 0; the first round of a lane whose past is not known is numbered
/// from here.
const ROUND: u8 = DISTANCES as u8;

/// What the door knows of a series' top lane.
#[derive(Clone, Copy, Debug)]
pub struct TopGate {
    last: Timestamp,
    distances: Distances,
    /// Since this long before `last`, in milliseconds, each row was solid and close to the one before; saturates.
    whole_millis: u32,
    /// The widest distance in that time; [`MARKER`] if the latest row was one, [`BEHIND_MARKER`] if the one before was.
    widest: Distance,
    /// Clean distances in a row.
    clean: u8,
    number: u8,
}

/// What the door knows of one lower lane of a series.
#[derive(Clone, Copy, Debug)]
pub struct LowerGate {
    last: Timestamp,
    distances: Distances,
    number: u8,
}

const MARKER: Distance = Distance::MAX;
const BEHIND_MARKER: Distance = Distance::ALMOST_MAX;
const NEVER: Timestamp = Timestamp::MIN;

impl TopGate {
    /// For a lane whose past is empty.
    pub fn new(rules: &MergeRules) -> Self {
        TopGate { clean: rules.clean_run, number: 0, ..TopGate::after_restart() }
    }

    /// For a lane whose past is not known here: it must first show a clean run.
    pub fn after_restart() -> Self {
        TopGate {
            last: NEVER,
            distances: Distances::NONE,
            whole_millis: 0,
            widest: Distance::from_span(Span::ZERO),
            clean: 0,
            number: ROUND,
        }
    }

    /// Takes note of a row of the top lane, which is always kept. A row that is not behind the last one changes
    /// nothing.
    pub fn push(&mut self, at: Timestamp, is_marker: bool, rules: &MergeRules) {
        if is_marker {
            // Markers cover nothing, and rows of other lanes up to the next row but one decide whether this one stands.
            (self.whole_millis, self.widest) = (0, MARKER);
            return;
        }
        if at <= self.last {
            return;
        }
        let last = std::mem::replace(&mut self.last, at);
        let distance = at - last;
        if last == NEVER {
            return;
        }
        if distance > SILENCE {
            self.clean = rules.clean_run;
            self.distances = Distances::NONE;
            (self.whole_millis, self.widest, self.number) = (0, Distance::from_span(Span::ZERO), 0);
            return;
        }
        let interval = self.distances.interval(self.number);
        let was_solid = self.clean >= rules.clean_run;
        let is_clean = interval.is_some_and(|interval| is_close(distance, interval));
        self.clean = if is_clean { self.clean.saturating_add(1).min(rules.clean_run) } else { 0 };
        let is_solid = self.clean >= rules.clean_run;
        let rounded = Distance::from_span(distance);
        self.number = self.distances.push(self.number, rounded);
        if self.widest >= BEHIND_MARKER {
            let next = if self.widest == MARKER { BEHIND_MARKER } else { rounded };
            (self.whole_millis, self.widest) = (0, next);
        } else if is_clean && was_solid && is_solid {
            self.widest = if self.whole_millis == 0 { rounded } else { self.widest.max(rounded) };
            let more = u32::try_from(distance.as_millis()).unwrap_or(0);
            self.whole_millis = self.whole_millis.saturating_add(more);
        } else {
            self.whole_millis = 0;
        }
    }

    /// Whether a real row of a lower lane at `at` is covered for ever, where that lane's interval is at least
    /// `interval`.
    pub fn covers(&self, at: Timestamp, interval: Span) -> bool {
        if self.whole_millis == 0 {
            return false;
        }
        let whole = Span::from_millis(i64::from(self.whole_millis));
        // A distance is kept to 100 ms or a percent: count the rounding against covering.
        let widest = self.widest.to_span();
        let widest = widest + Span::from_millis(100.max(widest.as_millis() / 100));
        at <= self.last && at > self.last - whole && is_close(widest, interval)
    }
}

impl LowerGate {
    /// For a lane whose past is empty.
    pub fn new() -> Self {
        LowerGate { last: NEVER, distances: Distances::NONE, number: 0 }
    }

    /// For a lane whose past is not known here.
    pub fn after_restart() -> Self {
        LowerGate { number: ROUND, ..LowerGate::new() }
    }

    /// At most what a read takes as this lane's interval, if known.
    pub fn interval(&self) -> Option<Span> {
        self.distances.interval(self.number)
    }

    /// Takes note of a row and says what to do with it.
    pub fn admit(&mut self, at: Timestamp, is_marker: bool, top: &TopGate, rules: &MergeRules) -> Admission {
        if is_marker || rules.policy != Policy::Prefer {
            return Admission::Keep;
        }
        if at > self.last {
            let distance = at - self.last;
            if self.last == NEVER {
                // The first row has no distance.
            } else if distance > SILENCE {
                (self.distances, self.number) = (Distances::NONE, 0);
            } else {
                self.number = self.distances.push(self.number, Distance::from_span(distance));
            }
            self.last = at;
        }
        match self.interval() {
            Some(_) if at > top.last => Admission::Pending,
            Some(interval) if top.covers(at, interval) => Admission::Covered,
            _ => Admission::Keep,
        }
    }
}

impl Default for LowerGate {
    fn default() -> Self {
        LowerGate::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_costs_48_bytes_a_series() {
        assert_eq!((size_of::<TopGate>(), size_of::<LowerGate>()), (24, 24));
    }

    #[test]
    fn a_row_is_dropped_only_between_two_close_solid_rows_of_the_top_lane() {
        #[track_caller]
        fn check(top: &[i64], lower: &[i64], expected: &[Admission]) {
            let rules = MergeRules { clean_run: 2, ..MergeRules::default() };
            let at = |secs: i64| Timestamp::from_millis(secs * 1000);
            let (mut top_gate, mut lower_gate) = (TopGate::new(&rules), LowerGate::new());
            top.iter().for_each(|secs| top_gate.push(at(*secs), false, &rules));
            let got: Vec<_> = lower.iter().map(|secs| lower_gate.admit(at(*secs), false, &top_gate, &rules)).collect();
            assert_eq!(got, expected);
        }
        use Admission::{Covered, Keep, Pending};
        let whole: Vec<i64> = (0..10).map(|row| row * 15).collect();
        check(
            &whole,
            &[7, 22, 37, 52, 97, 112, 127, 142],
            &[Keep, Keep, Keep, Keep, Covered, Covered, Covered, Pending],
        );
        let hole: Vec<i64> = (0..20).filter(|row| *row != 17).map(|row| row * 15).collect();
        check(&hole, &[217, 232, 247, 262, 277, 285], &[Keep, Keep, Keep, Keep, Keep, Keep]);
        check(&[], &[0, 15, 30], &[Keep, Keep, Pending]);
    }
}
