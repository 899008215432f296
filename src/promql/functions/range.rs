//! Functions over a range: which there are, and what they see.

use std::sync::Arc;

use crate::model::{Histogram, Span, Timestamp};
use crate::promql::annotations::{Annotations, Note};
use crate::promql::ast::{Extension, Position};
use crate::promql::exec::row::Cell;

use super::{changes, over_time, rate, regression};

/// The functions over a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeFunction {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

impl RangeFunction {
    /// Whether its value depends on the time of evaluation even where its arguments do not.
    pub(crate) fn depends_on_step(self) -> bool {
        self == RangeFunction::PredictLinear
    }

    /// Whether the result is a sample of the series, and so keeps its name.
    pub(crate) fn keeps_name(self) -> bool {
        matches!(self, RangeFunction::First | RangeFunction::Last)
    }

    /// Whether it makes sense for counters alone and should be told of others.
    pub(crate) fn wants_counter(self) -> bool {
        matches!(self, RangeFunction::Rate | RangeFunction::Increase)
    }
}

/// The samples of one kind inside a window, in time order.
#[derive(Debug)]
pub(crate) struct Points<'a, V> {
    pub(crate) times: &'a [Timestamp],
    pub(crate) values: &'a [V],
    /// When each sample's counter started (epoch: unknown); empty where no sample says so, or nobody asks.
    pub(crate) starts: &'a [Timestamp],
}

impl<V> Clone for Points<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Points<'_, V> {}

impl<'a, V> Points<'a, V> {
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The start of sample `index`, if it is known.
    pub(crate) fn start(&self, index: usize) -> Option<Timestamp> {
        self.starts.get(index).copied().filter(|start| *start != Timestamp::EPOCH)
    }

    /// Samples `range` of these.
    pub(crate) fn slice(&self, range: std::ops::Range<usize>) -> Points<'a, V> {
        Points {
            times: &self.times[range.clone()],
            values: &self.values[range.clone()],
            starts: if self.starts.is_empty() { &[] } else { &self.starts[range] },
        }
    }
}

/// What a function over a range sees at one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) floats: Points<'a, f64>,
    pub(crate) histograms: Points<'a, Arc<Histogram>>,
    /// The instant just outside on the left. With `anchored` or `smoothed`, the samples reach beyond.
    pub(crate) open_start: Timestamp,
    /// The last instant inside.
    pub(crate) end: Timestamp,
    /// The evaluation time.
    pub(crate) step: Timestamp,
    pub(crate) length: Span,
    pub(crate) extension: Option<Extension>,
    /// The function's scalar arguments at this step.
    pub(crate) parameters: [f64; 2],
}

/// Takes the notes of one series.
pub(crate) struct Notes<'a> {
    /// The series' metric name, empty if it has none.
    pub(crate) metric: &'a str,
    /// The function's first argument.
    pub(crate) position: Position,
    pub(crate) annotations: &'a mut Annotations,
}

impl Notes<'_> {
    pub(crate) fn add(&mut self, note: Note) {
        self.annotations.add(note, self.position);
    }

    /// Histograms were left out beside floats.
    pub(crate) fn ignored_histograms(&mut self, window: &Window<'_>) {
        if !window.histograms.is_empty() {
            self.add(Note::HistogramIgnoredInRange(self.metric.to_owned()));
        }
    }

    pub(crate) fn mixed(&mut self) {
        self.add(Note::MixedFloatsHistograms(self.metric.to_owned()));
    }
}

/// The value of `function` for a window with at least one sample.
pub(crate) fn evaluate(
    function: RangeFunction,
    window: &Window<'_>,
    scratch: &mut Vec<f64>,
    notes: &mut Notes<'_>,
) -> Option<Cell> {
    use RangeFunction as R;
    match function {
        R::Rate => rate::extrapolated(window, true, true, notes),
        R::Increase => rate::extrapolated(window, true, false, notes),
        R::Delta => rate::extrapolated(window, false, false, notes),
        R::Irate => rate::instant(window, true, notes),
        R::Idelta => rate::instant(window, false, notes),
        R::Resets => changes::resets(window),
        R::Changes => changes::changes(window),
        R::Deriv => regression::deriv(window, notes),
        R::PredictLinear => regression::predict_linear(window, notes),
        R::DoubleExponentialSmoothing => regression::double_exponential_smoothing(window, notes),
        R::Avg => over_time::avg(window, notes),
        R::Sum => over_time::sum(window, notes),
        R::Count => Some(Cell::Float((window.floats.len() + window.histograms.len()) as f64)),
        R::Present => Some(Cell::Float(1.0)),
        R::First => over_time::first(window),
        R::Last => over_time::last(window),
        R::Min => over_time::extreme(window, notes, |candidate, best| candidate < best, false),
        R::Max => over_time::extreme(window, notes, |candidate, best| candidate > best, false),
        R::TimeOfMin => over_time::extreme(window, notes, |candidate, best| candidate <= best, true),
        R::TimeOfMax => over_time::extreme(window, notes, |candidate, best| candidate >= best, true),
        R::TimeOfFirst => over_time::time_of_first(window),
        R::TimeOfLast => over_time::time_of_last(window),
        R::Stddev => over_time::variance(window, notes).map(|variance| Cell::Float(variance.sqrt())),
        R::Stdvar => over_time::variance(window, notes).map(Cell::Float),
        R::Quantile => over_time::quantile(window, scratch, notes),
        R::Mad => over_time::mad(window, scratch, notes),
    }
}
