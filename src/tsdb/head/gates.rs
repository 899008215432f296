//! The door of each pair: which rows of a lower lane end before they cost anything.
//!
//! A gate follows the lane that leads in a series. A row of another lane that the leader covers already is dropped before
//! the log; one that is ahead of the leader is logged, since acknowledged means durable, and waits in its gate for the
//! leader's next row, which usually covers it. So the lower lane of a healthy pair never reaches a stream.
//!
//! Gates outlive a freeze; rows that wait in them do not, and go to their streams before it. A series gets a gate with
//! its second lane. Nothing is lost with a gate: until it has learnt again, rows are kept.

use crate::ha::{MergeRules, TopGate};
use crate::model::sample::is_stale;
use crate::model::{Lane, Span, Timestamp};
use crate::store::BatchSample;

use super::super::log::record::Run;
use super::super::resolve::orders::Orders;
use super::PAGE_SLOTS;

/// A gate whose leader has been silent for longer is given up.
pub(super) const IDLE: Span = Span::from_millis(2 * 3_600_000);

/// The series has one lane, or nobody knows yet what it is.
const OPEN: u32 = u32::MAX;
/// The series keeps all rows of all lanes.
const NEVER: u32 = u32::MAX - 1;

/// What is known of one series, in 48 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gate {
    leader: TopGate,
    /// When the row that waits is from; [`Timestamp::MIN`] where none does.
    waits: Timestamp,
    value: f64,
    /// The HA group, [`OPEN`] or [`NEVER`].
    group: u32,
    lane: Lane,
    turn: u8,
    waits_in: Lane,
}

/// The gates of one lock's pages.
#[derive(Debug, Default)]
pub(super) struct Gates {
    pages: Vec<Option<Box<[Gate]>>>,
}

/// What becomes of a row.
pub(super) enum Passed {
    /// It goes to its stream.
    In,
    /// It ends here.
    Covered,
    /// It waits; the row that waited before, if any, goes to its stream.
    Waits(Option<(Lane, BatchSample)>),
    /// It goes to its stream, as does the row that waited.
    Releases(Lane, BatchSample),
    /// It goes to its stream, and covers the row that waited.
    Covers,
}

impl Gate {
    pub(super) const OPEN: Gate = Gate {
        leader: TopGate::new(),
        waits: Timestamp::MIN,
        value: 0.0,
        group: OPEN,
        lane: Lane(0),
        turn: 0,
        waits_in: Lane(0),
    };

    pub(super) fn is_open(&self) -> bool {
        self.group == OPEN
    }

    /// Follows the leader of `group`, or nobody.
    pub(super) fn follow(&mut self, group: Option<u32>) {
        if self.is_open() {
            // No turn has this number and lane: the leader's next row begins one.
            *self = Gate { group: group.unwrap_or(NEVER), turn: u8::MAX, lane: Lane(u8::MAX), ..Gate::OPEN };
        }
    }

    /// The row that waits, and its lane.
    pub(super) fn waiting(&self) -> Option<(Lane, BatchSample)> {
        (self.waits != Timestamp::MIN).then(|| {
            let row = BatchSample { at: self.waits, start: Timestamp::EPOCH, value: self.value, histogram: None };
            (self.waits_in, row)
        })
    }

    fn take_waiting(&mut self) -> Option<(Lane, BatchSample)> {
        let waiting = self.waiting();
        self.waits = Timestamp::MIN;
        waiting
    }

    /// Whether a row of `lane` is covered for ever.
    #[inline]
    pub(super) fn covers(&self, lane: Lane, row: &BatchSample, orders: &Orders) -> bool {
        lane != self.lane
            && self.leader.covers(row.at)
            && !is_marker(row)
            && orders.leader(self.group, row.at) == Some((self.turn, self.lane))
    }

