//! Preference that changes at a moment: before it one lane leads, from then on another.
//!
//! Each turn is merged for itself, from its own rows alone, as if lanes began and ended with it: so what was dropped
//! while one lane led is never asked for under another. Where two turns meet, rows of the later one go that stand too
//! close to the last row of the earlier one, and, of a counter, that are under it: clocks may differ, and a switch must
//! not look like a reset.

use std::borrow::Cow;
use std::sync::Arc;

use crate::model::sample::is_stale;
use crate::model::{Column, Span, Timestamp};

use super::counter::{CLOCKS_APART_MAX, Count, wrong_fillers};
use super::cover::Cover;
use super::interval::{Annotator, DISTANCES, SILENCE};
use super::lane::Lane;
use super::merge::{explain, merge};
use super::rules::{MergeRules, Policy};
use super::select::Verdict;

/// Who leads from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The first instant; [`Timestamp::MIN`] for the first turn.
    pub from: Timestamp,
    /// Lanes by their index, the one asked first in front; each once.
    pub order: Vec<usize>,
}

/// One row of one lane and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExplainedRow {
    /// When.
    pub at: Timestamp,
    /// Index of the lane among those given.
    pub lane: usize,
    /// Index of the row in its lane.
    pub row: usize,
    /// The interval its lane was believed to have.
    pub interval: Span,
    /// In or out, and why.
    pub verdict: Verdict,
}

/// [`merge()`] of lanes whose order changes; turns rise in time and the first holds from the beginning.
pub fn merge_in_turns(turns: &[Turn], lanes: &[&Column], rules: &MergeRules, into: &mut Column) {
    into.clear();
    match turns_with_rows(turns, lanes).as_slice() {
        [] => {}
        // The usual case: all of it is one turn's.
        [(turn, ..)] => merge(&ordered(turn, lanes), rules, into),
        several => {
            let (mut column, mut end) = (Column::default(), End::default());
            for (turn, from, until) in several {
                let own: Vec<Cow<'_, Column>> = lanes.iter().map(|lane| part(lane, *from, *until)).collect();
                let own: Vec<&Column> = own.iter().map(AsRef::as_ref).collect();
                merge(&ordered(turn, &own), rules, &mut column);
                let verdicts = end.judge(&column, rules);
                end.go_on(&column, &verdicts, rules);
                append_kept(into, &column, &verdicts);
            }
        }
    }
}

/// What [`merge_in_turns`] does with each row of each lane and why, by time.
pub fn explain_in_turns(turns: &[Turn], lanes: &[&Column], rules: &MergeRules) -> Vec<ExplainedRow> {
    let (mut explained, mut end) = (Vec::new(), End::default());
    for (turn, from, until) in turns_with_rows(turns, lanes) {
        let own: Vec<Cow<'_, Column>> = lanes.iter().map(|lane| part(lane, from, until)).collect();
        let own: Vec<&Column> = own.iter().map(AsRef::as_ref).collect();
        let mut column = Column::default();
        merge(&ordered(turn, &own), rules, &mut column);
        let verdicts = end.judge(&column, rules);
        end.go_on(&column, &verdicts, rules);
        for row in explain(&ordered(turn, &own), rules) {
            // A lane that this series has no rows of took no part above.
            let mut present = turn.order.iter().copied().filter(|lane| *lane < lanes.len());
            let lane = present.nth(row.lane).expect("a row is of a lane that was merged");
            let before = lanes[lane].at.partition_point(|at| *at < from);
            let at_boundary = column.at.binary_search(&row.at).ok().and_then(|place| verdicts.get(place).copied());
            let verdict = match at_boundary.flatten() {
                Some(why) if row.verdict.is_in() => why,
                _ => row.verdict,
            };
            explained.push(ExplainedRow { at: row.at, lane, row: before + row.row, interval: row.interval, verdict });
        }
    }
    explained
}

