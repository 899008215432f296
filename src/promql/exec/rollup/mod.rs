//! Functions over ranges: two cursors walk over a series and give each step its window.

use crate::model::{Labels, Span, Timestamp};
use crate::promql::QueryError;
use crate::promql::annotations::Note;
use crate::promql::ast::{Extension, Position};
use crate::promql::functions::range::{self, Notes, RangeFunction, Window};
use crate::promql::plan::{Range, Rollup, Source};

use super::leaf::{self, ByKind, Worker};
use super::row::{Row, histogram_samples};
use super::stream::{Entry, Stream};
use super::{Query, Scope, scalar, subquery};
use frames::Frames;

mod fast;
pub(crate) mod frames;

/// A function over a range with everything that does not depend on the series.
pub(crate) struct Windows<'q> {
    pub(crate) query: &'q Query<'q>,
    pub(crate) range: &'q Range,
    pub(crate) function: RangeFunction,
    pub(crate) position: Position,
    pub(crate) parameters: Vec<Vec<f64>>,
    pub(crate) scope: Scope,
}

pub(crate) fn rollup<'q>(query: &'q Query<'q>, rollup: &'q Rollup, scope: Scope) -> Result<Stream<'q>, QueryError> {
    let mut parameters = Vec::new();
    for parameter in &rollup.parameters {
        parameters.push(scalar::scalar(query, parameter, scope)?);
    }
    if rollup.function == RangeFunction::DoubleExponentialSmoothing {
        check_factors(&parameters)?;
    }
    let position = rollup.first_argument;
    let windows = Windows { query, range: &rollup.range, function: rollup.function, position, parameters, scope };
    let stream = match &rollup.range.source {
        Source::Fetched(fetch) => {
            let series = query.fetched[*fetch].as_slice();
            let roster = series.iter().map(|one| Entry::new(one.labels.clone())).collect();
            Stream::new(roster, move |sink| {
                let starts = query.features.use_start_timestamps;
                let make = |worker: &mut Worker, one: &crate::store::SelectedSeries| {
                    let Worker { column, split, scratch, frames, annotations, looked_at } = worker;
                    let samples = split.of(column, starts);
                    let metric = one.labels.metric_name().unwrap_or("");
                    let mut notes = Notes { metric, position, annotations };
                    let row = windows.row(samples, (scratch, frames), looked_at, &mut notes);
                    windows.note_doubtful_counter(&one.labels, &row, &mut notes);
                    row
                };
                leaf::each_series(query, series, scope, make, sink)
            })
        }
        Source::Subquery { inner, grid } => subquery::rollup(windows, inner, *grid)?,
    };
    Ok(match rollup.function.keeps_name() {
        true => stream.relabel_unique(Entry::clone),
        false => stream.drop_names_unique(query.delayed()),
    })
}

fn check_factors(parameters: &[Vec<f64>]) -> Result<(), QueryError> {
    for (factors, name, short) in
        parameters.iter().zip([("smoothing", "sf"), ("trend", "tf")]).map(|(a, (b, c))| (a, b, c))
    {
        if let Some(wrong) = factors.iter().find(|factor| **factor <= 0.0 || **factor >= 1.0) {
            return Err(QueryError::Execution(format!(
                "invalid {name} factor. Expected: 0 < {short} < 1, got: {wrong:.6}"
            )));
        }
    }
    Ok(())
}

/// The samples of a window move on with each step: from the first behind `open_start` to the last at or before `end`.
#[derive(Default)]
pub(super) struct Cursor {
    from: Edge,
    to: Edge,
}

impl Cursor {
    pub(super) fn move_on(
        &mut self,
        times: &[Timestamp],
        open_start: Timestamp,
        end: Timestamp,
    ) -> std::ops::Range<usize> {
        self.from.move_on(times, open_start)..self.to.move_on(times, end)
    }
}

/// One side of a window: how many samples lie at or before it.
#[derive(Default)]
pub(super) struct Edge {
    at: usize,
    /// How far the last move went. Samples and steps are mostly regular, so the next will go as far.
    stride: usize,
}

impl Edge {
    /// How many of `times` lie at or before `limit`, which only ever grows.
    pub(super) fn move_on(&mut self, times: &[Timestamp], limit: Timestamp) -> usize {
        let mut at = (self.at + self.stride).min(times.len());
        while at > self.at && times[at - 1] > limit {
            at -= 1;
        }
        while at < times.len() && times[at] <= limit {
            at += 1;
        }
        (self.stride, self.at) = (at - self.at, at);
        at
    }
}

impl Windows<'_> {
    /// How far samples around the window are seen: to the left, to the right.
    fn reach(&self) -> (Span, Span) {
        match self.range.extension {
            None => (Span::ZERO, Span::ZERO),
            Some(Extension::Anchored) => (self.query.lookback, Span::ZERO),
            Some(Extension::Smoothed) => (self.query.lookback, self.query.lookback),
        }
    }

    /// The function's value for each step that sees a sample. The working memory serves no other windows.
    pub(crate) fn row(
        &self,
        (floats, histograms): ByKind<'_>,
        (scratch, frames): (&mut Vec<f64>, &mut Frames),
        looked_at: &mut [u64],
        notes: &mut Notes<'_>,
    ) -> Row {
        let mut row = Row::absent(self.scope.steps());
        if floats.is_empty() && histograms.is_empty() {
            return row;
        }
        if histograms.is_empty()
            && self.range.extension.is_none()
            && fast::row(self, floats, frames, &mut row, looked_at)
        {
            return row;
        }
        let (left, right) = self.reach();
        let (mut float_cursor, mut histogram_cursor) = (Cursor::default(), Cursor::default());
        for (step, at) in self.scope.grid.points().enumerate() {
            let end = self.range.shift.apply(at);
            let open_start = end - self.range.length;
            let seen = (open_start - left, end + right);
            let floats = floats.slice(float_cursor.move_on(floats.times, seen.0, seen.1));
            let histograms = histograms.slice(histogram_cursor.move_on(histograms.times, seen.0, seen.1));
            if floats.is_empty() && histograms.is_empty() {
                continue;
            }
            let weight: u64 = histograms.values.iter().map(|histogram| histogram_samples(histogram)).sum();
            looked_at[step] += floats.len() as u64 + weight;
            let parameter = |index: usize| self.parameters.get(index).map_or(0.0, |steps: &Vec<f64>| steps[step]);
            let window = Window {
                floats,
                histograms,
                open_start,
                end,
                step: at,
                length: self.range.length,
                extension: self.range.extension,
                parameters: [parameter(0), parameter(1)],
            };
            if let Some(cell) = range::evaluate(self.function, &window, scratch, notes) {
                row.set(step, cell);
            }
        }
        row
    }

    /// `rate` of what does not look like a counter is worth a note.
    pub(crate) fn note_doubtful_counter(&self, labels: &Labels, row: &Row, notes: &mut Notes<'_>) {
        const SUFFIXES: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
        let has_floats = || row.present().iter().any(|step| row.float(step).is_some());
        if !self.function.wants_counter() || notes.metric.is_empty() || !has_floats() {
            return;
        }
        let metric = notes.metric.to_owned();
        if self.query.features.type_and_unit_labels {
            let kind = labels.get("__type__").unwrap_or("");
            if kind != "counter" && kind != "histogram" {
                notes.add(Note::PossibleNonCounterType { metric, kind: kind.to_owned() });
            }
        } else if !SUFFIXES.iter().any(|suffix| metric.ends_with(suffix)) {
            notes.add(Note::PossibleNonCounter(metric));
        }
    }
}
