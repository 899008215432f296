//! `histogram_fraction` of a native histogram.

use crate::model::Histogram;

use super::buckets::{Bucket, ascending};
use super::quantile::narrow_zero_bucket;

/// The share of observations between `lower` and `upper`, and whether NaN observations, which are in no share, were
/// among them (worth an annotation). The counterpart of [`quantile`](super::quantile()), with the same assumptions inside
/// buckets; nothing is assumed inside a bucket that reaches to infinity. (Prometheus: `HistogramFraction`.)
pub fn fraction(lower: f64, upper: f64, histogram: &Histogram) -> (f64, bool) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, false);
    }
    if lower >= upper {
        return (0.0, false);
    }
    let custom = histogram.has_custom_buckets();
    let (mut below, mut lower_rank, mut upper_rank) = (0.0, None, None);
    for mut bucket in ascending(histogram) {
        let around_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if around_zero {
            narrow_zero_bucket(&mut bucket, histogram);
        }
        for (rank, limit) in [(&mut lower_rank, lower), (&mut upper_rank, upper)] {
            if rank.is_some() {
                continue;
            }
            if bucket.lower >= limit {
                *rank = Some(below);
            } else if bucket.upper > limit {
                *rank = Some(match custom || around_zero {
                    true => linear_rank(&bucket, below, limit),
                    false => below + bucket.count * exponential_share(&bucket, limit),
                });
            }
        }
        below += bucket.count;
    }
    // Where observations are NaN, the buckets hold fewer than were counted.
    let total = if histogram.sum.is_nan() { below } else { histogram.count };
    let rank = |rank: Option<f64>| rank.filter(|rank| *rank <= total).unwrap_or(total);
    let has_nan = histogram.sum.is_nan() && total < histogram.count;
    ((rank(upper_rank) - rank(lower_rank)) / histogram.count, has_nan)
}

fn linear_rank(bucket: &Bucket, below: f64, limit: f64) -> f64 {
    // A bucket from -Inf on counts as lying below every limit; one up to +Inf above, which the formula gives.
    if bucket.lower == f64::NEG_INFINITY {
        return bucket.count;
    }
    below + bucket.count * (limit - bucket.lower) / (bucket.upper - bucket.lower)
}

fn exponential_share(bucket: &Bucket, limit: f64) -> f64 {
    let [lower, upper, limit_log] = [bucket.lower, bucket.upper, limit].map(|bound| bound.abs().log2());
    match limit > 0.0 {
        true => (limit_log - lower) / (upper - lower),
        false => 1.0 - (limit_log - upper) / (lower - upper),
    }
}