/// Takes the rows out of `lanes` that the leader of their turn covers for ever, and tells how many. To be called with all
/// that is kept of the leader from [`CONTEXT_ROWS`](super::CONTEXT_ROWS) before the first row that may go; its first
/// `unsure` rows in each turn, of which it is not certain that this was all, cover nothing.
pub fn drop_covered(turns: &[Turn], lanes: &mut [Column], rules: &MergeRules, unsure: usize) -> usize {
    if rules.policy != Policy::Prefer {
        return 0;
    }
    let all: Vec<&Column> = lanes.iter().collect();
    let covers: Vec<(usize, Cover)> = turns_with_rows(turns, &all)
        .into_iter()
        .filter_map(|(turn, from, until)| {
            let leader = *turn.order.first()?;
            let rows = part(lanes.get(leader)?, from, until);
            Some((leader, Cover::of(&Lane::top(&rows, rules), unsure)))
        })
        .collect();
    let mut dropped = 0;
    for (number, lane) in lanes.iter_mut().enumerate() {
        let cover = Cover::together(covers.iter().filter(|(leader, _)| *leader != number).map(|(_, cover)| cover));
        let before = lane.len();
        if let Cow::Owned(left) = cover.uncovered(lane) {
            *lane = left;
        }
        dropped += before - lane.len();
    }
    dropped
}

/// Whether the leader covers something between two instants: what other lanes had before that has no say behind it.
pub fn covers_between(leader: &Column, rules: &MergeRules, from: Timestamp, until: Timestamp) -> bool {
    let later = part(leader, from, until);
    Cover::of(&Lane::top(&later, rules), super::CONTEXT_ROWS - 1).is_any()
}

/// Whether the rows of a leader that stand before `until` are believed what they will be believed with all that follow:
/// the first 16 distances of a lane, and those behind an hour's silence, are judged by the interval known after them.
pub fn knows_itself(leader: &Column, until: Timestamp) -> bool {
    let before = leader.at.partition_point(|at| *at <= until);
    let begins = (1..before).rev().find(|row| leader.at[*row] - leader.at[row - 1] > SILENCE).unwrap_or(0);
    leader.len() - begins > DISTANCES
}

/// The turns that have rows, each with its first instant and the one behind its last.
pub(super) fn turns_with_rows<'t>(turns: &'t [Turn], lanes: &[&Column]) -> Vec<(&'t Turn, Timestamp, Timestamp)> {
    let ends = turns.iter().skip(1).map(|turn| turn.from).chain([Timestamp::MAX]);
    let has_rows = |from: Timestamp, until: Timestamp| {
        lanes.iter().any(|lane| lane.at.get(lane.at.partition_point(|at| *at < from)).is_some_and(|at| *at < until))
    };
    let all = turns.iter().zip(ends).map(|(turn, until)| (turn, turn.from, until));
    all.filter(|(_, from, until)| has_rows(*from, *until)).collect()
}

fn ordered<'c>(turn: &Turn, lanes: &[&'c Column]) -> Vec<&'c Column> {
    turn.order.iter().filter_map(|lane| lanes.get(*lane).copied()).collect()
}

/// The rows from `from` on and before `until`.
pub(super) fn part(column: &Column, from: Timestamp, until: Timestamp) -> Cow<'_, Column> {
    let rows = column.at.partition_point(|at| *at < from)..column.at.partition_point(|at| *at < until);
    if rows == (0..column.len()) {
        return Cow::Borrowed(column);
    }
    let histograms = column.histograms.iter().filter(|(row, _)| rows.contains(row));
    Cow::Owned(Column {
        at: column.at[rows.clone()].to_vec(),
        values: column.values[rows.clone()].to_vec(),
        histograms: histograms.map(|(row, histogram)| (row - rows.start, Arc::clone(histogram))).collect(),
        starts: column.starts.get(rows.clone()).map(<[Timestamp]>::to_vec).unwrap_or_default(),
    })
}

/// Where the turns so far end.
#[derive(Default)]
struct End {
    last: Option<(Count, Span)>,
}

impl End {
    /// What is wrong with the first rows of the next turn; shorter than it where the rest is fine.
    fn judge(&self, next: &Column, rules: &MergeRules) -> Vec<Option<Verdict>> {
        let Some((last, interval)) = self.last else { return Vec::new() };
        let near = next.at.iter().take_while(|at| **at - last.at <= CLOCKS_APART_MAX.max(interval)).count();
        let counts: Vec<Count> = (0..near).map(|row| Count::of_row(next, row, rules)).collect();
        let wrong = wrong_fillers(Some(last), &counts, None);
        let judge = |row: usize| match next.at[row] - last.at {
            distance if distance.times(2) < interval && !is_stale(next.values[row]) => Some(Verdict::TooClose),
            _ => wrong[row].then_some(Verdict::Contradicts),
        };
        (0..near).map(judge).collect()
    }

