//! How often a token may ask: a bucket that fills at its rate and holds its burst.

use std::sync::{Mutex, PoisonError};

use crate::model::{Span, Timestamp};

/// The bucket of one token.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Level>);

#[derive(Debug, Default)]
struct Level {
    /// Requests that were taken out of a full bucket and have not come back yet.
    missing: f64,
    at: Timestamp,
}

impl Pace {
    /// Takes one request, or says how long until there is one again.
    pub(super) fn take(&self, per_second: f64, burst: f64, now: Timestamp) -> Result<(), Span> {
        let mut level = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = (now - level.at).max(Span::ZERO).as_seconds();
        let missing = (level.missing - passed * per_second).max(0.0);
        if missing + 1.0 > burst {
            let wait = (missing + 1.0 - burst) / per_second;
            return Err(Span::from_millis((wait * 1000.0).ceil() as i64));
        }
        *level = Level { missing: missing + 1.0, at: now };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let pace = Pace::default();
        let at = |millis: i64| Timestamp::from_millis(1_000_000 + millis);
        let taken = |millis: i64, count: usize| (0..count).filter(|_| pace.take(2.0, 5.0, at(millis)).is_ok()).count();
        assert_eq!(taken(0, 9), 5, "the burst");
        assert_eq!(pace.take(2.0, 5.0, at(100)), Err(Span::from_millis(400)));
        assert_eq!(taken(1_000, 9), 2, "two a second");
        assert_eq!(taken(60_000, 99), 5, "no more than the burst after a long rest");
    }
}
