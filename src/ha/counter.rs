//! Rule C: fillers never fake a counter's reset.
//!
//! Where the clocks of two replicas differ, a filler may carry the count of another moment than its time says. Inside
//! one run of fillers of a tier, between the rows `p` and `n` chosen before that tier: if nothing was reset, a filler
//! under `p` or over `n` is wrong and goes. Around a reset inside the run only the side that touches is compared; if
//! the reset lies between run and base, only the side that was not reset. A count that stays under `p` (or over `n`)
//! for more than [`CLOCKS_APART_MAX`] is no clock's doing: then there was a reset just there, and the fillers stay.

use crate::model::{Column, ResetHint, Span, Timestamp};

use super::lane::Lane;
use super::rules::MergeRules;
use super::select::{Pick, Verdict};

/// How far apart the clocks of two replicas are believed to be at most.
pub const CLOCKS_APART_MAX: Span = Span::MINUTE;

/// Takes fillers that contradict their neighbours out of `chosen`.
pub(super) fn drop_contradictions(
    lanes: &[Lane<'_>],
    rules: &MergeRules,
    chosen: &mut Vec<Pick>,
    mut observe: impl FnMut(&Pick, Verdict),
) {
    let has_histograms = lanes.iter().any(|lane| !lane.rows.histograms.is_empty());
    if !rules.counter && !has_histograms {
        return;
    }
    let last_tier = chosen.iter().map(|pick| pick.tier).max().unwrap_or(0);
    let mut wrong = vec![false; chosen.len()];
    for tier in 1..=last_tier {
        // What stood before this tier, and the fillers since then.
        let (mut before, mut run) = (None, Vec::new());
        for index in 0..=chosen.len() {
            // One more than there are rows: the run at the end has nothing behind it.
            match chosen.get(index) {
                Some(pick) if wrong[index] || pick.tier > tier => {}
                Some(pick) if pick.tier == tier => run.push(index),
                base => {
                    let after = base.map(|pick| Count::of(lanes, rules, pick));
                    let counts: Vec<Count> = run.iter().map(|row| Count::of(lanes, rules, &chosen[*row])).collect();
                    for (row, is_wrong) in run.drain(..).zip(wrong_fillers(before, &counts, after)) {
                        wrong[row] = is_wrong;
                    }
                    before = after;
                }
            }
        }
    }
    let mut index = 0;
    chosen.retain(|pick| {
        let is_wrong = wrong[index];
        index += 1;
        if is_wrong {
            observe(pick, Verdict::Contradicts);
        }
        !is_wrong
    });
}

/// What a row says of how much was counted; `level` is `None` where the row is no counter's.
#[derive(Clone, Copy)]
pub(super) struct Count {
    pub(super) at: Timestamp,
    level: Option<f64>,
    /// When counting began, if the sender says so.
    start: Option<Timestamp>,
}

impl Count {
    fn of(lanes: &[Lane<'_>], rules: &MergeRules, pick: &Pick) -> Count {
        Count::of_row(&lanes[pick.lane].rows, pick.row, rules)
    }

    pub(super) fn of_row(rows: &Column, row: usize, rules: &MergeRules) -> Count {
        let level = match rows.histograms.binary_search_by_key(&row, |(row, _)| *row) {
            Ok(index) => {
                let histogram = &rows.histograms[index].1;
                (histogram.reset_hint != ResetHint::Gauge).then_some(histogram.count)
            }
            Err(_) => rules.counter.then_some(rows.values[row]),
        };
        let start = rows.starts.get(row).copied().filter(|start| *start != Timestamp::EPOCH);
        Count { at: rows.at[row], level, start }
    }

    pub(super) fn is_under(self, other: Count) -> bool {
        matches!((self.level, other.level), (Some(level), Some(other)) if level < other)
    }

    /// Whether a reset lies between this row and a later one. Start times know better than counts.
    fn reset_until(self, later: Count) -> bool {
        match (self.start, later.start) {
            (_, Some(start)) if start > self.at => true,
            (Some(start), Some(later)) if start == later => false,
            _ => later.is_under(self),
        }
    }
}

/// Which rows of a run of fillers contradict what was chosen before and behind it.
pub(super) fn wrong_fillers(before: Option<Count>, run: &[Count], after: Option<Count>) -> Vec<bool> {
    let mut wrong = vec![false; run.len()];
    let Some(first) = run.first() else { return wrong };
    let reset_before = |row: usize| row > 0 && run[row - 1].reset_until(run[row]);
    let base_reset = matches!((before, after), (Some(before), Some(after)) if before.reset_until(after));
    if let Some(before) = before {
        // Rows from the front that are under `before`, up to a reset inside the run.
        let under = (0..run.len()).take_while(|row| run[*row].is_under(before) && !reset_before(*row)).count();
        let is_reset = first.start.is_some_and(|start| start > before.at) || under == run.len() && base_reset;
        if under > 0 && !is_reset && run[under - 1].at - before.at <= CLOCKS_APART_MAX {
            wrong[..under].fill(true);
        }
    }
    if let Some(after) = after {
        // Rows from the back that are over `after`, back to a reset inside the run.
        let mut over = 0;
        for row in (0..run.len()).rev().take_while(|row| after.is_under(run[*row])) {
            over += 1;
            if reset_before(row) {
                break;
            }
        }
        let not_yet_reset = over == run.len() && base_reset && before.is_none_or(|before| !first.is_under(before));
        let is_reset = not_yet_reset || run.last().is_some_and(|last| after.start.is_some_and(|start| start > last.at));
        let from = run.len() - over;
        if over > 0 && !is_reset && after.at - run[from].at <= CLOCKS_APART_MAX {
            wrong[from..].fill(true);
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds and levels of `before`, the run, and `after`; and which rows of the run are wrong.
    #[track_caller]
    fn check(before: Option<(i64, f64)>, run: &[(i64, f64)], after: Option<(i64, f64)>, expected: &[bool]) {
        let count = |(secs, level): (i64, f64)| Count {
            at: Timestamp::from_millis(secs * 1000),
            level: Some(level),
            start: None,
        };
        let run: Vec<Count> = run.iter().copied().map(count).collect();
        assert_eq!(wrong_fillers(before.map(count), &run, after.map(count)), expected);
    }

    #[test]
    fn a_filler_between_its_neighbours_stays() {
        check(Some((0, 10.0)), &[(15, 11.0), (30, 12.0)], Some((45, 13.0)), &[false, false]);
        check(None, &[(15, 11.0)], None, &[false]);
    }

    #[test]
    fn a_filler_from_a_clock_behind_or_ahead_goes() {
        check(Some((0, 10.0)), &[(15, 9.0), (30, 12.0)], Some((45, 13.0)), &[true, false]);
        check(Some((0, 10.0)), &[(15, 11.0), (30, 14.0)], Some((45, 13.0)), &[false, true]);
        check(Some((0, 10.0)), &[(15, 9.0)], None, &[true]);
        check(None, &[(30, 14.0)], Some((45, 13.0)), &[true]);
    }

    #[test]
    fn a_reset_is_no_contradiction() {
        // Inside the run: only the side that touches is compared.
        check(
            Some((0, 100.0)),
            &[(15, 90.0), (30, 110.0), (45, 1.0), (60, 3.0)],
            Some((75, 2.0)),
            &[true, false, false, true],
        );
        // Between `before` and the run, between the run and `after`.
        check(Some((0, 100.0)), &[(15, 1.0), (30, 2.0)], Some((45, 3.0)), &[false, false]);
        check(Some((0, 100.0)), &[(15, 101.0), (30, 102.0)], Some((45, 3.0)), &[false, false]);
        check(Some((0, 100.0)), &[(15, 50.0)], Some((30, 40.0)), &[true]);
    }

    #[test]
    fn clocks_are_not_believed_to_be_minutes_apart() {
        let slow: Vec<(i64, f64)> = (1..20).map(|row| (row * 15, row as f64)).collect();
        check(Some((0, 10.0)), &slow, Some((300, 30.0)), &[false; 19]);
    }
}
