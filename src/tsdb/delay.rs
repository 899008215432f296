//! How long a lane's samples take to arrive, at least: what tells clocks apart.
//!
//! A sample carries its sender's time and arrives at ours, so `arrival - time` is the way it took plus how far the
//! sender's clock is behind ours. The way is never shorter than nothing, and queues only make it longer: the shortest
//! delay of a while is the clock's, give or take what the sender always waits (Prometheus: up to 5 s). Two lanes of a
//! group have the same way, so the difference of their shortest delays is that of their clocks.

use crate::model::{Span, Timestamp};

/// How long one half of the window is: what is told is the shortest delay of the last one to two of them.
const HALF: Span = Span::from_secs(300);

/// The shortest delay of a lane of late.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShortestDelay {
    /// When the later half began, and its shortest delay.
    this: Option<(Timestamp, Span)>,
    /// The shortest delay of the half before.
    before: Option<Span>,
}

impl ShortestDelay {
    /// Notes a request whose newest sample is `newest`.
    pub(super) fn note(&mut self, newest: Timestamp, received_at: Timestamp) {
        let delay = received_at - newest;
        match &mut self.this {
            Some((since, shortest)) if received_at - *since < HALF => *shortest = delay.min(*shortest),
            Some((since, shortest)) => {
                self.before = (received_at - *since < HALF.times(2)).then_some(*shortest);
                self.this = Some((received_at, delay));
            }
            None => self.this = Some((received_at, delay)),
        }
    }

    /// The shortest delay of the last minutes; `None` where nothing came.
    pub(super) fn get(&self, now: Timestamp) -> Option<Span> {
        let (since, shortest) = self.this?;
        let both = self.before.map_or(shortest, |before| before.min(shortest));
        (now - since < HALF.times(2)).then_some(both)
    }
}

/// How far each lane's clock is ahead of the first one's that is known, from their shortest delays, by rank. What is
/// longer than `queued_max` is a queue that was never empty and says nothing of a clock.
pub(super) fn clocks_ahead(delays: &[Option<Span>], queued_max: Span) -> Vec<Option<Span>> {
    let known = delays.iter().map(|delay| delay.filter(|delay| *delay <= queued_max));
    let Some(first) = known.clone().flatten().next() else { return vec![None; delays.len()] };
    known.map(|delay| delay.map(|delay| first - delay)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn the_shortest_delay_of_the_last_minutes_counts() {
        let mut delays = ShortestDelay::default();
        assert_eq!(delays.get(at(0)), None);
        // Every 5 s a request, which waits 0 to 4 s; from minute 20 on the clock is 20 s ahead.
        for round in 0..480_i64 {
            let now = round * 5_000;
            let ahead = if now >= 1_200_000 { 20_000 } else { 0 };
            delays.note(at(now - 40 - round % 5 * 1_000 + ahead), at(now));
            let millis = delays.get(at(now)).map(Span::as_millis);
            let settled = if ahead == 0 { 40 } else { 40 - 20_000 };
            assert!(round < 5 || millis == Some(settled), "at {now}: {millis:?}");
        }
        assert_eq!(delays.get(at(480 * 5_000 + 600_000)), None, "who is silent has no clock");
    }

    #[test]
    fn a_clock_that_is_set_right_is_believed_within_ten_minutes() {
        let mut delays = ShortestDelay::default();
        (0..100_i64).for_each(|round| delays.note(at(round * 5_000 + 20_000), at(round * 5_000)));
        assert_eq!(delays.get(at(495_000)), Some(Span::from_secs(-20)));
        (100..225_i64).for_each(|round| delays.note(at(round * 5_000 - 40), at(round * 5_000)));
        assert_eq!(delays.get(at(1_120_000)), Some(Span::from_millis(40)));
    }

    #[test]
    fn clocks_are_told_from_the_first_that_is_known() {
        let secs = |secs: i64| Some(Span::from_secs(secs));
        #[track_caller]
        fn check(delays: &[Option<Span>], ahead: &[Option<Span>]) {
            assert_eq!(clocks_ahead(delays, Span::MINUTE), ahead);
        }
        check(&[secs(1), secs(-19)], &[secs(0), secs(20)]);
        check(&[secs(1), secs(21)], &[secs(0), secs(-20)]);
        check(&[None, secs(2), secs(3)], &[None, secs(0), secs(-1)]);
        // Hours behind: a queue, no clock.
        check(&[secs(1), secs(7200)], &[secs(0), None]);
        check(&[None, secs(7200)], &[None, None]);
        check(&[], &[]);
    }
}
