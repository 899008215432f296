//! `rate`, `increase`, `delta`, `irate`, `idelta`.

use std::sync::Arc;

use crate::model::{Histogram, ResetHint, Timestamp};
use crate::promql::annotations::Note;
use crate::promql::exec::row::Cell;
use crate::promql::histogram;

use super::extended;
use super::range::{Notes, Points, Window};

pub(crate) mod histograms;

/// Whether a counter started anew between two samples, going by their start times alone.
///
/// A start that equals the time of the sample before speaks of a reset only if that sample knew its own start: then the
/// series is one of deltas; otherwise its start is unknown.
pub(crate) fn started_anew(
    start_before: Option<Timestamp>,
    before: Timestamp,
    start: Option<Timestamp>,
    at: Timestamp,
) -> bool {
    let Some(start) = start else { return false };
    if start >= at || start < before {
        return false;
    }
    start > before || start_before.is_some_and(|start_before| start_before < before)
}

/// Whether sample `index` begins before the one in front of it has ended, though both began at different times.
pub(crate) fn starts_overlap<V>(points: &Points<'_, V>, index: usize) -> bool {
    let (before, start) = (points.start(index - 1), points.start(index));
    start.is_some_and(|start| start < points.times[index - 1] && before != Some(start))
}

/// Whether a counter was reset right before sample `index`.
pub(crate) fn is_float_reset(points: &Points<'_, f64>, index: usize) -> bool {
    points.values[index] < points.values[index - 1]
        || (!points.starts.is_empty()
            && started_anew(points.start(index - 1), points.times[index - 1], points.start(index), points.times[index]))
}

fn is_histogram_reset(points: &Points<'_, Arc<Histogram>>, index: usize) -> bool {
    let (before, at) = (points.times[index - 1], points.times[index]);
    started_anew(points.start(index - 1), before, points.start(index), at)
        || histogram::is_reset(&points.values[index], &points.values[index - 1])
}

/// What is known of the edges of a window when an increase is stretched to them.
pub(crate) struct Edges {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) samples: usize,
    /// When the counter of the first sample started, if that is inside the window.
    pub(crate) start: Option<Timestamp>,
}

impl Edges {
    pub(crate) fn of<V>(points: &Points<'_, V>, open_start: Timestamp, counter: bool) -> Self {
        let first = points.times[0];
        let start = points.start(0).filter(|start| counter && *start > open_start && *start < first);
        Edges { first, last: points.times[points.len() - 1], samples: points.len(), start }
    }

    /// As [`Stretch::factor`].
    pub(crate) fn factor(&self, open_start: Timestamp, end: Timestamp, to_zero: Option<f64>) -> f64 {
        self.stretch(open_start, end).factor(to_zero)
    }

    /// How far the series is taken to reach inside the window.
    ///
    /// Samples that lie near an edge are taken to reach it; otherwise the series is taken to begin or end half a
    /// sampling interval beyond.
    pub(crate) fn stretch(&self, open_start: Timestamp, end: Timestamp) -> Stretch {
        let mut to_start = (self.first - open_start).as_seconds();
        let mut to_end = (end - self.last).as_seconds();
        let mut sampled = (self.last - self.first).as_seconds();
        let average = if self.samples > 1 { sampled / (self.samples - 1) as f64 } else { 0.0 };
        let threshold = average * 1.1;
        if let Some(start) = self.start {
            to_start = 0.0;
            sampled = (self.last - start).as_seconds();
        } else if to_start >= threshold {
            to_start = average / 2.0;
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        Stretch { to_start, sampled, to_end }
    }
}

/// How far samples reach inside a window, in seconds: between first and last, and how much the series is taken to exist
/// before and behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    to_start: f64,
    sampled: f64,
    to_end: f64,
}

impl Stretch {
    /// By what an increase between first and last sample is multiplied to stand for the whole window. A counter does not
    /// begin before it was zero: `to_zero` is first value over increase.
    pub(crate) fn factor(&self, to_zero: Option<f64>) -> f64 {
        let Stretch { mut to_start, sampled, to_end } = *self;
        if let Some(share) = to_zero {
            to_start = to_start.min(sampled * share);
        }
        if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled }
    }

    /// Whether a share of one or more changes nothing.
    pub(crate) fn reaches_start(&self) -> bool {
        self.sampled >= self.to_start
    }
}

