//! The only place that reads the time. Everything else takes it as an argument.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::{Span, Stopwatch, Timestamp};

/// Tells the time; a cheap clone tells the same time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's wall clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn system() -> Self {
        Clock(Arc::new(|| {
            let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Timestamp::EPOCH + since_epoch.map(Span::from).unwrap_or(Span::ZERO)
        }))
    }

    /// Starts now, and counts what takes less than a millisecond.
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn stopwatch() -> Stopwatch {
        let start = std::time::Instant::now();
        Stopwatch(Arc::new(move || start.elapsed()))
    }

    /// A clock that a test moves by hand.
    pub fn manual(start: Timestamp) -> (Self, ManualClock) {
        let hand = Arc::new(AtomicI64::new(start.as_millis()));
        let read = Arc::clone(&hand);
        (Clock(Arc::new(move || Timestamp::from_millis(read.load(Ordering::SeqCst)))), ManualClock(hand))
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// As the plain function that rooms take.
    pub fn to_fn(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        Arc::clone(&self.0)
    }
}

/// The hand of a manual clock.
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Moves time; a negative span turns it back.
    pub fn pass(&self, span: Span) {
        self.0.fetch_add(span.as_millis(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_stands_still_until_moved() {
        let (clock, hand) = Clock::manual(Timestamp::from_millis(1_000));
        assert_eq!(clock.now(), Timestamp::from_millis(1_000));
        hand.pass(Span::MINUTE);
        assert_eq!(clock.now(), Timestamp::from_millis(61_000));
    }

    #[test]
    fn the_system_clock_is_past_2026() {
        assert!(Clock::system().now() > Timestamp::from_millis(1_767_225_600_000));
    }
}
