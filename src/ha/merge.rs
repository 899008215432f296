//! Lanes in, one series out.

use crate::model::sample::is_stale;
use crate::model::{Column, Histogram, ResetHint, Span, Timestamp};

use std::sync::Arc;

use super::interval::{DEFAULT_INTERVAL, Distance, is_close};
use super::lane::{Lane, annotated, is_marker};
use super::rules::{MergeRules, Policy};
use super::select::{Pick, Verdict, select};
use super::{counter, stale};

/// Replaces the content of `into` by the one series that `lanes` make, the top lane first.
///
/// Each lane holds whatever is kept of it: rows that the top lane covers may be missing, and nothing changes by that.
pub fn merge(lanes: &[&Column], rules: &MergeRules, into: &mut Column) {
    match lanes {
        [] => into.clear(),
        [top, lower @ ..]
            if rules.policy == Policy::KeepReplica
                || lower.iter().all(|lane| lane.is_empty())
                || is_steady(lanes, rules) =>
        {
            copy(top, into);
        }
        _ => {
            let lanes = annotated(lanes, rules);
            let mut chosen = select(&lanes, rules, |_, _| {});
            counter::drop_contradictions(&lanes, rules, &mut chosen, |_, _| {});
            stale::add_markers(&lanes, &mut chosen, |_, _| {});
            emit(&lanes, &chosen, rules, into);
        }
    }
}

/// What became of one row of one lane, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// When.
    pub at: Timestamp,
    /// Index of the lane, 0 the top one.
    pub lane: usize,
    /// Index of the row in its lane.
    pub row: usize,
    /// The interval its lane was believed to have.
    pub interval: Span,
    /// In or out, and why.
    pub verdict: Verdict,
}

/// What [`merge()`] does with each row of each lane and why, by time, then lane.
pub fn explain(columns: &[&Column], rules: &MergeRules) -> Vec<Explained> {
    let lanes = annotated(columns, rules);
    let mut rows: Vec<Explained> = Vec::new();
    let row_of = |lane: usize, at: Timestamp| columns[lane].at.binary_search(&at).expect("lanes only lose rows");
    let mut observe = |pick: &Pick, verdict| {
        let Pick { at, lane, interval, .. } = *pick;
        rows.push(Explained { at, lane, row: row_of(lane, at), interval, verdict });
    };
    let mut chosen = select(&lanes, rules, &mut observe);
    counter::drop_contradictions(&lanes, rules, &mut chosen, &mut observe);
    stale::add_markers(&lanes, &mut chosen, &mut observe);
    for (number, (lane, column)) in lanes.iter().zip(columns).enumerate().skip(1) {
        let mut left = lane.rows.at.iter().peekable();
        let top = &lanes[0];
        for (row, at) in column.at.iter().enumerate() {
            if left.next_if_eq(&at).is_none() {
                let before = top.rows.at.partition_point(|top_at| top_at <= at) - 1;
                let interval = top.mark(before).interval;
                rows.push(Explained { at: *at, lane: number, row, interval, verdict: Verdict::Covered });
            }
        }
    }
    // What was chosen first and contradicted later was said twice: the last word counts.
    rows.sort_by_key(|row| (row.at, row.lane));
    rows.reverse();
    rows.dedup_by_key(|row| (row.at, row.lane));
    rows.reverse();
    rows
}

/// Whether the top lane is the series, at a glance and without marks: no interval can be believed to be less than the shortest distance there
/// is, so where even the longest distance of the top lane is close to that, nothing is missing anywhere.
fn is_steady(lanes: &[&Column], rules: &MergeRules) -> bool {
    let [top, lower @ ..] = lanes else { return true };
    let (Some(first), Some(last)) = (top.at.first(), top.at.last()) else { return false };
    let (mut shortest, mut longest, mut newest) = (rules.interval.unwrap_or(DEFAULT_INTERVAL), Span::ZERO, *last);
    for pair in top.at.windows(2) {
        (shortest, longest) = (shortest.min(pair[1] - pair[0]), longest.max(pair[1] - pair[0]));
    }
    for lane in lower {
        let (Some(lane_first), Some(lane_last)) = (lane.at.first(), lane.at.last()) else { continue };
        if lane_first < first || lane.values.iter().any(|value| is_stale(*value)) {
            return false;
        }
        newest = newest.max(*lane_last);
        shortest = lane.at.windows(2).fold(shortest, |shortest, pair| shortest.min(pair[1] - pair[0]));
    }
    let interval = Distance::from_span(shortest).to_span().min(shortest);
    rules.policy == Policy::Prefer
        && !top.values.iter().any(|value| is_stale(*value))
        && is_close(longest, interval)
        && (newest == *last || !rules.settled && is_close(newest - *last, interval))
}

