//! Where rows begin: series are read in batches, spread over cores, and handed on in the order of the roster.

use rayon::prelude::*;

use crate::model::Histogram;
use crate::model::sample::is_stale;
use crate::model::{Column, Timestamp};
use crate::promql::QueryError;
use crate::promql::annotations::Annotations;
use crate::promql::functions::range::Points;
use crate::promql::histogram;
use crate::store::SelectedSeries;
use std::sync::Arc;

use super::rollup::frames::Frames;
use super::row::Row;
use super::stream::Sink;
use super::{Query, Scope};

/// How many values (series x steps) a batch may hold; bounds the memory of a leaf.
const BATCH_VALUES: usize = 1 << 19;
/// How many series a batch holds at least and at most.
const BATCH_SERIES: (usize, usize) = (1, 4096);
/// Into how many shares a batch is cut for the cores. A constant, so that the machine decides nothing.
const SHARES: usize = 16;

/// Samples and values below which other cores are left alone: waking them would cost more than they do.
const WORTH_WAKING: usize = 1 << 17;

/// What one core needs to turn series into rows; reused from series to series.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) column: Column,
    pub(crate) split: Split,
    pub(crate) scratch: Vec<f64>,
    pub(crate) frames: Frames,
    pub(crate) annotations: Annotations,
    /// Samples looked at, by step.
    pub(crate) looked_at: Vec<u64>,
}

/// Floats and histograms of a column apart, without stale markers.
#[derive(Debug, Default)]
pub(crate) struct Split {
    float_times: Vec<Timestamp>,
    floats: Vec<f64>,
    float_starts: Vec<Timestamp>,
    histogram_times: Vec<Timestamp>,
    histograms: Vec<Arc<Histogram>>,
    histogram_starts: Vec<Timestamp>,
}

/// Whether one of the values is a stale marker. A sum says first whether one may be NaN, which every processor does many
/// at a time: each lane of it is NaN once one of its values was, or infinities met.
fn has_stale(values: &[f64]) -> bool {
    let (blocks, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().chain(rest).any(|sum| sum.is_nan()) && values.iter().any(|value| is_stale(*value))
}

/// The samples of a column by kind.
pub(crate) type ByKind<'a> = (Points<'a, f64>, Points<'a, Arc<Histogram>>);

impl Split {
    /// The samples of `column` by kind, without stale markers; in most cases those of the column itself.
    pub(crate) fn of<'a>(&'a mut self, column: &'a Column, starts: bool) -> ByKind<'a> {
        let starts = if starts { column.starts.as_slice() } else { &[] };
        if column.histograms.is_empty() && !has_stale(&column.values) {
            let floats = Points { times: &column.at, values: &column.values, starts };
            return (floats, Points { times: &[], values: &[], starts: &[] });
        }
        self.clear();
        let mut histograms = column.histograms.iter().peekable();
        for (row, (at, value)) in column.at.iter().zip(&column.values).enumerate() {
            match histograms.next_if(|(index, _)| *index == row) {
                Some((_, histogram)) if histogram.is_stale() => {}
                Some((_, histogram)) => {
                    self.histogram_times.push(*at);
                    self.histograms.push(Arc::clone(histogram));
                    self.histogram_starts.extend(starts.get(row));
                }
                None if is_stale(*value) => {}
                None => {
                    self.float_times.push(*at);
                    self.floats.push(*value);
                    self.float_starts.extend(starts.get(row));
                }
            }
        }
        let floats = Points { times: &self.float_times, values: &self.floats, starts: &self.float_starts };
        let histograms =
            Points { times: &self.histogram_times, values: &self.histograms, starts: &self.histogram_starts };
        (floats, histograms)
    }

    fn clear(&mut self) {
        self.float_times.clear();
        self.floats.clear();
        self.float_starts.clear();
        self.histogram_times.clear();
        self.histograms.clear();
        self.histogram_starts.clear();
    }
}

/// What came out of a share of a batch.
struct Done {
    rows: Vec<Row>,
    annotations: Annotations,
    looked_at: Vec<u64>,
    read: usize,
}

/// Gives the row that `make` makes of each series to `sink`, in order. `make` finds the series' samples in the worker's
/// column.
pub(crate) fn each_series(
    query: &Query<'_>,
    series: &[SelectedSeries],
    scope: Scope,
    make: impl Fn(&mut Worker, &SelectedSeries) -> Row + Sync,
    sink: &mut Sink<'_>,
) -> Result<(), QueryError> {
    let steps = scope.steps();
    let batch_series = (BATCH_VALUES / steps).clamp(BATCH_SERIES.0, BATCH_SERIES.1);
    let share = |series: &[SelectedSeries]| -> Result<Done, QueryError> {
        let mut worker = Worker { looked_at: vec![0; steps], ..Worker::default() };
        let mut rows = Vec::with_capacity(series.len());
        let mut read = 0;
        for one in series {
            query.interrupt.check()?;
            one.samples.read(&mut worker.column)?;
            histogram::settle_hints(&mut worker.column);
            read += worker.column.len();
            rows.push(make(&mut worker, one));
        }
        Ok(Done { rows, annotations: worker.annotations, looked_at: worker.looked_at, read })
    };
    let mut id = 0;
    for batch in series.chunks(batch_series) {
        let share_series = batch.len().div_ceil(SHARES).max(8);
        let (first, rest) = batch.split_at(share_series.min(batch.len()));
        // The first share tells what the others will cost.
        let first = share(first)?;
        let cost = rest.len() * (first.read / first.rows.len().max(1) + steps);
        let rest: Result<Vec<Done>, QueryError> = match cost < WORTH_WAKING {
            true => rest.chunks(share_series).map(share).collect(),
            false => rest.par_chunks(share_series).map(share).collect(),
        };
        for done in std::iter::once(first).chain(rest?) {
            query.meter.read_samples(done.read);
            if scope.counted {
                query.meter.look_at(&done.looked_at);
            }
            query.note_all(done.annotations);
            let held: u64 = done.rows.iter().map(Row::samples).sum();
            let bytes: u64 = done.rows.iter().map(Row::bytes).sum();
            query.meter.hold(held, bytes)?;
            for row in done.rows {
                sink(id, row)?;
                id += 1;
            }
            query.meter.release(held, bytes);
        }
    }
    Ok(())
}
