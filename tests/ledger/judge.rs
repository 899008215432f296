//! What is right: a pure function of what was sent and what was found.
//!
//! Every fault test rests on this file, so it is tested against stores that lose, change, invent and double: a judge
//! that cannot say "guilty" is worth nothing.

use std::fmt;

/// A sample that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) at_ms: i64,
    pub(crate) value: f64,
    /// Whether the store said that it has it. If not, it may have it all the same.
    pub(crate) acked: bool,
}

/// A sample that was found.
pub(crate) type Found = (i64, f64);

/// How the series of a ledger must look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Law {
    /// One sender: every acknowledged sample is there.
    All,
    /// Several replicas: no gap that an acknowledged sample could have filled.
    Gapless {
        /// Time between two samples of one replica, in milliseconds.
        interval_ms: i64,
    },
}

/// Judgement over any number of series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    /// Samples that were acknowledged.
    pub(crate) acked: u64,
    /// Samples that were found.
    pub(crate) found: u64,
    /// Acknowledged, needed, and not there.
    pub(crate) lost: u64,
    /// There, and never sent.
    pub(crate) invented: u64,
    /// There, with another value than was sent.
    pub(crate) wrong: u64,
    /// There more than once.
    pub(crate) doubled: u64,
    /// Sent without an answer, and there.
    pub(crate) unknown_found: u64,
    /// The first things that are not right, one line each.
    pub(crate) examples: Vec<String>,
}

/// How many examples a verdict names.
const EXAMPLES_MAX: usize = 10;

/// A gap of more than three halves of the interval is one that a replica should have filled.
/// The store estimates the interval, so it has a fiftieth to spare.
fn gap_max_ms(interval_ms: i64) -> i64 {
    interval_ms * 3 / 2 + interval_ms / 50
}

impl Verdict {
    /// Whether the store kept its word.
    pub(crate) fn is_right(&self) -> bool {
        self.lost + self.invented + self.wrong + self.doubled == 0
    }

    /// Judges one series. `sent` and `found` come in any order.
    pub(crate) fn judge(&mut self, name: &str, law: Law, mut sent: Vec<Sent>, mut found: Vec<Found>) {
        sent.sort_by_key(|sample| sample.at_ms);
        found.sort_by_key(|(at_ms, _)| *at_ms);
        self.acked += sent.iter().filter(|sample| sample.acked).count() as u64;
        self.found += found.len() as u64;
        for (index, (at_ms, value)) in found.iter().enumerate() {
            let twin = index > 0 && found[index - 1].0 == *at_ms;
            self.judge_found(name, &sent, *at_ms, *value, twin);
        }
        found.dedup_by_key(|(at_ms, _)| *at_ms);
        let lost: Vec<&Sent> = match law {
            Law::All => sent.iter().filter(|sample| sample.acked && !contains(&found, sample.at_ms)).collect(),
            Law::Gapless { interval_ms } => unfilled(&sent, &found, interval_ms),
        };
        for sample in lost {
            self.lost += 1;
            self.example(format!("lost: {name} at {} ms, value {}", sample.at_ms, sample.value));
        }
    }

    fn judge_found(&mut self, name: &str, sent: &[Sent], at_ms: i64, value: f64, twin: bool) {
        let first = sent.partition_point(|sample| sample.at_ms < at_ms);
        let same_time = sent[first..].iter().take_while(|sample| sample.at_ms == at_ms);
        let same = same_time.clone().filter(|sample| sample.value.to_bits() == value.to_bits());
        let what = match (same_time.count(), same.clone().count()) {
            _ if twin => {
                self.doubled += 1;
                "doubled"
            }
            (0, _) => {
                self.invented += 1;
                "invented"
            }
            (_, 0) => {
                self.wrong += 1;
                "wrong"
            }
            _ => {
                self.unknown_found += u64::from(same.clone().all(|sample| !sample.acked));
                return;
            }
        };
        self.example(format!("{what}: {name} at {at_ms} ms, value {value}"));
    }

