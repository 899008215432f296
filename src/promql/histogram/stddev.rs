//! How far observations lie apart.

use crate::model::Histogram;

use super::buckets::{Bucket, ascending};
use super::layout::{Cell, Compensated};

/// The estimated variance of the observations; its root is the standard deviation.
///
/// Each bucket stands at one point: its geometric middle, the arithmetic one with custom bounds, 0 for the zero
/// bucket. (Prometheus: `histogram_stdvar`.)
pub fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let mut squares = Compensated::default();
    for bucket in ascending(histogram).filter(|bucket| bucket.count != 0.0) {
        let distance = middle(&bucket, histogram.has_custom_buckets()) - mean;
        squares.gain(bucket.count * distance * distance);
    }
    squares.total() / histogram.count
}

fn middle(bucket: &Bucket, custom: bool) -> f64 {
    let Bucket { lower, upper, .. } = *bucket;
    if custom {
        (upper + lower) / 2.0
    } else if lower <= 0.0 && upper >= 0.0 {
        0.0
    } else {
        (upper * lower).sqrt().copysign(upper)
    }
}
