//! `</` and `>/`: the part of a histogram below or above a value.
//!
//! Buckets beyond the value become empty, the bucket around it is split, and count and sum are estimated anew from
//! what is left, each bucket standing at its middle. A histogram from which nothing is cut stays exactly as it was.
//! Nothing is assumed about a bucket that reaches to infinity: it stays or goes as a whole, except that a first
//! custom bucket with a positive bound is taken to start at 0. (Prometheus: `FloatHistogram.TrimBuckets`.)

use crate::model::Histogram;

use super::buckets::{Bucket, negative, positive, zero};
use super::compact;

/// Keeps the observations below `limit`: `histogram </ limit`.
pub fn trim_upper(histogram: &mut Histogram, limit: f64) {
    trim(histogram, Cut { limit, keep_below: true });
}

/// Keeps the observations above `limit`: `histogram >/ limit`.
pub fn trim_lower(histogram: &mut Histogram, limit: f64) {
    trim(histogram, Cut { limit, keep_below: false });
}

/// What is left of one bucket: how many observations, and the point they stand at.
struct Rest {
    count: f64,
    at: f64,
}

/// How observations lie inside a bucket.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Even,
    Exponential,
}

#[derive(Clone, Copy)]
struct Cut {
    limit: f64,
    keep_below: bool,
}

fn trim(histogram: &mut Histogram, cut: Cut) {
    let shape = if histogram.has_custom_buckets() { Shape::Even } else { Shape::Exponential };
    let (mut count, mut sum, mut changed) = (0.0, 0.0, false);
    let mut tally = |before: f64, rest: Rest| {
        count += rest.count;
        sum += rest.at * rest.count;
        changed |= before != rest.count;
        rest.count
    };
    let mut side = |buckets: &mut dyn Iterator<Item = Bucket>| {
        let keep = |bucket: Bucket| match bucket.count == 0.0 {
            true => 0.0,
            false => tally(bucket.count, cut.bucket(&bucket, shape)),
        };
        buckets.map(keep).collect::<Vec<_>>()
    };
    let positive_buckets = side(&mut positive(histogram));
    let negative_buckets = side(&mut negative(histogram));
    let mut zero_count = histogram.zero_count;
    if zero_count > 0.0 {
        let populated = |counts: &[f64]| counts.iter().any(|count| *count != 0.0);
        let mut bucket = zero(histogram);
        match (populated(&histogram.negative_buckets), populated(&histogram.positive_buckets)) {
            (true, false) => bucket.upper = 0.0,
            (false, true) => bucket.lower = 0.0,
            _ => {}
        }
        zero_count = tally(zero_count, cut.zero_bucket(&bucket));
    }
    if !changed {
        return;
    }
    histogram.positive_buckets = positive_buckets;
    histogram.negative_buckets = negative_buckets;
    (histogram.zero_count, histogram.count, histogram.sum) = (zero_count, count, sum);
    histogram.integer = false;
    compact(histogram);
}

impl Cut {
    fn bucket(self, bucket: &Bucket, shape: Shape) -> Rest {
        let Bucket { lower, upper, count, .. } = *bucket;
        let (inside, touched) = match self.keep_below {
            true => (upper <= self.limit, lower < self.limit),
            false => (lower >= self.limit, upper > self.limit),
        };
        if inside {
            Rest { count, at: middle(lower, upper, shape) }
        } else if !touched {
            Rest { count: 0.0, at: 0.0 }
        } else if lower.is_infinite() || upper.is_infinite() {
            self.infinite_bucket(bucket)
        } else {
            let below = count * share_below(lower, upper, self.limit, shape);
            match self.keep_below {
                true => Rest { count: below, at: middle(lower, self.limit, shape) },
                false => Rest { count: count - below, at: middle(self.limit, upper, shape) },
            }
        }
    }

    fn zero_bucket(self, bucket: &Bucket) -> Rest {
        let Bucket { lower, upper, count, .. } = *bucket;
        let whole = Rest { count, at: (lower + upper) / 2.0 };
        let nothing = Rest { count: 0.0, at: 0.0 };
        match self.keep_below {
            true if self.limit <= lower => return nothing,
            true if self.limit >= upper => return whole,
            false if self.limit <= lower => return whole,
            false if self.limit >= upper => return nothing,
            _ => {}
        }
        let (from, to) = if self.keep_below { (lower, self.limit) } else { (self.limit, upper) };
        Rest { count: count * ((to - from) / (upper - lower)), at: (from + to) / 2.0 }
    }

    /// A bucket with the limit inside that reaches to infinity on some side.
    fn infinite_bucket(self, bucket: &Bucket) -> Rest {
        let Bucket { lower, upper, count, .. } = *bucket;
        let limit = self.limit;
        let nothing = Rest { count: 0.0, at: 0.0 };
        let starts_at_zero = lower.is_infinite() && upper > 0.0 && upper.is_finite();
        match (lower == f64::NEG_INFINITY, self.keep_below) {
            (true, true) if upper <= 0.0 => Rest { count, at: limit },
            (true, true) if starts_at_zero && limit > 0.0 => Rest { count: count * limit / upper, at: limit / 2.0 },
            (true, false) if starts_at_zero && limit >= 0.0 => {
                Rest { count: count * (1.0 - limit / upper), at: (limit + upper) / 2.0 }
            }
            (false, false) => Rest { count, at: limit },
            _ => nothing,
        }
    }
}

/// The share of a bucket's observations below a limit inside it.
fn share_below(lower: f64, upper: f64, limit: f64, shape: Shape) -> f64 {
    if shape == Shape::Even {
        return (limit - lower) / (upper - lower);
    }
    let [lower_log, upper_log, limit_log] = [lower, upper, limit].map(|bound| bound.abs().log2());
    match upper > 0.0 {
        true => (limit_log - lower_log) / (upper_log - lower_log),
        false => 1.0 - (limit_log - upper_log) / (lower_log - upper_log),
    }
}

fn middle(lower: f64, upper: f64, shape: Shape) -> f64 {
    match (lower.is_infinite(), upper.is_infinite()) {
        (true, true) => 0.0,
        (true, false) if upper > 0.0 => upper / 2.0,
        (true, false) => upper,
        (false, true) => lower,
        (false, false) if shape == Shape::Even => (lower + upper) / 2.0,
        (false, false) => (lower * upper).abs().sqrt().copysign(lower + upper),
    }
}
