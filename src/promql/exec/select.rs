//! Instant selectors: the newest sample within the lookback, at each step.

use std::sync::Arc;

use crate::model::sample::is_stale;
use crate::model::{Column, Timestamp};
use crate::promql::QueryError;
use crate::promql::annotations::Annotations;
use crate::promql::ast::Position;
use crate::promql::functions::extended;
use crate::promql::functions::range::Notes;
use crate::promql::plan::{Reading, Select};

use super::leaf::{self, Worker};
use super::rollup::Edge;
use super::row::{Cell, Row, histogram_samples};
use super::stream::{Entry, Stream};
use super::{Query, Scope};

pub(crate) fn select<'q>(query: &'q Query<'q>, select: &'q Select, scope: Scope) -> Result<Stream<'q>, QueryError> {
    if select.reading == Reading::StartTimestamp && !query.features.use_start_timestamps {
        return Ok(Stream::ready(Vec::new()));
    }
    let series = query.fetched[select.fetch].as_slice();
    let entry = |labels: &crate::model::Labels| Entry::new(labels.clone());
    let roster = series.iter().map(|one| entry(&one.labels)).collect();
    let stream = Stream::new(roster, move |sink| {
        let make = |worker: &mut Worker, one: &crate::store::SelectedSeries| match select.smoothed {
            true => smoothed(query, select, scope, worker, one.labels.metric_name().unwrap_or("")),
            false => newest(query, select, scope, worker),
        };
        leaf::each_series(query, series, scope, make, sink)
    });
    match select.reading {
        Reading::Value => Ok(stream),
        // Like other functions of a vector, these give something else than the metric.
        Reading::Timestamp | Reading::StartTimestamp => stream.drop_names(query.delayed()),
    }
}

/// Walks over `column` and calls `found` with each step that sees a sample, and that sample's row.
pub(crate) fn each_newest(
    column: &Column,
    select: &Select,
    scope: Scope,
    query: &Query<'_>,
    mut found: impl FnMut(usize, usize),
) {
    let mut edge = Edge::default();
    for (step, at) in scope.grid.points().enumerate() {
        let seen_from = select.shift.apply(at);
        let Some(row) = edge.move_on(&column.at, seen_from).checked_sub(1) else { continue };
        // A sample right at the time of evaluation counts even without any lookback.
        if column.at[row] == seen_from || column.at[row] > seen_from - query.lookback {
            found(step, row);
        }
    }
}

fn newest(query: &Query<'_>, select: &Select, scope: Scope, worker: &mut Worker) -> Row {
    let mut row = Row::absent(scope.steps());
    let column = &worker.column;
    let looked_at = &mut worker.looked_at;
    each_newest(column, select, scope, query, |step, index| {
        let histogram = match column.histograms.is_empty() {
            true => None,
            false => column.histograms.binary_search_by_key(&index, |(row, _)| *row).ok(),
        };
        let histogram = histogram.map(|place| &column.histograms[place].1);
        let stale = histogram.map_or(is_stale(column.values[index]), |histogram| histogram.is_stale());
        if stale {
            return;
        }
        match (select.reading, histogram) {
            (Reading::Value, Some(histogram)) => {
                looked_at[step] += histogram_samples(histogram);
                row.set_histogram(step, Arc::clone(histogram));
                return;
            }
            (Reading::Value, None) => row.set_float(step, column.values[index]),
            (Reading::Timestamp, _) => row.set_float(step, column.at[index].as_seconds()),
            (Reading::StartTimestamp, _) => {
                let start = column.starts.get(index).copied().unwrap_or(Timestamp::EPOCH);
                row.set_float(step, start.as_seconds());
            }
        }
        looked_at[step] += 1;
    });
    row
}

/// `x smoothed`: at each step the value on the line between the samples around it, each at most a lookback away.
fn smoothed(query: &Query<'_>, select: &Select, scope: Scope, worker: &mut Worker, metric: &str) -> Row {
    let mut row = Row::absent(scope.steps());
    let (floats, histograms) = worker.split.of(&worker.column, false);
    let mut notes = Notes { metric, position: Position::default(), annotations: &mut Annotations::default() };
    for (step, at) in scope.grid.points().enumerate() {
        let at = select.shift.apply(at);
        let (open_start, end) = (at - query.lookback, at + query.lookback);
        let around = |times: &[Timestamp]| {
            let next = times.partition_point(|time| *time < at);
            let before = next.checked_sub(1).filter(|index| times[*index] > open_start);
            (before, (next < times.len() && times[next] <= end).then_some(next))
        };
        let (before, next) = around(floats.times);
        let point = |index: usize| (floats.times[index], floats.values[index]);
        let value = match (before, next) {
            (_, Some(next)) if floats.times[next] == at => Some(floats.values[next]),
            (Some(before), Some(next)) => Some(extended::between(point(before), point(next), at, false)),
            (Some(before), None) => Some(floats.values[before]),
            (None, _) => None,
        };
        if let Some(value) = value {
            row.set_float(step, value);
            worker.looked_at[step] += 1;
            continue;
        }
        let (before, next) = around(histograms.times);
        let point = |index: usize| (histograms.times[index], &*histograms.values[index]);
        let value = match (before, next) {
            (_, Some(next)) if histograms.times[next] == at => Some(Arc::clone(&histograms.values[next])),
            (Some(before), Some(next)) => {
                extended::histogram_between(point(before), point(next), at, false, &mut notes).map(Arc::new)
            }
            (Some(before), None) => Some(Arc::clone(&histograms.values[before])),
            (None, _) => None,
        };
        if let Some(value) = value {
            worker.looked_at[step] += histogram_samples(&value);
            row.set(step, Cell::Histogram(value));
        }
    }
    row
}
