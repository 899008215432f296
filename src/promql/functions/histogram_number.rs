//! Numbers that a native histogram gives by itself.

use crate::model::Histogram;
use crate::promql::histogram;

/// `histogram_avg`, `histogram_count`, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistogramNumber {
    Avg,
    Count,
    Stddev,
    Stdvar,
    Sum,
}

impl HistogramNumber {
    pub(crate) fn of(self, histogram: &Histogram) -> f64 {
        match self {
            HistogramNumber::Avg => histogram.sum / histogram.count,
            HistogramNumber::Count => histogram.count,
            HistogramNumber::Stddev => histogram::variance(histogram).sqrt(),
            HistogramNumber::Stdvar => histogram::variance(histogram),
            HistogramNumber::Sum => histogram.sum,
        }
    }
}
