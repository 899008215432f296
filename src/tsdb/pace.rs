//! How fast merges go: they take a bounded share of one CPU, and rest for the remainder of the time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::store::StoreError;

/// The thread that merges, as far as its work and its rests go. Time comes in through it.
pub trait Pace: Sync {
    /// CPU time that this thread has used so far.
    fn worked(&self) -> Duration;

    /// Lets that much time pass, or less; `false` where the work is to end now.
    fn rest(&self, length: Duration) -> bool;
}

/// As fast as it goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unpaced;

impl Pace for Unpaced {
    fn worked(&self) -> Duration {
        Duration::ZERO
    }

    fn rest(&self, _length: Duration) -> bool {
        true
    }
}

/// Steps (series, mostly) between two looks at the CPU time: a look is a system call or three.
const STEPS_A_LOOK: u32 = 16;
/// Work between two rests. Short, so that a merge never holds a core for long while requests wait for it.
const WORK_A_REST: Duration = Duration::from_millis(10);
/// No rest is longer, however small the share, so that a stop is noticed.
const REST_MAX: Duration = Duration::from_secs(1);

/// Makes one merge keep to its share.
pub(super) struct Brake<'p> {
    pace: &'p dyn Pace,
    /// How much of one CPU the merge may take, above 0 and at most 1.
    share: f64,
    /// Who waits for the merge: while there are any, it does not rest.
    hurried: &'p AtomicUsize,
    worked: Duration,
    steps: u32,
}

impl<'p> Brake<'p> {
    pub(super) fn new(pace: &'p dyn Pace, share: f64, hurried: &'p AtomicUsize) -> Self {
        Brake { pace, share: share.clamp(0.001, 1.0), hurried, worked: pace.worked(), steps: 0 }
    }

    /// To be called after each small piece of work; rests when enough has been done.
    ///
    /// # Errors
    /// [`StoreError::Canceled`] where the merge is to end unfinished.
    pub(super) fn step(&mut self) -> Result<(), StoreError> {
        self.steps += 1;
        if !self.steps.is_multiple_of(STEPS_A_LOOK) {
            return Ok(());
        }
        let worked = self.pace.worked().saturating_sub(self.worked);
        let rest = match self.hurried.load(Ordering::Relaxed) {
            0 if worked < WORK_A_REST => Duration::ZERO,
            0 => worked.mul_f64(1.0 / self.share - 1.0),
            _ => Duration::ZERO,
        };
        // A rest of no length asks whether to go on.
        let mut left = rest;
        loop {
            let piece = left.min(REST_MAX);
            if !self.pace.rest(piece) {
                return Err(StoreError::Canceled);
            }
            left -= piece;
            if left.is_zero() {
                break;
            }
        }
        if !rest.is_zero() {
            self.worked = self.pace.worked();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    /// Every look finds 4 ms more work done.
    #[derive(Default)]
    struct Steady {
        looks: AtomicU64,
        rested_micros: AtomicU64,
        rests_left: Option<AtomicUsize>,
    }

    impl Pace for Steady {
        fn worked(&self) -> Duration {
            Duration::from_millis(4 * self.looks.fetch_add(1, Ordering::Relaxed))
        }

        fn rest(&self, length: Duration) -> bool {
            self.rested_micros.fetch_add(length.as_micros() as u64, Ordering::Relaxed);
            self.rests_left.as_ref().is_none_or(|left| left.fetch_sub(1, Ordering::Relaxed) > 1)
        }
    }

    fn rest_for_work(share: f64, hurried: usize) -> f64 {
        let (steady, hurried) = (Steady::default(), AtomicUsize::new(hurried));
        let mut brake = Brake::new(&steady, share, &hurried);
        for _ in 0..100_000 {
            assert!(brake.step().is_ok());
        }
        let worked = 4_000.0 * steady.looks.load(Ordering::Relaxed) as f64;
        steady.rested_micros.load(Ordering::Relaxed) as f64 / worked
    }

    #[test]
    fn a_merge_rests_in_proportion_to_its_work() {
        #[track_caller]
        fn check(share: f64, hurried: usize, expected: f64) {
            let rest = rest_for_work(share, hurried);
            // A look costs 4 ms here too, which the rest cannot know of.
            assert!((rest - expected).abs() <= 0.3 * expected, "share {share}: rests {rest} of its work");
        }
        check(1.0, 0, 0.0);
        check(0.5, 0, 1.0);
        check(0.25, 0, 3.0);
        check(0.1, 0, 9.0);
        check(0.1, 1, 0.0);
    }

    #[test]
    fn a_stop_is_noticed_within_a_few_steps() {
        let steady = Steady { rests_left: Some(AtomicUsize::new(3)), ..Steady::default() };
        let hurried = AtomicUsize::new(0);
        let mut brake = Brake::new(&steady, 0.5, &hurried);
        let steps = (0..1_000).take_while(|_| brake.step().is_ok()).count();
        assert!(steps < 4 * STEPS_A_LOOK as usize, "{steps} steps");
    }
}