    fn go_on(&mut self, column: &Column, verdicts: &[Option<Verdict>], rules: &MergeRules) {
        let mut annotator = Annotator::new(rules);
        for row in 0..column.len() {
            if verdicts.get(row).is_some_and(Option::is_some) || is_stale(column.values[row]) {
                continue;
            }
            let interval = annotator.push(column.at[row]).interval;
            self.last = Some((Count::of_row(column, row, rules), interval));
        }
    }
}

fn append_kept(into: &mut Column, from: &Column, verdicts: &[Option<Verdict>]) {
    let mut histograms = from.histograms.iter().peekable();
    for row in 0..from.len() {
        let histogram = histograms.next_if(|(place, _)| *place == row);
        if verdicts.get(row).is_some_and(Option::is_some) {
            continue;
        }
        if let Some((_, histogram)) = histogram {
            into.histograms.push((into.at.len(), Arc::clone(histogram)));
        }
        into.at.push(from.at[row]);
        into.values.push(from.values[row]);
        if !from.starts.is_empty() || !into.starts.is_empty() {
            into.starts.resize(into.at.len() - 1, Timestamp::EPOCH);
            into.starts.push(from.starts.get(row).copied().unwrap_or(Timestamp::EPOCH));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sample;

    fn lane(phase: i64, value: impl Fn(i64) -> f64) -> Column {
        let mut column = Column::default();
        for row in 0..100 {
            let at = row * 15 + phase;
            column.push(Sample { at: Timestamp::from_millis(at * 1000), value: value(at) });
        }
        column
    }

    fn switch(secs: i64) -> [Turn; 2] {
        let from = Timestamp::from_millis(secs * 1000);
        [Turn { from: Timestamp::MIN, order: vec![0, 1] }, Turn { from, order: vec![1, 0] }]
    }

    #[test]
    fn a_series_that_the_leader_never_sent_is_explained_by_the_lanes_it_has() {
        let first = lane(0, |_| 1.0);
        let explained = explain_in_turns(&switch(600), &[&first], &MergeRules::default());
        assert_eq!(explained.len(), first.len());
        assert!(explained.iter().all(|row| row.lane == 0 && row.verdict.is_in()));
    }

    #[test]
    fn from_the_moment_of_a_switch_the_other_lane_leads() {
        let (a, b) = (lane(0, |_| 1.0), lane(7, |_| 2.0));
        let mut out = Column::default();
        merge_in_turns(&switch(600), &[&a, &b], &MergeRules::default(), &mut out);
        let seconds = |row: usize| out.at[row].as_millis() / 1000;
        let turn = (0..out.len()).find(|row| out.values[*row] == 2.0).unwrap();
        assert!((0..turn).all(|row| out.values[row] == 1.0) && (turn..out.len()).all(|row| out.values[row] == 2.0));
        assert_eq!((seconds(turn - 1), seconds(turn)), (585, 607));
        let explained = explain_in_turns(&switch(600), &[&a, &b], &MergeRules::default());
        assert_eq!(explained.len(), a.len() + b.len());
        let kept: Vec<Timestamp> = explained.iter().filter(|row| row.verdict.is_in()).map(|row| row.at).collect();
        assert_eq!(kept, out.at);
    }

    #[test]
    fn a_switch_neither_bunches_rows_nor_fakes_a_reset() {
        // b's clock is 20 s ahead: its count belongs to 20 s earlier.
        let (a, b) = (lane(0, |at| at as f64), lane(12, |at| (at - 20) as f64));
        let rules = MergeRules { counter: true, ..MergeRules::default() };
        for moment in 400..460 {
            let mut out = Column::default();
            merge_in_turns(&switch(moment), &[&a, &b], &rules, &mut out);
            assert!(out.values.is_sorted(), "the counter falls at a switch at {moment}");
            let closest = out.at.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).min();
            assert!(closest >= Some(7_500), "{closest:?} at a switch at {moment}");
            let widest = out.at.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).max();
            assert!(widest <= Some(45_000), "{widest:?} at a switch at {moment}");
        }
    }
}
