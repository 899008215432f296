//! The door: which rows of a lower lane end here, since nothing that may still come can bring them back.
//!
//! A gate follows the top lane of one series, row by row as they come, and knows up to where that lane covers everything
//! ([`cover`](super::cover)). What it believes an interval to be is never more than what a read will believe, since it
//! takes the second-smallest of a window that contains the read's; so it calls nothing covered that a read would take.
//!
//! State: 24 bytes a series. Forgetting it (a restart) loses no sample: the gate covers nothing until it has seen 16
//! distances, and a clean run, again.

use crate::model::{Span, Timestamp};

use super::interval::{DISTANCES, Distance, SILENCE, is_close};
use super::rules::MergeRules;

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

    /// At most what a read takes as the interval; `None` in the first round.
    fn interval(self, number: u8) -> Option<Span> {
        let ([a, b], [c, d]) = (self.this, self.previous);
        (number < ROUND).then(|| a.max(c).min(b).min(d).to_span())
    }
}

/// Distances are numbered in rounds of this many, from 0; the first round is numbered from here.
const ROUND: u8 = DISTANCES as u8;

/// What the door knows of a series' top lane.
#[derive(Clone, Copy, Debug)]
pub struct TopGate {
    last: Timestamp,
    distances: Distances,
    /// Since this long before `last`, in milliseconds, each row was solid and close to the one before; saturates.
    whole_millis: u32,
    /// Clean distances in a row.
    clean: u8,
    number: u8,
    /// How many rows from now on cover nothing because of a marker: up to 2.
    behind_marker: u8,
}

const NEVER: Timestamp = Timestamp::MIN;

impl TopGate {
    /// For a lane whose past is not known here.
    pub const fn new() -> Self {
        TopGate { last: NEVER, distances: Distances::NONE, whole_millis: 0, clean: 0, number: ROUND, behind_marker: 0 }
    }

    /// The newest real row.
    pub fn last(&self) -> Timestamp {
        self.last
    }

    /// Whether the lane covers something up to its newest row: then its next row will likely cover what came since.
    pub fn is_whole(&self) -> bool {
        self.whole_millis > 0
    }

    /// Takes note of a row of the top lane, which is always kept. A row that is not behind the last one changes
    /// nothing.
    #[inline]
    pub fn push(&mut self, at: Timestamp, is_marker: bool, rules: &MergeRules) {
        if is_marker {
            // Markers cover nothing, and rows of other lanes up to the next row but one decide whether this one stands.
            (self.whole_millis, self.behind_marker) = (0, 2);
            return;
        }
        if at <= self.last {
            return;
        }
        let last = std::mem::replace(&mut self.last, at);
        let distance = at - last;
        if last == NEVER || distance > SILENCE {
            *self = TopGate { last: at, behind_marker: self.behind_marker.saturating_sub(1), ..TopGate::new() };
            return;
        }
        let was_solid = self.clean >= rules.clean_run;
        let interval = self.distances.interval(self.number);
        let is_clean = interval.is_some_and(|interval| is_close(distance, interval));
        self.clean = if is_clean { self.clean.saturating_add(1).min(rules.clean_run) } else { 0 };
        self.number = self.distances.push(self.number, Distance::from_span(distance));
        if self.behind_marker > 0 {
            (self.whole_millis, self.behind_marker) = (0, self.behind_marker - 1);
        } else if is_clean && was_solid && self.clean >= rules.clean_run {
            self.whole_millis = self.whole_millis.saturating_add(u32::try_from(distance.as_millis()).unwrap_or(0));
        } else {
            self.whole_millis = 0;
        }
    }

    /// Whether a real row of a lower lane at `at` is covered for ever.
    #[inline]
    pub fn covers(&self, at: Timestamp) -> bool {
        at <= self.last && self.last - at < Span::from_millis(i64::from(self.whole_millis))
    }
}

impl Default for TopGate {
    fn default() -> Self {
        TopGate::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_takes_24_bytes() {
        assert_eq!(size_of::<TopGate>(), 24);
    }

    #[test]
    fn a_row_is_dropped_only_between_two_close_solid_rows_of_the_top_lane() {
        #[track_caller]
        fn check(top: &[i64], covered: &[i64], kept: &[i64]) {
            let rules = MergeRules { clean_run: 2, ..MergeRules::default() };
            let at = |secs: i64| Timestamp::from_millis(secs * 1000);
            let mut gate = TopGate::new();
            top.iter().for_each(|secs| gate.push(at(secs.abs()), *secs < 0, &rules));
            assert!(covered.iter().all(|secs| gate.covers(at(*secs))), "covered");
            assert!(kept.iter().all(|secs| !gate.covers(at(*secs))), "kept");
        }
        // It takes 16 distances, and two clean ones, to know.
        let whole: Vec<i64> = (0..22).map(|row| row * 15).collect();
        check(&whole, &[285, 290, 300, 315], &[0, 255, 270, 316, 330]);
        let hole: Vec<i64> = (0..26).filter(|row| *row != 21).map(|row| row * 15).collect();
        check(&hole, &[374, 375], &[307, 322, 352, 360]);
        // Behind a marker two more rows are needed: the one the series came back with, and its neighbour.
        let mut marker = whole.clone();
        marker.extend([-320, 330, 345]);
        check(&marker, &[], &[307, 337, 322]);
        marker.push(360);
        check(&marker, &[352], &[337]);
        check(&[], &[], &[0]);
    }
}
