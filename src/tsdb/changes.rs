//! What has changed, since when: so that who keeps answers knows which of them still hold.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::model::Timestamp;

/// More steps than this are told of as fewer and longer ones.
const STEPS_MAX: usize = 256;

/// Changes are numbered as they happen; of each, the earliest instant that it touches is known.
#[derive(Debug, Default)]
pub(super) struct Changes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The number of the latest change.
    latest: u64,
    /// Numbers and instants, both rising: everything from the instant on was touched by a change of that number at most.
    steps: VecDeque<(u64, Timestamp)>,
}

impl Changes {
    /// Something changed from `from` on, and whoever reads sees it now.
    pub(super) fn note(&self, from: Timestamp) {
        let mut known = self.0.lock();
        known.latest += 1;
        let latest = known.latest;
        while known.steps.back().is_some_and(|(_, touched)| *touched >= from) {
            known.steps.pop_back();
        }
        known.steps.push_back((latest, from));
        if known.steps.len() > STEPS_MAX {
            let (_, from) = known.steps.pop_front().expect("there are many");
            known.steps[0].1 = from;
        }
    }

    /// The number of the latest change.
    pub(super) fn latest(&self) -> u64 {
        self.0.lock().latest
    }

    /// The earliest instant that changes after number `since` touch; [`Timestamp::MAX`] where there are none.
    pub(super) fn earliest_since(&self, since: u64) -> Timestamp {
        let known = self.0.lock();
        let place = known.steps.partition_point(|(number, _)| *number <= since);
        known.steps.get(place).map_or(Timestamp::MAX, |(_, from)| *from)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_change_is_forgotten(times in prop::collection::vec(0..2_000_i64, 1..900), since in 0..900_u64) {
            let changes = Changes::default();
            times.iter().for_each(|at| changes.note(Timestamp::from_millis(*at)));
            let since = since.min(changes.latest());
            let expected = times.iter().skip(since as usize).min();
            let told = changes.earliest_since(since);
            match expected {
                None => prop_assert_eq!(told, Timestamp::MAX),
                Some(expected) => prop_assert!(told.as_millis() <= *expected),
            }
            // Exact for the latest ones, which is what is asked for.
            if times.len() - since as usize <= STEPS_MAX {
                prop_assert_eq!(told.as_millis(), expected.copied().unwrap_or(Timestamp::MAX.as_millis()));
            }
        }
    }
}
