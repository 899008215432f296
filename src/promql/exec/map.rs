//! Functions of one vector, element by element.

use std::sync::Arc;

use crate::model::{Histogram, METRIC_NAME};
use crate::promql::QueryError;
use crate::promql::functions::histogram_number::HistogramNumber;
use crate::promql::functions::math as numbers;
use crate::promql::histogram;

use super::row::{Bits, Cell, Row};
use super::stream::{Entry, Stream};
use super::{Query, Scope};

/// Rows of one step, the same at each step of the scope.
pub(crate) fn repeat<'q>(stream: Stream<'q>, scope: Scope) -> Result<Stream<'q>, QueryError> {
    let steps = scope.steps();
    Ok(stream.map_rows(move |_, row| {
        *row = match row.cell(0) {
            None => Row::absent(steps),
            Some(Cell::Float(value)) => Row::full(vec![value; steps]),
            Some(Cell::Histogram(histogram)) => {
                let mut repeated = Row::absent(steps);
                (0..steps).for_each(|step| repeated.set_histogram(step, Arc::clone(&histogram)));
                repeated
            }
        };
        Ok(())
    }))
}

/// A function of each float; histograms go away, and so does the name.
pub(crate) fn floats<'q>(
    query: &Query<'_>,
    of: Stream<'q>,
    function: impl Fn(f64) -> f64 + 'q,
) -> Result<Stream<'q>, QueryError> {
    stepwise(query, of, move |_, value| function(value))
}

/// A function of each step and float; histograms go away, and so does the name.
fn stepwise<'q>(
    query: &Query<'_>,
    of: Stream<'q>,
    function: impl Fn(usize, f64) -> f64 + 'q,
) -> Result<Stream<'q>, QueryError> {
    let mapped = of.map_rows(move |_, row| {
        row.drop_histograms();
        row.values_mut().iter_mut().enumerate().for_each(|(step, value)| *value = function(step, *value));
        Ok(())
    });
    mapped.drop_names(query.delayed())
}

pub(crate) fn math<'q>(query: &Query<'_>, of: Stream<'q>, f: fn(f64) -> f64) -> Result<Stream<'q>, QueryError> {
    floats(query, of, f)
}

pub(crate) fn round<'q>(query: &Query<'_>, of: Stream<'q>, to: Option<Vec<f64>>) -> Result<Stream<'q>, QueryError> {
    stepwise(query, of, move |step, value| numbers::round(value, to.as_ref().map_or(1.0, |to| to[step])))
}

/// Steps at which the lower limit lies above the upper one have no result.
pub(crate) fn clamp<'q>(
    query: &Query<'_>,
    of: Stream<'q>,
    min: Option<Vec<f64>>,
    max: Option<Vec<f64>>,
) -> Result<Stream<'q>, QueryError> {
    let limits = move |step: usize| {
        let min = min.as_ref().map_or(f64::NEG_INFINITY, |min| min[step]);
        (min, max.as_ref().map_or(f64::INFINITY, |max| max[step]))
    };
    let mapped = of.map_rows(move |_, row| {
        row.drop_histograms();
        for step in 0..row.steps() {
            let (min, max) = limits(step);
            if max < min {
                row.remove(step);
            }
            row.values_mut()[step] = numbers::clamp(row.values()[step], min, max);
        }
        Ok(())
    });
    mapped.drop_names(query.delayed())
}

/// The time of each step at which there is a value.
pub(crate) fn step_time<'q>(query: &Query<'_>, of: Stream<'q>, scope: Scope) -> Result<Stream<'q>, QueryError> {
    let times: Vec<f64> = scope.grid.points().map(|at| at.as_seconds()).collect();
    let mapped = of.map_rows(move |_, row| {
        *row = Row::floats(times.clone(), row.present().clone());
        Ok(())
    });
    mapped.drop_names(query.delayed())
}

/// The unary minus.
pub(crate) fn negate<'q>(query: &Query<'_>, of: Stream<'q>) -> Result<Stream<'q>, QueryError> {
    let mapped = of.map_rows(|_, row| {
        row.map_floats(|value| -value);
        if row.may_have_histograms() {
            for step in 0..row.steps() {
                if let Some(histogram) = row.histogram(step) {
                    let mut negated = Histogram::clone(histogram);
                    histogram::negate(&mut negated);
                    row.set_histogram(step, Arc::new(negated));
                }
            }
        }
        Ok(())
    });
    mapped.drop_names(query.delayed())
}

/// A number of each histogram; floats go away.
pub(crate) fn histogram_number<'q>(
    query: &Query<'_>,
    of: Stream<'q>,
    number: HistogramNumber,
) -> Result<Stream<'q>, QueryError> {
    let mapped = of.map_rows(move |_, row| {
        let mut numbers = Row::floats(vec![0.0; row.steps()], Bits::none(row.steps()));
        for step in row.present().iter() {
            if let Some(histogram) = row.histogram(step) {
                numbers.set_float(step, number.of(histogram));
            }
        }
        *row = numbers;
        Ok(())
    });
    // Prometheus: unlike other functions, these leave the type and the unit.
    mapped.relabel(|entry| match query.delayed() {
        true => entry.dropping_name(true),
        false => Entry { labels: entry.labels.without(|name| name == METRIC_NAME), name_dropped: true },
    })
}