    /// Counts the samples of a series that nobody sent.
    pub(crate) fn judge_stranger(&mut self, name: &str, samples: u64) {
        self.found += samples;
        self.invented += samples.max(1);
        self.example(format!("invented: {samples} samples of a series that was never sent: {name}"));
    }

    fn example(&mut self, line: String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(line);
        }
    }
}

fn contains(found: &[Found], at_ms: i64) -> bool {
    found.binary_search_by_key(&at_ms, |(at_ms, _)| *at_ms).is_ok()
}

/// Acknowledged samples that lie in a gap of more than 1.5 intervals, further than half an interval from its ends.
/// What lies nearer may be left out: it would stand too close to its neighbour.
fn unfilled<'a>(sent: &'a [Sent], found: &[Found], interval_ms: i64) -> Vec<&'a Sent> {
    let is_needed = |sample: &&Sent| {
        let next = found.partition_point(|(at_ms, _)| *at_ms < sample.at_ms);
        let right = found.get(next).map(|(at_ms, _)| *at_ms);
        let left = next.checked_sub(1).map(|index| found[index].0);
        match (left, right) {
            (_, Some(right)) if right == sample.at_ms => false,
            (Some(left), Some(right)) => {
                let half = interval_ms / 2;
                right - left > gap_max_ms(interval_ms) && sample.at_ms - left > half && right - sample.at_ms > half
            }
            (Some(left), None) => sample.at_ms - left > gap_max_ms(interval_ms),
            (None, Some(right)) => right - sample.at_ms > gap_max_ms(interval_ms),
            (None, None) => true,
        }
    };
    sent.iter().filter(|sample| sample.acked).filter(is_needed).collect()
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verdict { acked, found, lost, invented, wrong, doubled, unknown_found, .. } = self;
        write!(out, "acked={acked} found={found} lost={lost} invented={invented} wrong={wrong} doubled={doubled}")?;
        write!(out, " unknown_found={unknown_found}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 1000;

    fn acked(at_ms: i64, value: f64) -> Sent {
        Sent { at_ms, value, acked: true }
    }

    fn unknown(at_ms: i64, value: f64) -> Sent {
        Sent { acked: false, ..acked(at_ms, value) }
    }

    /// lost, invented, wrong, doubled, unknown_found
    fn judged(law: Law, sent: &[Sent], found: &[Found]) -> [u64; 5] {
        let mut verdict = Verdict::default();
        verdict.judge("s", law, sent.to_vec(), found.to_vec());
        let Verdict { lost, invented, wrong, doubled, unknown_found, .. } = verdict;
        assert_eq!(verdict.is_right(), lost + invented + wrong + doubled == 0);
        assert_eq!(verdict.examples.len() as u64, lost + invented + wrong + doubled, "what is not right is named");
        [lost, invented, wrong, doubled, unknown_found]
    }

    #[test]
    fn a_store_that_keeps_its_word_is_right() {
        #[track_caller]
        fn check(sent: &[Sent], found: &[Found], unknown_found: u64) {
            assert_eq!(judged(Law::All, sent, found), [0, 0, 0, 0, unknown_found]);
        }
        check(&[], &[], 0);
        check(&[acked(1, 1.0), acked(2, 2.0)], &[(2, 2.0), (1, 1.0)], 0);
        check(&[acked(1, 1.0), unknown(2, 2.0)], &[(1, 1.0)], 0);
        check(&[acked(1, 1.0), unknown(2, 2.0)], &[(1, 1.0), (2, 2.0)], 1);
    }

    #[test]
    fn a_store_that_loses_changes_invents_or_doubles_is_found_out() {
        #[track_caller]
        fn check(found: &[Found], expected: [u64; 5]) {
            let sent = [acked(1, 1.0), acked(2, 2.0), unknown(3, 3.0)];
            assert_eq!(judged(Law::All, &sent, found), expected);
        }
        check(&[], [2, 0, 0, 0, 0]);
        check(&[(1, 1.0)], [1, 0, 0, 0, 0]);
        check(&[(1, 1.0), (2, 2.5)], [0, 0, 1, 0, 0]);
        check(&[(1, 1.0), (2, f64::NAN)], [0, 0, 1, 0, 0]);
        check(&[(1, 1.0), (2, 2.0), (3, 3.5)], [0, 0, 1, 0, 0]);
        check(&[(1, 1.0), (2, 2.0), (4, 2.0)], [0, 1, 0, 0, 0]);
        check(&[(1, 1.0), (3, 2.0)], [1, 0, 1, 0, 0]);
        check(&[(1, 1.0), (1, 1.0), (2, 2.0)], [0, 0, 0, 1, 0]);
        check(&[(1, 1.0), (2, 1.0), (2, 2.0)], [0, 0, 1, 1, 0]);
        check(&[(9, 1.0)], [2, 1, 0, 0, 0]);
    }

    #[test]
    fn zero_and_its_negative_are_two_values() {
        assert_eq!(judged(Law::All, &[acked(1, 0.0)], &[(1, -0.0)]), [0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_series_that_nobody_sent_is_invented() {
        let mut verdict = Verdict::default();
        verdict.judge_stranger("{__replica__=\"a\"}", 3);
        assert_eq!((verdict.invented, verdict.is_right()), (3, false));
    }

    /// Replica a at 0, 1000, ...; replica b 400 later. `missing` are scrapes that a did not take.
    fn pair(scrapes: i64, missing: &[i64]) -> Vec<Sent> {
        let a = (0..scrapes).filter(|tick| !missing.contains(tick)).map(|tick| acked(tick * STEP, tick as f64));
        a.chain((0..scrapes).map(|tick| acked(tick * STEP + 400, tick as f64 + 0.5))).collect()
    }

    fn of_a(ticks: impl IntoIterator<Item = i64>) -> Vec<Found> {
        ticks.into_iter().map(|tick| (tick * STEP, tick as f64)).collect()
    }

    fn of_b(ticks: impl IntoIterator<Item = i64>) -> Vec<Found> {
        ticks.into_iter().map(|tick| (tick * STEP + 400, tick as f64 + 0.5)).collect()
    }

    #[test]
    fn of_two_replicas_one_is_enough() {
        let law = Law::Gapless { interval_ms: STEP };
        assert_eq!(judged(law, &pair(10, &[]), &of_a(0..10)), [0; 5]);
        assert_eq!(judged(law, &pair(10, &[]), &of_b(0..10)), [0; 5]);
        let filled = [of_a(0..4), of_b([4, 5]), of_a(6..10)].concat();
        assert_eq!(judged(law, &pair(10, &[4, 5]), &filled)[..4], [0; 4]);
    }

    #[test]
    fn a_gap_that_a_replica_could_have_filled_is_a_loss() {
        let law = Law::Gapless { interval_ms: STEP };
        // a misses one scrape; b's sample 1,400 ms after the left and 600 ms before the right end is needed.
        let with_hole = of_a((0..10).filter(|tick| *tick != 4));
        assert_eq!(judged(law, &pair(10, &[4]), &with_hole)[0], 1);
        // Neither has it: a hole that nobody could fill.
        let nobody: Vec<Sent> = pair(10, &[4]).into_iter().filter(|sample| sample.at_ms / STEP != 4).collect();
        assert_eq!(judged(law, &nobody, &with_hole)[0], 0);
        // Beginning and end.
        assert!(judged(law, &pair(10, &[]), &of_a(3..10))[0] > 0);
        assert!(judged(law, &pair(10, &[]), &of_a(0..7))[0] > 0);
        assert_eq!(judged(law, &pair(10, &[]), &of_a(0..9))[0], 0, "the live edge may lack one scrape");
        assert_eq!(judged(law, &pair(3, &[]), &[])[0], 6);
        // The other sins stay sins.
        assert_eq!(judged(law, &pair(3, &[]), &[(0, 0.0), (1000, 1.5), (2000, 2.0)])[2], 1);
        assert_eq!(judged(law, &pair(3, &[]), &[(0, 0.0), (0, 0.0), (1000, 1.0), (2000, 2.0)])[3], 1);
        assert_eq!(judged(law, &pair(3, &[]), &[(0, 0.0), (1000, 1.0), (1001, 1.0), (2000, 2.0)])[1], 1);
    }
}