    /// Takes note of a row that is logged, and says what becomes of it.
    #[inline]
    pub(super) fn pass(&mut self, lane: Lane, row: &BatchSample, orders: &Orders, rules: &MergeRules) -> Passed {
        let Some((turn, leader)) = orders.leader(self.group, row.at) else { return Passed::In };
        if (turn, leader) != (self.turn, self.lane) {
            if lane != leader || row.at <= self.leader.last() {
                return Passed::In;
            }
            // Another turn begins: what was learnt of the lane before says nothing of this one.
            let released = self.take_waiting();
            (self.leader, self.turn, self.lane) = (TopGate::new(), turn, leader);
            self.leader.push(row.at, is_marker(row), rules);
            return released.map_or(Passed::In, |(lane, row)| Passed::Releases(lane, row));
        }
        if lane == leader {
            self.leader.push(row.at, is_marker(row), rules);
            if self.waits == Timestamp::MIN {
                return Passed::In;
            }
            if self.leader.covers(self.waits) {
                self.waits = Timestamp::MIN;
                return Passed::Covers;
            }
            // Ahead of a leader that is whole, it waits on.
            let decided = self.leader.last() >= self.waits || !self.leader.is_whole();
            return match decided.then(|| self.take_waiting()).flatten() {
                Some((lane, row)) => Passed::Releases(lane, row),
                None => Passed::In,
            };
        }
        if is_marker(row) {
            return Passed::In;
        }
        if self.leader.covers(row.at) {
            return Passed::Covered;
        }
        let is_plain = row.histogram.is_none() && row.start == Timestamp::EPOCH;
        let is_next = row.at > self.leader.last() && row.at > self.waits;
        if is_plain && is_next && self.leader.is_whole() {
            let before = self.take_waiting();
            (self.waits, self.value, self.waits_in) = (row.at, row.value, lane);
            return Passed::Waits(before);
        }
        Passed::In
    }
}

impl Gates {
    pub(super) fn page(&self, number: usize) -> Option<&[Gate]> {
        self.pages.get(number)?.as_deref()
    }

    pub(super) fn page_mut(&mut self, number: usize) -> Option<&mut [Gate]> {
        self.pages.get_mut(number)?.as_deref_mut()
    }

    /// The gates of a page, made where there are none; tells the bytes that took.
    pub(super) fn make_page(&mut self, number: usize) -> (&mut [Gate], usize) {
        if self.pages.len() <= number {
            self.pages.resize_with(number + 1, || None);
        }
        let bytes = if self.pages[number].is_none() { PAGE_SLOTS as usize * size_of::<Gate>() } else { 0 };
        (self.pages[number].get_or_insert_with(|| vec![Gate::OPEN; PAGE_SLOTS as usize].into()), bytes)
    }

    /// Takes out the rows that wait, each with page and slot; and gives up gates whose leader was last heard of before
    /// `since`, and pages without gates. Tells the bytes that gave back.
    pub(super) fn settle(
        &mut self,
        since: Timestamp,
        mut release: impl FnMut(usize, usize, Lane, BatchSample),
    ) -> usize {
        let mut freed = 0;
        for (number, page) in self.pages.iter_mut().enumerate() {
            let Some(gates) = page else { continue };
            for (slot, gate) in gates.iter_mut().enumerate() {
                if let Some((lane, row)) = gate.take_waiting() {
                    release(number, slot, lane, row);
                }
                if gate.leader.last() < since {
                    *gate = Gate::OPEN;
                }
            }
            if gates.iter().all(Gate::is_open) {
                freed += gates.len() * size_of::<Gate>();
                *page = None;
            }
        }
        freed
    }
}

/// How many rows of a run are covered.
#[inline]
pub(super) fn covered_rows(run: &Run<'_>, gate: &Gate, orders: &Orders) -> usize {
    run.samples.iter().filter(|row| gate.covers(run.lane, row, orders)).count()
}

/// The stretches of a run that are not covered.
pub(super) fn uncovered<'b>(run: &Run<'b>, gate: &Gate, orders: &Orders, left: &mut Vec<Run<'b>>) {
    let covered = |row: &BatchSample| gate.covers(run.lane, row, orders);
    for stretch in run.samples.chunk_by(|one, next| covered(one) == covered(next)) {
        if !covered(&stretch[0]) {
            left.push(Run { samples: stretch, ..run.clone() });
        }
    }
}

fn is_marker(row: &BatchSample) -> bool {
    match &row.histogram {
        Some(histogram) => histogram.is_stale(),
        None => is_stale(row.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_takes_48_bytes() {
        assert_eq!(size_of::<Gate>(), 48);
    }
}
