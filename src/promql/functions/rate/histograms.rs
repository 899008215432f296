//! The same for native histograms, and their sums and means over time.

use std::sync::Arc;

use crate::model::{Histogram, ResetHint};
use crate::promql::annotations::{Note, Operation};
use crate::promql::exec::row::Cell;
use crate::promql::functions::range::{Notes, Points, Window};
use crate::promql::histogram::{self, CompensatedMean, CompensatedSum, HistogramError, Merge, ResetsSeen};

use super::{Edges, is_histogram_reset, starts_overlap};

fn told(merged: Result<Merge, HistogramError>, operation: Operation, notes: &mut Notes<'_>) -> Option<()> {
    match merged {
        Ok(Merge { bounds_reconciled, .. }) => {
            if bounds_reconciled {
                notes.add(Note::ReconciledBuckets(operation));
            }
            Some(())
        }
        Err(_) => {
            mixed_schemas(notes);
            None
        }
    }
}

fn mixed_schemas(notes: &mut Notes<'_>) {
    notes.add(Note::MixedExponentialCustom(notes.metric.to_owned()));
}

/// Adds with notes; `None` where the two cannot meet.
pub(crate) fn add(into: &mut Histogram, other: &Histogram, notes: &mut Notes<'_>) -> Option<()> {
    told(histogram::add(into, other), Operation::Addition, notes)
}

/// Subtracts with notes; `None` where the two cannot meet.
pub(crate) fn subtract(from: &mut Histogram, other: &Histogram, notes: &mut Notes<'_>) -> Option<()> {
    told(histogram::sub(from, other), Operation::Subtraction, notes)
}

fn told_aggregation(resets: ResetsSeen, reconciled: bool, notes: &mut Notes<'_>) {
    if resets.collide() {
        notes.add(Note::CounterResetCollision(Operation::Aggregation));
    }
    if reconciled {
        notes.add(Note::ReconciledBuckets(Operation::Aggregation));
    }
}

/// `sum_over_time`
pub(crate) fn sum(values: &[Arc<Histogram>], notes: &mut Notes<'_>) -> Option<Cell> {
    let (first, rest) = values.split_first()?;
    let mut sum = CompensatedSum::new(first);
    for histogram in rest {
        if sum.add(histogram).is_err() {
            mixed_schemas(notes);
            return None;
        }
    }
    told_aggregation(sum.resets, sum.bounds_reconciled, notes);
    Some(Cell::Histogram(Arc::new(sum.finish())))
}

/// `avg_over_time`
pub(crate) fn avg(values: &[Arc<Histogram>], notes: &mut Notes<'_>) -> Option<Cell> {
    let (first, rest) = values.split_first()?;
    let mut mean = CompensatedMean::new(first);
    for histogram in rest {
        if mean.add(histogram).is_err() {
            mixed_schemas(notes);
            return None;
        }
    }
    told_aggregation(mean.resets(), mean.bounds_reconciled(), notes);
    Some(Cell::Histogram(Arc::new(mean.finish())))
}

/// `rate`, `increase` and `delta` of a window of histograms alone.
pub(crate) fn extrapolated(
    window: &Window<'_>,
    counter: bool,
    per_second: bool,
    notes: &mut Notes<'_>,
) -> Option<Cell> {
    let points = &window.histograms;
    let edges = Edges::of(points, window.open_start, counter);
    let mut increase = match points.len() {
        1 => None,
        _ => Some(increase(points, counter, notes)?),
    };
    let first = &points.values[0];
    if edges.start.is_some() {
        match &mut increase {
            None => increase = Some(Histogram::clone(first)),
            Some(increase) => add(increase, first, notes)?,
        }
    }
    let mut increase = increase?;
    let to_zero = (counter && increase.count > 0.0 && first.count >= 0.0).then(|| first.count / increase.count);
    let mut factor = edges.factor(window.open_start, window.end, to_zero);
    if per_second {
        factor /= window.length.as_seconds();
    }
    histogram::mul(&mut increase, factor);
    Some(Cell::Histogram(Arc::new(increase)))
}

/// From the first to the last of at least two histograms.
fn increase(points: &Points<'_, Arc<Histogram>>, counter: bool, notes: &mut Notes<'_>) -> Option<Histogram> {
    let values = points.values;
    let (first, last) = (&values[0], &values[values.len() - 1]);
    let is_gauge = |histogram: &Histogram| histogram.reset_hint == ResetHint::Gauge;
    if counter && (is_gauge(first) || is_gauge(last)) {
        notes.add(Note::NotACounter(notes.metric.to_owned()));
    }
    // With a reset right behind it, the first histogram says nothing and may have any layout.
    let second = &values[1];
    let nothing = (counter && is_histogram_reset(points, 1)).then(|| Histogram {
        schema: second.schema,
        custom_values: second.custom_values.clone(),
        ..Histogram::default()
    });
    let base = nothing.as_ref().unwrap_or(first);
    let custom = base.has_custom_buckets();
    let mut schema = last.schema.min(base.schema);
    let mut mixed = last.has_custom_buckets() != custom;
    let middles = if counter { &values[1..values.len() - 1] } else { &[] };
    for middle in middles {
        if mixed {
            break;
        }
        if is_gauge(middle) {
            notes.add(Note::NotACounter(notes.metric.to_owned()));
        }
        schema = schema.min(middle.schema);
        mixed |= middle.has_custom_buckets() != custom;
    }
    if mixed {
        mixed_schemas(notes);
        return None;
    }
    let mut increase = Histogram::clone(last);
    histogram::reduce_resolution(&mut increase, schema);
    subtract(&mut increase, base, notes)?;
    if counter {
        let mut overlap = false;
        for index in 1..points.len() {
            overlap |= starts_overlap(points, index);
            if index == 1 && nothing.is_some() {
                continue;
            }
            if is_histogram_reset(points, index) {
                add(&mut increase, &values[index - 1], notes)?;
            }
        }
        if overlap {
            notes.add(Note::StartTimeOverlap(notes.metric.to_owned()));
        }
    } else if !is_gauge(first) || !is_gauge(last) {
        notes.add(Note::NotAGauge(notes.metric.to_owned()));
    }
    increase.reset_hint = ResetHint::Gauge;
    histogram::compact(&mut increase);
    Some(increase)
}
