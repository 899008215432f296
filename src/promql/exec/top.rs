//! `topk`, `bottomk`, `limitk`, `limit_ratio`: a choice of series at each step.

use std::cmp::Ordering;

use xxhash_rust::xxh3::xxh3_64;

use crate::model::Labels;
use crate::promql::QueryError;
use crate::promql::annotations::Note;
use crate::promql::ast::{AggregateOp, Position};
use crate::promql::functions::quantile::rank;
use crate::promql::plan::Aggregate;

use super::aggregate::{Groups, extremes};
use super::row::{Bits, Row};
use super::stream::Stream;
use super::{Query, Scope};

pub(crate) fn top<'q>(
    query: &'q Query<'q>,
    position: Position,
    parameter: Position,
    aggregate: &'q Aggregate,
    values: &[f64],
    of: Stream<'q>,
    scope: Scope,
) -> Result<Stream<'q>, QueryError> {
    let op = aggregate.op;
    if !check(query, op, values, parameter)? {
        return Ok(Stream::ready(Vec::new()));
    }
    let table = of.collect(query)?;
    let entries: Vec<_> = table.iter().map(|(entry, _)| entry.clone()).collect();
    let Groups { entries: groups, members } = Groups::of(&entries, aggregate);
    let mut by_group: Vec<Vec<usize>> = vec![Vec::new(); groups.len()];
    members.iter().enumerate().for_each(|(id, group)| by_group[*group].push(id));

    let mut rows: Vec<Row> = table.into_iter().map(|(_, row)| row).collect();
    if matches!(op, AggregateOp::Topk | AggregateOp::Bottomk) {
        for row in &mut rows {
            if row.drop_histograms() {
                query.note(Note::HistogramIgnoredInAggregation(op.as_str()), position);
            }
        }
    }
    let offsets: Vec<f64> = match op {
        AggregateOp::LimitRatio => entries.iter().map(|entry| ratio_offset(&entry.labels)).collect(),
        _ => Vec::new(),
    };
    let mut chosen: Vec<Bits> = vec![Bits::none(scope.steps()); rows.len()];
    // Of an instant query, the order of the chosen is part of the answer.
    let mut order = Vec::new();
    let series = rows.len();
    for group in &by_group {
        for (step, value) in values.iter().enumerate() {
            let present = group.iter().copied().filter(|id| rows[*id].has(step));
            let kept: Vec<usize> = match op {
                AggregateOp::LimitRatio => present.filter(|id| falls_within(offsets[*id], *value)).collect(),
                AggregateOp::Limitk => present.take(limit(*value, series)).collect(),
                _ => ranked(present.map(|id| (id, rows[id].values()[step])), limit(*value, series), op),
            };
            kept.iter().for_each(|id| chosen[*id].set(step));
            if scope.steps() == 1 {
                order.extend(kept);
            }
        }
    }
    for (row, chosen) in rows.iter_mut().zip(&chosen) {
        row.present_mut().intersect(chosen);
    }
    if scope.steps() > 1 {
        order = (0..rows.len()).collect();
    }
    let table = order.into_iter().map(|id| (entries[id].clone(), std::mem::take(&mut rows[id]))).collect();
    Ok(Stream::ready(table))
}

/// Checks the parameter's values over all steps. Whether anything can be chosen.
fn check(query: &Query<'_>, op: AggregateOp, values: &[f64], position: Position) -> Result<bool, QueryError> {
    let refuse = |why: String| Err(QueryError::Execution(why));
    let (lowest, highest) = extremes(values);
    let has_nan = values.iter().any(|value| value.is_nan());
    if op == AggregateOp::LimitRatio {
        if has_nan {
            return refuse("Ratio value is NaN".to_owned());
        }
        if highest > 1.0 {
            query.note(Note::InvalidRatio { got: highest, capped: 1.0 }, position);
        }
        if lowest < -1.0 {
            query.note(Note::InvalidRatio { got: lowest, capped: -1.0 }, position);
        }
        return Ok(highest != 0.0 || lowest != 0.0);
    }
    if highest < 1.0 && !has_nan {
        return Ok(false);
    }
    if has_nan {
        return refuse("Parameter value is NaN".to_owned());
    }
    if lowest <= i64::MIN as f64 {
        return refuse(format!("Scalar value {} underflows int64", crate::promql::annotations::general(lowest)));
    }
    if highest >= i64::MAX as f64 {
        return refuse(format!("Scalar value {} overflows int64", crate::promql::annotations::general(highest)));
    }
    Ok(true)
}

fn limit(value: f64, series: usize) -> usize {
    (value.max(0.0) as usize).min(series)
}

/// The `k` largest (or smallest) of some series, the best first, NaN last; of equals those that come first.
fn ranked(values: impl Iterator<Item = (usize, f64)>, k: usize, op: AggregateOp) -> Vec<usize> {
    let mut values: Vec<(usize, f64)> = values.collect();
    let better = |(left_id, left): &(usize, f64), (right_id, right): &(usize, f64)| {
        let by_value = match (left.is_nan(), right.is_nan()) {
            (false, false) if op == AggregateOp::Topk => rank(*right, *left),
            (false, false) => rank(*left, *right),
            (left, right) => left.cmp(&right),
        };
        by_value.then_with(|| left_id.cmp(right_id))
    };
    if k == 0 {
        return Vec::new();
    }
    if k < values.len() {
        values.select_nth_unstable_by(k - 1, better);
        values.truncate(k);
    }
    values.sort_by(|left, right| match better(left, right) {
        Ordering::Equal => left.0.cmp(&right.0),
        ordering => ordering,
    });
    values.into_iter().map(|(id, _)| id).collect()
}

/// Where a label set stands between 0 and 1: the same each time, whatever else is there.
fn ratio_offset(labels: &Labels) -> f64 {
    xxh3_64(labels.as_packed().as_bytes()) as f64 / u64::MAX as f64
}

/// A positive ratio takes from the lower end, a negative one from the upper: `r` and `r - 1` complement each other.
fn falls_within(offset: f64, ratio: f64) -> bool {
    let ratio = ratio.clamp(-1.0, 1.0);
    (ratio >= 0.0 && offset < ratio) || (ratio < 0.0 && offset >= 1.0 + ratio)
}