fn copy(rows: &Column, into: &mut Column) {
    into.clear();
    into.at.extend_from_slice(&rows.at);
    into.values.extend_from_slice(&rows.values);
    into.histograms.extend_from_slice(&rows.histograms);
    into.starts.extend_from_slice(&rows.starts);
}

/// Copies the chosen rows, stretch by stretch of one lane.
fn emit(lanes: &[Lane<'_>], chosen: &[Pick], rules: &MergeRules, into: &mut Column) {
    into.clear();
    let has_starts = lanes.iter().any(|lane| !lane.rows.starts.is_empty());
    for stretch in chosen.chunk_by(|one, next| next.lane == one.lane && next.row == one.row + 1) {
        let (rows, from, first) = (&*lanes[stretch[0].lane].rows, stretch[0].row, into.len());
        let to = from + stretch.len();
        into.at.extend_from_slice(&rows.at[from..to]);
        into.values.extend_from_slice(&rows.values[from..to]);
        if has_starts {
            match rows.starts.get(from..to) {
                Some(starts) => into.starts.extend_from_slice(starts),
                None => into.starts.resize(into.at.len(), Timestamp::EPOCH),
            }
        }
        let histograms = &rows.histograms[rows.histograms.partition_point(|(row, _)| *row < from)..];
        for (row, histogram) in histograms.iter().take_while(|(row, _)| *row < to) {
            // What a sender says of a reset, it says of its own row before: the first of a stretch has another one.
            let follows_own = *row > from || from == 0 && first == 0;
            let histogram = if follows_own { Arc::clone(histogram) } else { without_hint(histogram) };
            into.histograms.push((first + row - from, histogram));
        }
    }
    if matches!(rules.policy, Policy::Max | Policy::Min) {
        take_extremes(lanes, chosen, rules.policy, into);
    }
}

fn without_hint(histogram: &Arc<Histogram>) -> Arc<Histogram> {
    match histogram.reset_hint {
        ResetHint::Unknown | ResetHint::Gauge => Arc::clone(histogram),
        ResetHint::Yes | ResetHint::No => {
            Arc::new(Histogram { reset_hint: ResetHint::Unknown, ..histogram.as_ref().clone() })
        }
    }
}

/// Gives each float row the largest or smallest of the values that lanes show at its time: a lane shows its latest
/// row for one and a half intervals, unless that is a marker or a histogram.
fn take_extremes(lanes: &[Lane<'_>], chosen: &[Pick], policy: Policy, into: &mut Column) {
    let is_float = |rows: &Column, row: usize| {
        !is_marker(rows, row) && rows.histograms.binary_search_by_key(&row, |(row, _)| *row).is_err()
    };
    for pick in chosen.iter().enumerate().filter(|(_, pick)| is_float(&lanes[pick.lane].rows, pick.row)) {
        let (index, pick) = pick;
        for lane in lanes {
            let Some(row) = lane.rows.at.partition_point(|at| *at <= pick.at).checked_sub(1) else { continue };
            if is_float(&lane.rows, row) && is_close(pick.at - lane.rows.at[row], pick.interval) {
                let (value, other) = (into.values[index], lane.rows.values[row]);
                let better = if policy == Policy::Max { other > value } else { other < value };
                if better || value.is_nan() {
                    into.values[index] = other;
                }
            }
        }
    }
}
