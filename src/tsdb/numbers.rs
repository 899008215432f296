//! Numbers of parts: given out once each, in order, to whoever writes a part.
//!
//! A spill and a merge write parts at the same time and may end in either order, so the manifest can come to know a
//! higher number before a lower one. Each batch that names parts therefore also says which lower numbers are still
//! *open*: given out, and neither named nor given up. A start takes in complete parts under open numbers and under
//! numbers that were given out later, and no others (`recover`).

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::bytes::{Reader, put_u64};
use super::catalogue::{Change, keys};

/// Gives out numbers.
pub(super) struct PartNumbers {
    given: Mutex<Given>,
}

struct Given {
    next: u64,
    open: BTreeSet<u64>,
}

impl PartNumbers {
    pub(super) fn from(next: u64) -> Self {
        PartNumbers { given: Mutex::new(Given { next, open: BTreeSet::new() }) }
    }

    /// A number that nobody else gets; open until it is [`close`](Self::close)d.
    pub(super) fn take(&self) -> u64 {
        let mut given = self.given.lock();
        let number = given.next;
        given.next += 1;
        given.open.insert(number);
        number
    }

    /// The number that the next part gets: all others are lower.
    pub(super) fn next(&self) -> u64 {
        self.given.lock().next
    }

    /// The rows of a batch that settles what becomes of `settled`.
    pub(super) fn rows(&self, settled: &[u64]) -> [Change; 2] {
        let given = self.given.lock();
        let mut open = Vec::new();
        given.open.iter().filter(|number| !settled.contains(number)).for_each(|number| put_u64(&mut open, *number));
        let next = Change::Put(keys::NEXT_PART.to_vec(), keys::encode_number(given.next));
        [next, Change::Put(keys::OPEN_PARTS.to_vec(), open)]
    }

    /// These are named now, or nothing is left of them.
    pub(super) fn close(&self, settled: &[u64]) {
        self.given.lock().open.retain(|number| !settled.contains(number));
    }
}

/// The open numbers that a catalogue speaks of.
pub(super) fn decode_open(value: &[u8]) -> BTreeSet<u64> {
    let mut reader = Reader::new(value);
    std::iter::from_fn(|| reader.u64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_speaks_of_numbers_that_others_still_write_under() {
        #[track_caller]
        fn check(numbers: &PartNumbers, settled: &[u64], next: u64, open: &[u64]) {
            let [Change::Put(_, next_row), Change::Put(_, open_row)] = numbers.rows(settled) else {
                panic!("both rows are written")
            };
            assert_eq!(keys::decode_number(&next_row), Some(next));
            assert_eq!(decode_open(&open_row).into_iter().collect::<Vec<_>>(), open);
        }
        let numbers = PartNumbers::from(7);
        assert_eq!([numbers.take(), numbers.take(), numbers.take()], [7, 8, 9]);
        check(&numbers, &[8], 10, &[7, 9]);
        numbers.close(&[8]);
        check(&numbers, &[], 10, &[7, 9]);
        check(&numbers, &[7, 9], 10, &[]);
        assert_eq!(numbers.next(), 10);
    }
}
