//! `histogram_quantile` of a native histogram.

use crate::model::Histogram;

use super::buckets::{Bucket, ascending};

/// What NaN observations do to an estimate; each is worth an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanNote {
    /// The quantile lies among the NaN observations: the result is NaN.
    ResultIsNan,
    /// They lie above everything: the result is higher than that of the others alone.
    SkewedHigher,
}

/// The value below which a share `q` of the observations lies.
///
/// Inside exponential buckets observations are taken to lie evenly on a logarithmic scale; inside the zero bucket and
/// custom buckets, evenly. A zero bucket beside buckets of one sign only is taken to hold that sign only; the first
/// custom bucket starts at 0 if its bound is positive. `q` below 0 gives -Inf, above 1 +Inf; no observations, or `q`
/// NaN, NaN. (Prometheus: `HistogramQuantile`.)
pub fn quantile(q: f64, histogram: &Histogram) -> (f64, Option<NanNote>) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return (f64::NAN, None);
    }
    // NaN observations are in the count and in no bucket: only from below can ranks be trusted then. Otherwise it is
    // counted from the nearer end, which rounds less.
    let has_nan_sum = histogram.sum.is_nan();
    let from_below = has_nan_sum || q < 0.5;
    let rank = if from_below { q } else { 1.0 - q } * histogram.count;
    let (found, passed) = match from_below {
        true => find(ascending(histogram), rank),
        false => find(ascending(histogram).rev(), rank),
    };
    let mut bucket = found.unwrap_or_default();
    if histogram.has_custom_buckets() {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return (bucket.upper, None);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return (bucket.lower, None);
        }
    } else if bucket.lower < 0.0 && bucket.upper > 0.0 {
        narrow_zero_bucket(&mut bucket, histogram);
    }
    let passed = passed.min(histogram.count);
    if passed < rank {
        // Fewer observations in buckets than counted: NaN observations, or a broken histogram.
        return if has_nan_sum { (f64::NAN, Some(NanNote::ResultIsNan)) } else { (bucket.upper, None) };
    }
    let inside = if from_below { rank - (passed - bucket.count) } else { passed - rank };
    let in_buckets = || ascending(histogram).map(|bucket| bucket.count).sum::<f64>();
    let note = (has_nan_sum && in_buckets() < histogram.count).then_some(NanNote::SkewedHigher);
    (interpolate(&bucket, inside / bucket.count, histogram.has_custom_buckets()), note)
}

/// The first bucket up to which at least `rank` observations lie, and how many do; the last one looked at otherwise.
fn find(buckets: impl Iterator<Item = Bucket>, rank: f64) -> (Option<Bucket>, f64) {
    let (mut last, mut passed) = (None, 0.0);
    for bucket in buckets {
        last = Some(bucket);
        if bucket.count == 0.0 {
            continue;
        }
        passed += bucket.count;
        if passed >= rank {
            break;
        }
    }
    (last, passed)
}

/// Where a histogram has buckets of one sign only, its zero bucket is taken to hold that sign only.
pub(super) fn narrow_zero_bucket(bucket: &mut Bucket, histogram: &Histogram) {
    match (histogram.negative_buckets.is_empty(), histogram.positive_buckets.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

fn interpolate(bucket: &Bucket, share: f64, custom: bool) -> f64 {
    let Bucket { lower, upper, .. } = *bucket;
    if custom || (lower <= 0.0 && upper >= 0.0) {
        return lower + (upper - lower) * share;
    }
    let (log_lower, log_upper) = (lower.abs().log2(), upper.abs().log2());
    match lower > 0.0 {
        true => (log_lower + (log_upper - log_lower) * share).exp2(),
        false => -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2(),
    }
}