/// `rate` (per second), `increase` and `delta` (no `counter`).
pub(crate) fn extrapolated(
    window: &Window<'_>,
    counter: bool,
    per_second: bool,
    notes: &mut Notes<'_>,
) -> Option<Cell> {
    let (floats, histograms) = (&window.floats, &window.histograms);
    if !floats.is_empty() && !histograms.is_empty() {
        notes.mixed();
        return None;
    }
    if window.extension.is_some() {
        return match histograms.is_empty() {
            true => extended::floats(window, counter, per_second),
            false => extended::histograms(window, counter, per_second, notes),
        };
    }
    if !histograms.is_empty() {
        return histograms::extrapolated(window, counter, per_second, notes);
    }
    let mut increase = floats.values[floats.len() - 1] - floats.values[0];
    if counter {
        let mut overlap = false;
        for index in 1..floats.len() {
            overlap |= !floats.starts.is_empty() && starts_overlap(floats, index);
            if is_float_reset(floats, index) {
                increase += floats.values[index - 1];
            }
        }
        if overlap {
            notes.add(Note::StartTimeOverlap(notes.metric.to_owned()));
        }
    }
    stretched(window, increase, counter, per_second).map(Cell::Float)
}

/// The increase between first and last float as that of the whole window.
pub(crate) fn stretched(window: &Window<'_>, mut increase: f64, counter: bool, per_second: bool) -> Option<f64> {
    let floats = &window.floats;
    let edges = Edges::of(floats, window.open_start, counter);
    if edges.samples < 2 && edges.start.is_none() {
        return None;
    }
    let first = floats.values[0];
    if edges.start.is_some() {
        increase += first;
    }
    let to_zero = (counter && increase > 0.0 && first >= 0.0).then(|| first / increase);
    let mut factor = edges.factor(window.open_start, window.end, to_zero);
    if per_second {
        factor /= window.length.as_seconds();
    }
    Some(increase * factor)
}

/// `irate` (`counter`) and `idelta`: the last two samples.
pub(crate) fn instant(window: &Window<'_>, counter: bool, notes: &mut Notes<'_>) -> Option<Cell> {
    let (floats, histograms) = (&window.floats, &window.histograms);
    let floats_last = floats.slice(floats.len().saturating_sub(2)..floats.len());
    let histograms_last = histograms.slice(histograms.len().saturating_sub(2)..histograms.len());
    if floats.len() + histograms.len() < 2 {
        return None;
    }
    // Which of the last two samples are floats?
    let last_float = floats_last.times.last();
    let last_histogram = histograms_last.times.last();
    let before_last = |times: &[Timestamp]| times.len().checked_sub(2).map(|index| times[index]);
    let both_floats = before_last(floats_last.times).is_some_and(|at| last_histogram.is_none_or(|other| *other < at));
    let both_histograms =
        before_last(histograms_last.times).is_some_and(|at| last_float.is_none_or(|other| *other < at));
    if both_floats {
        let interval = (floats_last.times[1] - floats_last.times[0]).as_seconds();
        let (before, last) = (floats_last.values[0], floats_last.values[1]);
        let reset = counter && is_float_reset(&floats_last, 1);
        let difference = if reset { last } else { last - before };
        return Some(Cell::Float(if counter { difference / interval } else { difference }));
    }
    if !both_histograms {
        notes.mixed();
        return None;
    }
    let interval = (histograms_last.times[1] - histograms_last.times[0]).as_seconds();
    let (before, last) = (&histograms_last.values[0], &histograms_last.values[1]);
    let gauges = [before, last].map(|histogram| histogram.reset_hint == ResetHint::Gauge);
    if counter && gauges.contains(&true) {
        notes.add(Note::NotACounter(notes.metric.to_owned()));
    }
    if !counter && gauges.contains(&false) {
        notes.add(Note::NotAGauge(notes.metric.to_owned()));
    }
    let mut difference = Histogram::clone(last);
    if !counter || !is_histogram_reset(&histograms_last, 1) {
        histograms::subtract(&mut difference, before, notes)?;
    }
    difference.reset_hint = ResetHint::Gauge;
    histogram::compact(&mut difference);
    if counter {
        histogram::div(&mut difference, interval);
    }
    Some(Cell::Histogram(Arc::new(difference)))
}
