//! What time it is for a batch that arrives, where the machine's clock was set back.
//!
//! Samples from too far ahead are refused, and "ahead" is told by the clock. When a clock is set back by an hour, all
//! live samples would lie an hour ahead, and be refused for an hour. But the clock itself has shown a later time before,
//! and what was accepted then proves it: no sample is newer than `ahead_max` beyond it. So while the clock is well
//! behind its own past, the newest sample that is kept counts as the present. Once it has caught up, it counts again.
//!
//! The price: for that long, a sender whose samples run ahead pulls the limit along with it.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::{Span, Timestamp};

/// The latest time at which a batch has arrived.
pub(super) struct Arrivals {
    latest: AtomicI64,
    ahead_max: Span,
}

impl Arrivals {
    /// After a start, the newest sample is all that is left of the clock's past.
    pub(super) fn after(newest: Option<Timestamp>, ahead_max: Span) -> Self {
        let latest = newest.map_or(Timestamp::MIN, |newest| newest - ahead_max);
        Arrivals { latest: AtomicI64::new(latest.as_millis()), ahead_max }
    }

    /// The time that counts for a batch which arrives at `clock`; `newest` is the newest sample that is kept.
    pub(super) fn time(&self, clock: Timestamp, newest: Option<Timestamp>) -> Timestamp {
        let latest = self.latest.fetch_max(clock.as_millis(), Ordering::Relaxed);
        // Half of what may lie ahead: a step back of less harms nobody.
        let was_set_back = latest.saturating_sub(clock.as_millis()) > self.ahead_max.as_millis() / 2;
        match newest {
            Some(newest) if was_set_back => newest.max(clock),
            _ => clock,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_count_while_the_clock_is_behind_its_own_past() {
        let at = |minute: i64| Timestamp::from_millis(minute * 60_000);
        let arrivals = Arrivals::after(Some(at(110)), Span::MINUTE.times(10));
        #[track_caller]
        fn check(arrivals: &Arrivals, clock: Timestamp, newest: Timestamp, expected: Timestamp) {
            assert_eq!(arrivals.time(clock, Some(newest)), expected);
        }
        check(&arrivals, at(94), at(110), at(110));
        check(&arrivals, at(95), at(110), at(95));
        check(&arrivals, at(200), at(199), at(200));
        check(&arrivals, at(196), at(200), at(196));
        check(&arrivals, at(140), at(200), at(200));
        check(&arrivals, at(141), at(201), at(201));
        check(&arrivals, at(200), at(260), at(200));
        assert_eq!(arrivals.time(at(0), None), at(0));
    }
}
