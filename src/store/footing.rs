//! What an answer rests on, for who keeps answers: when is it not what one would get now?

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{Span, Timestamp};

/// Series that are remembered one by one as waiting.
const WAITING_MAX: usize = 4096;

/// What reads rest on: the state of a store when they began, and what they found that samples still to come may change.
/// Clones are the same one.
#[derive(Clone, Debug)]
pub struct Footing {
    source: u64,
    state: [u64; 2],
    found: Arc<Mutex<Found>>,
}

#[derive(Clone, Debug)]
struct Found {
    reach: Span,
    waits_from: Timestamp,
    waiting: BTreeMap<u32, Waiting>,
}

/// A series of which something waits for the next sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The series, as its store numbers it.
    pub series: u32,
    /// Its newest sample.
    pub newest: Timestamp,
    /// What the next one may change: everything from here on.
    pub from: Timestamp,
}

impl Footing {
    /// The state of a store as the store itself numbers it. What rests on one `source` does not rest on another.
    pub fn new(source: u64, state: [u64; 2]) -> Footing {
        let found = Found { reach: Span::ZERO, waits_from: Timestamp::MAX, waiting: BTreeMap::new() };
        Footing { source, state, found: Arc::new(Mutex::new(found)) }
    }

    /// Which store it is of.
    pub fn source(&self) -> u64 {
        self.source
    }

    /// As it was given.
    pub fn state(&self) -> [u64; 2] {
        self.state
    }

    /// Something was read at some instants that samples as far behind them may still change.
    pub fn reaches(&self, reach: Span) {
        let mut found = self.found();
        found.reach = found.reach.max(reach);
    }

    /// Something was read that the next sample of a series may change.
    pub fn waits(&self, waiting: Waiting) {
        self.found().wait(waiting);
    }

    /// What rests on `earlier` rests on this one, too, as far as it still holds.
    pub fn takes_over(&self, earlier: &Footing) {
        if Arc::ptr_eq(&self.found, &earlier.found) {
            return;
        }
        let earlier = earlier.found().clone();
        let mut found = self.found();
        found.reach = found.reach.max(earlier.reach);
        found.waits_from = found.waits_from.min(earlier.waits_from);
        earlier.waiting.into_values().for_each(|waiting| found.wait(waiting));
    }

    /// Up to when what was read holds, where samples from `earliest` on have come or gone since; `is_over` tells whether a
    /// series has got the sample that it waits for.
    pub fn holds_before(&self, earliest: Timestamp, is_over: impl Fn(Waiting) -> bool) -> Timestamp {
        if earliest == Timestamp::MAX {
            return Timestamp::MAX;
        }
        let found = self.found();
        let mut holds = (earliest - found.reach).min(found.waits_from);
        for waiting in found.waiting.values() {
            if waiting.from < holds && is_over(*waiting) {
                holds = waiting.from;
            }
        }
        holds
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Found {
    fn wait(&mut self, waiting: Waiting) {
        let known = self.waiting.entry(waiting.series).or_insert(waiting);
        known.from = known.from.min(waiting.from);
        known.newest = known.newest.min(waiting.newest);
        if self.waiting.len() > WAITING_MAX {
            // Half of them, those that would cost least, need not be told apart.
            let mut all: Vec<Waiting> = self.waiting.values().copied().collect();
            all.sort_by_key(|waiting| waiting.from);
            for waiting in all.drain(WAITING_MAX / 2..) {
                self.waits_from = self.waits_from.min(waiting.from);
                self.waiting.remove(&waiting.series);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn an_answer_holds_up_to_what_has_changed_less_its_reach() {
        let footing = Footing::new(1, [0, 0]);
        let never = |_: Waiting| false;
        assert_eq!(footing.holds_before(Timestamp::MAX, never), Timestamp::MAX);
        assert_eq!(footing.holds_before(at(1000), never), at(1000));
        footing.reaches(Span::from_secs(300));
        footing.reaches(Span::from_secs(200));
        assert_eq!(footing.holds_before(at(1000), never), at(700));
        footing.waits(Waiting { series: 7, newest: at(510), from: at(500) });
        assert_eq!(footing.holds_before(at(1000), never), at(700));
        assert_eq!(footing.holds_before(at(1000), |waiting| waiting.series == 7), at(500));
        let later = Footing::new(1, [5, 0]);
        later.takes_over(&footing);
        assert_eq!(later.holds_before(at(2000), |_| true), at(500));
        assert_eq!(later.holds_before(at(2000), never), at(1700));
    }

    #[test]
    fn of_very_many_series_the_latest_are_taken_as_changed() {
        let footing = Footing::new(1, [0, 0]);
        for series in 0..10_000 {
            footing.waits(Waiting { series, newest: at(20_000), from: at(i64::from(series)) });
        }
        let holds = footing.holds_before(at(50_000), |_| false);
        assert!(at(2_000) <= holds && holds < at(8_000), "{holds:?}");
        assert_eq!(footing.holds_before(at(50_000), |waiting| waiting.series == 100), at(100));
    }
}
