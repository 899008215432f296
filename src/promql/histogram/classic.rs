//! Estimates from classic histograms: one cumulative count for each `le`.

/// One `le` with its cumulative count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassicBucket {
    /// The value of `le`.
    pub upper: f64,
    /// Observations up to it.
    pub count: f64,
}

/// What had to be repaired because cumulative counts fell; worth an annotation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forced {
    /// `le` of the first bucket that was raised.
    pub first: f64,
    /// `le` of the last.
    pub last: f64,
    /// The largest step down that was taken away.
    pub largest: f64,
}

/// Differences of counts below this share are rounding errors, not data.
const ROUNDING_SHARE_MAX: f64 = 1e-12;

/// The value below which a share `q` of the observations lies, and what was repaired on the way. Sorts `buckets` and
/// makes them one for each bound.
///
/// Observations are taken to lie evenly inside a bucket; the first starts at 0 if its bound is positive. NaN without
/// observations, without a `+Inf` bucket, or with that one alone. (Prometheus: `BucketQuantile`.)
pub fn quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Forced>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, None);
    }
    if !tidy(buckets) {
        return (f64::NAN, None);
    }
    let forced = force_monotonic(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 {
        return (f64::NAN, None);
    }
    let rank = q * observations;
    // NaN counts are as good as too small, like in Prometheus' binary search.
    let at = buckets[..last].partition_point(|bucket| bucket.count.is_nan() || rank.is_nan() || bucket.count < rank);
    if at == last {
        return (buckets[last - 1].upper, forced);
    }
    let bucket = buckets[at];
    let Some(before) = at.checked_sub(1).map(|at| buckets[at]) else {
        let from_zero = bucket.upper > 0.0;
        return (if from_zero { bucket.upper * (rank / bucket.count) } else { bucket.upper }, forced);
    };
    let share = (rank - before.count) / (bucket.count - before.count);
    (before.upper + (bucket.upper - before.upper) * share, forced)
}

/// The share of observations between `lower` and `upper`. Sorts `buckets` and makes them one for each bound.
/// (Prometheus: `BucketFraction`.)
pub fn fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    if !tidy(buckets) {
        return f64::NAN;
    }
    let count = buckets.last().map_or(0.0, |bucket| bucket.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut below, mut lower_rank, mut upper_rank) = (0.0, None, None);
    let mut from = if buckets[0].upper > 0.0 { 0.0 } else { f64::NEG_INFINITY };
    for bucket in buckets.iter() {
        for (rank, limit) in [(&mut lower_rank, lower), (&mut upper_rank, upper)] {
            if rank.is_some() {
                continue;
            }
            if from >= limit {
                *rank = Some(below);
            } else if bucket.upper > limit {
                // A bucket from -Inf on counts as lying below every limit; one up to +Inf above.
                *rank = Some(match from == f64::NEG_INFINITY {
                    true => bucket.count,
                    false => below + (bucket.count - below) * (limit - from) / (bucket.upper - from),
                });
            }
        }
        (below, from) = (bucket.count, bucket.upper);
    }
    let rank = |rank: Option<f64>| rank.filter(|rank| *rank <= count).unwrap_or(count);
    (rank(upper_rank) - rank(lower_rank)) / count
}

/// Sorts, adds up buckets with the same bound; false where there is no `+Inf` bucket.
fn tidy(buckets: &mut Vec<ClassicBucket>) -> bool {
    buckets.sort_by(|left, right| left.upper.total_cmp(&right.upper));
    buckets.dedup_by(|next, kept| {
        let same = next.upper == kept.upper;
        if same {
            kept.count += next.count;
        }
        same
    });
    buckets.last().is_some_and(|last| last.upper == f64::INFINITY)
}

/// Raises each count that is below the one before it. Tiny differences of either sign are evened out silently.
fn force_monotonic(buckets: &mut [ClassicBucket]) -> Option<Forced> {
    let mut forced: Option<Forced> = None;
    let mut before = buckets.first()?.count;
    for bucket in &mut buckets[1..] {
        if bucket.count == before {
            continue;
        }
        if nearly_equal(before, bucket.count) {
            bucket.count = before;
        } else if bucket.count < before {
            let (upper, largest) = (bucket.upper, before - bucket.count);
            let known = forced.get_or_insert(Forced { first: upper, last: upper, largest });
            (known.last, known.largest) = (upper, known.largest.max(largest));
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    forced
}

/// Prometheus' `almost.Equal` with a tolerance of 1e-12.
fn nearly_equal(left: f64, right: f64) -> bool {
    if left == right || (left.is_nan() && right.is_nan()) {
        return true;
    }
    let (size, difference) = (left.abs() + right.abs(), (left - right).abs());
    if left == 0.0 || right == 0.0 || size < f64::MIN_POSITIVE {
        return difference < ROUNDING_SHARE_MAX * f64::MIN_POSITIVE;
    }
    difference / size.min(f64::MAX) < ROUNDING_SHARE_MAX
}
