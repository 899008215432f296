//! When a group is due: pure arithmetic, no clock.
//!
//! ```text
//!   multiples of the interval   |---------------|---------------|---------------|
//!   a group's ticks             .....x...............x...............x...........
//!                               offset: by hash of file and name, or eval_offset, or 0 where aligned
//! ```
//!
//! A tick depends on nothing but the interval and the offset: two servers tick at the same times, and a restart or a
//! reload shifts nothing.

use crate::model::{Span, Timestamp};

use super::file::GroupSpec;

/// The ticks of a group: `offset` after each multiple of `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval: Span,
    offset: Span,
}

impl Schedule {
    /// `interval` is taken as at least 1 ms; `offset` counts modulo the interval.
    pub fn new(interval: Span, offset: Span) -> Self {
        let interval = interval.max(Span::from_millis(1));
        Schedule { interval, offset: Span::from_millis(offset.as_millis().rem_euclid(interval.as_millis())) }
    }

    /// The schedule of a group in `file`. Groups are spread over the interval by a hash of the file's name and theirs,
    /// so that not all of them run at the full minute; the folder does not count, for a second evaluator may keep the
    /// same files elsewhere.
    pub fn of(file: &str, group: &GroupSpec) -> Self {
        let offset = match (group.eval_offset, group.aligned) {
            (Some(offset), _) => offset,
            (None, true) => Span::ZERO,
            (None, false) => {
                let name = file.rsplit('/').next().unwrap_or(file);
                let hash = xxhash_rust::xxh3::xxh3_64(format!("{name}\0{}", group.name).as_bytes());
                Span::from_millis((hash % group.interval.as_millis().unsigned_abs()) as i64)
            }
        };
        Schedule::new(group.interval, offset)
    }

    /// The distance of two ticks.
    pub fn interval(self) -> Span {
        self.interval
    }

    /// The first tick after `now`.
    pub fn next_after(self, now: Timestamp) -> Timestamp {
        self.last_before(now) + self.interval
    }

    /// The last tick at or before `now`.
    pub fn last_before(self, now: Timestamp) -> Timestamp {
        let into = (now - self.offset).as_millis().rem_euclid(self.interval.as_millis());
        now - Span::from_millis(into)
    }

    /// How many ticks lie between two that were evaluated, both left out.
    pub fn missed(self, last: Timestamp, this: Timestamp) -> u64 {
        u64::try_from((this - last).as_millis() / self.interval.as_millis() - 1).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_on_the_grid() {
        #[track_caller]
        fn check(interval: i64, offset: i64, now: i64, last: i64, next: i64) {
            let schedule = Schedule::new(Span::from_millis(interval), Span::from_millis(offset));
            let now = Timestamp::from_millis(now);
            let (last, next) = (Timestamp::from_millis(last), Timestamp::from_millis(next));
            assert_eq!((schedule.last_before(now), schedule.next_after(now)), (last, next));
        }
        check(60, 0, 0, 0, 60);
        check(60, 0, 59, 0, 60);
        check(60, 0, 60, 60, 120);
        check(60, 25, 60, 25, 85);
        check(60, -10, 60, 50, 110);
        check(60, 85, 60, 25, 85);
        check(60, 0, -1, -60, 0);
    }

    #[test]
    fn a_slow_group_misses_ticks() {
        let schedule = Schedule::new(Span::from_millis(60), Span::ZERO);
        let missed = |last, this| schedule.missed(Timestamp::from_millis(last), Timestamp::from_millis(this));
        assert_eq!([missed(0, 60), missed(0, 120), missed(60, 300), missed(60, 0)], [0, 1, 3, 0]);
    }
}
