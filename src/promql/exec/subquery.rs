//! Subqueries: a query over its own grid, whose rows are the samples of a range.

use std::sync::Arc;

use crate::model::{Histogram, ResetHint, StepGrid, Timestamp};
use crate::promql::QueryError;
use crate::promql::annotations::Annotations;
use crate::promql::functions::range::{Notes, Points};
use crate::promql::plan::Node;

use super::rollup::Windows;
use super::rollup::frames::Frames;
use super::row::{Cell, Row};
use super::stream::Stream;
use super::{Scope, build};

/// Samples of both kinds, each with its times.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) float_times: Vec<Timestamp>,
    pub(crate) floats: Vec<f64>,
    pub(crate) histogram_times: Vec<Timestamp>,
    pub(crate) histograms: Vec<Arc<Histogram>>,
}

impl Samples {
    /// The samples that a row stands for.
    pub(crate) fn fill(&mut self, row: &Row, grid: StepGrid) {
        self.float_times.clear();
        self.floats.clear();
        self.histogram_times.clear();
        self.histograms.clear();
        for (step, cell) in row.cells() {
            match cell {
                Cell::Float(value) => {
                    self.float_times.push(grid.at(step));
                    self.floats.push(value);
                }
                Cell::Histogram(histogram) => {
                    self.histogram_times.push(grid.at(step));
                    self.histograms.push(without_claim(histogram));
                }
            }
        }
    }
}

/// What a histogram says of the one before it holds for the samples underneath, not for those of the subquery, which may
/// leave some out and repeat others.
fn without_claim(histogram: Arc<Histogram>) -> Arc<Histogram> {
    match histogram.reset_hint {
        ResetHint::Yes | ResetHint::No => {
            let mut copy = Histogram::clone(&histogram);
            copy.reset_hint = ResetHint::Unknown;
            Arc::new(copy)
        }
        ResetHint::Unknown | ResetHint::Gauge => histogram,
    }
}

/// The rows of a function over a subquery.
pub(crate) fn rollup<'q>(
    windows: Windows<'q>,
    inner: &'q Node,
    grid: Option<StepGrid>,
) -> Result<Stream<'q>, QueryError> {
    let query = windows.query;
    let Some(grid) = grid else { return Ok(Stream::ready(Vec::new())) };
    let stream = build(query, inner, Scope { grid, counted: false })?;
    let roster = stream.roster.clone();
    let labels: Vec<_> = roster.iter().map(|entry| entry.labels.clone()).collect();
    Ok(Stream::new(roster, move |sink| {
        let mut samples = Samples::default();
        let (mut scratch, mut frames) = (Vec::new(), Frames::default());
        let mut looked_at = vec![0; windows.scope.steps()];
        let mut annotations = Annotations::default();
        stream.run(&mut |id, inner_row| {
            samples.fill(&inner_row, grid);
            let floats = Points { times: &samples.float_times, values: &samples.floats, starts: &[] };
            let histograms = Points { times: &samples.histogram_times, values: &samples.histograms, starts: &[] };
            let metric = labels[id].metric_name().unwrap_or("");
            let mut notes = Notes { metric, position: windows.position, annotations: &mut annotations };
            let row = windows.row((floats, histograms), (&mut scratch, &mut frames), &mut looked_at, &mut notes);
            windows.note_doubtful_counter(&labels[id], &row, &mut notes);
            sink(id, row)
        })?;
        if windows.scope.counted {
            query.meter.look_at(&looked_at);
        }
        query.note_all(annotations);
        Ok(())
    }))
}
