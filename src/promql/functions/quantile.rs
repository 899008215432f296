//! Quantiles of a handful of numbers.

use std::cmp::Ordering;

/// NaN first, then by value: the order in which PromQL ranks floats.
pub(crate) fn rank(left: f64, right: f64) -> Ordering {
    match (left.is_nan(), right.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => left.partial_cmp(&right).expect("neither is NaN"),
    }
}

/// The φ-quantile, interpolated between the two nearest ranks. Sorts `values`.
///
/// None at all gives NaN, as does φ = NaN; φ below 0 gives -Inf, above 1 +Inf.
pub(crate) fn quantile(phi: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let place = phi * last as f64;
    let weight = place - place.floor();
    let lower = place.floor() as usize;
    let upper = last.min(lower + 1);
    let (_, low, above) = values.select_nth_unstable_by(lower, |left, right| rank(*left, *right));
    let low = *low;
    let high = match upper > lower {
        true => above.iter().copied().min_by(|left, right| rank(*left, *right)).unwrap_or(low),
        false => low,
    };
    low * (1.0 - weight) + high * weight
}

/// Half of all values are nearer to the median than this.
pub(crate) fn median_deviation(values: &mut [f64]) -> f64 {
    // A NaN makes the median unknown.
    if values.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    let median = quantile(0.5, values);
    values.iter_mut().for_each(|value| *value = (*value - median).abs());
    quantile(0.5, values)
}
