//! A range by itself: the answer to an instant query for `x[5m]` or `x[5m:1m]`.

use std::sync::Arc;

use crate::model::{Column, Timestamp};
use crate::promql::ast::Extension;
use crate::promql::functions::extended::{self, Reach};
use crate::promql::histogram;
use crate::promql::plan::{Range, Source};
use crate::promql::{QueryError, RangeSeries};

use super::leaf::Split;
use super::row::histogram_samples;
use super::subquery::Samples;
use super::{Query, Scope, build, stream};

/// A time and a value.
const POINT_BYTES: u64 = 16;

pub(crate) fn samples(query: &Query<'_>, range: &Range, scope: Scope) -> Result<Vec<RangeSeries>, QueryError> {
    let end = range.shift.apply(scope.grid.start());
    let open_start = end - range.length;
    let mut all = Vec::new();
    match &range.source {
        Source::Fetched(fetch) => {
            let (mut column, mut split) = (Column::default(), Split::default());
            for one in &query.fetched[*fetch] {
                query.interrupt.check()?;
                one.samples.read(&mut column)?;
                histogram::settle_hints(&mut column);
                query.meter.read_samples(column.len());
                let (floats, histograms) = split.of(&column, false);
                let inside = |times: &[Timestamp]| {
                    times.partition_point(|at| *at <= open_start)..times.partition_point(|at| *at <= end)
                };
                let floats = match range.extension {
                    None => {
                        let floats = floats.slice(inside(floats.times));
                        floats.times.iter().copied().zip(floats.values.iter().copied()).collect()
                    }
                    Some(extension) => {
                        let smoothed = extension == Extension::Smoothed;
                        let left = open_start - query.lookback;
                        let right = if smoothed { end + query.lookback } else { end };
                        let from = floats.times.partition_point(|at| *at <= left);
                        let to = floats.times.partition_point(|at| *at <= right);
                        let floats = floats.slice(from..to);
                        extend(floats.times, floats.values, open_start, end, smoothed)
                    }
                };
                let histograms = histograms.slice(inside(histograms.times));
                let series = RangeSeries {
                    labels: one.labels.clone(),
                    floats,
                    histograms: histograms
                        .times
                        .iter()
                        .copied()
                        .zip(histograms.values.iter().map(Arc::clone))
                        .collect(),
                };
                let held = series.floats.len() as u64
                    + series.histograms.iter().map(|(_, histogram)| histogram_samples(histogram)).sum::<u64>();
                query.meter.look_at(&[held]);
                query.meter.hold(held, held * POINT_BYTES)?;
                if held > 0 {
                    all.push(series);
                }
            }
        }
        Source::Subquery { inner, grid } => {
            let Some(grid) = *grid else { return Ok(all) };
            let mut found = Samples::default();
            for (entry, row) in build(query, inner, Scope { grid, counted: true })?.collect(query)? {
                found.fill(&row, grid);
                let labels = match query.delayed() && entry.name_dropped {
                    true => stream::without_metadata(&entry.labels),
                    false => entry.labels,
                };
                all.push(RangeSeries {
                    labels,
                    floats: found.float_times.drain(..).zip(found.floats.drain(..)).collect(),
                    histograms: found.histogram_times.drain(..).zip(found.histograms.drain(..)).collect(),
                });
            }
        }
    }
    Ok(all)
}

/// The floats inside a window, with one at each edge.
fn extend(
    times: &[Timestamp],
    values: &[f64],
    open_start: Timestamp,
    end: Timestamp,
    smoothed: bool,
) -> Vec<(Timestamp, f64)> {
    let Some(reach) = Reach::find(times, open_start, end, smoothed) else { return Vec::new() };
    let (left, right) = extended::edges(times, values, &reach, open_start, end, false);
    let from = reach.first + usize::from(times[reach.first] <= open_start);
    let to = reach.last + usize::from(times[reach.last] < end);
    let mut extended = vec![(open_start, left)];
    extended.extend((from..to).map(|index| (times[index], values[index])));
    extended.push((end, right));
    extended
}
