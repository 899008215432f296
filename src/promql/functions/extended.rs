//! `anchored` and `smoothed` (experimental): what the samples around a window say about its edges.
//!
//! Anchored: the last sample before the window stands at its start. Smoothed: the values at both edges lie on the lines
//! between the samples around them. Nothing is stretched in either case.

use std::sync::Arc;

use crate::model::{Histogram, ResetHint, Timestamp};
use crate::promql::annotations::Note;
use crate::promql::ast::Extension;
use crate::promql::exec::row::Cell;
use crate::promql::histogram;

use super::range::{Notes, Window};
use super::rate::histograms::{add, subtract};

/// The value at `at` on the line between two samples. A counter that was reset between them rises from 0.
pub(crate) fn between(
    (left_at, left): (Timestamp, f64),
    (right_at, right): (Timestamp, f64),
    at: Timestamp,
    counter: bool,
) -> f64 {
    let left = if counter && right < left { 0.0 } else { left };
    left + (right - left) * share(left_at, right_at, at)
}

fn share(left: Timestamp, right: Timestamp, at: Timestamp) -> f64 {
    (at - left).as_millis() as f64 / (right - left).as_millis() as f64
}

/// Which samples stand for the edges of a window.
pub(crate) struct Reach {
    pub(crate) first: usize,
    pub(crate) last: usize,
    pub(crate) smoothed: bool,
}

impl Reach {
    /// `None` where no sample lies inside.
    pub(crate) fn find(times: &[Timestamp], open_start: Timestamp, end: Timestamp, smoothed: bool) -> Option<Self> {
        let mut last = times.len().checked_sub(1)?;
        let first = times[..last].partition_point(|at| *at <= open_start).saturating_sub(1);
        if smoothed {
            last = times[..last].partition_point(|at| *at < end);
        }
        let outside = times[last] <= open_start || (smoothed && times[first] > end);
        (!outside).then_some(Reach { first, last, smoothed })
    }
}

/// Values at the edges of a window of floats.
pub(crate) fn edges(
    times: &[Timestamp],
    values: &[f64],
    reach: &Reach,
    open_start: Timestamp,
    end: Timestamp,
    counter: bool,
) -> (f64, f64) {
    let (first, last) = (reach.first, reach.last);
    let point = |index: usize| (times[index], values[index]);
    let left = match reach.smoothed && times[first] < open_start {
        true => between(point(first), point(first + 1), open_start, counter),
        false => values[first],
    };
    let right = match reach.smoothed && last > 0 && times[last] > end {
        true => between(point(last - 1), point(last), end, counter),
        false => values[last],
    };
    (left, right)
}

/// `rate`, `increase` and `delta` of floats.
pub(crate) fn floats(window: &Window<'_>, counter: bool, per_second: bool) -> Option<Cell> {
    let (times, values) = (window.floats.times, window.floats.values);
    let smoothed = window.extension == Some(Extension::Smoothed);
    let reach = Reach::find(times, window.open_start, window.end, smoothed)?;
    let (left, right) = edges(times, values, &reach, window.open_start, window.end, counter);
    let mut increase = right - left;
    if counter {
        // Resets at the edges are part of the edges' values already.
        let from = reach.first + usize::from(times[reach.first] <= window.open_start);
        let to = reach.last + usize::from(times[reach.last] < window.end);
        let mut before = left;
        let inside = values.get(from..to).unwrap_or(&[]);
        for value in inside.iter().copied().chain([right]) {
            if value < before {
                increase += before;
            }
            before = value;
        }
    }
    Some(Cell::Float(if per_second { increase / window.length.as_seconds() } else { increase }))
}

/// The histogram at `at` between two others. `None` where they cannot meet.
pub(crate) fn histogram_between(
    (left_at, left): (Timestamp, &Histogram),
    (right_at, right): (Timestamp, &Histogram),
    at: Timestamp,
    counter: bool,
    notes: &mut Notes<'_>,
) -> Option<Histogram> {
    if at == left_at {
        return Some(left.clone());
    }
    let mut result = right.clone();
    if at == right_at {
        return Some(result);
    }
    let share = share(left_at, right_at, at);
    if counter && histogram::is_reset(right, left) {
        histogram::mul(&mut result, share);
        return Some(result);
    }
    subtract(&mut result, left, notes)?;
    histogram::mul(&mut result, share);
    add(&mut result, left, notes)?;
    Some(result)
}

/// `rate`, `increase` and `delta` of native histograms.
pub(crate) fn histograms(window: &Window<'_>, counter: bool, per_second: bool, notes: &mut Notes<'_>) -> Option<Cell> {
    let (times, values) = (window.histograms.times, window.histograms.values);
    let smoothed = window.extension == Some(Extension::Smoothed);
    let reach = Reach::find(times, window.open_start, window.end, smoothed)?;
    let (first, last) = (reach.first, reach.last);
    let custom = values[first].has_custom_buckets();
    for histogram in &values[first..=last] {
        if histogram.has_custom_buckets() != custom {
            notes.add(Note::MixedExponentialCustom(notes.metric.to_owned()));
            return None;
        }
        if counter && histogram.reset_hint == ResetHint::Gauge {
            notes.add(Note::NotACounter(notes.metric.to_owned()));
        }
    }
    let point = |index: usize| (times[index], &*values[index]);
    let left = match smoothed && times[first] < window.open_start {
        true => histogram_between(point(first), point(first + 1), window.open_start, counter, notes)?,
        false => Histogram::clone(&values[first]),
    };
    let right = match smoothed && last > 0 && times[last] > window.end {
        true => histogram_between(point(last - 1), point(last), window.end, counter, notes)?,
        false => Histogram::clone(&values[last]),
    };
    if !counter && (left.reset_hint != ResetHint::Gauge || right.reset_hint != ResetHint::Gauge) {
        notes.add(Note::NotAGauge(notes.metric.to_owned()));
    }
    let mut increase = right.clone();
    subtract(&mut increase, &left, notes)?;
    if counter {
        for reset in resets_between(values, &reach, times[first] < window.open_start, &left, &right) {
            add(&mut increase, reset, notes)?;
        }
    }
    if per_second {
        histogram::div(&mut increase, window.length.as_seconds());
    }
    increase.reset_hint = ResetHint::Gauge;
    histogram::compact(&mut increase);
    Some(Cell::Histogram(Arc::new(increase)))
}

/// The histograms that were lost to a reset between the two edges.
fn resets_between<'a>(
    values: &'a [Arc<Histogram>],
    reach: &Reach,
    starts_outside: bool,
    left: &'a Histogram,
    right: &Histogram,
) -> Vec<&'a Histogram> {
    let (first, last) = (reach.first, reach.last);
    // The first sample is represented by the left edge; a reset that the left edge spans is part of it already.
    let (mut from, mut before) = (first + 1, left);
    if reach.smoothed && starts_outside && histogram::is_reset(&values[first + 1], &values[first]) {
        before = &values[first + 1];
        from += 1;
    }
    // The last sample is represented by the right edge, which carries its hint: it must not be compared with itself.
    if from > last {
        return Vec::new();
    }
    let mut lost = Vec::new();
    for histogram in &values[from..last] {
        if histogram::is_reset(histogram, before) {
            lost.push(before);
        }
        before = histogram;
    }
    if histogram::is_reset(right, before) {
        lost.push(before);
    }
    lost
}
