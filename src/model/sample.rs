//! One measurement, and a column of them.

use std::sync::Arc;

use super::{Histogram, Timestamp};

/// The bits of the NaN that says "this series ended here". (Prometheus: `value.StaleNaN`.)
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A float at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// What; every bit counts, since NaN payloads carry meaning.
    pub value: f64,
}

impl Sample {
    /// The marker that ends a series at `at`.
    pub fn stale(at: Timestamp) -> Self {
        Sample { at, value: f64::from_bits(STALE_NAN_BITS) }
    }

    /// Whether this is a stale marker, bit-exact: other NaNs are values.
    pub fn is_stale(&self) -> bool {
        is_stale(self.value)
    }
}

impl PartialEq for Sample {
    /// Equal time and equal bits: NaN equals itself, 0.0 and -0.0 differ.
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at && self.value.to_bits() == other.value.to_bits()
    }
}

/// Whether `value` is the stale marker.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The samples of one series over a stretch of time, as columns; reused from series to series.
///
/// Row `i` is a float `values[i]` at `at[i]`, unless `histograms` names `i`: then it is that histogram, and
/// `values[i]` is 0. A stale marker is a float row, whatever stood before it. Times rise strictly.
#[derive(Clone, Debug, Default)]
pub struct Column {
    /// When, strictly rising.
    pub at: Vec<Timestamp>,
    /// Float of each row.
    pub values: Vec<f64>,
    /// Rows that are histograms, by rising row number.
    pub histograms: Vec<(usize, Arc<Histogram>)>,
    /// Start timestamp of each row (0 = unknown), or empty where no row has one.
    pub starts: Vec<Timestamp>,
}

impl Column {
    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Takes all rows away and keeps the memory.
    pub fn clear(&mut self) {
        self.at.clear();
        self.values.clear();
        self.histograms.clear();
        self.starts.clear();
    }

    /// Adds a float row; `sample.at` must lie behind the last row.
    pub fn push(&mut self, sample: Sample) {
        debug_assert!(self.at.last().is_none_or(|last| *last < sample.at), "rows rise in time");
        self.at.push(sample.at);
        self.values.push(sample.value);
        if !self.starts.is_empty() {
            self.starts.push(Timestamp::EPOCH);
        }
    }

    /// Adds a histogram row; `at` must lie behind the last row.
    pub fn push_histogram(&mut self, at: Timestamp, histogram: Arc<Histogram>) {
        self.push(Sample { at, value: 0.0 });
        self.histograms.push((self.at.len() - 1, histogram));
    }

    /// Gives the last row its start timestamp.
    pub fn set_last_start(&mut self, start: Timestamp) {
        self.starts.resize(self.at.len(), Timestamp::EPOCH);
        if let Some(last) = self.starts.last_mut() {
            *last = start;
        }
    }

    /// The float rows, in time order.
    pub fn floats(&self) -> impl Iterator<Item = Sample> {
        let mut histograms = self.histograms.iter().map(|(row, _)| *row).peekable();
        self.at.iter().zip(&self.values).enumerate().filter_map(move |(row, (at, value))| {
            match histograms.next_if_eq(&row) {
                Some(_) => None,
                None => Some(Sample { at: *at, value: *value }),
            }
        })
    }
}
